package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// retrySubscribe is the pause before a listener that the broker refused tries again.
const retrySubscribe = time.Second

// A listener is a subscription that outlives its channels. Its goroutine subscribes, watches, and subscribes
// again whenever the channel, the connection or a queue is lost.
type listener struct {
	link     *link
	declarer *declarer
	log      *slog.Logger
	queues   []queue
	addr     string
	prefetch int
	turn     int // the queue that Next looks at first; Next's alone
	lazy     int

	stop     context.CancelFunc // gives up on everything
	unwait   context.CancelFunc // gives up on subscribing
	stopping chan struct{}      // closed when Close was called
	once     sync.Once          // for closing it
	stopped  chan struct{}      // closed when nothing more is handed over
	done     chan struct{}      // closed when the goroutine has ended

	mu      sync.Mutex
	cur     *subscription
	changed chan struct{} // closed and replaced with every change of cur and of cur.in
}

// A subscription is a listener on one channel.
type subscription struct {
	session *session
	ch      *channel
	acks    *acks
	closes  chan *amqp.Error
	cancels chan string
	tags    map[string]int          // consumer tag to index into in
	in      []<-chan *amqp.Delivery // one per queue; replaced, never changed
	next    int                     // the last consumer tag
}

// Listen subscribes; see transport.Transport. A Reply listener has a queue of its own, reply_<id>; a process
// needs only one.
func (t *Transport) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	addr := from.Topic + "." + from.Server
	switch {
	case from.Kind == transport.Reply:
	case from.Kind != transport.Topic:
		return nil, fmt.Errorf("rabbit: listen at %s: %s is no kind of address to listen at", from, from.Kind)
	case from.Topic == "" || from.Server == "":
		return nil, fmt.Errorf("rabbit: listen at %s: it takes a topic and a server", from)
	}
	l := &listener{
		link: t.in, declarer: &t.declarer, log: t.log,
		queues: t.settings.topology.queues(from), addr: addr, prefetch: o.Prefetch,
		stopping: make(chan struct{}), stopped: make(chan struct{}), done: make(chan struct{}),
		changed: make(chan struct{}),
	}
	if t.settings.prefetch > 0 {
		l.prefetch = t.settings.prefetch
	}
	if l.prefetch <= 0 {
		l.prefetch = defaultPrefetch
	}
	if from.Kind == transport.Reply {
		l.addr = l.queues[0].name
		l.lazy = max(1, min(32, l.prefetch/2))
	}
	// The goroutine subscribes, so that a broker that does not answer cannot hold us beyond ctx.
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	alive, unwait := context.WithCancel(own)
	l.stop, l.unwait = stop, unwait
	if !t.listeners.add(l, func() { t.in.start(ctx, nil) }) {
		stop()
		return nil, fmt.Errorf("rabbit: listen at %s: %w", l.addr, transport.ErrClosed)
	}
	first := make(chan error, 1)
	go func() {
		defer close(l.done)
		defer t.listeners.remove(l)
		defer stop()
		defer l.end()
		l.wind(own, l.run(alive, first))
	}()
	var err error
	select {
	case err = <-first:
	case <-ctx.Done():
		err = t.in.state(ctx.Err())
	}
	if err != nil {
		l.end()
		l.stop()
		return nil, fmt.Errorf("rabbit: listen at %s: %w", l.addr, err)
	}
	return l, nil
}

// Addr is part of transport.Listener.
func (l *listener) Addr() string { return l.addr }

// run keeps the listener subscribed until it is to stop, and returns the last subscription.
func (l *listener) run(ctx context.Context, first chan<- error) (last *subscription) {
	var why error
	for {
		s, err := l.link.session(ctx)
		if err == nil {
			var sub *subscription
			if sub, err = l.subscribe(ctx, s); err == nil {
				last = sub
				l.set(func() { l.cur = sub })
			}
		}
		switch {
		case ctx.Err() != nil:
			return last
		case err == nil && first != nil:
			first <- nil
			first = nil
		case err == nil:
			l.log.Info("listener rebuilt", "listener", l.addr, "broker", s.addr, "queues", names(l.queues), "why", why)
		case errors.Is(err, transport.ErrClosed) && s == nil:
			if first != nil {
				first <- err
			}
			return last
		case s.conn.IsClosed():
			continue
		case first != nil:
			first <- err
			return last
		default:
			l.log.Error("listener not rebuilt, will try again", "listener", l.addr, "broker", s.addr, "error", err)
			sleep(ctx, retrySubscribe)
			continue
		}
		if why = l.watch(ctx, last); why == nil {
			return last
		}
	}
}

