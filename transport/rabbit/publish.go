package rabbit

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A publisher keeps one channel for publishing open on the sending connection. Its goroutine, one per
// session, reads what the broker gives back and opens the channel anew when the broker has closed it.
type publisher struct {
	link     *link
	name     string // for logs
	confirm  bool
	returned func(amqp.Return) // must not block: the connection's reader waits for it
	log      *slog.Logger

	cur *outlet // guarded by link.mu
}

// An outlet is one live channel of a publisher.
type outlet struct {
	session *session
	ch      *amqp.Channel
	closes  chan *amqp.Error
	gone    chan struct{} // closed when the channel has ended
	why     *amqp.Error   // written before gone is closed; nil when it was closed from here
}

// lost says whether the channel's end was the connection's.
func (o *outlet) lost() bool { return o.session.conn.IsClosed() }

// run is the publisher's goroutine in one session.
func (p *publisher) run(s *session) {
	for {
		o, returns, barrier, err := p.open(s)
		if err == nil {
			p.link.update(func() { p.cur = o })
			p.serve(o, returns, barrier)
			p.link.update(func() { p.cur = nil })
			close(o.gone)
			err = errors.New("the channel was closed")
			if o.why != nil {
				err = o.why
			}
		}
		if s.conn.IsClosed() {
			return
		}
		p.log.Warn("publishing channel lost, opening another", "channel", p.name, "broker", s.addr, "error", err)
		// A moment's pause, so that a broker that keeps closing the channel is not kept busy.
		select {
		case <-time.After(jitter(20 * time.Millisecond)):
		case <-s.gone:
			return
		}
	}
}

func (p *publisher) open(s *session) (o *outlet, returns, barrier chan amqp.Return, err error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, nil, nil, err
	}
	o = &outlet{session: s, ch: ch, closes: ch.NotifyClose(make(chan *amqp.Error, 1)), gone: make(chan struct{})}
	// The library sends a return first to the one, then to the other, and only then reads on. So by the time
	// it has read the confirm that follows, the return has been dealt with.
	returns = ch.NotifyReturn(make(chan amqp.Return))
	barrier = ch.NotifyReturn(make(chan amqp.Return))
	if p.confirm {
		err = ch.Confirm(false)
	}
	return o, returns, barrier, err
}

// serve reads returns until the channel ends.
func (p *publisher) serve(o *outlet, returns, barrier chan amqp.Return) {
	for r := range returns {
		p.returned(r)
		<-barrier
	}
	o.why = <-o.closes
}

// outlet waits for a live channel that the broker lets us publish on.
func (p *publisher) outlet(ctx context.Context) (*outlet, error) {
	l := p.link
	return await(ctx, l, func() *outlet {
		if l.blocked != "" {
			return nil
		}
		return p.cur
	})
}

// A publication is a message ready for the broker.
type publication struct {
	exchange   exchange // name "" = the default one, which need not be declared
	key        string
	mandatory  bool
	expiration string // milliseconds
	body       []byte
	id         string // the message's unique id
}

// properties are those of every message (RMQ-PUB-02). Priority 0 and an empty headers table cannot be told
// from absent ones by a receiver, and the library leaves them out.
func (m *publication) properties() amqp.Publishing {
	return amqp.Publishing{
		ContentType:     "application/json",
		ContentEncoding: "utf-8",
		DeliveryMode:    amqp.Persistent,
		Expiration:      m.expiration,
		Body:            m.body,
	}
}

// expiration is the property of that name (RMQ-PUB-03): milliseconds, truncated; "" for none.
func expiration(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// expires reads the property back; anything but a number of milliseconds is no expiration to RabbitMQ either.
func expires(property string) time.Duration {
	ms, err := strconv.ParseInt(property, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// returns holds the unique ids of messages that the broker gave back, until their senders ask.
type returns struct {
	mu    sync.Mutex
	ids   map[string]struct{}
	count atomic.Int64 // of ids; lets the usual case do without the lock
}

// add notes that the message with this unique id came back. More than a few are there only when their senders
// gave up before the broker's answer; then they are forgotten.
func (r *returns) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil || len(r.ids) >= 10_000 {
		r.ids = make(map[string]struct{})
	}
	r.ids[id] = struct{}{}
	r.count.Store(int64(len(r.ids)))
}

// take says whether the message came back, once.
func (r *returns) take(id string) bool {
	if r.count.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.ids[id]
	delete(r.ids, id)
	r.count.Store(int64(len(r.ids)))
	return found
}
