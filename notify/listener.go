package notify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// Drop is what a handler's error wraps when there is no use in handling the notification again: it is acknowledged.
var Drop = errors.New("dropped") //nolint:revive,staticcheck // it is a verdict

// A Target is a topic that a listener listens to.
type Target struct {
	Exchange string // "" = the bus's default
	Topic    string // without a priority
}

// ListenerConfig configures a Listener. The zero value works.
type ListenerConfig struct {
	// Targets are what is listened to. Default: DefaultTopic on the default exchange.
	Targets []Target
	// Pool names a group of listeners. Each pool gets every notification once, from its first listener on, and its members share them.
	// Default: the listeners without a pool, which share what the queue of the topic holds, also from before they came.
	Pool string
	// Temporary has the pool, which is then to be a name that nobody else has, go with the listener: for who only looks. What is told while
	// the connection is away is missed; see [transport.ListenOptions]. Default: a pool keeps what is told while its listeners are away.
	Temporary bool
	// Workers is the most handlers, or batches, that run at a time. Notifications that are handled at a time have no order. Default: 64; 1
	// with Batch.
	Workers int
	// Batch has notifications collected before they are handled. Default: each is handled as it comes.
	Batch Batch
	// Prefetch is the most notifications of each topic and priority that are held in memory: waiting, being handled, or waiting to be given
	// back. The bus keeps the rest. Default: Workers; with Batch two batches for each, so that one is there when another was handled.
	Prefetch int
	// MaxAttempts is how often a notification is handled with an error until the listener gives up on it: it logs an error that names it, and
	// acknowledges it. What has failed in a batch is handled once more, alone, and only that counts. From the second error in this listener on
	// count all deliveries that the bus has counted, also to others and to those before it; without such a bus each listener counts its own.
	// Default: 10. Negative: it never gives up. A queue of the bus may have a limit of its own, which ends it in the same way.
	MaxAttempts int
	// Backoff is how long a notification waits after its first error until it is given back to the bus, for this listener or
	// another. It doubles with each error, up to a minute. Default: 1 s.
	Backoff time.Duration
	// GaveUp is called with a notification that is given up on and its last error, before it is acknowledged, so that it can be kept
	// elsewhere. An error has it given back once more. Default: it is only logged.
	GaveUp func(ctx context.Context, n Raw, err error) error
	// Drain is how long Run, once its ctx has ended, waits for running handlers before it cancels their contexts. Default: 60 s.
	// Negative: no wait.
	Drain time.Duration
	// Interceptors wrap the handlers; the first is the outermost. Default: none.
	Interceptors []Interceptor
	// Logger gets errors of handlers, and what is given up on. Default: nothing is logged.
	Logger *slog.Logger
}

// A Batch says when the notifications that have come are handled together: those of one priority in one call, in the order in which they
// came.
type Batch struct {
	// Size is how many make a batch. Default (0): there are no batches.
	Size int
	// Timeout is how long the first of them waits for the others. Default: 1 s. (Upstream waits for ever, NBAT-02.)
	Timeout time.Duration
}

const (
	defaultAttempts = 10
	mostBackoff     = time.Minute
	// rememberedIDs bounds what a listener remembers of notifications that it has acknowledged, or that have failed.
	rememberedIDs = 8192
	// lastWords is how long handlers that were cancelled have to return.
	lastWords = 5 * time.Second
)

// A Listener hears notifications. Make one with [NewListener], and run it once with Run.
type Listener struct {
	bus      transport.Transport
	config   ListenerConfig
	handlers []Handler
	invalid  error
	log      *slog.Logger

	failures *remembered[int]      // how often a notification that is on its way back has failed, by key
	done     *remembered[struct{}] // unique ids that were acknowledged
	inHand   inHand                // what is not settled
	arrivals chan *heard           // from the bus
	work     chan []*heard         // to workers
	failed   chan *heard           // to who waits with them
	finished chan struct{}         // closed when the workers have ended

	mu        sync.Mutex
	listeners []transport.Listener
	ran       bool
}

// A heard notification is one that is not settled yet.
type heard struct {
	*transport.Delivery
	raw *Raw
	due time.Time // when it is given back

	again []*transport.Delivery // the same, come again; guarded by the listener's inHand
}

