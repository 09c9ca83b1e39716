package notify

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// collect makes batches until arrivals are closed. What has failed before is handled alone, so that one notification that
// always fails does not have its neighbours handled twice; so is what may fail only this once. What is not handed to a worker before the listener stops is given back.
func (l *Listener) collect(ctx context.Context, stopping <-chan struct{}) {
	var list []*heard
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	hand := func(list []*heard) {
		select {
		case l.work <- list:
		case <-stopping:
			l.requeue(ctx, list...)
		}
	}
	for {
		var waited <-chan time.Time
		if len(list) > 0 {
			waited = timer.C
		}
		select {
		case h, ok := <-l.arrivals:
			if !ok {
				l.requeue(ctx, list...)
				return
			}
			if l.config.Batch.Size == 0 || h.Last || l.failures.has(h.key()) {
				hand([]*heard{h})
				continue
			}
			if len(list) == 0 {
				timer.Reset(l.config.Batch.Timeout)
			}
			if list = append(list, h); len(list) < l.config.Batch.Size {
				continue
			}
		case <-waited:
		}
		hand(list)
		list = nil
	}
}

// serve runs handlers, in base, until there is no more work. Settling goes on when base has ended, until ctx does.
func (l *Listener) serve(ctx, base context.Context) {
	for list := range l.work {
		// Those of one priority go together, in the order of the priorities' names (NBAT-07).
		slices.SortStableFunc(list, func(a, b *heard) int { return strings.Compare(string(a.raw.Priority), string(b.raw.Priority)) })
		for len(list) > 0 {
			n := 1
			for n < len(list) && list[n].raw.Priority == list[0].raw.Priority {
				n++
			}
			l.handle(ctx, base, list[:n])
			list = list[n:]
		}
	}
}

// handle runs the handlers that want some of the notifications, and settles all of them. When they fail on several, each is handled
// once more, alone.
func (l *Listener) handle(ctx, base context.Context, group []*heard) {
	if base.Err() != nil {
		l.requeue(ctx, group...)
		return
	}
	dropped := map[*Raw]error{}
	wrapped := chain(func(ctx context.Context, all []*Raw) error { return l.run(ctx, all, dropped) }, l.config.Interceptors)
	all := make([]*Raw, len(group))
	for i, h := range group {
		all[i] = h.raw
	}
	err := protect(func() error { return wrapped(base, all) })
	split := err != nil && len(group) > 1
	handled := make([]*heard, 0, len(group))
	for _, h := range group {
		why, drop := dropped[h.raw]
		switch {
		case drop:
			l.log.Debug("notification dropped by its handler", "notification", h.raw, "topic", h.raw.Topic, "error", why)
			handled = append(handled, h)
		case err == nil:
			handled = append(handled, h)
		}
	}
	l.ack(ctx, handled...)
	if err == nil {
		return
	}
	for _, h := range group {
		_, drop := dropped[h.raw]
		switch {
		case drop:
		case split: // whose fault it is shows when each is handled alone
			l.handle(ctx, base, []*heard{h})
		case base.Err() != nil: // which is no fault of the notification
			l.log.Warn("handler was cancelled; the notification goes back to the bus", "notification", h.raw, "topic", h.raw.Topic, "error", err)
			l.requeue(ctx, h)
		default:
			l.fail(ctx, h, err)
		}
	}
}

