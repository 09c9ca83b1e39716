package amqp1

import (
	"context"
	"sync/atomic"
	"time"
)

// A patience is a context that ends at a time of its own, too. Its timer comes into being when somebody is about to wait: most messages
// leave at once, and a context.WithTimeout for each would be most of what they cost. It is for one goroutine at a time.
type patience struct {
	context.Context //nolint:containedctx // It is a context.
	until           time.Time
	waiting         atomic.Pointer[waiting] // nil until somebody waits
}

type waiting struct {
	ctx    context.Context //nolint:containedctx // as above
	cancel context.CancelFunc
}

func newPatience(ctx context.Context, limit time.Duration) *patience {
	return &patience{Context: ctx, until: time.Now().Add(limit)}
}

// over ends p, which is to be called in the end.
func (p *patience) over() {
	if w := p.waiting.Load(); w != nil {
		w.cancel()
	}
}

func (p *patience) begin() *waiting {
	w := p.waiting.Load()
	if w == nil {
		ctx, cancel := context.WithDeadline(p.Context, p.until)
		w = &waiting{ctx, cancel}
		p.waiting.Store(w)
	}
	return w
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) {
	if end, ok := p.Context.Deadline(); ok && end.Before(p.until) {
		return end, true
	}
	return p.until, true
}

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.begin().ctx.Done() }

// Err implements context.Context.
func (p *patience) Err() error {
	if w := p.waiting.Load(); w != nil {
		return w.ctx.Err()
	}
	if err := p.Context.Err(); err != nil || time.Now().Before(p.until) {
		return err
	}
	return p.begin().ctx.Err()
}

// Value implements context.Context; context.Cause asks by it.
func (p *patience) Value(key any) any {
	if w := p.waiting.Load(); w != nil {
		return w.ctx.Value(key)
	}
	return p.Context.Value(key)
}
