package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/goslo/goslo/transport"
)

const defaultPrefetch = 64

// A listener takes from up to three queues: its topic's, its server's, and its own fanout queue; or from that of replies or
// notifications.
type listener struct {
	transport *Transport
	bus       *Bus
	addr      string
	prefetch  int
	leave     func() // takes the listener off the topology

	// Guarded by bus.mu.
	queues      []*queue
	shared      *queue                    // of a topic, until it was left
	turn        int                       // index of the queue to ask first
	outstanding int                       // handed over and not settled
	push        func(*transport.Delivery) // takes everything; nil = Next does
	waiters     []*waiter                 // calls of Next, the last of which is the next to be handed something
	closed      bool
}

// Listen subscribes. It never waits.
func (t *Transport) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := t.listen(ctx, from, o)
	if err != nil {
		return nil, fmt.Errorf("memory: listen at %s: %w", from, err)
	}
	if from.Kind == transport.Reply {
		return replyListener{l}, nil
	}
	return l, nil
}

func (t *Transport) listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (*listener, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if o.Prefetch < 0 {
		return nil, fmt.Errorf("prefetch %d is negative", o.Prefetch)
	}
	if err := o.Check(from); err != nil {
		return nil, err
	}
	l := &listener{transport: t, bus: t.bus, prefetch: cmp.Or(o.Prefetch, defaultPrefetch)}
	t.bus.mu.Lock()
	defer t.bus.mu.Unlock()
	if t.closed {
		return nil, transport.ErrClosed
	}
	switch from.Kind {
	case transport.Topic:
		if from.Topic == "" || from.Server == "" {
			return nil, errors.New("the address must name a topic and a server")
		}
		l.addr = from.Topic + "." + from.Server
		topic, server := t.bus.declare(t.name(from), from.Server)
		fanout := &queue{}
		topic.fanouts = append(topic.fanouts, fanout)
		l.shared = topic.shared
		l.queues = []*queue{topic.shared, server, fanout}
		l.leave = func() {
			topic.fanouts = slices.DeleteFunc(topic.fanouts, func(q *queue) bool { return q == fanout })
			fanout.gone = true
		}
	case transport.Reply:
		t.bus.lastReply++
		l.addr = "reply_" + strconv.FormatUint(t.bus.lastReply, 10)
		replies := &queue{}
		t.bus.replies[l.addr] = replies
		l.queues = []*queue{replies}
		l.leave = func() {
			delete(t.bus.replies, l.addr)
			replies.gone = true
		}
	case transport.Notification:
		if from.Topic == "" {
			return nil, errors.New("the address must name a topic")
		}
		l.addr = from.String()
		q := t.bus.declareNotified(t.name(from))[0]
		if from.Pool != "" {
			q = t.bus.declarePool(t.name(from), from.Pool, o.Temporary)
		}
		l.queues = []*queue{q}
		l.leave = func() { t.bus.leavePool(from.Pool) }
	default:
		return nil, errors.New("only topic, reply and notification addresses have listeners")
	}
	for _, q := range l.queues {
		q.listeners = append(q.listeners, l)
	}
	t.listeners = append(t.listeners, l)
	return l, nil
}

// Addr is a reply address, topic.server, or the topic of notifications.
func (l *listener) Addr() string { return l.addr }

// A waiter is a Next that waits; calls of Next use it one after the other.
type waiter struct {
	ready chan struct{} // of capacity one: a token tells that it is among the waiters no more
	got   *delivery     // nil: the listener was closed
}

// SharesNext implements [transport.Sharer].
func (l *listener) SharesNext() {}

// Next takes the next message from the bus.
func (l *listener) Next(ctx context.Context) (*transport.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.bus.mu.Lock()
	d := l.pick()
	if d == nil && !l.closed {
		w, ok := l.bus.waiters.Get().(*waiter)
		if !ok {
			w = &waiter{ready: make(chan struct{}, 1)}
		}
		l.waiters = append(l.waiters, w)
		l.bus.mu.Unlock()
		select {
		case <-w.ready:
		case <-ctx.Done():
			if l.desist(w) {
				return nil, ctx.Err()
			}
			<-w.ready
		}
		d, w.got = w.got, nil
		l.bus.waiters.Put(w)
	} else {
		l.bus.mu.Unlock()
	}
	if d == nil {
		return nil, fmt.Errorf("memory: listen at %s: %w", l.addr, transport.ErrClosed)
	}
	return &d.Delivery, nil
}

// desist takes w off the waiters, unless it is none any more.
func (l *listener) desist(w *waiter) bool {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	i := slices.Index(l.waiters, w)
	if i < 0 {
		return false
	}
	l.waiters = slices.Delete(l.waiters, i, i+1)
	return true
}

