package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/goslo/goslo/examples/compute/api"
	"github.com/goslo/goslo/examples/compute/compute"
	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductor"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/examples/compute/scheduler"
	"github.com/goslo/goslo/examples/compute/schedulerapi"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/transport"
)

// A node is what all four services have: one bus, one client of it, and a log.
type node struct {
	options
	bus    transport.Transport
	client *rpc.Client
	log    *slog.Logger
	out    io.Writer // told when the service is ready
}

// closing is how long the bus has for what is on its way when the service ends.
const closing = 5 * time.Second

func (n *node) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	return errors.Join(n.client.Close(ctx), n.bus.Close(ctx))
}

func (n *node) conductor(ctx context.Context) error {
	var instances []conductorapi.Instance
	for _, pair := range fields(n.instances) {
		id, host, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("-instances: %q is not id=host", pair)
		}
		instances = append(instances, conductorapi.Instance{ID: id, Host: host, Status: conductorapi.StatusActive})
	}
	clients := conductor.Clients{Compute: computeapi.NewClient(n.client.Pin(n.pin)), Scheduler: n.client}
	return n.serve(ctx, conductorapi.Target, conductor.New(clients, instances...).Endpoints())
}

func (n *node) scheduler(ctx context.Context) error {
	manager := scheduler.Manager{Hosts: fields(n.hosts)}
	return n.serve(ctx, schedulerapi.Target, manager.Endpoints())
}

func (n *node) compute(ctx context.Context) error {
	messages := notify.NewMessaging(n.bus, notify.MessagingConfig{Topics: []string{computeapi.NotificationTopic}})
	notifier := notify.NewNotifier(notify.NotifierConfig{
		Drivers:   []notify.Driver{messages},
		Publisher: "compute." + n.host,
		Retry:     notify.Times(2), // a migration waits for it
	})
	manager := compute.New(compute.Config{
		Host:      n.host,
		Driver:    compute.NewPretend(n.copying, fields(n.instances)...),
		Compute:   n.client,
		Conductor: n.client,
		Notifier:  notifier,
	})
	return n.serve(ctx, computeapi.Target, manager.Endpoints())
}

// serve says "ready" once no request can be missed, and serves until ctx ends.
func (n *node) serve(ctx context.Context, t rpc.Target, endpoints []rpc.Endpoint) error {
	server := rpc.NewServer(n.bus, rpc.ServerConfig{Target: t, Server: n.host, Logger: n.log}, endpoints...)
	if err := server.Listen(ctx); err != nil {
		return err
	}
	fmt.Fprintln(n.out, "ready", t.Topic, n.host)
	return server.Run(ctx)
}

// watch prints how migrations go on, those of the time before it came included.
func (n *node) watch(ctx context.Context) error {
	show := func(_ context.Context, e notify.Notification[computeapi.Migration]) error {
		m := e.Payload
		line := fmt.Sprintf("%s: %s from %s to %s, %d %% copied", e.Type, m.Instance, m.Source, m.Dest, m.Percent)
		if m.Fault != "" {
			line += ": " + m.Fault
		}
		_, err := fmt.Fprintln(n.out, line)
		return err
	}
	listener := notify.NewListener(n.bus, notify.ListenerConfig{
		Targets: []notify.Target{{Topic: computeapi.NotificationTopic}},
		Workers: 1, // one after the other, in their order
		Logger:  n.log,
	},
		computeapi.MigrationStart.Handle(show).On(notify.Info),
		computeapi.MigrationProgress.Handle(show).On(notify.Info),
		computeapi.MigrationEnd.Handle(show).On(notify.Info),
		computeapi.MigrationError.Handle(show).On(notify.Error),
	)
	if err := listener.Listen(ctx); err != nil {
		return err
	}
	fmt.Fprintln(n.out, "ready", computeapi.NotificationTopic)
	return listener.Run(ctx)
}

func (n *node) api(ctx context.Context) error {
	front, err := api.New(api.Clients{Conductor: n.client, Compute: n.client}, n.log)
	if err != nil {
		return err
	}
	listener, err := service.ListenHTTP(ctx, n.listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(n.out, "ready", "http://"+listener.Addr().String())
	return service.HTTPServer(listener, &http.Server{Handler: front, ReadHeaderTimeout: 10 * time.Second}, closing).Run(ctx)
}
