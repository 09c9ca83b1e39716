package rpc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/goslo/goslo/internal/ending"
	"github.com/goslo/goslo/internal/nearest"
	"github.com/goslo/goslo/transport"
)

// wait blocks until the call is answered, ctx ends, or the server was silent for the monitoring period.
func (c *caller) wait(ctx context.Context, p *pending) answer {
	r := p.request
	select {
	case a := <-p.answer: // it has come with the acknowledgement of the request
		return c.answered(ctx, p, a)
	default:
	}
	var (
		due     <-chan struct{}
		silence <-chan time.Time
	)
	looks := c.inspects()
	ended, timed := ending.Of(ctx)
	deadline, bounded := ctx.Deadline()
	at := deadline
	if bounded && (looks || timed) {
		left := deadline.Sub(p.started)
		if looks {
			before := min(left/10, lookWithin)
			at, left = deadline.Add(-before), left-before
		}
		p.alarm.set(p.started, left)
		due = p.alarm.rings
	}
	var (
		monitor *time.Timer
		heard   time.Time
	)
	unheard := func() (left time.Duration) {
		if last := c.replies.lastSign(p); last.After(heard) {
			heard = last
		}
		return r.Monitor - time.Since(heard)
	}
	if r.Monitor > 0 {
		heard = time.Now()
		monitor = time.NewTimer(r.Monitor)
		defer monitor.Stop()
		silence = monitor.C
	}
	var (
		asking look // until found has come of it
		found  finding
		silent bool // for the monitoring period: only the look is waited for
	)
	defer func() { asking.end() }()
	for {
		select {
		case a := <-p.answer:
			return c.answered(ctx, p, a)
		case <-due:
			now := time.Now()
			if left := at.Sub(now); left > 0 { // it was set for a call before this one
				p.alarm.set(now, left)
				continue
			}
			if looks {
				looks = false
				if !asking.on() {
					asking = c.look(ctx, r)
				}
				if at = deadline; timed {
					p.alarm.set(now, deadline.Sub(now))
				}
				continue
			}
			if ctx.Err() == nil { // the deadline is its parent's, which tells in a moment
				continue
			}
		case <-silence:
			if left := unheard(); left > 0 {
				monitor.Reset(left)
				continue
			}
			silent = true
			if !asking.on() {
				asking = c.look(ctx, r)
			}
			continue
		case found = <-asking.found:
			asking.end()
			asking = look{}
			if !silent {
				continue
			}
			if left := unheard(); left > 0 { // a sign of life that came while this looked at the bus is one
				silent = false
				monitor.Reset(left)
				continue
			}
			if c.replies.withdraw(p) {
				return answer{err: c.unanswered(r, p, found, r.Monitor)}
			}
			return c.answered(ctx, p, <-p.answer)
		case <-ended:
		}
		if asking.on() {
			found = <-asking.found
			asking.end()
			asking = look{}
		}
		switch {
		case !c.replies.withdraw(p):
			return c.answered(ctx, p, <-p.answer)
		case !errors.Is(ctx.Err(), context.DeadlineExceeded):
			return c.ended(ctx, p, context.Cause(ctx))
		}
		return answer{err: c.unanswered(r, p, found, 0)}
	}
}

func (c *caller) answered(ctx context.Context, p *pending, a answer) answer {
	if a.err != nil {
		return c.ended(ctx, p, a.err)
	}
	return a
}

// waiter returns one that no call or cast uses, and done takes it back.
func (c *caller) waiter() *pending {
	if p, ok := c.waiters.Get().(*pending); ok {
		return p
	}
	return &pending{answer: make(chan answer, 1), alarm: newAlarm()}
}

func (c *caller) done(p *pending) {
	if p.exposed && !c.replies.withdraw(p) { // the call has ended in a panic, of a bus perhaps
		select {
		case <-p.answer:
		default:
		}
	}
	p.exposed = false
	p.own, p.message = Request{}, transport.Message{}
	p.id, p.request = "", nil
	p.partial, p.lastSign = nil, time.Time{}
	c.waiters.Put(p)
}

// suggestWithin bounds the search for a topic that the caller may have meant: the error is not to wait for it.
const suggestWithin = 200 * time.Millisecond

// nearest finds the topic that the caller may have meant, where the bus knows its topics.
func (c *caller) nearest(ctx context.Context, r *Request) string {
	namer, ok := c.bus.(transport.Namer)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, suggestWithin)
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
