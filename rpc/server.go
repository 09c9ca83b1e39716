package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// ServerConfig configures a Server. Target.Topic and Server are required.
type ServerConfig struct {
	// Target is what the server listens on: Exchange and Topic. Its Namespace and Version are what the
	// server implements there: methods of that namespace and major version are served up to it.
	Target Target
	// Server is this server's name on the topic, unique among the topic's servers: usually the host name.
	Server string
	// Workers is the most handlers that run at a time; further requests wait on the bus. Default: 64 (oslo's
	// executor_thread_pool_size).
	Workers int
	// Drain is how long Run, once its ctx has ended, waits for running handlers before it cancels their contexts; see
	// Server.Run. Default: 60 s. Negative: no wait.
	Drain time.Duration
	// AckAfter has requests acknowledged after they have run and been answered for, instead of before: at least once. Of a server
	// that dies, or that cancels a handler at the end of Drain, the bus gives the request to another, and it runs again. A failure
	// is an answer, and so is a panic. Handlers must bear repeating. What the bus can give again is its own: RabbitMQ casts
	// and calls, NATS casts only, and no bus a fanout; on one that can give nothing again, Listen fails with
	// errors.ErrUnsupported. Default: false, at most once, as oslo.messaging.
	AckAfter bool
	// Ping adds the method oslo_rpc_server_ping (oslo's rpc_ping_enabled). Default: false.
	Ping bool
	// Interceptors wrap every request, the first outermost.
	Interceptors []Interceptor
	// Logger gets failures of handlers, and what no caller sees. Default: nothing is logged.
	Logger *slog.Logger
}

// A Server serves endpoints on a topic. A request is acknowledged before its handler runs: it runs at
// most once, and a server that dies takes it along, as in oslo.messaging; see ServerConfig.AckAfter for the contrary. A request
// that the bus delivers twice to this server runs once.
type Server struct {
	bus       transport.Transport
	config    ServerConfig
	endpoints dispatcher
	invalid   error // of the configuration; returned by Listen
	run       Func  // interceptors around dispatch
	log       *slog.Logger
	seen      *duplicates
	unacked   *unacknowledged // nil unless AckAfter

	listener transport.Listener // written by Listen, under mu
	pool     pool
	lifetime
}

// A lifetime is how far a server is.
type lifetime struct {
	mu       sync.Mutex
	ran      bool
	draining bool
	aborted  bool
	abort    func()          // ends the drain that is going on
	running  *handlerContext // the last that began; each knows the next
	first    int             // of them, those that ran when the topic was left
	outlived func()          // called when they have ended; nil = nobody asks
}

// duplicatesKept is how many requests a server remembers: what one process can have in flight on a reconnect, with room.
const duplicatesKept = 8192

// NewServer returns a server of the endpoints, tried in their order. It does no I/O; a mistake in the
// configuration is an error of Listen and Run.
func NewServer(bus transport.Transport, c ServerConfig, endpoints ...Endpoint) *Server {
	if c.Workers == 0 {
		c.Workers = 64
	}
	if c.Drain == 0 {
		c.Drain = time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Ping {
		endpoints = withPing(endpoints)
	}
	s := &Server{
		bus: bus, config: c, log: c.Logger,
		seen: newDuplicates(duplicatesKept),
	}
	s.pool.most = c.Workers
	s.pool.left = sync.NewCond(&s.pool.mu)
	s.endpoints, s.invalid = newDispatcher(c.Target, endpoints)
	switch {
	case c.Target.Topic == "":
		s.invalid = &TargetError{c.Target, "a server needs a topic"}
	case c.Server == "":
		s.invalid = &TargetError{c.Target, "a server needs a name: set ServerConfig.Server, for example to the host name"}
	case c.Workers < 0:
		s.invalid = fmt.Errorf("rpc: server %s on %s: Workers is %d; it must not be negative", c.Server, c.Target.Topic, c.Workers)
	}
	s.run = chain(s.endpoints.dispatch, c.Interceptors)
	if c.AckAfter {
		s.unacked = newUnacknowledged(s.seen)
		s.pool.most++
		s.pool.slots = make(chan struct{}, max(c.Workers, 0))
	}
	return s
}

// Listen subscribes. Once it has returned no request is missed, but none is served before Run. Run
// calls it when it has not been called.
func (s *Server) Listen(ctx context.Context) error {
	if s.invalid != nil {
		return s.invalid
	}
	s.mu.Lock()
	open := s.listener != nil
	s.mu.Unlock()
	if open {
		return nil
	}
	if err := s.redelivers(); err != nil {
		return err
	}
	at := transport.Address{
		Kind: transport.Topic, Exchange: s.config.Target.Exchange, Topic: s.config.Target.Topic, Server: s.config.Server,
	}
	l, err := s.bus.Listen(ctx, at, transport.ListenOptions{Prefetch: s.config.Workers})
	if err != nil {
		return fmt.Errorf("rpc: serve %s as %s: %w", s.config.Target.Topic, s.config.Server, err)
	}
	s.mu.Lock()
	s.listener = l
	_, s.pool.shared = l.(transport.Sharer)
	s.mu.Unlock()
	return nil
}

// Ready returns nil while requests reach the server, as far as its bus can tell; else why not, and since when. It
// does no I/O: a health check may ask as often as it likes. Once the server drains the error wraps transport.ErrClosed.
func (s *Server) Ready() error {
	s.mu.Lock()
	l, draining := s.listener, s.draining
	s.mu.Unlock()
	var err error
	switch r, ok := l.(transport.Readier); {
	case draining:
		err = transport.ErrClosed
	case l == nil:
		err = errors.New("not listening yet")
	case ok:
		err = r.Ready()
	}
	if err != nil {
		return fmt.Errorf("rpc: server %s on %s: %w", s.config.Server, s.config.Target.Topic, err)
	}
	return nil
}

// String names the server and its topic.
func (s *Server) String() string {
	return "server " + s.config.Server + " on " + s.config.Target.Topic
}

// Run serves until ctx ends, then drains, and returns nil; or, if handlers had to be cancelled, a *DrainError.
//
// To drain is to leave the topic to the other servers first, if the bus can (see transport.Leaver); to go on with what runs, and with
// what is sent to this server itself, such as the follow-up calls of what runs; and once nothing runs, or three quarters of Drain have
// passed, or a minute since what ran at first has ended, to take nothing more. Handlers that still run when Drain has passed are cancelled, and have 5 s to return. What was handed over and not begun goes
// back to the bus. With AckAfter a cancelled handler that returns an error has its request given back as well.
//
// A server runs once: a second Run is an error.
// Handlers' contexts carry ctx's values but not its end, so that running work may still call others.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	again := s.ran
	s.ran = true
	s.mu.Unlock()
	if again {
		return fmt.Errorf("rpc: server %s on %s has run already; make another with NewServer", s.config.Server, s.config.Target.Topic)
	}
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	err := s.accept(ctx, base)
	return errors.Join(err, s.drain(base, err == nil, cancel))
}
