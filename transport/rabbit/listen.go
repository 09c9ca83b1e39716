package rabbit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A listener is a subscription that outlives its channels. Its goroutine subscribes, watches, and subscribes
// again whenever the channel, the connection or a queue is lost.
type listener struct {
	link     *link
	declarer *declarer
	log      *slog.Logger
	queues   []queue
	addr     string
	prefetch int
	lazy     int
	probing  probing
	health   health
	lifetime
	leaving
	intake
	position position // in a stream

	strays chan int // a queue that got a message past its exchange; holds one

	mu      sync.Mutex
	cur     *subscription
	changed chan struct{} // closed and replaced with every change of cur and of cur.in
}

// A lifetime is how a listener ends.
type lifetime struct {
	stop     context.CancelFunc // gives up on everything
	unwait   context.CancelFunc // gives up on subscribing
	stopping chan struct{}      // closed when Close was called
	once     sync.Once          // for closing it
	stopped  chan struct{}      // closed when nothing more is handed over
	done     chan struct{}      // closed when the goroutine has ended
}

// An intake is where Next takes deliveries from; Next's alone, but for looks.
type intake struct {
	sub   *subscription
	fresh <-chan struct{} // closed when there is more, or another subscription
	from  [3]<-chan *amqp.Delivery
	ended [3]<-chan *amqp.Delivery // closed and drained
	turn  int                      // the queue to look at first
	looks atomic.Uint64            // odd while Next waits, and greater each time
}

// Listen subscribes; see transport.Transport. A Reply listener has a queue of its own, reply_<id>; a process
// needs only one.
func (t *Transport) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	addr := from.Topic + "." + from.Server
	if err := o.Check(from); err != nil {
		return nil, fmt.Errorf("rabbit: listen at %s: %w", from, err)
	}
	switch {
	case from.Kind == transport.Reply:
	case from.Kind == transport.Notification:
		if from.Topic == "" {
			return nil, fmt.Errorf("rabbit: listen at %s: it takes a topic", from)
		}
		addr = from.String()
	case from.Kind != transport.Topic:
		return nil, fmt.Errorf("rabbit: listen at %s: %s is no kind of address to listen at", from, from.Kind)
	case from.Topic == "" || from.Server == "":
		return nil, fmt.Errorf("rabbit: listen at %s: it takes a topic and a server", from)
	}
	unique, giveBack, err := t.unique(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("rabbit: listen at %s: %w", from, err)
	}
	l := &listener{
		link: t.in, declarer: &t.declarer, log: t.log,
		queues: t.settings.topology.listened(from, unique, o.Temporary), addr: addr, prefetch: o.Prefetch,
		lifetime: lifetime{stopping: make(chan struct{}), stopped: make(chan struct{}), done: make(chan struct{})},
		leaving:  leaving{asked: make(chan struct{}), left: make(chan struct{})},
		strays:   make(chan int, 1), changed: make(chan struct{}),
	}
	l.fresh = l.changed
	l.probing = probing{policy: t.settings.probes, post: t.post, counts: &t.counters}
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
		giveBack()
		return nil, fmt.Errorf("rabbit: listen at %s: %w", l.addr, transport.ErrClosed)
	}
	first := make(chan error, 1)
	go func() {
		defer close(l.done)
		defer giveBack()
		defer t.listeners.remove(l)
		defer stop()
		defer l.end()
		l.wind(own, l.run(alive, first))
	}()
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
	for {
		select {
		case <-l.fresh:
			l.refresh()
		default:
		}
		d, i, ok := l.arrived()
		if !ok {
			var err error
			if d, i, err = l.await(ctx); err != nil {
				return nil, err
			}
		}
		if d == nil || d.Type == probeType && l.probed(d) {
			continue
		}
		if l.queues[i].stream && l.streamed(d) {
			l.sub.acks.absorb(d.DeliveryTag)
			continue
		}
		if d.Exchange == "" && l.queues[i].exchange != nil {
			l.strayed(i)
		}
		if m := l.read(l.sub, d); m != nil {
			out := l.hand(l.sub, i, d, m)
			l.sub.ch.incoming.deliveries.put(d)
			return out, nil
		}
	}
}

