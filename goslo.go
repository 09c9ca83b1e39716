// Package goslo opens message buses. A program that calls and serves needs it once, in main:
//
//	bus, err := goslo.Open(ctx, "rabbit://guest:guest@localhost:5672/") // nats://..., embedded://, memory://
//	client := rpc.NewClient(bus, rpc.ClientConfig{})
//
// What happens after that is the business of the packages below; this one only chooses.
//
// # The map of the house
//
//	goslo               Open: the one switch from a URL to a transport
//	rpc                 calls, casts, servers, errors; what programs are written against
//	notify              events that are told to whoever listens; notifiers and listeners
//	notify/notifyslog   records of a log, told as notifications
//	notify/notifyhttp   requests of an HTTP server, told as notifications
//	transport           the seam between these and a bus, and transport URLs
//	transport/rabbit    RabbitMQ, on one wire with Python oslo.messaging
//	transport/amqp1     AMQP 1.0, on one wire with Python oslo.messaging
//	transport/nats      NATS; transport/nats/embedded is the bus that needs nothing installed
//	transport/kafka     Kafka, for notifications alone, on one wire with Python oslo.messaging
//	transport/zmq       ZeroMQ, from process to process without a broker; behind the build tag zmq
//	transport/memory    a bus inside one process, for tests
//	wire                oslo.messaging's JSON, bytes to values and back
//	objects             oslo.versionedobjects: structs as nova and others send them
//	config              oslo.config: options as struct fields, from flags, environment and files
//	config/messaging    oslo.messaging's options, to be embedded in a program's
//	policy              who may do what, by oslo.policy's rules
//	observe             traces, metrics and logs as operators of OpenStack know them
//	rest                the HTTP front: routes, bodies, request context, faults
//	rest/paste          api-paste.ini: which filters a request passes, in the words of PasteDeploy
//	rest/middleware     those filters: oslo.middleware's, and nova's and cinder's own
//	rest/keystone       who asks: tokens validated with Keystone, or noauth
//	service             running programs: order, periodic tasks, probes, signals, systemd
//	service/program     the main function of services: all of the above, configured
//	cmd/goslo           the command line, over internal/cli
//	examples            programs to start from
//
// # What happens in one call
//
//	caller   GetConsole.Call(ctx, client.To("h1"), args)    rpc/method.go       arguments encoded, once
//	    1    interceptors, deadline, version pin            rpc/client.go
//	    2    an id, and a place to wait for its reply       rpc/replies.go      one reply listener for each client
//	    3    Transport.Send(ctx, Address, *Message)         transport/X/send.go the bus confirms, or says that nobody listens
//	    4    encode, arguments spliced in                   wire/append.go
//	server   decode; a worker in Listener.Next              transport/X/listen.go, rpc/workers.go
//	    5    acknowledge, drop duplicates                   rpc/serve.go
//	    6    interceptors, then the endpoint that matches   rpc/endpoint.go     namespace, version, method
//	    7    your func(ctx, args) runs
//	    8    result or failure goes to the reply address    rpc/serve.go        signs of life meanwhile, if asked for
//	caller   id -> the one who waits -> decode -> return    rpc/replies.go, rpc/method.go
package goslo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/amqp1"
	"github.com/goslo/goslo/transport/kafka"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/nats"
	"github.com/goslo/goslo/transport/nats/embedded"
	"github.com/goslo/goslo/transport/rabbit"
)

// Open connects to the bus that url names, with defaults for everything else; see [Config.Open].
func Open(ctx context.Context, url string) (transport.Transport, error) {
	return Config{URL: url}.Open(ctx)
}

// Config says which bus to open, and as whom. The zero value is the embedded bus.
type Config struct {
	// URL names the bus: scheme://[user:password@]host[:port][,...]/virtual_host[?option=value&...].
	//
	//	rabbit, kombu     RabbitMQ; see package transport/rabbit
	//	nats, nats+tls    NATS; see package transport/nats
	//	amqp, amqps, qpid AMQP 1.0: qpidd, the dispatch router, RabbitMQ's plugin; see package transport/amqp1
	//	kafka             Kafka, for notifications alone; see package transport/kafka
	//	embedded          the bus on this machine that needs nothing installed; see package transport/nats/embedded
	//	zmq, zmq+redis    no broker at all; in programs built with -tags zmq; see package transport/zmq
	//	memory, fake      a bus inside this process; see package transport/memory
	//
	// Default: transport_url of Options, else, without any, embedded://.
	URL string
	// Options are oslo.messaging's, of a configuration such as nova.conf. Of [DEFAULT] transport_url and control_exchange
	// count, where URL and Exchange are empty, and the group of the transport, such as [oslo_messaging_rabbit]; options
	// in the URL come first. ClientConfig and ServerConfig are made of others. Default: none.
	Options Options
	// Program is the name by which operators see the process on the broker. Default: that of the executable.
	Program string
	// Exchange is what a target without one means. Default: control_exchange of Options, else "openstack".
	Exchange string
	// Logger hears about connections lost and rebuilt, and about options that have no effect or that nobody knows.
	// Default: nothing is logged.
	Logger *slog.Logger
}

// schemes are those that Open knows, as they are told to people.
var schemes = []string{"rabbit", "kombu", "nats", "nats+tls", "amqp", "amqps", "qpid", "kafka", "embedded", "zmq", "zmq+redis", "memory", "fake"}