// subscribe declares the queues, in order, and consumes from each.
func (l *listener) subscribe(ctx context.Context, s *session) (*subscription, error) {
	if err := l.declare(ctx, s); err != nil {
		return nil, err
	}
	ch, err := s.sock.open(s.conn, nil)
	if err != nil {
		return nil, err
	}
	sub := &subscription{
		session: s, ch: ch, acks: newAcks(ch, s.sock, l.lazy),
		closes:  ch.NotifyClose(make(chan *amqp.Error, 1)),
		cancels: ch.NotifyCancel(make(chan string, len(l.queues))),
		tags:    make(map[string]int),
		in:      make([]<-chan *amqp.Delivery, len(l.queues)),
	}
	err = wrap(ch.Qos(l.prefetch, 0, false), "set prefetch")
	for i := range l.queues {
		if err == nil {
			err = l.consume(sub, i)
		}
	}
	if err != nil {
		_ = ch.Close() // it may be closed already; err says why
		return nil, err
	}
	return sub, nil
}

func (l *listener) declare(ctx context.Context, s *session) error {
	return s.do(ctx, func(su *setup) error {
		for _, q := range l.queues {
			if err := l.declarer.queue(su, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// consume starts taking from one queue. Consumer tags are decimal numbers as upstream's (RMQ-CONS-01).
func (l *listener) consume(sub *subscription, i int) error {
	sub.next++
	tag := strconv.Itoa(sub.next)
	in, err := sub.ch.consume(l.queues[i].name, tag, l.prefetch)
	if err != nil {
		return wrap(err, "consume from "+l.queues[i].name)
	}
	sub.tags[tag] = i
	l.set(func() {
		all := append([]<-chan *amqp.Delivery(nil), sub.in...)
		all[i] = in
		sub.in = all
	})
	return nil
}

// watch returns why the subscription has to be made anew, or nil when the listener is to stop. A queue that
// was deleted is declared and consumed from again on the same channel, which leaves what came from the
// others untouched.
func (l *listener) watch(ctx context.Context, sub *subscription) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err, ok := <-sub.closes:
			if !ok || err == nil {
				return errors.New("the channel was closed")
			}
			return err
		case tag, ok := <-sub.cancels:
			if !ok {
				sub.cancels = nil // closes says why
				continue
			}
			i := sub.tags[tag]
			delete(sub.tags, tag)
			sub.ch.forget(tag)
			name := l.queues[i].name
			l.log.Warn("the broker cancelled a consumer, rebuilding its queue", "listener", l.addr, "queue", name)
			err := l.declare(ctx, sub.session)
			if err == nil {
				err = l.consume(sub, i)
			}
			if err != nil {
				_ = sub.ch.Close() // for a fresh start; it may be closed already
				return err
			}
			l.log.Info("queue rebuilt", "listener", l.addr, "queue", name, "why", "deleted, or its node went away")
		}
	}
}

// wind stops the subscription: the broker hands nothing more over, gets back what was not returned by Next,
// and deletes the queues that were only ours (RMQ-TOPO-23, and the reply queue too). The channel stays for
// those deliveries that are still to be settled.
func (l *listener) wind(ctx context.Context, sub *subscription) {
	if sub == nil || sub.ch.IsClosed() {
		l.link.mu.Lock()
		s := l.link.live
		l.link.mu.Unlock()
		if s != nil {
			l.deleteOwn(ctx, s)
		}
		close(l.stopped)
		return
	}
	for tag, i := range sub.tags {
		if err := sub.ch.cancel(tag); err != nil {
			break // the channel has gone, and its consumers with it
		}
		for d := range sub.in[i] {
			_ = sub.acks.back(d.DeliveryTag, true) // a closed channel has given it back already
		}
	}
	l.deleteOwn(ctx, sub.session)
	close(l.stopped)
	sub.acks.finish()
	select {
	case <-sub.acks.idle:
		_ = sub.ch.Close() // it may be closed already
	case <-sub.session.gone:
	case <-ctx.Done():
	}
}

func (l *listener) deleteOwn(ctx context.Context, s *session) {
	err := s.do(ctx, func(su *setup) error {
		for _, q := range l.queues {
			if !q.own {
				continue
			}
			ch, err := su.channel()
			if err != nil {
				return err
			}
			if _, err := ch.QueueDelete(q.name, false, false, false); err != nil {
				return wrap(err, "delete queue "+q.name)
			}
		}
		return nil
	})
	if err != nil && !s.conn.IsClosed() && ctx.Err() == nil {
		l.log.Warn("queue left to expire", "listener", l.addr, "error", err)
	}
}

func (l *listener) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Next is part of transport.Listener. A body that cannot be read is rejected without requeue (RMQ-CONS-03),
// logged, and not returned.
func (l *listener) Next(ctx context.Context) (*transport.Delivery, error) {
	select {
	case <-l.stopping:
		return nil, transport.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var none <-chan *amqp.Delivery
	for {
		l.mu.Lock()
		sub, changed := l.cur, l.changed
		var in []<-chan *amqp.Delivery
		if sub != nil {
			in = sub.in
		}
		l.mu.Unlock()

		from := [3]<-chan *amqp.Delivery{none, none, none}
		copy(from[:], in)
		for fresh := true; fresh; {
			d, i, ok := l.arrived(&from)
			if !ok {
				select {
				case d, ok = <-from[0]:
				case d, ok = <-from[1]:
					i = 1
				case d, ok = <-from[2]:
					i = 2
				case <-changed:
					fresh = false
					continue
				case <-l.stopping:
					return nil, transport.ErrClosed
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			if !ok {
				from[i] = none // until changed says that it is back
				continue
			}
			if m := l.read(sub, d); m != nil {
				return l.hand(sub, i, d, m), nil
			}
		}
	}
}

// arrived takes what is there already, without the price of a select over everything that may happen. The
// queues take turns, so that a busy one does not keep the others waiting.
func (l *listener) arrived(from *[3]<-chan *amqp.Delivery) (d *amqp.Delivery, i int, ok bool) {
	for range from {
		i = l.turn
		l.turn = (l.turn + 1) % len(from)
		select {
		case d, ok = <-from[i]:
			if ok {
				return d, i, true
			}
		default:
		}
	}
	return d, 0, false
}

func (l *listener) hand(sub *subscription, i int, d *amqp.Delivery, m *transport.Message) *transport.Delivery {
	sub.acks.handOut()
	out := &delivery{acks: sub.acks, tag: d.DeliveryTag}
	out.Delivery = transport.Delivery{Message: m, To: l.queues[i].to, Redelivered: d.Redelivered, Settler: out}
	return &out.Delivery
}

// read returns nil for what is no message of ours (RMQ-PUB-12, RMQ-CONS-03).
func (l *listener) read(sub *subscription, d *amqp.Delivery) *transport.Message {
	var err error
	switch {
	case d.ContentType != "application/json":
		err = fmt.Errorf("content type %q is not application/json", d.ContentType)
	case d.Headers["compression"] != nil:
		err = fmt.Errorf("compressed (%v), which is not supported", d.Headers["compression"])
	default:
		var m *transport.Message
		if m, err = wire.Parse(d.Body); err == nil {
			m.Expires = expires(d.Expiration)
			return m
		}
	}
	l.log.Error("message dropped: it cannot be read", "listener", l.addr, "exchange", d.Exchange, "key", d.RoutingKey, "bytes", len(d.Body), "error", err)
	_ = sub.acks.back(d.DeliveryTag, false) // a closed channel delivers it again, to be rejected then
	return nil
}

// end has Next return ErrClosed and the goroutine stop.
func (l *listener) end() {
	l.once.Do(func() {
		close(l.stopping)
		l.unwait()
	})
}

// Close is part of transport.Listener.
func (l *listener) Close(ctx context.Context) error {
	l.end()
	select {
	case <-l.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("rabbit: close listener %s: %w", l.addr, ctx.Err())
	}
}

func names(queues []queue) []string {
	list := make([]string, len(queues))
	for i, q := range queues {
		list[i] = q.name
	}
	return list
}
