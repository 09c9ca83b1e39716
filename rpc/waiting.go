package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goslo/goslo/internal/nearest"
	"github.com/goslo/goslo/transport"
)

// errSilent: the monitoring period of a call ran out.
var errSilent = errors.New("no sign of life")

// wait blocks until the call is answered, ctx ends, or the server was silent for the monitoring period.
func (r *replies) wait(ctx context.Context, p *pending, monitor time.Duration) (*transport.Message, error) {
	if monitor == 0 {
		select {
		case a := <-p.answer:
			return a.message, a.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	timer := time.NewTimer(monitor)
	defer timer.Stop()
	heard := time.Now()
	for {
		select {
		case a := <-p.answer:
			return a.message, a.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			if last := r.lastSign(p); last.After(heard) {
				heard = last
			}
			left := monitor - time.Since(heard)
			if left <= 0 {
				return nil, errSilent
			}
			timer.Reset(left)
		}
	}
}

// waitError explains why a call that the bus took has no answer.
func (c *caller) waitError(ctx context.Context, r *Request, p *pending, err error) error {
	silent := errors.Is(err, errSilent)
	if !silent && !errors.Is(err, context.DeadlineExceeded) {
		return c.sendError(ctx, r, p.started, err)
	}
	e := &TimeoutError{Method: r.Method, Address: r.address(), Elapsed: time.Since(p.started), Phase: Delivered}
	if silent {
		e.Monitor = r.Monitor
	}
	if last := c.replies.lastSign(p); !last.IsZero() {
		e.Phase, e.LastSign = Running, time.Since(last)
	}
	c.explain(ctx, r, e)
	return e
}

// explainWithin bounds what looking into the bus may add to a call's deadline.
const explainWithin = 200 * time.Millisecond

// explain asks the bus, where it can be asked, what has become of the request.
func (c *caller) explain(ctx context.Context, r *Request, e *TimeoutError) {
	inspector, ok := c.bus.(transport.Inspector)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainWithin)
	defer cancel()
	state, err := inspector.Inspect(ctx, r.address())
	if err != nil {
		e.Detail = fmt.Sprintf("looking at %s: %v", r.address(), err)
		return
	}
	switch {
	case !state.Exists:
		e.Detail = "the server's queue is gone: it was deleted, or its service has left"
	case state.Listeners == 0 && state.Waiting > 0:
		e.Phase = Queued
		e.Detail = fmt.Sprintf("nobody listens there now, and %d messages wait: start the service", state.Waiting)
	case state.Listeners == 0:
		e.Detail = "nobody listens there any more: the server has died or lost its connection after it took the request"
	case e.Phase == Running:
		e.Detail = "its service still listens: the method is slow, or hangs"
	case state.Waiting > 0:
		e.Phase = Queued
		e.Detail = fmt.Sprintf("%d listen, and %d messages wait: the service is too busy, or hangs", state.Listeners, state.Waiting)
	case state.Listeners > 0 && state.Waiting == 0:
		e.Phase = Taken
		e.Detail = fmt.Sprintf("%d listen and no message waits: the method is slow or hangs, or the reply was lost", state.Listeners)
	}
}

// nearest finds the topic that the caller may have meant, where the bus knows its topics.
func (c *caller) nearest(ctx context.Context, r *Request) string {
	namer, ok := c.bus.(transport.Namer)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, explainWithin)
	defer cancel()
	topics, err := namer.Topics(ctx, r.Target.Exchange)
	if err != nil {
		return "" // a suggestion is not worth an error
	}
	topic, _ := nearest.To(r.Target.Topic, topics)
	return topic
}
