package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A publisher keeps one channel for publishing open on the sending connection. Its goroutine, one per
// session, opens the channel anew when the broker has closed it.
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
	ch      *channel
	closes  chan *amqp.Error
	gone    chan struct{} // closed when the channel has ended
	why     *amqp.Error   // written before gone is closed; nil when it was closed from here
}

// lost says whether the channel's end was the connection's.
func (o *outlet) lost() bool { return o.session.conn.IsClosed() }

// run is the publisher's goroutine in one session.
func (p *publisher) run(s *session) {
	for {
		o, err := p.open(s)
		if err == nil {
			p.link.update(func() { p.cur = o })
			o.why = <-o.closes
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

func (p *publisher) open(s *session) (*outlet, error) {
	ch, err := s.sock.open(s.conn, p.returned)
	if err != nil {
		return nil, err
	}
	o := &outlet{session: s, ch: ch, closes: ch.NotifyClose(make(chan *amqp.Error, 1)), gone: make(chan struct{})}
	if p.confirm {
		err = ch.confirm()
	}
	return o, err
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

// fits refuses names that AMQP cannot carry.
func (m *publication) fits() error {
	if n := max(len(m.key), len(m.exchange.name)); n > longestName {
		return reject(fmt.Errorf("a name of %d bytes; the most in AMQP is %d", n, longestName))
	}
	return nil
}

// A confirmation is the broker's answer to one message.
type confirmation struct{ done chan bool } // holds one

func (c *confirmation) confirmed(ok bool) { c.done <- ok }

// confirmations are used one after the other, unless the answer did not come.
type confirmations struct{ pool sync.Pool }

func (c *confirmations) get() *confirmation {
	if free, ok := c.pool.Get().(*confirmation); ok {
		return free
	}
	return &confirmation{done: make(chan bool, 1)}
}

func (c *confirmations) put(heard *confirmation) { c.pool.Put(heard) }

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
