package notifyslog

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/goslo/goslo/internal/mask"
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

// A teller is what handlers that were made of one share.
type teller struct {
	config  Config
	backlog *notify.Backlog
	program string
	closed  atomic.Bool
}

// New returns a handler over next, which gets every record first and whose errors are the handler's.
func New(next slog.Handler, c Config) *Handler {
	if c.Notifier == nil {
		c.Notifier = notify.NewNotifier(notify.NotifierConfig{})
	}
	if c.Level == nil {
		c.Level = slog.LevelError
	}
	if c.PublishErrors {
		c.Notifier = c.Notifier.As("error.publisher")
	}
	t := &teller{config: c, program: filepath.Base(os.Args[0])}
	t.config.Name = cmp.Or(c.Name, t.program)
	t.backlog = notify.NewBacklog(c.Notifier, notify.BacklogConfig{Size: c.Queue, Logger: slog.New(next)})
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
	if r.Level >= h.config.Level.Level() && !h.closed.Load() && !ownRecord(ctx, r) {
		err = errors.Join(err, h.tell(ctx, &r))
	}
	return err
}

// tell has a record told.
func (h *Handler) tell(ctx context.Context, r *slog.Record) error {
	ctx = context.WithValue(ctx, telling{}, true)
	if h.config.PublishErrors {
		return h.backlog.Notify(ctx, priority(r.Level), "error_notification", map[string]string{"error": mask.Text(r.Message)})
	}
	return h.backlog.Notify(ctx, priority(r.Level), "logrecord", h.payload(ctx, r))
}

// Lost is how many records were not told, because too many waited or the notifier could not tell them.
func (h *Handler) Lost() uint64 { return h.backlog.Lost() }

// Close tells what waits, until ctx ends, and has no more told: from then on records only go to the next handler. The error says how many
// records were never told, in all.
func (h *Handler) Close(ctx context.Context) error {
	h.closed.Store(true)
	return h.backlog.Close(ctx)
}
