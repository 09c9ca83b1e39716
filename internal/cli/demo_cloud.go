package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/examples/compute/api"
	"github.com/goslo/goslo/examples/compute/compute"
	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductor"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/examples/compute/scheduler"
	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/observe/otlp"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// copying is how long the demo pretends to copy an instance: long enough to see that the API's answer did not wait.
const copying = 150 * time.Millisecond

// A cloud is the services of examples/compute in one process, each on a connection of its own.
type cloud struct {
	app      *app
	log      *slog.Logger
	trace    *trace
	started  time.Time
	exchange string
	prefix   string // of topics
	url      string // of the API

	nodes    []*node
	front    *http.Server
	listener net.Listener
}

// A node is one service's place on the bus.
type node struct {
	name   string
	bus    transport.Transport
	client *rpc.Client
	server *rpc.Server // nil for the API

	traces   *otlp.Traces // those of OTEL_EXPORTER_OTLP_ENDPOINT; off without it
	observer *observe.Observer
}

// observe has the node traced as a service of its own, if the environment says so.
func (n *node) observe(ctx context.Context, bus string, log *slog.Logger) (err error) {
	if n.traces, err = otlp.Start(ctx, otlp.Config{Service: "goslo-demo-" + n.name, Version: buildVersion().Version, Logger: log}); err != nil {
		return usagef("%w", err)
	}
	n.observer, err = observe.New(observe.Config{Traces: n.traces.Provider(), System: observe.System(bus)})
	return err
}

// topic is the demo's own topic for a role.
func (c *cloud) topic(role string) string { return c.prefix + "-" + role }

// role is the reverse of topic.
func (c *cloud) role(topic string) string { return strings.TrimPrefix(topic, c.prefix+"-") }

// startCloud connects every service. When it returns, all of them listen; run makes them serve.
func (a *app) startCloud(ctx context.Context, t *trace, name, listen string) (*cloud, error) {
	log, err := a.logger()
	if err != nil {
		return nil, err
	}
	if a.bus, err = a.choose(); err != nil {
		return nil, err
	}
	c := &cloud{app: a, log: log, trace: t, started: time.Now(), exchange: a.bus.exchange, prefix: name}
	if c.exchange == "" {
		c.exchange = name
	}
	if c.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", listen); err != nil {
		return nil, usagef("--listen: %w", err)
	}
	c.url = "http://" + c.listener.Addr().String()
	if err := c.connect(ctx); err != nil {
		c.close(ctx)
		return nil, err
	}
	return c, nil
}

func (c *cloud) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	url, err := temporary(c.app.bus)
	if err != nil {
		return err
	}
	for _, name := range []string{"api", "conductor", "scheduler", "cmp-1", "cmp-2"} {
		n := &node{name: name}
		if err := n.observe(ctx, scheme(url), c.log); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	var opening errgroup.Group
	for _, n := range c.nodes {
		opening.Go(func() error {
			var err error
			n.bus, err = goslo.Config{URL: url, Options: c.app.bus.options, Program: "goslo-demo-" + n.name, Exchange: c.exchange, Logger: c.log}.Open(ctx)
			if err != nil {
				return &busError{cause: err}
			}
			n.client = rpc.NewClient(n.bus, n.observer.Client(rpc.ClientConfig{
				Timeout:      actTimeout,
				Interceptors: []rpc.Interceptor{c.trace.caller(n.name, c.role)},
				Logger:       c.log,
			}))
			return nil
		})
	}
	if err := opening.Wait(); err != nil {
		return err
	}
	if err := c.wire(); err != nil {
		return err
	}
	var listening errgroup.Group
	for _, n := range c.nodes {
		if n.server == nil {
			continue
		}
		listening.Go(func() error {
			if err := n.server.Listen(ctx); err != nil {
				return &busError{cause: err}
			}
			return nil
		})
	}
	return listening.Wait()
}

