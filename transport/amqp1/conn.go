package amqp1

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
)

const (
	// attachTimeout is how long a broker may take to answer for a session or a link.
	attachTimeout = 15 * time.Second
	// goodbye is how long detaching waits for the broker's answer: RabbitMQ's plugin never gives one.
	goodbye = 2 * time.Second
	// remind is how often a problem that stays the same is logged again.
	remind = time.Minute
)

var (
	_ transport.Transport   = (*Conn)(nil)
	_ transport.Inspector   = (*Conn)(nil)
	_ transport.Redeliverer = (*Conn)(nil)
	_ transport.Meter       = (*Conn)(nil)
)

// A Conn is a process's access to one AMQP 1.0 broker or router. It is safe for concurrent use.
type Conn struct {
	settings *settings
	log      *slog.Logger
	said     sync.Map // remarks that are made once; see remark
	sending  inflight
	counts   counts
	own      replyNames
	parcels  sync.Pool
	cancel   context.CancelFunc
	done     chan struct{} // closed when the goroutine has ended

	mu sync.Mutex
	condition
	listeners map[*listener]struct{} // nil once closed
}

// condition is what is known of the connection, guarded by Conn.mu.
type condition struct {
	live    *connection
	last    *product      // of the last connection
	why     error         // while there is none: what went wrong last
	since   time.Time     // when live last changed
	away    time.Duration // the sum of former absences
	closed  bool          // for good
	changed chan struct{} // closed and replaced with every change of the above
}

// A connection is one unbroken stretch of it.
type connection struct {
	amqp      *amqp.Conn
	mux       *mux
	addr      string
	product   product
	addresses addresser
	senders   senders
}

// gone is closed when the connection has ended.
func (n *connection) gone() <-chan struct{} { return n.amqp.Done() }

func (n *connection) isGone() bool {
	select {
	case <-n.gone():
		return true
	default:
		return false
	}
}

