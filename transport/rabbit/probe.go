package rabbit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
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
// A check asks, apart from the messages, whether exchanges, queues and consumers are there, makes what is not, and
// binds again. The queue that is the listener's alone gets a message besides, which comes the way of all others. A
// queue that peers share never does: another may take it, and Python would log an error about it.
type probing struct {
	policy probePolicy
	send   func(ctx context.Context, queue, id string) error // returns when the broker has it
	sent   atomic.Pointer[probe]                             // that may arrive
	counts *counters
}

// A probe is a message of the listener to itself.
type probe struct {
	id   string
	sent time.Time
	back chan struct{} // closed when it has arrived
}

// probe sends one. It has a connection of its own kind: listening ones do not publish (RMQ-CONN-02), so that a broker
// that blocks publishers does not hold acknowledgements.
func (t *Transport) probe(ctx context.Context, queue, id string) error {
	return t.publish(ctx, t.requests, &publication{
		key: queue, mandatory: true, probe: id, body: []byte(`{"goslo.probe":"` + id + `"}`),
	})
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

// checks are those of one subscription, one at a time. All but the check itself runs in watch.
type checks struct {
	policy  probePolicy
	timer   *time.Timer
	running chan checkup // nil while none is running
	cancel  context.CancelFunc
	strays  []int     // queues that got messages past their exchange since the last check began
	because []int     // those of them for which it began
	again   bool      // so did one of these, maybe after it was bound
	began   time.Time // the last one
	good    time.Time // when all was known to be well
}

// A checkup is what a check has found.
type checkup struct {
	made rebuilt
	well bool  // certain
	err  error // certainly not
	deaf bool  // err is about the subscription, not about the broker
}

func (l *listener) newChecks() *checks {
	c := &checks{policy: l.probing.policy, timer: time.NewTimer(time.Hour), good: time.Now()}
	c.schedule(l.health.missedSoFar())
	return c
}

// schedule sets the time for the next check, jittered so that those of many listeners spread. The one after a first
// miss is hurried. Where there are none by themselves, those that a message has called for go on until all is well.
func (c *checks) schedule(misses int) {
	c.timer.Stop()
	every := c.policy.every
	switch {
	case misses == 1 || c.again || len(c.strays) > 0:
		c.timer.Reset(max(0, checkPause-time.Since(c.began)))
	case every > 0 || misses > 0:
		every = cmp.Or(every, checkUnasked)
		c.timer.Reset(every*3/4 + jitter(every/2))
	}
}

// doubt has queue i checked at once.
func (c *checks) doubt(i int) {
	switch {
	case c.running != nil && slices.Contains(c.because, i):
		c.again = true
	case !slices.Contains(c.strays, i):
		c.strays = append(c.strays, i)
	}
	if c.running == nil {
		c.schedule(0)
	}
}

func (c *checks) begin(ctx context.Context, l *listener, sub *subscription) {
	if c.running != nil {
		return
	}
	ctx, c.cancel = context.WithCancel(ctx)
	running := make(chan checkup, 1)
	c.running, c.began = running, time.Now()
	c.because, c.strays, c.again = c.strays, nil, false
	go func() { running <- l.check(ctx, sub) }()
}

// abort ends the check that is running. Its findings are out of date.
func (c *checks) abort() {
	if c.running == nil {
		return
	}
	c.cancel()
	<-c.running
	c.running = nil
	c.strays = append(c.because, c.strays...)
	c.schedule(0)
}

func (c *checks) end() {
	c.timer.Stop()
	c.abort()
	c.timer.Stop()
}

// finish does what a check has found to be necessary. An error means that the subscription is to be made anew.
func (c *checks) finish(ctx context.Context, l *listener, sub *subscription, found checkup) error {
	c.running = nil
	c.cancel()
	why, made := errors.New("a check found it missing"), found.made
	if len(c.because) > 0 {
		why = errors.New("a message came straight to the queue: its exchange or binding had been deleted")
		for _, i := range c.because {
			if name := l.queues[i].binding(); !slices.Contains(made.bindings, name) {
				made.bindings = append(made.bindings, name)
			}
		}
	}
	switch {
	case found.err == nil && (!made.none() || len(made.unattended) > 0):
		l.probing.counts.deaf.Add(1)
		sub.probe = nil // it may have been in a queue that was deleted
		consumers := 0
		for i, q := range l.queues {
			if slices.Contains(made.queues, q.name) || slices.Contains(made.unattended, q.name) {
				if err := l.replace(sub, i); err != nil {
					return err
				}
				consumers++
			}
		}
		l.health.missed(c.began, why)
		l.tell(ctx, slog.LevelWarn, sub, made, consumers, why, time.Since(c.good))
	case found.err != nil:
		l.health.missed(c.began, found.err)
		if found.deaf {
			l.probing.counts.deaf.Add(1)
			return fmt.Errorf("%w; all was well %s ago", found.err, time.Since(c.good).Round(time.Millisecond))
		}
	case found.well:
		l.health.heard()
		c.good = time.Now()
	}
	c.schedule(l.health.missedSoFar())
	return nil
}

// check finds out whether messages reach the listener.
func (l *listener) check(ctx context.Context, sub *subscription) checkup {
	limited, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	made, err := l.declare(limited, sub.session, true)
	switch {
	case ctx.Err() != nil || sub.session.conn.IsClosed(): // whoever ended it knows more
		return checkup{made: made}
	case limited.Err() != nil:
		return checkup{err: fmt.Errorf("the broker did not answer for %s", checkWait)}
	case err != nil:
		return checkup{made: made, err: err, deaf: true}
	case !made.none() || len(made.unattended) > 0:
		return checkup{made: made}
	}
	i := slices.IndexFunc(l.queues, func(q queue) bool { return q.own })
	if i < 0 {
		return l.follow(ctx, sub)
	}
	return l.hear(ctx, sub, l.queues[i].name)
}

// hear sends a probe to a queue, unless there is one already, and waits for it. One that does not arrive while
// nobody waits in Next tells nothing: a receiver that is busy is not deaf.
func (l *listener) hear(ctx context.Context, sub *subscription, queue string) checkup {
	before := l.pace(sub)
	if sub.probe == nil {
		p := &probe{id: wire.NewID(), sent: time.Now(), back: make(chan struct{})}
		l.probing.sent.Store(p)
		limited, cancel := context.WithTimeout(ctx, checkWait)
		err := l.probing.send(limited, queue, p.id)
		cancel()
		switch {
		case errors.Is(err, transport.ErrNoListener):
			return checkup{err: fmt.Errorf("a message could not be sent to its own queue: %w", err), deaf: true}
		case err != nil: // the sending connection has a problem, which it tells itself; the probe may arrive
			return checkup{}
		}
		sub.probe = p
	}
	p := sub.probe
	arrived := func(within time.Duration) bool {
		limit := time.NewTimer(within)
		defer limit.Stop()
		select {
		case <-p.back:
			sub.probe = nil
			return true
		case <-limit.C:
		case <-ctx.Done():
		}
		return false
	}
	if arrived(probeWait - probeSettle) {
		return checkup{well: true}
	}
	middle := l.pace(sub)
	switch {
	case arrived(probeSettle):
		return checkup{well: true}
	case ctx.Err() == nil && l.pace(sub).vain(before, middle):
		return checkup{err: fmt.Errorf("a message to its own queue %s did not arrive within %s", queue, probeWait), deaf: true}
	}
	return checkup{}
}

// pace is how far a receiver has come.
type pace struct{ looks, got uint64 }

func (l *listener) pace(sub *subscription) pace { return pace{l.looks.Load(), sub.acks.handedOut()} }

// vain says that the receiver got nothing since before, and has been waiting, or looking again and again, since middle.
func (p pace) vain(before, middle pace) bool {
	waits := p.looks == middle.looks && p.looks%2 == 1
	return p.got == before.got && (waits || p.looks-middle.looks >= 2)
}

// health is what is known of whether messages reach a listener.
type health struct {
	mu     sync.Mutex
	away   time.Time // since when there is no subscription; zero = there is one
	misses int       // checks in a row
	since  time.Time // when the first of them began
	why    error     // of the last miss, or of the subscription's end
	made   time.Time // when a queue of the listener's own was last made anew
}

func (h *health) subscribed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = time.Time{}
}

