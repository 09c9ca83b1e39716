package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goslo/goslo/transport"
)

// A finding is what the bus told of a call that has no answer; the zero value when it was not, or cannot be, asked.
type finding struct {
	asked   bool
	request transport.AddressState // of where the request went
	reply   transport.AddressState // of where the answer is to come to
	replyOK bool                   // reply is known
	err     error                  // of asking about the request
}

// unanswered explains a call that the bus took and nobody answered in time.
func (c *caller) unanswered(r *Request, p *pending, f finding, monitor time.Duration) *TimeoutError {
	c.replies.timedOut()
	e := &TimeoutError{Method: r.Method, Address: r.address(), Elapsed: time.Since(p.started), Phase: Delivered, Monitor: monitor}
	last := c.replies.lastSign(p)
	if !last.IsZero() {
		e.Phase, e.LastSign = Running, time.Since(last)
	}
	switch {
	case !f.asked:
	case f.err != nil:
		f.explainError(e)
	default:
		e.Unattended = !f.request.Exists || f.request.Listeners == 0
		if !f.explainBus(e) && !f.explainReplies(e, c.replies.address(), p.started, last) {
			f.explainServer(e)
		}
	}
	return e
}

// explainError is for a bus that could not be asked.
func (f *finding) explainError(e *TimeoutError) {
	var outage *transport.OutageError
	switch {
	case errors.As(f.err, &outage) && outage.Blocked != "":
		e.Phase = BusBlocked
		e.Detail = outage.Error() + ": no reply can be sent meanwhile"
	case errors.As(f.err, &outage):
		e.Phase = BusAway
		e.Detail = outage.Error()
	case errors.Is(f.err, context.DeadlineExceeded):
		e.Detail = fmt.Sprintf("the bus did not answer when it was asked why: %v", f.err)
	default:
		e.Detail = fmt.Sprintf("the bus was asked why: %v", f.err)
	}
}

// explainBus is for what is the bus's own doing, or its operator's.
func (f *finding) explainBus(e *TimeoutError) bool {
	s := f.request
	switch {
	case !s.Exists && e.Phase == Running:
		e.Detail = "its service's queue is gone: it was deleted, or its service has left"
	case !s.Exists:
		e.Phase = Unroutable
		e.Detail = "the server's queue is gone: it was deleted, or its service has left"
	case s.Blocked != "" && s.Listeners != 0: // where nobody listens, that is the reason
		e.Phase = BusBlocked
		e.Detail = fmt.Sprintf("blocked by the broker (%s): no reply can be sent meanwhile", s.Blocked)
	default:
		return false
	}
	return true
}

// explainReplies is for an answer that cannot have come: the caller's own queue for them is gone, or was since the call began
// and the last sign of life. A request that still waits has no answer to lose.
func (f *finding) explainReplies(e *TimeoutError, addr string, began, sign time.Time) bool {
	switch since := f.reply.Rebuilt; {
	case !f.replyOK || f.request.Waiting > 0 && e.Phase != Running:
		return false
	case !f.reply.Exists:
		e.Phase = ReplyLost
		e.Detail = fmt.Sprintf("this process's queue for replies, %s, is gone: no reply can come until it is made anew", addr)
	case since.After(began) && since.After(sign) && f.request.Listeners != 0:
		e.Phase = ReplyLost
		e.Detail = fmt.Sprintf("this process's queue for replies, %s, was lost and made anew %s ago: a reply that was in it, or on its way, is lost", addr, round(time.Since(since)))
	default:
		return false
	}
	return true
}

// explainServer is for what the server's queue tells of the server.
func (f *finding) explainServer(e *TimeoutError) {
	switch s := f.request; {
	case e.Phase == Running && s.Listeners == 0:
		e.Detail = "nobody listens there any more: the server has died or lost its connection"
	case e.Phase == Running && s.Listeners > 0:
		e.Detail = "its service still listens: the method is slow, or hangs"
	case e.Phase == Running:
	case s.Waiting > 0 && s.Listeners == 0:
		e.Phase = Queued
		e.Detail = fmt.Sprintf("nobody listens there now, and %s: start the service", waiting(s.Waiting))
	case s.Waiting > 0 && s.Listeners > 0:
		e.Phase = Queued
		e.Detail = fmt.Sprintf("%s, and %s: the service is too busy, or hangs", listening(s.Listeners), waiting(s.Waiting))
	case s.Waiting > 0:
		e.Phase = Queued
		e.Detail = waiting(s.Waiting) + ": the service is away, too busy, or hangs"
	case s.Waiting == 0 && s.Listeners == 0:
		e.Phase = Taken
		e.Detail = "nobody listens there any more: the server has died or lost its connection after it took the request"
	case s.Listeners == 0: // what waits is not known
		e.Detail = "nobody listens there now: start the service"
	case s.Waiting == 0 && s.Listeners > 0:
		e.Phase = Taken
		e.Detail = listening(s.Listeners) + " and no message waits: the method is slow or hangs, or the reply was lost"
	case s.Waiting == 0:
		e.Phase = Taken
		e.Detail = "no message waits: the method is slow or hangs, its server has died, or the reply was lost"
	}
}

func waiting(n int) string {
	if n == 1 {
		return "1 message waits"
	}
	return fmt.Sprintf("%d messages wait", n)
}

func listening(n int) string {
	if n == 1 {
		return "1 listens"
	}
	return fmt.Sprintf("%d listen", n)
}
