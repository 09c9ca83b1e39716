package amqp1

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/fifo"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// The windows of links whose listener does not ask for another (AMQP1-13).
const (
	requestCredit      = 100
	replyCredit        = 200
	notificationCredit = 100
)

var (
	_ transport.Readier = (*listener)(nil)
	_ transport.Leaver  = (*listener)(nil)
	_ transport.Sharer  = (*listener)(nil)
	_ transport.Pusher  = replyListener{}
)

// unready is for how long a listener's link may be away before the listener says so.
const unready = 5 * time.Second

// A listener is a subscription that outlives its links.
type listener struct {
	conn   *Conn
	name   string // for people; of a reply listener its first address
	links  []*subscription
	inbox  inbox
	cancel context.CancelFunc // gives up on everything
	once   sync.Once
	ending chan struct{} // closed when Close was called
	done   chan struct{} // closed when the goroutines of the links have ended
}

// Listen subscribes; see transport.Transport. A topic listener has three links: for its server, the topic, and the
// topic's fanouts (AMQP1-09). A Reply listener has one, with an address of the broker's making, and so has a Notification listener,
// at the address that all share: there are no pools (AMQP1-10).
func (c *Conn) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := c.listen(ctx, from, o)
	if err != nil {
		return nil, fmt.Errorf("amqp1: listen at %s: %w", from, err)
	}
	if from.Kind == transport.Reply {
		return replyListener{l}, nil
	}
	return l, nil
}

func (c *Conn) listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (*listener, error) {
	l := &listener{conn: c, ending: make(chan struct{}), done: make(chan struct{})}
	l.inbox.wake = make(chan struct{}, 1)
	if err := o.Check(from); err != nil {
		return nil, err
	}
	switch {
	case from.Kind == transport.Reply:
		window := firstSet(c.settings.credit.replies, o.Prefetch, replyCredit)
		l.links = []*subscription{newSubscription(l, from, window)}
		l.links[0].id = wire.NewID()
	case from.Kind == transport.Notification:
		if from.Pool != "" {
			return nil, errPools
		}
		if from.Topic == "" {
			return nil, errors.New("it takes a topic")
		}
		l.name = from.Topic
		l.links = []*subscription{newSubscription(l, from, firstSet(c.settings.credit.notifications, o.Prefetch, notificationCredit))}
	case from.Kind != transport.Topic:
		return nil, fmt.Errorf("%s is no kind of address to listen at", from.Kind)
	case from.Topic == "" || from.Server == "":
		return nil, errors.New("it takes a topic and a server")
	default:
		l.name = from.Topic + "." + from.Server
		window := firstSet(c.settings.credit.requests, o.Prefetch, requestCredit)
		group, all := from, from
		group.Server, all.Server, all.Kind = "", "", transport.Fanout
		for _, at := range []transport.Address{from, group, all} {
			l.links = append(l.links, newSubscription(l, at, window))
		}
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	if !c.add(l) {
		cancel()
		return nil, transport.ErrClosed
	}
	first := make(chan error, len(l.links))
	var running sync.WaitGroup
	for _, s := range l.links {
		alone, stop := context.WithCancel(own)
		s.cancel = stop
		running.Go(func() {
			defer stop()
			s.run(alone, first)
		})
	}
	go func() {
		running.Wait()
		cancel()
		c.remove(l)
		c.own.remove(l)
		close(l.done)
	}()
	for range l.links {
		var err error
		select {
		case err = <-first:
		case <-ctx.Done():
			err = c.state(context.Cause(ctx))
		}
		if err != nil {
			l.end()
			cancel()
			return nil, err
		}
	}
	return l, nil
}

// errPools is said to who listens in a pool.
var errPools = fmt.Errorf("%w: there are no pools on AMQP 1.0, whose brokers give each notification to one listener; listen without a pool, or take another bus (transport_url in [oslo_messaging_notifications])", errors.ErrUnsupported)

func firstSet(values ...int) int {
	for _, v := range values {
		if v > 0 {
			return v
		}
	}
	return 0
}

// Addr is part of transport.Listener. A reply listener whose address went with its connection keeps the first one as its
// name: who sends requests with that gets the present one put in.
func (l *listener) Addr() string { return l.name }

// SharesNext is part of transport.Sharer.
func (l *listener) SharesNext() {}

// A replyListener has replies handed over in the goroutine that reads them, if it is asked to.
type replyListener struct{ *listener }

// Push is part of transport.Pusher.
func (l replyListener) Push(take func(*transport.Delivery)) {
	for _, a := range l.inbox.handOver(take) {
		a.push(take)
	}
}

// Next is part of transport.Listener. What cannot be read is rejected and logged, and a request whose caller has given
// up is dropped.
func (l *listener) Next(ctx context.Context) (*transport.Delivery, error) {
	for {
		select {
		case <-l.ending:
			return nil, transport.ErrClosed
		default:
		}
		if err := ctx.Err(); err != nil {
			l.inbox.pass()
			return nil, err
		}
		if a, ok := l.inbox.pop(); ok {
			if d := a.open(); d != nil {
				return d, nil
			}
			continue
		}
		select {
		case <-l.inbox.wake:
		case <-l.ending:
		case <-ctx.Done():
		}
	}
}

// end has Next return ErrClosed.
func (l *listener) end() { l.once.Do(func() { close(l.ending) }) }

// Close is part of transport.Listener. The links stay until what Next has returned is settled.
func (l *listener) Close(ctx context.Context) error {
	l.end()
	var stopping sync.WaitGroup
	for _, s := range l.links {
		stopping.Go(func() { s.stop(ctx) })
	}
	stopping.Wait()
	return nil
}

// Leave is part of transport.Leaver. A broker that forgets what is given back leaves a listener no choice but to stay.
func (l *listener) Leave(ctx context.Context) error {
	select {
	case <-l.ending:
		return nil
	default:
	}
	if !l.conn.product().releases() || len(l.links) < 2 {
		return fmt.Errorf("amqp1: listener %s: leave the topic: %w", l.name, errors.ErrUnsupported)
	}
	l.links[1].stop(ctx)
	return ctx.Err()
}

// Ready is part of transport.Readier.
func (l *listener) Ready() error {
	for _, s := range l.links {
		if err := s.ready(); err != nil {
			return fmt.Errorf("amqp1: listener %s: %w", l.name, err)
		}
	}
	return nil
}

// An inbox holds what has arrived and was not taken. Links bound it by their credit.
type inbox struct {
	wake chan struct{} // holds one

	mu    sync.Mutex
	queue fifo.Queue[arrival]
	take  func(*transport.Delivery) // who gets everything instead; nil = nobody
}

// push puts one in, unless there is somebody who takes everything.
func (b *inbox) push(a arrival) (take func(*transport.Delivery)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.take == nil {
		b.queue.Push(a)
		b.nudge()
	}
	return b.take
}

// handOver has take get everything from now on, and returns what is there.
func (b *inbox) handOver(take func(*transport.Delivery)) []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take = take
	var there []arrival
	for b.queue.Len() > 0 {
		there = append(there, b.queue.Pop())
	}
	return there
}