// Open connects to the bus, within ctx; each of its hosts is tried once. From then on the transport keeps the
// connection up by itself, until it is closed.
//
// A URL that cannot be used is a *transport.URLError, a *transport.OptionsError or a *ConfigError. Anything else is what the
// bus, or the way there, had to say.
func (c Config) Open(ctx context.Context) (transport.Transport, error) {
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	return p.open(ctx)
}

// Check returns the error that Open would return without asking the bus: about the URL, and options that are wrong or do
// not go together. It reads certificates, and does not connect.
func (c Config) Check() error {
	p, err := c.plan()
	if err != nil || p.check == nil {
		return err
	}
	return p.check()
}

// A plan is a Config that was read, as far as that is the same for all transports.
type plan struct {
	open  func(context.Context) (transport.Transport, error)
	check func() error // nil = there is nothing more to be checked
}

func (c Config) plan() (plan, error) {
	c, err := c.fromOptions()
	if err != nil {
		return plan{}, &ConfigError{err}
	}
	u, err := transport.ParseURL(c.URL)
	if err != nil {
		return plan{}, err
	}
	switch u.Scheme {
	case "rabbit", "kombu":
		r, err := c.rabbit(u)
		if err != nil {
			return plan{}, &ConfigError{err}
		}
		open := func(ctx context.Context) (transport.Transport, error) { return opened(rabbit.Open(ctx, r)) }
		return plan{open, r.Check}, nil
	case "nats", "nats+tls":
		n, err := nats.ConfigFromURL(u)
		if err != nil {
			return plan{}, &ConfigError{err}
		}
		n.Program, n.Exchange, n.Logger = c.Program, c.Exchange, c.Logger
		return plan{open: func(ctx context.Context) (transport.Transport, error) { return opened(nats.Open(ctx, n)) }}, nil
	case "amqp", "amqps", "qpid":
		settings, err := c.settings(amqpGroup, amqpStrays...)
		if err != nil {
			return plan{}, &ConfigError{err}
		}
		a := amqp1.Config{URL: u, Settings: settings, Program: c.Program, Exchange: c.Exchange, Logger: c.Logger}
		open := func(ctx context.Context) (transport.Transport, error) { return opened(amqp1.Open(ctx, a)) }
		return plan{open, a.Check}, nil
	case "kafka":
		settings, err := c.settings(kafkaGroup)
		if err != nil {
			return plan{}, &ConfigError{err}
		}
		k := kafka.Config{URL: u, Settings: settings, Program: c.Program, Logger: c.Logger}
		open := func(ctx context.Context) (transport.Transport, error) { return opened(kafka.Open(ctx, k)) }
		return plan{open, k.Check}, nil
	case "zmq", "zmq+redis":
		return c.planZMQ(u)
	case "embedded":
		e, err := embedded.ConfigFromURL(u)
		if err != nil {
			return plan{}, &ConfigError{err}
		}
		e.Program, e.Exchange, e.Logger = c.Program, c.Exchange, c.Logger
		return plan{open: func(ctx context.Context) (transport.Transport, error) { return opened(embedded.Open(ctx, e)) }}, nil
	case "memory", "fake":
		if err := memory.Check(u); err != nil {
			return plan{}, &ConfigError{err}
		}
		return plan{open: func(context.Context) (transport.Transport, error) {
			return opened(memory.Open(u, memory.Config{Exchange: c.Exchange}))
		}}, nil
	}
	return plan{}, &ConfigError{unknownScheme(u)}
}

func (c Config) rabbit(u *transport.URL) (rabbit.Config, error) {
	settings, err := c.settings(rabbitGroup, rabbitStrays...)
	return rabbit.Config{URL: u, Settings: settings, Program: c.Program, Exchange: c.Exchange, Logger: c.Logger}, err
}

// Rabbit returns what Open opens where the bus is RabbitMQ, for tools that look at the broker itself, see [rabbit.Config.Dial]. Of any
// other bus the error wraps [errors.ErrUnsupported]; else it is as that of [Config.Check].
func (c Config) Rabbit() (rabbit.Config, error) {
	c, err := c.fromOptions()
	if err != nil {
		return rabbit.Config{}, &ConfigError{err}
	}
	u, err := transport.ParseURL(c.URL)
	if err != nil {
		return rabbit.Config{}, err
	}
	if u.Scheme != "rabbit" && u.Scheme != "kombu" {
		return rabbit.Config{}, &ConfigError{fmt.Errorf("goslo: url %s: it is not RabbitMQ: %w", u, errors.ErrUnsupported)}
	}
	r, err := c.rabbit(u)
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		return rabbit.Config{}, &ConfigError{err}
	}
	return r, nil
}

// opened keeps the nil pointer of a failed Open out of the interface.
func opened[T transport.Transport](bus T, err error) (transport.Transport, error) {
	if err != nil {
		return nil, err
	}
	return bus, nil
}

func unknownScheme(u *transport.URL) error {
	hint := ""
	if name, ok := nearest.To(u.Scheme, schemes); ok {
		hint = fmt.Sprintf("; did you mean %s://?", name)
	}
	return fmt.Errorf("goslo: url %s: no transport is called %q; there are %s%s", u, u.Scheme, strings.Join(schemes, ", "), hint)
}

// A ConfigError is a configuration that can never work, whatever the bus does.
type ConfigError struct{ cause error }

// Error is the cause's text.
func (e *ConfigError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.cause }
