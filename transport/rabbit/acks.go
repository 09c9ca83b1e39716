package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// acks settles the deliveries of one channel. Acknowledgements that arrive while the socket is writing are
// gathered, and leave with its next round as one basic.ack with multiple set, which costs the broker far less
// than one each. Multiple is used up to the last tag before the first that is not settled, never beyond.
type acks struct {
	ch   *channel
	sock *mux
	lazy int         // > 0: acknowledgements wait until there are so many, or for lazyFor
	late *time.Timer // calls push; nil unless lazy
	turn func()      // gather

	mu       sync.Mutex
	pending  []uint64            // tags to acknowledge with the next round
	gathered []uint64            // the last such, for the room they take; gather's
	queued   bool                // the socket will call gather
	round    uint64              // in this round of the socket
	floor    uint64              // every tag up to this one is settled
	settled  map[uint64]struct{} // and these above it
	out      int                 // handed to the receiver and not settled
	handed   uint64              // to the receiver
	closing  bool                // the listener was closed
	idle     chan struct{}       // closed when closing and nothing is out
}

// lazyFor is how long a lazy acknowledgement waits for others.
const lazyFor = 20 * time.Millisecond

func newAcks(ch *channel, sock *mux, lazy int) *acks {
	a := &acks{ch: ch, sock: sock, lazy: lazy, settled: make(map[uint64]struct{}), idle: make(chan struct{})}
	a.turn = a.gather
	if lazy > 0 {
		a.late = time.AfterFunc(lazyFor, a.push)
	}
	return a
}

// handOut counts a delivery that the receiver will settle.
func (a *acks) handOut() {
	a.mu.Lock()
	a.out++
	a.handed++
	a.mu.Unlock()
}

// handedOut is how many deliveries the receiver has been given.
func (a *acks) handedOut() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.handed
}

// absorb acknowledges a delivery that is not for the receiver, and does not wait.
func (a *acks) absorb(tag uint64) {
	a.mu.Lock()
	a.out++
	a.pending = append(a.pending, tag)
	a.mu.Unlock()
	a.push()
}

// ack returns when the acknowledgements are with the kernel, unless acks are lazy.
func (a *acks) ack(ctx context.Context, tags ...uint64) error {
	a.mu.Lock()
	a.pending = append(a.pending, tags...)
	switch {
	case a.lazy == 0 || len(a.pending) >= a.lazy || a.closing:
		a.queue()
	case len(a.pending) == len(tags):
		a.late.Reset(lazyFor)
	}
	queued, round := a.queued, a.round
	a.mu.Unlock()
	if queued {
		a.sock.push()
	}
	if a.lazy > 0 {
		return nil
	}
	if err := a.sock.flushed(ctx, round); err != nil {
		return fmt.Errorf("rabbit: acknowledge: %w: %w; the broker will deliver the message again", transport.ErrNotSent, err)
	}
	if a.ch.IsClosed() {
		return fmt.Errorf("rabbit: acknowledge: %w: the broker closed the channel and will deliver the message again", transport.ErrInDoubt)
	}
	return nil
}

// push sends acknowledgements that wait on their way.
func (a *acks) push() {
	a.mu.Lock()
	waiting := len(a.pending) > 0
	if waiting {
		a.queue()
	}
	a.mu.Unlock()
	if waiting {
		a.sock.push()
	}
}

// queue has the socket call gather, which the caller then pushes. It holds the lock, within which the socket's is taken, never the
// other way.
func (a *acks) queue() {
	if !a.queued {
		a.queued, a.round = true, a.sock.atFlush(a.turn)
	}
}

// gather writes what is pending. The socket calls it.
func (a *acks) gather() {
	a.mu.Lock()
	tags := a.pending
	a.pending, a.gathered, a.queued = a.gathered[:0], tags, false
	slices.Sort(tags)
	for _, tag := range tags {
		if tag == a.floor+1 { // as in most cases
			a.floor = tag
		} else {
			a.settled[tag] = struct{}{}
		}
	}
	a.rise()
	floor := a.floor
	a.mu.Unlock()

	n, _ := slices.BinarySearch(tags, floor+1)
	// Errors are those of a closed channel, which ack sees, or of the socket, which its flush returns.
	if n > 0 {
		_ = a.ch.Ack(tags[n-1], n > 1)
	}
	for _, tag := range tags[n:] {
		_ = a.ch.Ack(tag, false)
	}
	a.settle(len(tags))
}

// back gives a delivery back to the broker: to be delivered again, or to be dropped (or dead-lettered).
func (a *acks) back(tag uint64, requeue bool) error {
	return a.given(tag, a.ch.Reject(tag, requeue))
}

// untouched gives a delivery back that nobody has looked at, which from RabbitMQ 4.3 on a quorum queue's limit does not count.
func (a *acks) untouched(tag uint64) error { return a.given(tag, a.ch.Nack(tag, false, true)) }

func (a *acks) given(tag uint64, err error) error {
	if err != nil {
		return fmt.Errorf("rabbit: give back: %w: %w; the broker delivers the message again anyway", transport.ErrNotSent, err)
	}
	a.mu.Lock()
	a.settled[tag] = struct{}{} // only now, so that no ack with multiple set gets ahead of it
	a.rise()
	a.mu.Unlock()
	return nil
}

// rise moves the floor. The caller holds the lock.
func (a *acks) rise() {
	for {
		if _, ok := a.settled[a.floor+1]; !ok {
			return
		}
		a.floor++
		delete(a.settled, a.floor)
	}
}

// settle counts deliveries that came back from the receiver.
func (a *acks) settle(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out -= n
	if a.closing && a.out == 0 {
		a.closing = false
		close(a.idle)
	}
}

// finish has idle closed once everything handed out is settled.
func (a *acks) finish() {
	a.mu.Lock()
	a.closing = true
	a.mu.Unlock()
	a.push()
	a.settle(0)
}

// A delivery settles itself.
type delivery struct {
	transport.Delivery
	acks  *acks
	tag   uint64
	stays bool // in its stream, for others and for later
}

// Ack is part of transport.Settler.
func (d *delivery) Ack(ctx context.Context) error { return d.acks.ack(ctx, d.tag) }

// AckAll is part of transport.BatchSettler.
func (d *delivery) AckAll(ctx context.Context, others []transport.Settler) error {
	tags := append(make([]uint64, 0, len(others)+1), d.tag)
	var errs []error
	for _, other := range others {
		if o, ok := other.(*delivery); ok && o.acks == d.acks {
			tags = append(tags, o.tag)
		} else if err := other.Ack(ctx); err != nil { // of another channel
			errs = append(errs, err)
		}
	}
	if err := d.acks.ack(ctx, tags...); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Requeue is part of transport.Settler.
func (d *delivery) Requeue(context.Context) error {
	defer d.acks.settle(1)
	if d.stays {
		return errors.Join(d.acks.back(d.tag, false), fmt.Errorf("rabbit: give back to a stream: %w", errors.ErrUnsupported))
	}
	return d.acks.back(d.tag, true)
}
