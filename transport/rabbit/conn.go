package rabbit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

const (
	// knock is how often a closed port is tried again. It costs the broker nothing, so no back-off applies.
	knock = time.Second
	// goodbye is how long closing waits for the broker's answer.
	goodbye = 2 * time.Second
	// remind is how often a connection that stays away is logged again.
	remind = time.Minute
)

// backoff is how long to wait between attempts to connect.
type backoff struct {
	delay, splay      time.Duration // before the first attempt: at random up to delay (kombu_reconnect_delay), and up to splay on top
	first, step, most time.Duration // between rounds over all hosts that some broker answered: first, first+step ... most (RMQ-CONN-11)
	shuffle           bool          // hosts at random instead of in order (kombu_failover_strategy)
}

// A session is one live connection. It owns the goroutine of its setup channel and those in link.inside.
type session struct {
	conn   *amqp.Connection
	sock   *mux
	addr   string
	closes chan *amqp.Error
	blocks chan amqp.Blocking
	jobs   chan job

	gone chan struct{} // closed when the connection has ended
	why  error         // written before gone is closed

	limit    atomic.Int64 // the most bytes of a body that the broker takes
	declared sync.Map     // names of exchanges that this session has declared for publishing
	running  sync.WaitGroup
}

// A link keeps one connection up: it dials, watches, and dials again for ever. One goroutine, which ends with close.
type link struct {
	settings *settings
	role     string // "send" or "listen", for logs
	log      *slog.Logger
	inside   []func(*session) // what runs in each session, in goroutines of the session
	cancel   context.CancelFunc
	done     chan struct{}

	mu      sync.Mutex
	live    *session
	why     error     // while there is no session: what went wrong last
	since   time.Time // when live or blocked last changed
	blocked string    // why the broker takes nothing, "" = it does
	closed  bool
	changed chan struct{} // closed and replaced with every change of the above
}

func newLink(s *settings, role string, log *slog.Logger) *link {
	return &link{settings: s, role: role, log: log, since: time.Now(), changed: make(chan struct{}), done: make(chan struct{})}
}

// open connects for the first time: every host is tried once, and the error tells about all of them.
func (l *link) open(ctx context.Context) error {
	var all []error
	for _, e := range l.settings.endpoints {
		s, err := l.connect(ctx, e)
		if err == nil {
			l.start(ctx, s)
			return nil
		}
		all = append(all, err)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(all...)
}

// start has the goroutine keep up s or, where s is nil, connect first. It takes ctx's values only.
func (l *link) start(ctx context.Context, s *session) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	l.update(func() { l.live = s })
	go l.run(own, s)
}

func (l *link) connect(ctx context.Context, e endpoint) (*session, error) {
	conn, sock, err := l.settings.dial(ctx, e)
	if err != nil {
		return nil, err
	}
	s := &session{
		conn: conn, sock: sock, addr: e.addr,
		closes: conn.NotifyClose(make(chan *amqp.Error, 1)),
		blocks: conn.NotifyBlocked(make(chan amqp.Blocking, 8)),
		jobs:   make(chan job),
		gone:   make(chan struct{}),
	}
	s.limit.Store(l.settings.bodyLimit(conn.Properties))
	s.running.Go(s.work)
	for _, f := range l.inside {
		s.running.Go(func() { f(s) })
	}
	return s, nil
}

func (l *link) run(ctx context.Context, s *session) {
	defer close(l.done)
	if s == nil {
		s = l.redial(ctx, 0)
	}
	for s != nil {
		why := l.watch(ctx, s)
		l.update(func() { l.live, l.why, l.blocked = nil, why, "" })
		s.why = why
		close(s.gone)
		_ = s.sock.Close() // it may be closed already
		s.running.Wait()
		if ctx.Err() != nil {
			break
		}
		l.log.Warn("connection lost, will reconnect", "connection", l.role, "broker", s.addr, "error", why)
		s = l.redial(ctx, jitter(l.settings.backoff.delay)+jitter(l.settings.backoff.splay))
	}
	l.update(func() { l.closed = true })
}

