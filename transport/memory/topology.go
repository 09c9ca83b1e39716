package memory

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// A Bus is an isolated message bus. Make one with [NewBus]; it needs no closing.
type Bus struct {
	waiters sync.Pool // of *waiter
	pushed  sync.Pool // of *pushedReply

	mu        sync.Mutex // guards everything reachable from here, listeners and deliveries included
	topics    map[topicName]*topic
	replies   map[string]*queue // by reply address
	lastReply uint64

	notified map[topicName][]*queue // who gets a notification; first the queue of listeners without a pool
	pools    map[string]*queue
}

type topicName struct{ exchange, topic string }

// A topic is what the first listener of it brought into being. It is never removed.
type topic struct {
	shared  *queue
	servers map[string]*queue
	fanouts []*queue // one for each live listener
}

// NewBus makes a bus that only the transports opened on it can reach.
func NewBus() *Bus {
	return &Bus{topics: map[topicName]*topic{}, replies: map[string]*queue{}, notified: map[topicName][]*queue{}, pools: map[string]*queue{}}
}

// declare returns the topic, and the queue of one of its servers, made if need be.
func (b *Bus) declare(name topicName, server string) (*topic, *queue) {
	t := b.topics[name]
	if t == nil {
		t = &topic{shared: &queue{}, servers: map[string]*queue{}}
		b.topics[name] = t
	}
	q := t.servers[server]
	if q == nil {
		q = &queue{}
		t.servers[server] = q
	}
	return t, q
}

// declareNotified returns who gets the notifications of a topic. The queue of listeners without a pool is made if need be.
func (b *Bus) declareNotified(name topicName) []*queue {
	if b.notified[name] == nil {
		b.notified[name] = []*queue{{}}
	}
	return b.notified[name]
}

// declarePool returns the queue of a pool, which gets the notifications of the topic from now on. Its name is all that it
// has: topics may share one (NPOOL-04).
func (b *Bus) declarePool(name topicName, pool string, temporary bool) *queue {
	q := b.pools[pool]
	if q == nil {
		q = &queue{temporary: temporary}
		b.pools[pool] = q
	}
	if all := b.declareNotified(name); !slices.Contains(all, q) {
		b.notified[name] = append(all, q)
	}
	return q
}

// leavePool removes a temporary pool that has no listeners any more.
func (b *Bus) leavePool(pool string) {
	q := b.pools[pool]
	if q == nil || !q.temporary || len(q.listeners) > 0 {
		return
	}
	delete(b.pools, pool)
	for name, all := range b.notified {
		b.notified[name] = slices.DeleteFunc(all, func(o *queue) bool { return o == q })
	}
	q.gone = true
}

// find returns the queue of an address that is not a Fanout, or nil.
func (b *Bus) find(exchange string, at transport.Address) *queue {
	switch {
	case at.Kind == transport.Reply:
		return b.replies[at.Topic]
	case at.Kind == transport.Notification && at.Pool != "":
		return b.pools[at.Pool]
	case at.Kind == transport.Notification:
		if all := b.notified[topicName{exchange, at.Topic}]; all != nil {
			return all[0]
		}
		return nil
	}
	t := b.topics[topicName{exchange, at.Topic}]
	switch {
	case t == nil:
		return nil
	case at.Server != "":
		return t.servers[at.Server]
	}
	return t.shared
}

// A stored message is immutable from Send on, and shared by all queues that hold it.
type stored struct {
	message  transport.Message
	to       transport.Address // with the exchange's real name
	deadline time.Time         // zero = kept for ever
	first    *delivery         // the first delivery, ready, of a message that is in one queue alone
}

// A parcel is a message that is in one queue alone, with its first delivery and the receiver's copy, in one allocation.
type parcel struct {
	stored
	delivery
	copied transport.Message
}

// newStored makes room for a message that is sent to an address of that kind.
func newStored(k transport.Kind) *stored {
	if k != transport.Topic && k != transport.Reply {
		return new(stored)
	}
	p := new(parcel)
	p.first = &p.delivery
	p.delivery.stored = &p.stored
	p.Message = &p.copied
	return &p.stored
}

// delivery returns one that nobody has had, with a copy of the message.
func (s *stored) delivery() *delivery {
	d := s.first
	if s.first = nil; d == nil {
		d = &delivery{stored: s, Delivery: transport.Delivery{Message: new(transport.Message)}}
	}
	*d.Message = s.message
	d.Message.Headers = maps.Clone(s.message.Headers)
	if n := s.message.Event; n != nil {
		own := *n
		d.Message.Event = &own
	}
	return d
}

func (s *stored) expired() bool { return !s.deadline.IsZero() && !time.Now().Before(s.deadline) }

// A waiting message is one in a queue that no listener has taken.
type waiting struct {
	*stored
	deliveries int // before
}

// A queue keeps messages in order until one of its listeners takes them. While it holds any that is not
// expired, none of its listeners is idle with room for more.
type queue struct {
	items     []waiting // from head on
	head      int
	listeners []*listener
	turn      int  // index of the listener to ask first
	gone      bool // its only listener was closed, and it with it
	temporary bool // of a pool that goes with its last listener
}

func (q *queue) pushBack(w waiting) {
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head > len(q.items)/2 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, w)
}

func (q *queue) pushFront(w waiting) {
	if q.head == 0 {
		q.items = slices.Insert(q.items, 0, w)
		return
	}
	q.head--
	q.items[q.head] = w
}

// take keeps a message that has been sent, or hands it over to a listener that waits for it.
func (q *queue) take(w waiting) {
	if q.head == len(q.items) {
		if l := q.idle(); l != nil {
			l.wake(l.deliver(q, w))
			return
		}
	}
	q.pushBack(w)
	q.dispatch()
}

// pop takes the first message, dropping expired ones.
func (q *queue) pop() (w waiting, ok bool) {
	for q.head < len(q.items) {
		w, q.items[q.head] = q.items[q.head], waiting{}
		q.head++
		if !w.expired() {
			return w, true
		}
	}
	return waiting{}, false
}

// dispatch hands over what listeners are waiting for.
func (q *queue) dispatch() {
	for q.head < len(q.items) {
		l := q.idle()
		if l == nil {
			return
		}
		w, ok := q.pop()
		if !ok {
			return
		}
		l.wake(l.deliver(q, w))
	}
}

// idle returns a listener that waits in Next and has room, each in its turn.
func (q *queue) idle() *listener {
	for i := range q.listeners {
		at := (q.turn + i) % len(q.listeners)
		if l := q.listeners[at]; len(l.waiters) > 0 && l.outstanding < l.prefetch {
			q.turn = at + 1
			return l
		}
	}
	return nil
}

func (q *queue) leave(l *listener) {
	if i := slices.Index(q.listeners, l); i >= 0 {
		q.listeners = slices.Delete(q.listeners, i, i+1)
	}
}

// live is how many messages wait that are not expired.
func (q *queue) live() int {
	n := 0
	for _, w := range q.items[q.head:] {
		if !w.expired() {
			n++
		}
	}
	return n
}
