package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goslo/goslo/internal/nearest"
	"github.com/goslo/goslo/transport"
)

// lookWithin bounds a look at the bus, and how long before its deadline a call looks: late enough to tell what
// becomes of the request, and in time for the deadline to hold.
const lookWithin = 200 * time.Millisecond

// wait blocks until the call is answered, ctx ends, or the server was silent for the monitoring period.
func (c *caller) wait(ctx context.Context, r *Request, p *pending) (*transport.Message, error) {
	var look, silence <-chan time.Time
	var state bus
	if deadline, ok := ctx.Deadline(); ok && c.inspects() {
		left := time.Until(deadline)
		timer := c.timer(left - min(left/10, lookWithin))
		defer c.timers.Put(timer)
		defer timer.Stop()
		look = timer.C
	}
	heard := time.Now()
	var monitor *time.Timer
	if r.Monitor > 0 {
		monitor = time.NewTimer(r.Monitor)
		defer monitor.Stop()
		silence = monitor.C
	}
	answered := func(a answer) (*transport.Message, error) {
		if a.err != nil {
			return nil, c.sendError(ctx, r, p.started, a.err)
		}
		return a.message, nil
	}
	for {
		select {
		case a := <-p.answer:
			return answered(a)
		case <-ctx.Done():
			select { // an answer that came while this looked at the bus has come in time
			case a := <-p.answer:
				return answered(a)
			default:
			}
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, c.sendError(ctx, r, p.started, context.Cause(ctx))
			}
			return nil, c.timedOut(r, p, state, 0)
		case <-look:
			state = c.look(ctx, r)
		case <-silence:
			if last := c.replies.lastSign(p); last.After(heard) {
				heard = last
			}
			if left := r.Monitor - time.Since(heard); left > 0 {
				monitor.Reset(left)
				continue
			}
			state = c.look(ctx, r)
			select { // as above
			case a := <-p.answer:
				return answered(a)
			default:
			}
			return nil, c.timedOut(r, p, state, r.Monitor)
		}
	}
}

// timer returns one of the timers that calls use one after the other.
func (c *caller) timer(d time.Duration) *time.Timer {
	if t, ok := c.timers.Get().(*time.Timer); ok {
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

// bus is what the bus knew about a request's address; the zero value when it was not, or cannot be, asked.
type bus struct {
	state transport.AddressState
	asked bool
	err   error
}

func (c *caller) inspects() bool {
	_, ok := c.bus.(transport.Inspector)
	return ok
}

func (c *caller) look(ctx context.Context, r *Request) bus {
	inspector, ok := c.bus.(transport.Inspector)
	if !ok {
		return bus{}
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	state, err := inspector.Inspect(ctx, r.address())
	return bus{state, true, err}
}

// timedOut explains a call that the bus took and nobody answered.
func (c *caller) timedOut(r *Request, p *pending, b bus, monitor time.Duration) *TimeoutError {
	e := &TimeoutError{Method: r.Method, Address: r.address(), Elapsed: time.Since(p.started), Phase: Delivered, Monitor: monitor}
	if last := c.replies.lastSign(p); !last.IsZero() {
		e.Phase, e.LastSign = Running, time.Since(last)
	}
	e.Unattended = b.asked && b.err == nil && (!b.state.Exists || b.state.Listeners == 0)
	switch {
	case !b.asked:
	case errors.Is(b.err, context.DeadlineExceeded):
		e.Detail = "the bus did not answer when it was asked why"
	case b.err != nil:
		e.Detail = fmt.Sprintf("the bus was asked about %s: %v", r.address(), b.err)
	case !b.state.Exists:
		e.Detail = "the server's queue is gone: it was deleted, or its service has left"
	case e.Phase == Running && b.state.Listeners == 0:
		e.Detail = "nobody listens there any more: the server has died or lost its connection"
	case e.Phase == Running && b.state.Listeners > 0:
		e.Detail = "its service still listens: the method is slow, or hangs"
	case e.Phase == Running:
	case b.state.Waiting > 0 && b.state.Listeners == 0:
		e.Phase = Queued
		e.Detail = fmt.Sprintf("nobody listens there now, and %s: start the service", waiting(b.state.Waiting))
	case b.state.Waiting > 0 && b.state.Listeners > 0:
		e.Phase = Queued
		e.Detail = fmt.Sprintf("%d listen, and %s: the service is too busy, or hangs", b.state.Listeners, waiting(b.state.Waiting))
	case b.state.Waiting > 0:
		e.Phase = Queued
		e.Detail = waiting(b.state.Waiting) + ": the service is away, too busy, or hangs"
	case b.state.Waiting == 0 && b.state.Listeners == 0:
		e.Phase = Taken
		e.Detail = "nobody listens there any more: the server has died or lost its connection after it took the request"
	case b.state.Listeners == 0: // what waits is not known
		e.Detail = "nobody listens there now: start the service"
	case b.state.Waiting == 0 && b.state.Listeners > 0:
		e.Phase = Taken
		e.Detail = fmt.Sprintf("%d listen and no message waits: the method is slow or hangs, or the reply was lost", b.state.Listeners)
	case b.state.Waiting == 0:
		e.Phase = Taken
		e.Detail = "no message waits: the method is slow or hangs, its server has died, or the reply was lost"
	}
	return e
}

func waiting(n int) string {
	if n == 1 {
		return "1 message waits"
	}
	return fmt.Sprintf("%d messages wait", n)
}

// nearest finds the topic that the caller may have meant, where the bus knows its topics.
func (c *caller) nearest(ctx context.Context, r *Request) string {
	namer, ok := c.bus.(transport.Namer)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	topics, err := namer.Topics(ctx, r.Target.Exchange)
	if err != nil {
		return "" // a suggestion is not worth an error
	}
	if slices.Contains(topics, r.Target.Topic) {
		return "" // the topic is right; it is the server that is not there
	}
	topic, _ := nearest.To(r.Target.Topic, topics)
	return topic
}