// watch returns why the session ended. It ends the session itself when ctx ends.
func (l *link) watch(ctx context.Context, s *session) error {
	for {
		select {
		case <-ctx.Done():
			if err := s.conn.CloseDeadline(time.Now().Add(goodbye)); err != nil && !errors.Is(err, amqp.ErrClosed) {
				l.log.Info("closing without the broker's answer", "connection", l.role, "broker", s.addr, "error", err)
			}
			return transport.ErrClosed
		case err, ok := <-s.closes:
			if !ok || err == nil {
				return errors.New("the connection was closed")
			}
			return err
		case b, ok := <-s.blocks:
			if !ok {
				s.blocks = nil
				continue
			}
			reason := ""
			if b.Active {
				reason = cmp.Or(b.Reason, "it does not say why")
				l.log.Error("the broker takes no messages", "connection", l.role, "broker", s.addr, "reason", b.Reason)
			} else {
				l.log.Info("the broker takes messages again", "connection", l.role, "broker", s.addr)
			}
			l.update(func() { l.blocked = reason })
		}
	}
}

// redial waits for pause, then returns a new session, or nil when ctx ended.
func (l *link) redial(ctx context.Context, pause time.Duration) *session {
	b := l.settings.backoff
	lost := time.Now()
	next := b.first
	var told string
	var toldAt time.Time
	hosts := append([]endpoint(nil), l.settings.endpoints...)
	for {
		if !sleep(ctx, pause) {
			return nil
		}
		if b.shuffle {
			rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
		}
		answered := false
		for _, e := range hosts {
			s, err := l.connect(ctx, e)
			if err == nil {
				l.log.Info("connected", "connection", l.role, "broker", e.addr, "after", time.Since(lost).Round(time.Millisecond))
				l.update(func() { l.live, l.why = s, nil })
				return s
			}
			if ctx.Err() != nil {
				return nil
			}
			answered = answered || !notAnswered(err)
			if err.Error() != told || time.Since(toldAt) > remind {
				told, toldAt = err.Error(), time.Now()
				l.log.Warn("cannot connect, will try on", "connection", l.role, "error", err)
			}
			l.update(func() { l.why = err })
		}
		pause = knock/2 + jitter(knock/2)
		if answered {
			pause = next/2 + jitter(next/2)
			next = min(next+b.step, b.most)
		}
	}
}

// notAnswered says that nobody was there to answer: the port is closed, or the name or the host is unknown.
func notAnswered(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// jitter is a random time up to d.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// update changes what the lock guards and wakes all who wait for a change.
func (l *link) update(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	live, blocked := l.live, l.blocked
	f()
	if l.live != live || l.blocked != blocked {
		l.since = time.Now()
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// await returns the first non-nil result of ready, which is called with the lock held, at once and after each
// change. Where ctx ends first, the error says what state the connection is in.
func await[T any](ctx context.Context, l *link, ready func() *T) (*T, error) {
	for {
		l.mu.Lock()
		v, closed, changed := ready(), l.closed, l.changed
		l.mu.Unlock()
		if closed {
			return nil, transport.ErrClosed
		}
		if v != nil {
			return v, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, l.state(ctx.Err())
		}
	}
}

func (l *link) session(ctx context.Context) (*session, error) {
	return await(ctx, l, func() *session { return l.live })
}

// state says what the connection is waiting for, wrapping err.
func (l *link) state(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	span := time.Since(l.since)
	switch {
	case l.live == nil:
		return fmt.Errorf("%w: %w", &transport.OutageError{For: span, Cause: l.why}, err)
	case l.blocked != "":
		return fmt.Errorf("%w: %w", &transport.OutageError{For: span, Blocked: l.blocked}, err)
	}
	return fmt.Errorf("connected to %s for %s: %w", l.live.addr, span.Round(time.Millisecond), err)
}

// close ends the connection and the goroutine, and waits for them. A link that never opened has nothing to close.
func (l *link) close() {
	if l.cancel == nil {
		return
	}
	l.cancel()
	<-l.done
}