// pick takes a message from one of the queues, each in its turn, if there is room and there is one.
func (l *listener) pick() *delivery {
	if l.closed || l.outstanding >= l.prefetch {
		return nil
	}
	for i := range l.queues {
		at := (l.turn + i) % len(l.queues)
		if w, ok := l.queues[at].pop(); ok {
			l.turn = at + 1
			return l.deliver(l.queues[at], w)
		}
	}
	return nil
}

// fill hands messages over while Nexts wait, there is room again, and there are some.
func (l *listener) fill() {
	for len(l.waiters) > 0 {
		d := l.pick()
		if d == nil {
			return
		}
		l.wake(d)
	}
}

// deliver makes the delivery of a message.
func (l *listener) deliver(q *queue, w waiting) *delivery {
	d := w.delivery()
	d.queue = q
	l.address(d, w)
	l.transport.unsettled.add(d)
	l.outstanding++
	return d
}

// address says on a delivery what is known beside the message.
func (l *listener) address(d *delivery, w waiting) {
	d.listener = l
	d.To, d.Redelivered, d.Deliveries, d.Settler = w.to, w.deliveries > 0, w.deliveries+1, d
	if w.to.Exchange == l.transport.exchange {
		d.To.Exchange = ""
	}
}

// A replyListener has replies handed over by those who send them, if it is asked to.
type replyListener struct{ *listener }

// Push implements [transport.Pusher].
func (l replyListener) Push(take func(*transport.Delivery)) {
	l.bus.mu.Lock()
	l.push = take
	var before []*delivery
	for d := l.pick(); d != nil; d = l.pick() {
		if d.settle() == nil {
			before = append(before, d)
		}
	}
	l.bus.mu.Unlock()
	for _, d := range before {
		take(&d.Delivery)
	}
}

// wake ends the wait of a Next. The send cannot block, although a lock is held: a waiter has room for one, and gets one.
func (l *listener) wake(d *delivery) {
	last := len(l.waiters) - 1
	w := l.waiters[last]
	l.waiters[last] = nil
	l.waiters = l.waiters[:last]
	w.got = d
	w.ready <- struct{}{}
}

// Leave gives up the topic's queue; see transport.Leaver. It never waits, so ctx does not matter.
func (l *listener) Leave(context.Context) error {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	if l.closed || l.shared == nil {
		return nil
	}
	q := l.shared
	l.shared = nil
	l.queues = slices.DeleteFunc(l.queues, func(o *queue) bool { return o == q })
	q.leave(l)
	return nil
}

// Close ends the subscription. It never waits, so ctx does not matter. A second Close does nothing.
func (l *listener) Close(context.Context) error {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	l.close()
	return nil
}

func (l *listener) close() {
	if l.closed {
		return
	}
	l.closed = true
	l.transport.listeners = slices.DeleteFunc(l.transport.listeners, func(o *listener) bool { return o == l })
	for _, q := range l.queues {
		q.leave(l)
	}
	l.leave()
	for len(l.waiters) > 0 {
		l.wake(nil)
	}
}

// A delivery is a message in the hands of a listener, and its settler.
type delivery struct {
	transport.Delivery

	listener *listener
	queue    *queue
	stored   *stored

	// Guarded by the bus.
	settled    bool
	prev, next *delivery // in deliveries
}

var _ transport.Settler = (*delivery)(nil)

// giveBack puts the message in front of its queue, if that still is.
func (d *delivery) giveBack() {
	d.settled = true
	if !d.queue.gone {
		d.queue.pushFront(waiting{stored: d.stored, deliveries: d.Deliveries})
	}
}

// deliveries is a list in the order of hand-over.
type deliveries struct{ first, last *delivery }

func (l *deliveries) add(d *delivery) {
	d.prev = l.last
	if l.last == nil {
		l.first = d
	} else {
		l.last.next = d
	}
	l.last = d
}

func (l *deliveries) remove(d *delivery) {
	if d.prev == nil {
		l.first = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		l.last = d.prev
	} else {
		d.next.prev = d.prev
	}
	d.prev, d.next = nil, nil
}

// giveBack empties the list from its end, so that the queues have their old order, and lets others have the messages.
func (l *deliveries) giveBack() {
	var queues []*queue
	for d := l.last; d != nil; d = l.last {
		l.remove(d)
		d.giveBack()
		if !slices.Contains(queues, d.queue) {
			queues = append(queues, d.queue)
		}
	}
	for _, q := range queues {
		q.dispatch()
	}
}