// nudge wakes one who waits. The lock is held.
func (b *inbox) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// pass has another woken for what is there, as who does not take it may have been.
func (b *inbox) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queue.Len() > 0 {
		b.nudge()
	}
}

func (b *inbox) pop() (a arrival, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queue.Len() == 0 {
		return arrival{}, false
	}
	a = b.queue.Pop()
	if b.queue.Len() > 0 {
		b.nudge() // another
	}
	return a, true
}

// remove takes out what came by the links of a subscription.
func (b *inbox) remove(s *subscription) []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []arrival
	for range b.queue.Len() {
		if a := b.queue.Pop(); a.link.subscription == s {
			out = append(out, a)
		} else {
			b.queue.Push(a)
		}
	}
	return out
}

// replyNames are the addresses that reply listeners of this transport have or had.
type replyNames struct {
	mu  sync.RWMutex
	all map[string]*listener
}

func (r *replyNames) add(address string, l *listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]*listener{}
	}
	r.all[address] = l
}

func (r *replyNames) remove(l *listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for address, owner := range r.all {
		if owner == l {
			delete(r.all, address)
		}
	}
}

// present is the address on n of the listener that has, or had, the given one; any other is returned as it is.
func (r *replyNames) present(ctx context.Context, n *connection, address string) (string, error) {
	if address == "" {
		return "", nil
	}
	r.mu.RLock()
	l := r.all[address]
	r.mu.RUnlock()
	if l == nil {
		return address, nil
	}
	return l.links[0].addressOn(ctx, n)
}
