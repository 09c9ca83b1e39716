package rabbit

import (
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/wire"
)

const (
	// probeType is the property "type" of a probe, which no message of oslo.messaging has.
	probeType = "goslo.probe"
	// probeWait is how long a probe that the broker has confirmed may take to arrive.
	probeWait = 2 * time.Second
	// probeSettle is how long a receiver that waits is watched before a probe counts as missed.
	probeSettle = 250 * time.Millisecond
	// checkWait is how long the broker may take to answer a check.
	checkWait = 5 * time.Second
	// checkPause is the least time between checks, and how soon one that found something wrong is done again.
	checkPause = time.Second
	// checkUnasked is the interval of checks after misses where the user wants none.
	checkUnasked = 10 * time.Second
)

// probePolicy is how listeners find out whether they hear.
type probePolicy struct {
	every  time.Duration // probe_interval; 0 = never
	misses int           // probe_misses: so many in a row make a listener not ready
}

// patience is how long a listener may be without a subscription, or deaf, and count as ready.
func (p probePolicy) patience() time.Duration {
	if p.every == 0 {
		return 30 * time.Second
	}
	return p.every * time.Duration(p.misses)
}

// probing is what a listener needs for its checks.
//
// A check asks, apart from the messages, whether queues and consumers are there, and binds again, which says that the exchanges are. The
// queue that is the listener's alone gets a message instead, which comes the way of all others. A queue that peers share never does:
// another may take it, and Python would log an error about it. See rota. Where not all is well the listener looks at each exchange and
// queue, and makes what is not there.
type probing struct {
	policy probePolicy
	post   func(*posting) bool
	sent   atomic.Pointer[probe] // that may arrive
	counts *counters
}

// A posting is a message to the queues of listeners, on its way to the broker.
type posting struct {
	id      string
	key     string   // a queue
	besides []string // further ones
	sent    time.Time
	taken   atomic.Int64 // how much later the broker had it, in nanoseconds; 0 = it has not
	counts  *counters
}

func newPosting(counts *counters, queue string, besides ...string) *posting {
	return &posting{id: wire.NewID(), key: queue, besides: besides, sent: time.Now(), counts: counts}
}

// confirmed is part of confirmer.
func (p *posting) confirmed(ok bool) {
	p.counts.settled(ok, false)
	if ok {
		p.taken.Store(max(1, int64(time.Since(p.sent))))
	}
}

// A probe is a posting that a listener waits for.
type probe struct {
	*posting
	back chan struct{} // closed when it has arrived
}

// expect has the listener know a probe when it arrives.
func (l *listener) expect(p *posting) *probe {
	due := &probe{posting: p, back: make(chan struct{})}
	l.probing.sent.Store(due)
	return due
}

// post publishes a probe, and does not wait. It goes by a connection of its own kind: listening ones do not publish (RMQ-CONN-02), so that a
// broker that blocks publishers does not hold acknowledgements. It returns false where that one has a problem.
func (t *Transport) post(p *posting) bool {
	l := t.out
	l.mu.Lock()
	o, blocked := t.requests.cur, l.blocked != ""
	l.mu.Unlock()
	if o == nil || blocked {
		return false
	}
	if o.ch.publish(&publication{key: p.key, probe: p, body: []byte(`{"goslo.probe":"` + p.id + `"}`)}, p) != nil {
		return false
	}
	t.counters.published.Add(1)
	return true
}

// probed takes a probe, and leaves what only looks like one.
func (l *listener) probed(d *amqp.Delivery) bool {
	if d.Exchange != "" {
		return false
	}
	l.sub.acks.absorb(d.DeliveryTag)
	if p := l.probing.sent.Load(); p != nil && p.id == d.MessageId && l.probing.sent.CompareAndSwap(p, nil) {
		l.probing.counts.loopback.Store(int64(time.Since(p.sent)))
		close(p.back)
	}
	return true
}

// strayed has the listener check itself: a message came straight to queue i, because its sender found the exchange or
// the binding gone.
func (l *listener) strayed(i int) {
	select {
	case l.strays <- i:
	default:
	}
}

// own is the queue that is the listener's alone, or "".
func (l *listener) own() string {
	for _, q := range l.queues {
		if q.own {
			return q.name
		}
	}
	return ""
}

// pace is how far a receiver has come.
type pace struct{ looks, got uint64 }

func (l *listener) pace(sub *subscription) pace { return pace{l.looks.Load(), sub.acks.handedOut()} }

// vain says that the receiver got nothing since before, and has been waiting, or looking again and again, since middle.
func (p pace) vain(before, middle pace) bool {
	waits := p.looks == middle.looks && p.looks%2 == 1
	return p.got == before.got && (waits || p.looks-middle.looks >= 2)
}
