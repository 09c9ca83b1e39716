package nats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/goslo/goslo/internal/fifo"
	"github.com/goslo/goslo/internal/line"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

const defaultPrefetch = 64

// errSettled is returned to who settles a delivery twice.
var errSettled = errors.New("nats: delivery was settled before")

// A topicListener receives calls, casts and fanout messages for one server of one topic, or the notifications of one topic.
//
// It hands out at most prefetch unsettled deliveries, and holds at most as many of each queue's casts.
type topicListener struct {
	conn     *Conn
	from     transport.Address
	prefetch int
	subs     []*subscription

	temporary bool          // the pool goes with the listener
	done      chan struct{} // closed once
	once      sync.Once
	inbox     string // where pulled casts and word of them come to, with a token for the queue

	mu        sync.Mutex
	backlog   fifo.Queue[arrival]
	bytes     int       // of calls and fanout messages in backlog
	unsettled int       // returned by Next
	line      line.Line // calls of Next that wait
	dropped   int
	queues    []castQueue          // made once
	held      map[string]time.Time // acknowledgement subjects of casts in backlog or unsettled, and when they were claimed last
	left      bool                 // what the topic's servers share is not to be taken any more; see Leave
	given     func(arrival) bool   // what went back of the backlog; what still comes follows. nil = nothing
}

// An arrival is a message in the backlog.
type arrival struct {
	message
	kind   transport.Kind
	server bool       // addressed to this server
	queue  *castQueue // nil for calls and fanout messages
	ack    string     // reply of what came from a queue: where it is acknowledged
	at     time.Time
}

// shared says that any server of the topic could have had it.
func (a arrival) shared() bool { return a.kind != transport.Fanout && !a.server }

// Listen implements [transport.Transport].
func (c *Conn) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := c.listen(ctx, from, o)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, nats.ErrConnectionClosed):
		err = transport.ErrClosed
	}
	return nil, fmt.Errorf("nats: listen on %s: %w", from, err)
}

func (c *Conn) listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	if c.isClosed() {
		return nil, transport.ErrClosed
	}
	if err := o.Check(from); err != nil {
		return nil, err
	}
	if _, err := c.await(ctx); err != nil {
		return nil, err
	}
	switch {
	case from.Kind == transport.Reply:
		return c.listenReply(ctx)
	case from.Kind == transport.Notification && from.Topic == "":
		return nil, fmt.Errorf("%w: a listener's address needs a topic", transport.ErrRejected)
	case from.Kind == transport.Notification:
	case from.Kind != transport.Topic:
		return nil, fmt.Errorf("%w: a listener's address is of kind topic, notification or reply", transport.ErrRejected)
	case from.Topic == "" || from.Server == "":
		return nil, fmt.Errorf("%w: a listener's address needs a topic and a server", transport.ErrRejected)
	}
	if n := len(c.subject(notificationToken, from)); n > longestLine {
		return nil, fmt.Errorf("%w: the names of the address make a subject of %d bytes, and %d are the most", transport.ErrRejected, n, longestLine)
	}
	if o.Prefetch <= 0 {
		o.Prefetch = defaultPrefetch
	}
	l := &topicListener{
		conn:     c,
		from:     from,
		prefetch: o.Prefetch,

		temporary: o.Temporary,

		done:  make(chan struct{}),
		inbox: c.prefix + replyToken + "." + newToken() + ".",
		held:  map[string]time.Time{},
	}
	if err := l.open(ctx); err != nil {
		err = errors.Join(err, l.Close(ctx))
		c.remove(l)
		return nil, err
	}
	return l, nil
}

// sources are the listener's, with its queues.
func (l *topicListener) sources() []*subscription {
	if l.from.Kind == transport.Notification {
		l.queues = []castQueue{newNotificationQueue(l, l.from, "0")}
		return []*subscription{{subject: l.queues[0].inbox, shared: true, receive: l.receiveCast}}
	}
	shared := l.from
	shared.Server = ""
	l.queues = []castQueue{newCastQueue(l, shared, "0"), newCastQueue(l, l.from, "1")}
	return []*subscription{
		{subject: l.conn.subject(callToken, shared), group: queueGroup, shared: true, receive: func(m message) { l.receive(m, transport.Topic, false) }},
		{subject: l.conn.subject(callToken, l.from), group: queueGroup, receive: func(m message) { l.receive(m, transport.Topic, true) }},
		{subject: l.conn.subject(fanoutToken, shared), receive: func(m message) { l.receive(m, transport.Fanout, false) }},
		{subject: l.queues[0].inbox, shared: true, receive: l.receiveCast},
		{subject: l.queues[1].inbox, receive: l.receiveCast},
	}
}