func (h *health) unsubscribed(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.why = why
	if h.away.IsZero() {
		h.away = time.Now()
	}
}

func (h *health) heard() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.misses = 0
}

func (h *health) missed(since time.Time, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.misses == 0 {
		h.since = since
	}
	h.misses++
	h.why = why
}

func (h *health) missedSoFar() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.misses
}

func (h *health) anew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made = time.Now()
}

func (h *health) lastMade() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.made
}

// Ready is part of transport.Readier. A listener is not ready when probe_misses checks in a row have failed, or when it
// has been without a subscription for as long as they would have taken.
func (l *listener) Ready() error {
	select {
	case <-l.stopping:
		return fmt.Errorf("rabbit: listener %s: %w", l.addr, transport.ErrClosed)
	default:
	}
	h, policy := &l.health, l.probing.policy
	h.mu.Lock()
	away, misses, since, why := h.away, h.misses, h.since, h.why
	h.mu.Unlock()
	switch {
	case !away.IsZero() && time.Since(away) > policy.patience():
		return fmt.Errorf("rabbit: listener %s: not subscribed for %s: %w", l.addr, time.Since(away).Round(time.Millisecond), l.link.state(why))
	case misses >= policy.misses:
		return fmt.Errorf("rabbit: listener %s: deaf for %s: %d probes in a row were missed, the last: %w",
			l.addr, time.Since(since).Round(time.Millisecond), misses, why)
	}
	return nil
}
