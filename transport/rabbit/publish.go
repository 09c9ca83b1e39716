package rabbit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// A publisher keeps one channel for publishing open on the sending connection. Its goroutine, one per
// session, opens the channel anew when the broker has closed it.
type publisher struct {
	link     *link
	name     string // for logs
	confirm  bool
	awake    bool                       // signs of life are asked for on its channel, which so is not asleep when there is something to be sent
	settle   func(*outlet)              // runs with each channel; nil = nothing does
	returned func(*outlet, amqp.Return) // must not block: the connection's reader waits for it
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

	back      returns   // of a channel that confirms
	unsettled unsettled // of one that does not
}

// lost says whether the channel's end was the connection's.
func (o *outlet) lost() bool { return o.session.conn.IsClosed() }

const (
	// reopenFirst and reopenMost bound the pause, half of it at random, before a channel that the broker has closed is opened
	// again. It doubles while channels end within a second, so that a broker with a reason is not kept busy.
	reopenFirst = 20 * time.Millisecond
	reopenMost  = 500 * time.Millisecond
)

// run is the publisher's goroutine in one session.
func (p *publisher) run(s *session) {
	pause := reopenFirst
	for {
		opened := time.Now()
		o, err := p.open(s)
		if err == nil {
			p.link.update(func() { p.cur = o })
			if p.awake {
				s.awake.Store(o.ch.Channel)
			}
			if p.settle != nil {
				s.running.Go(func() { p.settle(o) })
			}
			o.why = <-o.closes
			if o.why != nil && o.why.Code == amqp.NotFound {
				// An exchange was deleted, as an auto-delete one is with its last queue. All who send declare theirs again.
				s.declared.clear()
			}
			if p.awake {
				s.awake.Store(nil)
			}
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
		if time.Since(opened) > time.Second {
			pause = reopenFirst
		}
		select {
		case <-time.After(pause/2 + jitter(pause/2)):
			pause = min(2*pause, reopenMost)
		case <-s.gone:
			return
		}
	}
}

func (p *publisher) open(s *session) (*outlet, error) {
	o := &outlet{session: s, gone: make(chan struct{}), unsettled: unsettled{wake: make(chan struct{}, 1)}}
	ch, err := s.sock.open(s.conn, func(r amqp.Return) { p.returned(o, r) })
	if err != nil {
		return nil, err
	}
	o.ch, o.closes = ch, ch.NotifyClose(make(chan *amqp.Error, 1))
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
	exchange    exchange // name "" = the default one, which need not be declared
	key         string
	mandatory   bool
	queue       *queue        // to be declared with the exchange; nil = none
	expires     time.Duration // 0 = never
	probe       *posting      // what it is; nil for all else
	body        []byte
	buf         *[]byte            // body's, from bodies; nil when it belongs to somebody else
	compression string             // of body; "" = none
	headers     map[string]string  // nil = none
	message     *transport.Message // what body says, for errors; nil once Send has returned
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

// expires reads the property expiration (see appendExpiration); anything but a number of milliseconds is no expiration to RabbitMQ either.
func expires(property string) time.Duration {
	if property == "" {
		return 0
	}
	ms, err := strconv.ParseInt(property, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// returns are the messages that the broker gave back on a channel, until their senders ask. They are known by
// their bodies, each of which holds an id of its own.
type returns struct {
	mu    sync.Mutex
	seed  maphash.Seed
	sums  map[uint64]int
	count atomic.Int64 // of sums; lets the usual case do without the lock
}

// add notes that a message came back. More than a few are there only when their senders gave up before the
// broker's answer; then they are forgotten.
func (r *returns) add(body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sums == nil || len(r.sums) >= 10_000 {
		r.seed, r.sums = maphash.MakeSeed(), make(map[uint64]int)
	}
	r.sums[maphash.Bytes(r.seed, body)]++
	r.count.Store(int64(len(r.sums)))
}

// take says whether the message came back, once.
func (r *returns) take(body []byte) bool {
	if r.count.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := maphash.Bytes(r.seed, body)
	n := r.sums[sum]
	if n > 1 {
		r.sums[sum] = n - 1
	} else {
		delete(r.sums, sum)
	}
	r.count.Store(int64(len(r.sums)))
	return n > 0
}