// Open connects to the first of the brokers that answers, so that a wrong host, port, password or certificate is an
// error now, within ctx. From then on the transport reconnects by itself for ever.
func Open(ctx context.Context, cfg Config) (*Conn, error) {
	s, options, err := cfg.read()
	if err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	options.Log(ctx, log)
	c := &Conn{
		settings: s, log: log, done: make(chan struct{}), listeners: map[*listener]struct{}{},
		condition: condition{since: time.Now(), changed: make(chan struct{})},
	}
	next := rand.IntN(len(s.endpoints)) // not every process of a cloud shall begin with the same broker
	n, err := c.round(ctx, &next)
	if err != nil {
		return nil, fmt.Errorf("amqp1: connect: %w", err)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	go c.run(own, n, next) // ends with Close, which waits for it
	return c, nil
}

// round tries each host once. next is where to begin, and afterwards where to go on.
func (c *Conn) round(ctx context.Context, next *int) (*connection, error) {
	var problems []error
	for range c.settings.endpoints {
		e := c.settings.endpoints[*next]
		*next = (*next + 1) % len(c.settings.endpoints)
		conn, m, err := c.settings.dial(ctx, e)
		if err == nil {
			n := &connection{amqp: conn, mux: m, addr: e.addr, product: productOf(conn)}
			n.addresses = c.settings.addresses.addresser(n.product)
			n.senders.all = map[string]*sender{}
			return n, nil
		}
		problems = append(problems, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(problems...)
}

// run keeps a connection up.
func (c *Conn) run(ctx context.Context, n *connection, next int) {
	defer close(c.done)
	pause := c.settings.retry.first
	for n != nil {
		began := time.Now()
		c.adopt(n)
		why := n.watch(ctx, c.settings.timeouts.idleSender)
		c.drop(ctx, n, why)
		if ctx.Err() == nil {
			c.log.Warn("connection lost, will reconnect", "broker", n.addr, "error", why)
		}
		lost := time.Now()
		if lost.Sub(began) >= pause {
			pause = c.settings.retry.first
		} else { // a broker refuses a connection after it has opened it
			pause = c.rest(ctx, pause)
		}
		if n = c.reconnect(ctx, &next); n != nil {
			c.log.Info("connected", "broker", n.addr, "product", string(n.product), "after", time.Since(lost).Round(time.Millisecond))
		}
	}
	c.update(func() { c.closed = true })
}

// reconnect tries the hosts in turn until one of them answers, or ctx ends.
func (c *Conn) reconnect(ctx context.Context, next *int) *connection {
	var told string
	var toldAt time.Time
	for pause := c.settings.retry.first; ctx.Err() == nil; {
		n, err := c.round(ctx, next)
		if err == nil {
			return n
		}
		if text := err.Error(); ctx.Err() == nil && (text != told || time.Since(toldAt) > remind) {
			told, toldAt = text, time.Now()
			c.log.Warn("cannot connect, will try on", "error", err)
		}
		c.update(func() { c.why = err })
		pause = c.rest(ctx, pause)
	}
	return nil
}

// rest waits before the next attempt to connect, and returns the pause after that.
func (c *Conn) rest(ctx context.Context, pause time.Duration) time.Duration {
	sleep(ctx, pause/2+rand.N(pause/2))
	return min(pause*time.Duration(c.settings.retry.step), c.settings.retry.most)
}

func (c *Conn) adopt(n *connection) {
	if n.product.rabbit() {
		c.remark("rabbit", "RabbitMQ has no dynamic addresses and no multicast: replies go by named queues, fanouts by amq.direct; "+
			"give such queues an expiry by a policy for ^(reply_|amq\\.gen-)", "broker", n.addr)
	}
	c.update(func() {
		if c.last != nil {
			c.counts.reconnects.Add(1)
			c.away += time.Since(c.since)
		}
		c.live, c.last, c.why = n, &n.product, nil
	})
}

// drop ends n and waits for its goroutines.
func (c *Conn) drop(ctx context.Context, n *connection, why error) {
	c.update(func() { c.live, c.why = nil, why })
	_ = n.amqp.Close() // it may be closed already
	n.senders.close(ctx, n.product)
}

// watch returns when the connection has ended, or ctx, and why.
func (n *connection) watch(ctx context.Context, idle time.Duration) error {
	tick := time.NewTicker(max(idle/2, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return transport.ErrClosed
		case <-n.gone():
			if err := n.amqp.Err(); err != nil {
				return err
			}
			return errors.New("the broker closed the connection")
		case <-tick.C:
			n.senders.reap(ctx, n.product, time.Now().Add(-idle))
		}
	}
}

// remark says something once.
func (c *Conn) remark(key, text string, attributes ...any) {
	if _, again := c.said.LoadOrStore(key, true); !again {
		c.log.Info(text, attributes...) //nolint:sloglint // The texts are constants of the callers'.
	}
}

// update changes what the lock guards and wakes all who wait for a change.
func (c *Conn) update(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.live
	f()
	if c.live != live {
		c.since = time.Now()
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// await returns the live connection, waiting for one until ctx ends.
func (c *Conn) await(ctx context.Context) (*connection, error) {
	for {
		c.mu.Lock()
		n, closed, changed := c.live, c.closed, c.changed
		c.mu.Unlock()
		if closed {
			return nil, transport.ErrClosed
		}
		if n != nil && !n.isGone() {
			return n, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, c.state(context.Cause(ctx))
		}
	}
}

// state says what the connection is waiting for, wrapping err.
func (c *Conn) state(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == nil {
		return fmt.Errorf("%w: %w", &transport.OutageError{For: time.Since(c.since), Cause: c.why}, err)
	}
	return fmt.Errorf("connected to %s for %s: %w", c.live.addr, time.Since(c.since).Round(time.Millisecond), err)
}

// sleep returns when d is over, or ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Close is part of transport.Transport. It waits for the broker to have taken what was sent settled, too. When ctx ends, so does the
// connection, whatever the broker has not answered yet.
func (c *Conn) Close(ctx context.Context) error {
	drained, first := c.sending.close()
	if !first {
		<-c.done
		return nil
	}
	defer context.AfterFunc(ctx, c.cancel)()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = fmt.Errorf("amqp1: close: messages are still being sent: %w", context.Cause(ctx))
	}
	c.mu.Lock()
	all, n := c.listeners, c.live
	c.listeners = nil
	c.mu.Unlock()
	var closing sync.WaitGroup
	for l := range all {
		closing.Go(func() {
			if e := l.Close(ctx); e != nil {
				c.log.Debug("close listener", "listener", l.Addr(), "error", e)
			}
			l.cancel()
			<-l.done
		})
	}
	if n != nil {
		n.senders.close(ctx, n.product)
	}
	closing.Wait()
	c.cancel()
	<-c.done
	return err
}

// add takes l in, unless closed.
func (c *Conn) add(l *listener) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listeners == nil {
		return false
	}
	c.listeners[l] = struct{}{}
	return true
}

func (c *Conn) remove(l *listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.listeners, l)
}

// inflight counts calls of Send, and lets no more in once closed.
type inflight struct {
	mu      sync.Mutex
	n       int
	drained chan struct{} // nil until closed
}

func (f *inflight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained != nil {
		return false
	}
	f.n++
	return true
}

func (f *inflight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.drained != nil {
		close(f.drained)
	}
}

// close returns a channel that is closed when the last call has returned, and whether this was the first close.
func (f *inflight) close() (<-chan struct{}, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained != nil {
		return f.drained, false
	}
	f.drained = make(chan struct{})
	if f.n == 0 {
		close(f.drained)
	}
	return f.drained, true
}
