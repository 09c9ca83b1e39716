package rpc

import (
	"context"
	"sync"
	"time"
)

// A handlerContext is a handler's context: it carries the request, and ends with its caller's deadline. The
// timer for that is armed only when someone waits for the end, which most handlers never do.
type handlerContext struct {
	context.Context //nolint:containedctx // it is one
	carried         carried
	deadline        time.Time

	once   sync.Once
	armed  context.Context //nolint:containedctx // the same with a timer
	cancel context.CancelFunc
}

func (c *handlerContext) Deadline() (time.Time, bool) {
	if earlier, ok := c.Context.Deadline(); ok && (c.deadline.IsZero() || earlier.Before(c.deadline)) {
		return earlier, true
	}
	return c.deadline, !c.deadline.IsZero()
}

func (c *handlerContext) Done() <-chan struct{} { return c.arm().Done() }

func (c *handlerContext) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if c.over() {
		return c.arm().Err()
	}
	return nil
}

// over reports whether the deadline has passed.
func (c *handlerContext) over() bool { return !c.deadline.IsZero() && !time.Now().Before(c.deadline) }

func (c *handlerContext) Value(key any) any {
	if key == (contextKey{}) {
		return &c.carried
	}
	return c.Context.Value(key)
}

// AfterFunc is what package context asks of a context that is not its own, to derive others without a goroutine.
func (c *handlerContext) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(c.arm(), f) }

func (c *handlerContext) arm() context.Context {
	c.once.Do(func() {
		c.armed = c.Context
		if !c.deadline.IsZero() {
			c.armed, c.cancel = context.WithDeadline(c.Context, c.deadline)
		}
	})
	return c.armed
}

// release stops the timer, if there is one.
func (c *handlerContext) release() {
	c.once.Do(func() { c.armed = c.Context })
	if c.cancel != nil {
		c.cancel()
	}
}