// run runs handlers until one returns an error (NLIS-05, NFIL-04). What one of them drops the others do not get.
func (l *Listener) run(ctx context.Context, all []*Raw, dropped map[*Raw]error) error {
	for i := range l.handlers {
		h := &l.handlers[i]
		wanted := make([]*Raw, 0, len(all))
		for _, one := range all {
			if dropped[one] == nil && h.wants(one) {
				wanted = append(wanted, one)
			}
		}
		step := max(len(wanted), 1)
		if h.single {
			step = 1
		}
		for part := range slices.Chunk(wanted, step) {
			err := protect(func() error { return h.run(ctx, part) })
			switch {
			case errors.Is(err, Drop):
				for _, raw := range part {
					dropped[raw] = err
				}
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// protect runs a function of the user's, and makes a panic its error.
func protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// fail keeps a notification back for a while that was handled alone, or gives up on it.
func (l *Listener) fail(ctx context.Context, h *heard, why error) {
	key := h.key()
	failed := l.failures.get(key) + 1
	attempts := failed
	deliveries, last := l.inHand.counted(h)
	if failed > 1 { // else what was handed over to listeners that did not live to handle it would be given up on for one error
		attempts = max(failed, deliveries)
	}
	log := l.log.With("notification", h.raw, "topic", h.raw.Topic, "attempts", attempts, "error", why)
	if last || l.config.MaxAttempts > 0 && attempts >= l.config.MaxAttempts {
		if log = l.giveUp(ctx, h, why, last, log); log == nil {
			return
		}
	}
	pause := min(l.config.Backoff<<min(failed-1, 16), mostBackoff)
	log.Warn("handler failed; the notification goes back to the bus", "in", pause)
	l.failures.set(key, failed)
	h.due = time.Now().Add(pause)
	select {
	case l.failed <- h:
	case <-l.finished:
		l.requeue(ctx, h)
	}
}

// giveUp settles a notification that is not to come again. If it is to, because who was to keep it could not, that is added to the log that is
// returned, else nil.
func (l *Listener) giveUp(ctx context.Context, h *heard, why error, last bool, log *slog.Logger) *slog.Logger {
	if l.config.GaveUp != nil {
		if err := protect(func() error { return l.config.GaveUp(ctx, *h.raw, why) }); err != nil {
			log = log.With("kept", err)
			if !last {
				return log
			}
		}
	}
	if last {
		log.Error("gave up on a notification: its handler has failed, and its queue hands it over no more; the bus drops it, or puts it with dead letters")
		l.failures.forget(h.key())
		l.requeue(ctx, h)
		return nil
	}
	log.Error("gave up on a notification: its handler has failed too often; it is acknowledged")
	l.ack(ctx, h)
	return nil
}

// hold waits with what has failed until it is due, and then gives it back to the bus; when the listener takes no more, at once. It ends when the
// workers have. What it holds is unsettled, so Prefetch bounds it.
func (l *Listener) hold(ctx context.Context, stopping <-chan struct{}) {
	var all dues
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if len(all) > 0 {
			timer.Reset(time.Until(all[0].due))
		}
		select {
		case h := <-l.failed:
			if stopping == nil {
				l.requeue(ctx, h)
				continue
			}
			heap.Push(&all, h)
		case <-timer.C:
			for len(all) > 0 && !all[0].due.After(time.Now()) {
				l.requeue(ctx, all[0])
				heap.Pop(&all)
			}
		case <-stopping:
			stopping = nil
			l.requeue(ctx, all...)
			all = nil
		case <-l.finished:
			l.requeue(ctx, all...)
			return
		}
	}
}

// dues are those that wait, a heap.
type dues []*heard

func (d *dues) Len() int           { return len(*d) }
func (d *dues) Less(i, j int) bool { return (*d)[i].due.Before((*d)[j].due) }
func (d *dues) Swap(i, j int)      { (*d)[i], (*d)[j] = (*d)[j], (*d)[i] }
func (d *dues) Push(x any)         { *d = append(*d, x.(*heard)) }

func (d *dues) Pop() any {
	last := len(*d) - 1
	h := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return h
}

// ack acknowledges. Where that fails the bus delivers the notifications again (RMQ-CONS-06).
func (l *Listener) ack(ctx context.Context, list ...*heard) {
	all := make([]transport.Settler, 0, len(list))
	for _, h := range list {
		l.failures.forget(h.key())
		l.done.set(h.Message.UniqueID, struct{}{})
		for _, d := range l.inHand.leave(h) {
			all = append(all, d.Settler)
		}
	}
	if err := ackAll(ctx, all); err != nil {
		l.log.Warn("not acknowledged; what it is of will come again", "notification", list[0].raw, "topic", list[0].raw.Topic, "of", len(all), "error", err)
	}
}

// ackAll acknowledges together what the bus can acknowledge so.
func ackAll(ctx context.Context, all []transport.Settler) error {
	if len(all) > 1 {
		if first, ok := all[0].(transport.BatchSettler); ok {
			return first.AckAll(ctx, all[1:])
		}
	}
	var errs []error
	for _, one := range all {
		if err := one.Ack(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// requeue gives notifications back. Where that fails the bus delivers them again, when it notices.
func (l *Listener) requeue(ctx context.Context, list ...*heard) {
	for _, h := range list {
		for _, d := range l.inHand.leave(h) {
			if err := d.Requeue(ctx); err != nil {
				l.log.Warn("notification not given back", "notification", h.raw, "topic", h.raw.Topic, "error", err)
			}
		}
	}
}

// remembered is what is known of the last notifications, by unique id. "" is never remembered. It is safe for concurrent use.
type remembered[V any] struct {
	most int

	mu   sync.Mutex
	all  map[string]V
	ring []string // in order, the oldest at next once it is full; forgotten ones included
	next int
}

func newRemembered[V any](most int) *remembered[V] {
	return &remembered[V]{most: most, all: map[string]V{}}
}

func (r *remembered[V]) set(id string, v V) {
	if id == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.all[id]
	r.all[id] = v
	switch {
	case known:
	case len(r.ring) < r.most:
		r.ring = append(r.ring, id)
	default:
		delete(r.all, r.ring[r.next])
		r.ring[r.next] = id
		r.next = (r.next + 1) % r.most
	}
}

func (r *remembered[V]) get(id string) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[id]
}

func (r *remembered[V]) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.all[id]
	return ok
}

func (r *remembered[V]) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, id)
}