// open subscribes, makes the queues and starts to take from them. The connection, which may be closed
// meanwhile, learns of the listener when its subscriptions are complete.
func (l *topicListener) open(ctx context.Context) error {
	c := l.conn
	l.subs = l.sources()
	for _, sub := range l.subs {
		c.subscriptions.add(sub)
	}
	if err := c.add(l); err != nil {
		return err
	}
	return c.whileLinked(ctx, func(ctx context.Context) error {
		if err := l.rebuild(ctx); err != nil && (l.from.Kind == transport.Notification || !errors.Is(err, errNoJetStream)) {
			return err
		}
		return flush(ctx, c.nc)
	})
}

// Addr implements [transport.Listener].
func (l *topicListener) Addr() string { return l.from.String() }

// receive takes a call or a fanout message. It never blocks.
func (l *topicListener) receive(m message, kind transport.Kind, server bool) {
	if m.header != nil && m.header.get(headerProbe) != "" {
		if err := l.conn.hand(m.reply, nil, nil, []byte(l.from.Server)); err != nil {
			l.conn.log.Debug("nats: answer a probe", "listener", l.Addr(), "error", err)
		}
		return
	}
	a := arrival{message: m, kind: kind, server: server, at: time.Now()}
	l.mu.Lock()
	if l.given != nil && l.given(a) {
		l.mu.Unlock()
		l.giveBackLate(a)
		return
	}
	if l.backlog.Len() < MaxWaitingCalls && l.bytes < MaxWaitingBytes {
		l.dropped = 0
		l.bytes += len(m.data)
		l.push(a)
		return
	}
	l.dropped++
	first := l.dropped == 1
	l.mu.Unlock()
	if first {
		l.conn.log.Error("nats: too many messages wait; calls go back to their callers, fanout messages are dropped", "listener", l.Addr())
	}
	if kind == transport.Topic && len(m.reply) > 0 {
		reason := fmt.Sprintf("server %s has %d calls waiting and takes no more", l.from.Server, MaxWaitingCalls)
		if err := l.conn.hand(m.reply, nil, header(nil).add(headerUndelivered, reason), nil); err != nil {
			l.conn.log.Error("nats: call dropped: too many wait, and the caller cannot be told", "listener", l.Addr(), "error", err)
		}
	}
}

// push appends to the backlog, wakes Next, and unlocks.
func (l *topicListener) push(a arrival) {
	l.backlog.Push(a)
	l.signal()
}

// signal wakes a Next that waits, if there is something for it, and unlocks.
func (l *topicListener) signal() {
	l.line.Wake(&l.mu, l.unsettled < l.prefetch && l.backlog.Len() > 0)
}

// SharesNext implements [transport.Sharer].
func (l *topicListener) SharesNext() {}

// Next implements [transport.Listener].
func (l *topicListener) Next(ctx context.Context) (*transport.Delivery, error) {
	for {
		a, err := l.take(ctx)
		if err != nil {
			return nil, err
		}
		if d := l.delivery(a); d != nil {
			return d, nil
		}
	}
}

// take returns the next arrival and counts it as unsettled.
func (l *topicListener) take(ctx context.Context) (a arrival, err error) {
	err = ctx.Err()
	l.mu.Lock()
	for {
		if err == nil && l.isDone() {
			err = transport.ErrClosed
		}
		if err != nil {
			l.signal()
			return a, err
		}
		if l.unsettled < l.prefetch && l.backlog.Len() > 0 {
			a = l.backlog.Pop()
			l.unsettled++
			if a.queue == nil {
				l.bytes -= len(a.data)
			}
			l.signal()
			return a, nil
		}
		err = l.line.Wait(ctx, &l.mu, l.done)
	}
}

// delivery decodes an arrival. Nil when it has expired, or cannot be read, which is logged; it is settled then.
func (l *topicListener) delivery(a arrival) *transport.Delivery {
	d := &delivery{listener: l, arrival: a}
	waited := time.Since(a.at)
	var ttl time.Duration
	if a.queue == nil {
		ttl = callTTL(a.reply)
	} else {
		var stored time.Time
		d.Deliveries, stored = parseAck(a.ack)
		d.Redelivered = d.Deliveries > 1
		if ttl = castTTL(a.header); !stored.IsZero() {
			waited = max(time.Since(stored), waited)
		}
	}
	if ttl > 0 && waited >= ttl {
		l.conn.log.Info("nats: message dropped: it waited for longer than its sender does", "subject", string(a.subject), "waited", waited, "sender", ttl)
		d.drop()
		return nil
	}
	parse := wire.Parse
	if a.kind == transport.Notification {
		parse = wire.ParseNotification
	}
	message, err := parse(a.data)
	if err != nil {
		l.conn.log.Error("nats: message dropped: it cannot be read", "subject", string(a.subject), "bytes", len(a.data), "error", err)
		d.drop()
		return nil
	}
	if ttl > 0 {
		message.Expires = ttl - waited
	}
	message.Headers = ownHeaders(a.header)
	d.Message = message
	d.To = transport.Address{Kind: a.kind, Exchange: l.from.Exchange, Topic: l.from.Topic}
	if a.server {
		d.To.Server = l.from.Server
	}
	d.Settler = d
	return &d.Delivery
}