// refresh takes over what changed. A queue that has a new consumer is drained of what the old one brought first.
func (l *listener) refresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := l.sub == l.cur
	l.sub, l.fresh = l.cur, l.changed
	if !again {
		l.from, l.ended = [3]<-chan *amqp.Delivery{}, [3]<-chan *amqp.Delivery{}
	}
	for i, all := range l.cur.in {
		if len(all) > 0 && all[0] == l.ended[i] {
			all = all[1:]
			l.cur.in[i] = all
		}
		if l.from[i] == nil && len(all) > 0 {
			l.from[i] = all[0]
		}
	}
}

// arrived takes what is there already, without the price of a select over everything that may happen. The
// queues take turns, so that a busy one does not keep the others waiting.
func (l *listener) arrived() (d *amqp.Delivery, i int, ok bool) {
	for range l.from {
		i = l.turn
		l.turn = (l.turn + 1) % len(l.from)
		select {
		case d, ok = <-l.from[i]:
			if ok {
				return d, i, true
			}
		default:
		}
	}
	return nil, 0, false
}

// await waits for the next delivery. It returns none where something has changed.
func (l *listener) await(ctx context.Context) (d *amqp.Delivery, i int, err error) {
	l.looks.Add(1)
	defer l.looks.Add(1)
	var ok bool
	select {
	case d, ok = <-l.from[0]:
	case d, ok = <-l.from[1]:
		i = 1
	case d, ok = <-l.from[2]:
		i = 2
	case <-l.fresh:
		return nil, 0, nil
	case <-l.stopping:
		return nil, 0, transport.ErrClosed
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	if !ok {
		l.ended[i], l.from[i] = l.from[i], nil
		l.refresh()
	}
	return d, i, nil
}

func (l *listener) hand(sub *subscription, i int, d *amqp.Delivery, m *transport.Message) *transport.Delivery {
	sub.acks.handOut()
	out := &delivery{acks: sub.acks, tag: d.DeliveryTag, stays: l.queues[i].stream}
	out.Delivery = transport.Delivery{Message: m, To: l.queues[i].to, Redelivered: d.Redelivered, Settler: out}
	out.Deliveries, out.Last = l.counted(sub, i, d)
	if out.To.Kind == transport.Notification && d.Exchange != "" {
		out.To.Topic = d.RoutingKey // a pool's queue may have several
	}
	return &out.Delivery
}

// read returns nil for what is no message of ours (RMQ-PUB-12, RMQ-CONS-03).
func (l *listener) read(sub *subscription, d *amqp.Delivery) *transport.Message {
	var err error
	switch {
	case d.ContentType != "application/json":
		err = fmt.Errorf("content type %q is not application/json", d.ContentType)
	default:
		var body []byte
		if body, err = PlainBody(d.Headers, d.Body); err != nil {
			break
		}
		parse := wire.Parse
		if l.queues[0].to.Kind == transport.Notification {
			parse = wire.ParseNotification
		}
		var m *transport.Message
		if m, err = parse(body); err == nil {
			m.Expires, m.Headers = expires(d.Expiration), headers(d.Headers)
			return m
		}
	}
	l.log.Error("message dropped: it cannot be read", "listener", l.addr, "exchange", d.Exchange, "key", d.RoutingKey, "bytes", len(d.Body), "error", err)
	_ = sub.acks.back(d.DeliveryTag, false) // a closed channel delivers it again, to be rejected then
	return nil
}

// headers are those of a message's own, of a peer of ours or of an instrumented one.
func headers(table amqp.Table) map[string]string {
	var own map[string]string
	for name, value := range table {
		if text, ok := value.(string); ok && transport.HeaderName(name) {
			if own == nil {
				own = make(map[string]string, len(table))
			}
			own[name] = text
		}
	}
	return own
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