// wire puts the services of the example on their nodes.
func (c *cloud) wire() error {
	front, cond, sched, hosts := c.nodes[0], c.nodes[1], c.nodes[2], c.nodes[3:]
	on := func(n *node, role string) *rpc.Client { return n.client.On(c.topic(role)) }

	// No log: what fails is a part of the story.
	routes, err := api.New(api.Clients{Conductor: on(front, "conductor"), Compute: on(front, "compute")}, nil, front.observer.HTTP)
	if err != nil {
		return err
	}
	c.front = &http.Server{Handler: c.trace.front(routes), ReadHeaderTimeout: 10 * time.Second}

	conductors := conductor.New(conductor.Clients{
		Compute:   computeapi.NewClient(on(cond, "compute")),
		Scheduler: on(cond, "scheduler"),
	}, conductorapi.Instance{ID: "vm-1", Host: "cmp-1", Status: conductorapi.StatusActive})
	c.serve(cond, "conductor", conductors.Endpoints())

	schedulers := scheduler.Manager{Hosts: []string{"cmp-1", "cmp-2"}}
	c.serve(sched, "scheduler", schedulers.Endpoints())

	for i, host := range hosts {
		hypervisor := compute.NewPretend(copying)
		if i == 0 {
			hypervisor = compute.NewPretend(copying, "vm-1")
		}
		manager := compute.New(compute.Config{
			Host:      host.name,
			Driver:    hypervisor,
			Compute:   on(host, "compute"),
			Conductor: on(host, "conductor"),
		})
		c.serve(host, "compute", manager.Endpoints())
	}
	return nil
}

func (c *cloud) serve(n *node, role string, endpoints []rpc.Endpoint) {
	n.server = rpc.NewServer(n.bus, n.observer.Server(rpc.ServerConfig{
		Target:       rpc.Target{Topic: c.topic(role)},
		Server:       n.name,
		Drain:        closeTimeout,
		Interceptors: []rpc.Interceptor{c.trace.server(n.name)},
		Logger:       c.log,
	}), endpoints...)
}

// run serves until ctx ends or a service gives up, then closes everything.
func (c *cloud) run(ctx context.Context) error {
	group, serving := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		if n.server != nil {
			group.Go(func() error { return n.server.Run(serving) })
		}
	}
	group.Go(func() error {
		if err := c.front.Serve(c.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve http: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-serving.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return c.front.Shutdown(stop)
	})
	err := group.Wait()
	c.close(ctx)
	return err
}

// close ends all connections, those of the compute hosts first, since on the embedded bus the one that was
// opened first may be the one that the others go through.
func (c *cloud) close(ctx context.Context) {
	var closing errgroup.Group
	for _, n := range c.nodes {
		closing.Go(func() error {
			c.app.closeAll(ctx, c.log, n.client, n.bus)
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer cancel()
			if err := n.traces.Close(stop); err != nil {
				c.log.Warn("traces of the demo", "service", n.name, "error", err)
			}
			return nil
		})
	}
	_ = closing.Wait() // closeAll logs what goes wrong
	_ = c.listener.Close()
}

// scheme is that of a bus's URL, which may be left out.
func scheme(url string) string {
	if s, _, ok := strings.Cut(url, "://"); ok {
		return s
	}
	return "embedded"
}

// temporary makes a bus leave nothing behind on the broker: queues on RabbitMQ outlive their servers
// unless they are declared to be deleted with them.
func temporary(b busChoice) (string, error) {
	url := b.url
	if url == "" {
		if b.options == nil {
			return "", nil
		}
		url = "rabbit://" // the broker that the files name by their older options
	}
	u, err := transport.ParseURL(url)
	if err != nil {
		return "", err
	}
	const option = "amqp_auto_delete"
	given := slices.ContainsFunc(u.Query, func(o transport.Option) bool { return o.Name == option })
	if d := u.Driver(); d != "rabbit" && d != "kombu" || given {
		return url, nil
	}
	u.Query = append(u.Query, transport.Option{Name: option, Value: "true"})
	return u.Reveal(), nil
}