// ownHeaders are those of the message's own, without NATS's and this package's, which have capital letters.
func ownHeaders(h header) map[string]string {
	var own map[string]string
	for name, value := range h.all() {
		if transport.HeaderName(string(name)) {
			if own == nil {
				own = map[string]string{}
			}
			own[string(name)] = string(value)
		}
	}
	return own
}

// callTTL is the time that the caller waits, from a call's reply subject: om.<vhost>.reply.<caller>.<id>[.<ttl>].
func callTTL(reply []byte) time.Duration {
	if bytes.Count(reply, []byte(".")) != 5 {
		return 0
	}
	return milliseconds(string(reply[bytes.LastIndexByte(reply, '.')+1:]))
}

func castTTL(h header) time.Duration { return milliseconds(h.get(headerTTL)) }

func milliseconds(s string) time.Duration {
	if s == "" {
		return 0 // not by an error, which would be garbage for each message
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > int64(time.Duration(1<<63-1)/time.Millisecond) {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// A delivery settles itself.
type delivery struct {
	transport.Delivery
	arrival
	listener *topicListener
	settled  atomic.Bool
}

// Ack implements [transport.Settler].
func (d *delivery) Ack(context.Context) error { return d.settle("+ACK") }

// Requeue implements [transport.Settler]. A call is sent again, with its caller's address, to whoever listens now. One to
// which nobody listens cannot go back, nor can a fanout message: errors.ErrUnsupported.
func (d *delivery) Requeue(ctx context.Context) error {
	if d.queue != nil {
		return d.settle("-NAK")
	}
	if err := d.settle(""); err != nil {
		return err
	}
	if d.kind != transport.Topic {
		return fmt.Errorf("nats: requeue a fanout message: %w", errors.ErrUnsupported)
	}
	if d.listener.deserted(ctx, d.subject) {
		return fmt.Errorf("nats: requeue a call to which nobody else listens: %w", errors.ErrUnsupported)
	}
	if err := d.listener.giveBackOne(d.arrival); err != nil {
		return fmt.Errorf("nats: requeue a call: %w", d.listener.conn.publishError(err, len(d.data)))
	}
	return nil
}

// drop removes a message that nobody is to have from its queue.
func (d *delivery) drop() {
	if err := d.settle("+TERM"); err != nil {
		d.listener.conn.log.Debug("nats: drop a message", "listener", d.listener.Addr(), "error", err)
	}
}

func (d *delivery) settle(verdict string) error {
	if d.settled.Swap(true) {
		return errSettled
	}
	l := d.listener
	l.mu.Lock()
	l.unsettled--
	if d.queue == nil {
		l.signal()
		return nil
	}
	claimed, mine := l.held[d.ack]
	delete(l.held, d.ack)
	d.queue.held--
	pull := d.queue.want()
	idle := len(l.held) == 0
	l.signal()
	if idle && l.isDone() {
		l.conn.remove(l)
	}
	if !mine {
		return fmt.Errorf("nats: settle: %w, and the message went back to its queue", transport.ErrClosed)
	}
	if age := time.Since(claimed); age >= ackWait {
		d.queue.pull(pull)
		return fmt.Errorf("nats: settle: nothing was heard of this process for %v, so the message went back to its queue", age.Round(time.Second))
	}
	err := l.conn.hand(d.reply, nil, nil, []byte(verdict))
	d.queue.pull(pull)
	if err != nil {
		return fmt.Errorf("nats: settle: %w", l.conn.publishError(err, len(verdict)))
	}
	return nil
}

// rebuild implements listener.
func (l *topicListener) rebuild(ctx context.Context) error {
	var errs []error
	for i := range l.queues {
		if err := l.queues[i].rebuild(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// tick implements listener. A claim that ran out is not renewed: somebody else may have the message by now.
func (l *topicListener) tick(now time.Time) bool {
	l.mu.Lock()
	claims := make([]string, 0, len(l.held))
	for ack, claimed := range l.held {
		if now.Sub(claimed) < ackWait {
			claims = append(claims, ack)
		}
	}
	broken := false
	for i := range l.queues {
		broken = l.queues[i].overdue(now) || broken
	}
	l.mu.Unlock()
	for _, ack := range claims {
		if err := l.conn.hand([]byte(ack), nil, nil, []byte("+WPI")); err != nil {
			break // the connection is away; claims last a while longer
		}
		l.mu.Lock()
		if _, mine := l.held[ack]; mine {
			l.held[ack] = now
		}
		l.mu.Unlock()
	}
	return broken
}

func (l *topicListener) isDone() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// end implements listener.
func (l *topicListener) end() { l.once.Do(func() { close(l.done) }) }
