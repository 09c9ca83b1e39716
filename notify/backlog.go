package notify

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
)

// BacklogConfig configures a Backlog.
type BacklogConfig struct {
	// Size is how many notifications may wait. Default: 1,000.
	Size int
	// Logger hears, once, that notifications are lost. Default: nothing is logged.
	Logger *slog.Logger
}

// A Backlog tells through a [Notifier] for those who cannot wait for the bus: what they tell waits in a queue, and is lost where that is full. What is
// told through the Notifier itself is not lost; prefer that for what matters. Make one with [NewBacklog]. It is safe for concurrent use, and keeps the
// order in which it was told.
type Backlog struct {
	*backlog
	notifier *Notifier
}

// A backlog is what the Backlogs of several publishers share.
type backlog struct {
	log      *slog.Logger
	queue    chan waiting
	done     chan struct{}           // closed when the goroutine has ended
	abort    context.CancelCauseFunc // ends what is being told
	lost     atomic.Uint64
	complain sync.Once

	mu     sync.RWMutex // held for reading while something is put into queue, which never blocks
	closed bool
}

// waiting brings one notification, and gives up when stop ends.
type waiting func(stop context.Context) error

// NewBacklog returns a backlog and starts its goroutine, for which Close waits. What n cannot tell is counted, and logged by the backlog alone,
// whether n has Swallow or not.
func NewBacklog(n *Notifier, c BacklogConfig) *Backlog {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	stop, abort := context.WithCancelCause(context.Background()) //nolint:forbidigo // it outlives those who tell
	b := &backlog{log: c.Logger, queue: make(chan waiting, cmp.Or(max(c.Size, 0), 1000)), done: make(chan struct{}), abort: abort}
	go b.run(stop)
	config := n.config
	config.Swallow = false
	return &Backlog{b, &Notifier{config}}
}

// As returns the backlog for another publisher, which shares its queue: to close one is to close both.
func (b *Backlog) As(publisher string) *Backlog { return &Backlog{b.backlog, b.notifier.As(publisher)} }

// Notify has an event told as of now, see [Notifier.Notify], with the values of ctx but not its end. It never waits. The error is about the
// notification itself: a payload that does not encode, a priority that there is not.
func (b *Backlog) Notify(ctx context.Context, p Priority, eventType string, payload any) error {
	one, err := b.notifier.compose(ctx, p, eventType, payload)
	if err != nil {
		return err
	}
	one.Payload = slices.Clone(one.Payload) // which may be the caller's
	ctx = context.WithoutCancel(ctx)
	bring := func(stop context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(stop, func() { cancel(context.Cause(stop)) })()
		return b.notifier.bring(ctx, one)
	}
	if !b.put(bring) {
		b.lose(ctx, fmt.Errorf("notify: %s: no room: %d wait already, or the backlog is closed", one, cap(b.queue)))
	}
	return nil
}

// put says whether there was room.
func (b *backlog) put(bring waiting) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return false
	}
	select {
	case b.queue <- bring:
		return true
	default:
		return false
	}
}

// run brings what waits until the queue is closed.
func (b *backlog) run(stop context.Context) {
	defer close(b.done)
	for bring := range b.queue {
		if err := bring(stop); err != nil {
			b.lose(stop, err)
		}
	}
}

// lose counts a notification that nobody gets. The first is logged.
func (b *backlog) lose(ctx context.Context, why error) {
	b.lost.Add(1)
	b.complain.Do(func() {
		b.log.WarnContext(ctx, "notification lost; others that are lost are counted and not logged", "error", why)
	})
}

// Lost is how many notifications were lost: there was no room for them, or the notifier could not tell them.
func (b *backlog) Lost() uint64 { return b.lost.Load() }

// Close tells what waits, until ctx ends; what is told afterwards is lost. The error says how many were, in all. It may be called again.
func (b *backlog) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.queue)
	}
	b.mu.Unlock()
	select {
	case <-b.done:
	case <-ctx.Done():
		b.abort(context.Cause(ctx))
		<-b.done
	}
	b.abort(nil)
	if n := b.Lost(); n > 0 {
		return fmt.Errorf("notify: %d notifications were lost in the backlog", n)
	}
	return nil
}