// key is what failures are counted by: the unique id, or where the sender has given none, a digest of what it says.
func (h *heard) key() string {
	if id := h.Message.UniqueID; id != "" {
		return id
	}
	digest := sha256.New()
	for _, text := range []string{h.raw.Topic, h.raw.ID, h.raw.Publisher, h.raw.Type, h.raw.Timestamp, string(h.raw.Payload)} {
		_, _ = fmt.Fprintf(digest, "%d %s", len(text), text) // a digest takes everything
	}
	return string(digest.Sum(nil))
}

// NewListener returns a listener that runs every handler that wants a notification, in their order. It does no I/O; a mistake in
// the configuration is an error of Listen and Run.
func NewListener(bus transport.Transport, c ListenerConfig, handlers ...Handler) *Listener {
	if len(c.Targets) == 0 {
		c.Targets = []Target{{Topic: DefaultTopic}}
	}
	setDefault(&c.MaxAttempts, defaultAttempts)
	setDefault(&c.Backoff, time.Second)
	setDefault(&c.Drain, time.Minute)
	setDefault(&c.Batch.Timeout, time.Second)
	if c.Batch.Size > 0 {
		setDefault(&c.Workers, 1)
	}
	setDefault(&c.Workers, 64)
	setDefault(&c.Prefetch, c.Workers*max(2*c.Batch.Size, 1))
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Listener{
		bus: bus, config: c, handlers: slices.Clone(handlers), log: c.Logger,
		failures: newRemembered[int](rememberedIDs), done: newRemembered[struct{}](rememberedIDs),
		arrivals: make(chan *heard), work: make(chan []*heard), failed: make(chan *heard), finished: make(chan struct{}),
	}
	l.invalid = l.check()
	return l
}

func setDefault[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}

// check compiles filters.
func (l *Listener) check() error {
	c := l.config
	switch {
	case len(l.handlers) == 0:
		return errors.New("notify: a listener needs a handler")
	case c.Workers < 0, c.Batch.Size < 0, c.Batch.Timeout < 0, c.Prefetch < 0, c.Backoff < 0:
		return errors.New("notify: listener: Workers, Batch, Prefetch and Backoff must not be negative")
	case c.Temporary && c.Pool == "":
		return errors.New("notify: listener: Temporary needs a Pool")
	case c.Batch.Size > c.Prefetch:
		return fmt.Errorf("notify: listener: a batch of %d never comes with a Prefetch of %d", c.Batch.Size, c.Prefetch)
	}
	for _, t := range c.Targets {
		if t.Topic == "" {
			return errors.New("notify: listener: a target needs a topic")
		}
	}
	for i := range l.handlers {
		h := &l.handlers[i]
		for _, p := range h.priorities {
			if !p.known() {
				return fmt.Errorf("notify: listener: there is no priority %q; there are %v", p, Priorities())
			}
		}
		if h.filter == nil {
			continue
		}
		var err error
		if h.match, err = h.filter.compile(); err != nil {
			return err
		}
	}
	return nil
}

