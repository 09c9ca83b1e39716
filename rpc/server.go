package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	// Drain is how long Run, once its ctx has ended, waits for running handlers before it cancels their contexts.
	// Default: 60 s. Negative: no wait.
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

	mu       sync.Mutex
	ran      bool
	draining bool
	listener transport.Listener
	running  map[*Request]struct{}

	work    chan *transport.Delivery // to a worker that is idle
	workers sync.WaitGroup
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
		seen:    newDuplicates(duplicatesKept),
		running: map[*Request]struct{}{},
		work:    make(chan *transport.Delivery),
	}
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

// Run serves until ctx ends, then drains: it takes nothing more, waits for running handlers for Drain,
// cancels what still runs, gives that 5 s to return, and returns nil; or, if handlers had to be cancelled, a *DrainError.
// With AckAfter a cancelled handler that returns an error has its request given back to the bus.
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
	return errors.Join(err, s.drain(ctx, cancel))
}

// accept hands deliveries to workers until ctx ends, which is not an error, or the listener fails, as when its bus is closed.
func (s *Server) accept(ctx, base context.Context) error {
	workers := 0
	for {
		d, err := s.listener.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the end was asked for
			}
			return fmt.Errorf("rpc: serve %s as %s: %w", s.config.Target.Topic, s.config.Server, err)
		}
		if s.unacked != nil && !s.admit(base, d) {
			continue
		}
		select {
		case s.work <- d:
			continue
		default:
		}
		if workers < s.config.Workers {
			workers++
			s.workers.Go(func() { s.worker(base, d) })
			continue
		}
		select {
		case s.work <- d:
		case <-ctx.Done(): // no worker was free before the end; another server shall have it
			s.giveBack(base, d, false)
			return nil
		}
	}
}

// giveBack returns a delivery to the bus, for another server. Where the bus cannot take it back (a plain NATS request), its
// caller is told what became of it. A fanout was this server's own copy, and its queue goes with the server.
func (s *Server) giveBack(ctx context.Context, d *transport.Delivery, begun bool) {
	m := d.Message
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	var err error
	if d.To.Kind == transport.Fanout {
		err = errors.Join(fmt.Errorf("%w: it was this server's own copy", errors.ErrUnsupported), d.Ack(ctx))
	} else {
		err = d.Requeue(ctx)
	}
	if err == nil {
		return
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		s.log.Info("request not given back at the stop; the bus delivers it again by itself", "method", m.Method, "id", m.ID, "error", err)
		return
	}
	s.log.Warn("request dropped at the stop", "method", m.Method, "id", m.ID, "begun", begun, "error", err)
	if answerable(m) {
		when := "before"
		if begun {
			when = "while"
		}
		ctx, cancel := context.WithTimeout(ctx, lateReplyWithin) // the drain waits for it
		defer cancel()
		s.reply(ctx, &Request{Method: m.Method, ID: m.ID}, m, nil,
			classDeliveryFailure.Errorf("server %s stopped %s %s ran; send it again", s.config.Server, when, m.Method))
	}
}

// worker serves d, if it is not nil, and what follows.
func (s *Server) worker(base context.Context, d *transport.Delivery) {
	ended := false
	defer func() {
		if !ended { // by a handler's runtime.Goexit, which nothing stops; another takes its place
			s.workers.Go(func() { s.worker(base, nil) })
		}
	}()
	for ok := true; ok; d, ok = <-s.work {
		if d != nil {
			s.serve(base, d)
		}
	}
	ended = true
}

// afterCancel is how long handlers have to return once they are cancelled.
const afterCancel = 5 * time.Second

// drain ends the subscription and the workers.
func (s *Server) drain(ctx context.Context, cancel context.CancelCauseFunc) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	timer := time.NewTimer(max(s.config.Drain, 0))
	defer timer.Stop()
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), max(s.config.Drain, time.Second))
	defer done()
	err := s.listener.Close(closing)
	close(s.work)
	finished := make(chan struct{})
	go func() {
		s.workers.Wait()
		close(finished)
	}()
	var late []string
	select {
	case <-finished:
	case <-timer.C:
		late = s.runningNow()
		cancel(errDraining)
		timer.Reset(afterCancel)
		select {
		case <-finished:
		case <-timer.C: // a handler that ignores its context must not keep the process from ending
		}
	}
	if len(late) > 0 {
		err = errors.Join(err, &DrainError{Server: s.config.Server, Topic: s.config.Target.Topic, After: s.config.Drain, Running: late})
	}
	return err
}

// errDraining is the cause of the end of a handler's context when its server could wait no longer.
var errDraining = errors.New("the server is stopping")

// A DrainError says that handlers were still running when a stopping server's Drain had passed, and were cancelled.
type DrainError struct {
	Server, Topic string
	After         time.Duration
	Running       []string // method and how long it had been running
}

func (e *DrainError) Error() string {
	return fmt.Sprintf("rpc: server %s on %s: cancelled after draining for %s: %v", e.Server, e.Topic, e.After, e.Running)
}

func (s *Server) runningNow() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.running))
	for r := range s.running {
		out = append(out, fmt.Sprintf("%s for %s", r.Method, round(time.Since(r.Received))))
	}
	slices.Sort(out)
	return out
}
