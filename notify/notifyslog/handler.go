package notifyslog

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/notify"
)

// Config configures a Handler.
type Config struct {
	// Notifier tells the records. Its publisher is who they are from. Default: one that tells nobody.
	Notifier *notify.Notifier
	// Level is that of the least records that are told. Default: slog.LevelError.
	Level slog.Leveler
	// PublishErrors tells a record as oslo.messaging's PublishErrorsHandler does: event error_notification with nothing but the message,
	// {"error": "disk full"}, from publisher error.publisher (NLOG-04). Default: event logrecord, with where it was logged and by whom, and its attributes as extra (NLOG-02).
	PublishErrors bool
	// Name is the logger's name of records without the attribute logger. Default: the program's.
	Name string
	// Queue is how many records may wait to be told. Default: 1,000.
	Queue int
}

// A Handler is a slog.Handler that hands each record to the next one, and tells those that matter. Make one with [New]. It is safe for concurrent
// use; those that WithAttrs and WithGroup return share its queue.
type Handler struct {
	*teller
	next  slog.Handler
	steps []func(slog.Handler) slog.Handler // the attributes and groups so far
}

// A teller tells what waits, in its goroutine.
type teller struct {
	config   Config
	below    slog.Handler // for what has to be said about telling
	queue    chan func(ctx context.Context) error
	done     chan struct{} // closed when the goroutine has ended
	lost     atomic.Uint64
	complain sync.Once
	program  string
	cancel   context.CancelCauseFunc // ends what is being told

	mu     sync.RWMutex // held for reading while something is put into queue, which never blocks
	closed bool
}

// New returns a handler over next, which gets every record first and whose errors are those of the handler.
func New(next slog.Handler, c Config) *Handler {
	if c.Notifier == nil {
		c.Notifier = notify.NewNotifier(notify.NotifierConfig{})
	}
	if c.Level == nil {
		c.Level = slog.LevelError
	}
	t := &teller{
		config: c, below: next, queue: make(chan func(context.Context) error, cmp.Or(max(c.Queue, 0), 1000)), done: make(chan struct{}),
		program: filepath.Base(os.Args[0]),
	}
	t.config.Name = cmp.Or(c.Name, t.program)
	if c.PublishErrors {
		t.config.Notifier = c.Notifier.As("error.publisher")
	}
	stop, cancel := context.WithCancelCause(context.Background()) //nolint:forbidigo // it outlives every record's
	t.cancel = cancel
	go t.run(stop)
	return &Handler{teller: t, next: next}
}

// Enabled reports whether the next handler wants a record of the level, or it is to be told.
func (h *Handler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.config.Level.Level() || h.next.Enabled(ctx, l)
}

// WithAttrs returns a handler of records with these attributes.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup returns a handler of records whose attributes are in this group.
func (h *Handler) WithGroup(name string) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *Handler) with(step func(slog.Handler) slog.Handler) *Handler {
	return &Handler{teller: h.teller, next: step(h.next), steps: append(slices.Clip(h.steps), step)}
}

// Handle hands the record to the next handler, whose error it returns, and has it told. It does not wait for that.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	var err error
	if h.next.Enabled(ctx, r.Level) {
		err = h.next.Handle(ctx, r)
	}
	if r.Level >= h.config.Level.Level() && !ownRecord(ctx, r) {
		h.put(ctx, h.told(ctx, &r))
	}
	return err
}

// told makes what is told of a record, while its attributes are what they are.
func (h *Handler) told(ctx context.Context, r *slog.Record) func(context.Context) error {
	p := priority(r.Level)
	if h.config.PublishErrors {
		n, message := h.config.Notifier, r.Message
		return func(ctx context.Context) error {
			return n.Notify(ctx, p, "error_notification", map[string]string{"error": message})
		}
	}
	payload := h.payload(ctx, r)
	return func(ctx context.Context) error { return h.config.Notifier.Notify(ctx, p, "logrecord", payload) }
}

// put has something told with the values of ctx, its request above all.
func (t *teller) put(ctx context.Context, tell func(context.Context) error) {
	ctx = context.WithValue(context.WithoutCancel(ctx), telling{}, true)
	work := func(stop context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(stop, func() { cancel(context.Cause(stop)) })()
		return tell(ctx)
	}
	if full := !t.enqueue(work); full {
		t.lose(ctx, fmt.Errorf("%d records wait already", cap(t.queue)))
	}
}

// enqueue says whether there was room. A handler that was closed takes nothing.
func (t *teller) enqueue(work func(context.Context) error) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return true
	}
	select {
	case t.queue <- work:
		return true
	default:
		return false
	}
}

// run tells what is in the queue until that is closed.
func (t *teller) run(stop context.Context) {
	defer close(t.done)
	for work := range t.queue {
		if err := work(stop); err != nil {
			t.lose(context.WithValue(stop, telling{}, true), err)
		}
	}
}

// lose counts a record that nobody is told of, and says so once, where it was logged.
func (t *teller) lose(ctx context.Context, why error) {
	t.lost.Add(1)
	t.complain.Do(func() {
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "a record of the log is not told as a notification; others that are not are counted and not logged", 0)
		r.AddAttrs(slog.Any("error", why))
		if t.below.Enabled(ctx, r.Level) {
			_ = t.below.Handle(ctx, r) // there is nobody left to tell
		}
	})
}

// Lost is how many records were not told, because too many waited or the notifier refused them.
func (h *Handler) Lost() uint64 { return h.lost.Load() }

// Close tells what waits, until ctx ends, and has no more told: from then on records only go to the next handler. The error says how many
// records were never told, in all.
func (h *Handler) Close(ctx context.Context) error {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.queue)
	}
	h.mu.Unlock()
	select {
	case <-h.done:
	case <-ctx.Done():
		h.cancel(context.Cause(ctx))
		<-h.done
	}
	h.cancel(nil)
	if n := h.Lost(); n > 0 {
		return fmt.Errorf("notifyslog: %d records of the log were not told as notifications", n)
	}
	return nil
}