// Listen subscribes to every target, for the priorities that a handler wants (NLIS-01). Once it has returned no notification is
// missed, but none is handled before Run. Run calls it when it has not been called.
//
// A bus that has no notifications, or no pools, is errors.ErrUnsupported.
func (l *Listener) Listen(ctx context.Context) error {
	l.mu.Lock()
	open := len(l.listeners) > 0
	l.mu.Unlock()
	if l.invalid != nil || open {
		return l.invalid
	}
	var all []transport.Listener
	for _, at := range l.addresses() {
		one, err := l.bus.Listen(ctx, at, transport.ListenOptions{Prefetch: l.config.Prefetch, Temporary: l.config.Temporary})
		if err != nil {
			err = fmt.Errorf("notify: listen to %s: %w", at, err)
			return errors.Join(err, closeAll(ctx, all))
		}
		all = append(all, one)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listeners = all
	return nil
}

// addresses are where the listener listens.
func (l *Listener) addresses() []transport.Address {
	var all []transport.Address
	for _, t := range l.config.Targets {
		for _, p := range Priorities() {
			if slices.ContainsFunc(l.handlers, func(h Handler) bool { return h.hears(p) }) {
				all = append(all, transport.Address{Kind: transport.Notification, Exchange: t.Exchange, Topic: t.Topic + "." + string(p), Pool: l.config.Pool})
			}
		}
	}
	return all
}

// closeAll closes listeners: what was handed over and not taken goes back to the bus, and what was taken may still be settled.
func closeAll(ctx context.Context, all []transport.Listener) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	var errs []error
	for _, one := range all {
		if err := one.Close(ctx); err != nil && !errors.Is(err, transport.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Ready returns nil, or why notifications are not reaching the listener: its bus says so, or it is not listening.
func (l *Listener) Ready() error {
	l.mu.Lock()
	all := l.listeners
	l.mu.Unlock()
	if len(all) == 0 {
		return fmt.Errorf("notify: %s: not listening", l)
	}
	for _, one := range all {
		if r, ok := one.(transport.Readier); ok {
			if err := r.Ready(); err != nil {
				return fmt.Errorf("notify: %s: %w", l, err)
			}
		}
	}
	return nil
}

// String names the listener's topics and pool.
func (l *Listener) String() string {
	topics := make([]string, len(l.config.Targets))
	for i, t := range l.config.Targets {
		topics[i] = t.Topic
	}
	s := "listener for " + strings.Join(topics, ", ")
	if l.config.Pool != "" {
		s += " (pool " + l.config.Pool + ")"
	}
	return s
}

// Run handles notifications until ctx ends, then drains, and returns nil; or the error of a bus that was closed, or of handlers that had to be
// cancelled.
//
// To drain is to take nothing more, to give back what no handler has, and to wait for what runs. A notification whose handler was cancelled
// and returned an error is given back as well. Handlers' contexts carry ctx's values but not its end. A listener runs once.
func (l *Listener) Run(ctx context.Context) error {
	if err := l.Listen(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	again, all := l.ran, l.listeners
	l.ran = true
	l.mu.Unlock()
	if again {
		return fmt.Errorf("notify: %s has run already; make another with NewListener", l)
	}
	own, end := context.WithCancel(context.WithoutCancel(ctx)) // for what is settled when handlers have been cancelled
	defer end()
	base, cancel := context.WithCancelCause(own)
	defer cancel(nil)
	taking, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	var readers, batcher, workers, holder sync.WaitGroup
	for _, one := range all {
		readers.Go(func() {
			if err := l.read(taking, own, one); err != nil {
				stop(err)
			}
		})
	}
	batcher.Go(func() { l.collect(own, taking.Done()) })
	for range l.config.Workers {
		workers.Go(func() { l.serve(own, base) })
	}
	closed := make(chan struct{})
	holder.Go(func() { l.hold(own, closed) })

	<-taking.Done()
	readers.Wait()
	close(l.arrivals)
	batcher.Wait()
	close(l.work)
	err := closeAll(own, all)
	close(closed) // before that what is given back could come here again, which counts as one more delivery
	err = errors.Join(err, l.drain(&workers, cancel))
	close(l.finished)
	holder.Wait()
	if ctx.Err() == nil {
		err = errors.Join(fmt.Errorf("notify: %s: %w", l, context.Cause(taking)), err)
	}
	return err
}

// drain waits for handlers, and cancels those that take too long. Handlers that do not return then are left behind.
func (l *Listener) drain(workers *sync.WaitGroup, cancel context.CancelCauseFunc) error {
	idle := make(chan struct{})
	go func() { // ends with the last handler
		defer close(idle)
		workers.Wait()
	}()
	limit := time.NewTimer(max(l.config.Drain, 0))
	defer limit.Stop()
	select {
	case <-idle:
		return nil
	case <-limit.C:
	}
	err := fmt.Errorf("notify: %s: handlers were cancelled after draining for %s", l, max(l.config.Drain, 0))
	cancel(err)
	limit.Reset(lastWords)
	select {
	case <-idle:
	case <-limit.C:
		err = fmt.Errorf("%w; some have not returned", err)
	}
	return err
}

// read takes what one topic and priority brings. The channel has no room: what no handler is free for stays with the transport.
func (l *Listener) read(ctx, own context.Context, from transport.Listener) error {
	for {
		d, err := from.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the end was asked for
			}
			return err
		}
		h := &heard{Delivery: d, raw: arrived(d)}
		switch {
		case !l.inHand.take(h):
			l.log.Info("notification came again while it is in hand; settled with it", "notification", h.raw, "topic", h.raw.Topic)
		case l.done.has(d.Message.UniqueID): // looked at second: who acknowledges sets it first
			l.log.Info("notification came again after it was acknowledged; acknowledged once more", "notification", h.raw, "topic", h.raw.Topic)
			l.ack(own, h)
		case !h.raw.Priority.known():
			l.log.Warn("notification of an unknown priority; acknowledged", "notification", h.raw, "priority", h.raw.Priority, "topic", h.raw.Topic)
			l.ack(own, h)
		default:
			select {
			case l.arrivals <- h:
			case <-ctx.Done():
				l.requeue(own, h)
				return nil
			}
		}
	}
}
