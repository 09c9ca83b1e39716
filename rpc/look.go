package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// lookWithin is how long before its deadline a call without an answer asks the bus why, at the most: late enough to tell what
// becomes of the request, and in time for the deadline to hold. It bounds the look after a monitored server's silence, too.
const lookWithin = time.Second

// A look is a goroutine that asks the bus, so that an answer that comes meanwhile need not wait. It ends with the call.
type look struct {
	found  <-chan finding // of capacity one; nil in a look that was not begun
	cancel context.CancelFunc
	done   <-chan struct{}
}

func (l look) on() bool { return l.found != nil }

// end waits for the goroutine.
func (l look) end() {
	if l.on() {
		l.cancel()
		<-l.done
	}
}

func (c *caller) inspects() bool {
	_, ok := c.bus.(transport.Inspector)
	return ok
}

func (c *caller) look(ctx context.Context, r *Request) look {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	found, done := make(chan finding, 1), make(chan struct{})
	go func() {
		defer close(done)
		found <- c.ask(ctx, r)
	}()
	return look{found, cancel, done}
}

// ask asks with passive means only, which need no more rights than sending does.
func (c *caller) ask(ctx context.Context, r *Request) finding {
	inspector, ok := c.bus.(transport.Inspector)
	if !ok {
		return finding{}
	}
	f := finding{asked: true}
	if f.request, f.err = c.inquiries.ask(ctx, inspector, r.address()); f.err != nil {
		return f
	}
	var err error
	f.reply, err = c.inquiries.ask(ctx, inspector, transport.Address{Kind: transport.Reply, Topic: c.replies.address()})
	f.replyOK = err == nil // some buses cannot tell; what is known of the request counts more
	return f
}

// inquiries are the questions to the bus that are under way. Many calls run out of time together when a server dies, and ask the
// same: then one of them asks, and the others have its answer.
type inquiries struct {
	mu       sync.Mutex
	underWay map[transport.Address]*inquiry
}

type inquiry struct {
	done  chan struct{} // closed when state and err are written
	state transport.AddressState
	err   error
}

func (i *inquiries) ask(ctx context.Context, bus transport.Inspector, at transport.Address) (transport.AddressState, error) {
	for {
		q, first := i.join(at)
		if first {
			q.state, q.err = bus.Inspect(ctx, at)
			i.end(at, q)
			return q.state, q.err
		}
		select {
		case <-q.done:
		case <-ctx.Done():
			return bus.Inspect(ctx, at) // which says at once what it would have waited for
		}
		if q.err == nil || !errors.Is(q.err, context.Canceled) && !errors.Is(q.err, context.DeadlineExceeded) {
			return q.state, q.err
		}
		// It ended with the call that asked; this one has time left.
	}
}

// join returns the inquiry that is under way about an address, or a new one.
func (i *inquiries) join(at transport.Address) (q *inquiry, first bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if q, ok := i.underWay[at]; ok {
		return q, false
	}
	if i.underWay == nil {
		i.underWay = map[transport.Address]*inquiry{}
	}
	q = &inquiry{done: make(chan struct{})}
	i.underWay[at] = q
	return q, true
}

func (i *inquiries) end(at transport.Address, q *inquiry) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.underWay, at)
	close(q.done)
}
