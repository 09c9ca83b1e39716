package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/goslo/goslo/examples/livemigration/api"
	"github.com/goslo/goslo/examples/livemigration/compute"
	"github.com/goslo/goslo/examples/livemigration/computeapi"
	"github.com/goslo/goslo/examples/livemigration/conductor"
	"github.com/goslo/goslo/examples/livemigration/conductorapi"
	"github.com/goslo/goslo/examples/livemigration/scheduler"
	"github.com/goslo/goslo/examples/livemigration/schedulerapi"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A service is what all four have: one bus, one client of it, and a log.
type service struct {
	options
	bus    transport.Transport
	client *rpc.Client
	log    *slog.Logger
	out    io.Writer // told when the service is ready
}

// closing is how long the bus has for what is on its way when the service ends.
const closing = 5 * time.Second

func (s *service) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	return errors.Join(s.client.Close(ctx), s.bus.Close(ctx))
}

func (s *service) conductor(ctx context.Context) error {
	var instances []conductorapi.Instance
	for _, pair := range fields(s.instances) {
		id, host, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("-instances: %q is not id=host", pair)
		}
		instances = append(instances, conductorapi.Instance{ID: id, Host: host, Status: conductorapi.StatusActive})
	}
	clients := conductor.Clients{Compute: computeapi.NewClient(s.client.Pin(s.pin)), Scheduler: s.client}
	return s.serve(ctx, conductorapi.Target, conductor.New(clients, instances...).Endpoints())
}

func (s *service) scheduler(ctx context.Context) error {
	manager := scheduler.Manager{Hosts: fields(s.hosts)}
	return s.serve(ctx, schedulerapi.Target, manager.Endpoints())
}

func (s *service) compute(ctx context.Context) error {
	manager := compute.New(compute.Config{
		Host:      s.host,
		Driver:    compute.NewPretend(s.copying, fields(s.instances)...),
		Compute:   s.client,
		Conductor: s.client,
	})
	return s.serve(ctx, computeapi.Target, manager.Endpoints())
}

// serve says "ready" once no request can be missed, and serves until ctx ends.
func (s *service) serve(ctx context.Context, t rpc.Target, endpoints []rpc.Endpoint) error {
	server := rpc.NewServer(s.bus, rpc.ServerConfig{Target: t, Server: s.host, Logger: s.log}, endpoints...)
	if err := server.Listen(ctx); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "ready", t.Topic, s.host)
	return server.Run(ctx)
}

func (s *service) api(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return err
	}
	front := http.Server{
		Handler:           api.New(api.Clients{Conductor: s.client, Compute: s.client}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- front.Serve(listener) }()
	fmt.Fprintln(s.out, "ready", "http://"+listener.Addr().String())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err := front.Shutdown(stop); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
