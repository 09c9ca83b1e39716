package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A deadlineContext ends with its parent, at a deadline, and, if it has one, when it is released. The timer for that is armed only when
// someone waits for the end, which most handlers and sends never do.
type deadlineContext struct {
	context.Context //nolint:containedctx // it is one
	deadline        time.Time
	released        atomic.Bool // before its end
	exceeded        atomic.Bool // somebody was told so

	mu     sync.Mutex
	armed  context.Context //nolint:containedctx // the same with a timer
	cancel context.CancelFunc
}

// until makes c, a zero one, the child of a context without a deadline.
func (c *deadlineContext) until(parent context.Context, deadline time.Time) context.Context {
	c.Context, c.deadline = parent, deadline
	return c
}

func (c *deadlineContext) Deadline() (time.Time, bool) {
	if earlier, ok := c.Context.Deadline(); ok && (c.deadline.IsZero() || earlier.Before(c.deadline)) {
		return earlier, true
	}
	return c.deadline, !c.deadline.IsZero()
}

func (c *deadlineContext) Done() <-chan struct{} { return c.arm().Done() }

func (c *deadlineContext) Err() error {
	if c.released.Load() {
		return context.Canceled
	}
	if err := c.Context.Err(); err != nil {
		return err
	}
	if c.over() {
		c.exceeded.Store(true)
		return context.DeadlineExceeded // which a timer that was armed may say a moment later
	}
	return nil
}

// over reports whether the deadline has passed.
func (c *deadlineContext) over() bool { return !c.deadline.IsZero() && !time.Now().Before(c.deadline) }

// AfterFunc is what package context asks of a context that is not its own, to derive others without a goroutine.
func (c *deadlineContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.arm(), f)
}

func (c *deadlineContext) arm() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.armed != nil:
	case c.deadline.IsZero():
		c.armed = c.Context
	default:
		c.armed, c.cancel = context.WithDeadline(c.Context, c.deadline)
		if c.released.Load() {
			c.cancel()
		}
	}
	return c.armed
}

// release ends what has a deadline, and stops the timer if there is one: what was derived and left behind ends, too.
func (c *deadlineContext) release() {
	if c.deadline.IsZero() {
		return
	}
	c.mu.Lock()
	cancel := c.cancel
	if cancel == nil && c.Context.Err() == nil && !c.exceeded.Load() { // nobody has heard of an end: this is it, and needs no clock
		c.released.Store(true)
	}
	c.mu.Unlock()
	if cancel == nil {
		return
	}
	if c.Err() == nil {
		c.released.Store(true)
	}
	cancel()
}

// Unarmed is for package ending: the channel tells of every end but the one at Deadline.
func (c *deadlineContext) Unarmed() <-chan struct{} { return c.Context.Done() }

// A handlerContext is a handler's context: it carries the request, and ends with its caller's deadline.
type handlerContext struct {
	deadlineContext

	carried carried
	request Request

	// Guarded by lifetime.mu.
	prev, next *handlerContext // of those that run
	first      bool            // it ran when its server left the topic
}

func (c *handlerContext) Value(key any) any {
	if key == (contextKey{}) {
		return &c.carried
	}
	return c.Context.Value(key)
}
