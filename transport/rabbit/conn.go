package rabbit

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// goodbye is how long closing waits for the broker's answer.
const goodbye = 2 * time.Second

// leavingAtOnce is how many listeners of a connection leave at the same time.
const leavingAtOnce = 16

// A session is one live connection. It owns the goroutines of its setup channel and of its signs of life, and those in
// link.inside.
type session struct {
	conn   *amqp.Connection
	sock   *mux
	addr   string
	closes chan *amqp.Error
	blocks chan amqp.Blocking
	jobs   chan job
	asks   chan struct{} // holds one

	besides chan func()   // see beside
	slots   chan struct{} // one taken for each of them that runs
	checked

	gone chan struct{} // closed when the connection has ended
	why  error         // written before gone is closed

	limit    atomic.Int64 // the most bytes of a body that the broker takes
	declared declarations // by this session, for publishing
	running  sync.WaitGroup
}

// checked is how a session is checked, and its listeners.
type checked struct {
	rota  rota
	awake atomic.Pointer[amqp.Channel] // a channel that may be asked for signs of life; nil = none may be. The broker puts others to sleep
}

// discard ends a session that nobody has used.
func (s *session) discard() {
	_ = s.conn.CloseDeadline(time.Now().Add(lastWords)) // nobody waits for the broker's answer
	_ = s.sock.Close()                                  // it is closed already, unless that failed
}

// A link keeps one connection up: it dials, watches, and dials again for ever. One goroutine, which ends with close,
// and while its broker does not answer a search.
type link struct {
	settings *settings
	role     string // "send" or "listen", for logs
	log      *slog.Logger
	inside   []func(*session) // what runs in each session, in goroutines of the session
	sibling  *link            // the same process's other one, most likely at the same broker
	checks   chan struct{}    // holds one; see check
	joins    chan struct{}    // holds one; see join
	turns    chan struct{}    // one taken for each listener that is leaving; see inTurn
	hosts    hosts
	cancel   context.CancelFunc
	done     chan struct{}

	mu sync.Mutex
	condition
}

// condition is what others may know of a link, guarded by its lock.
type condition struct {
	live    *session
	why     error     // while there is no session: what went wrong last
	since   time.Time // when live or blocked last changed
	blocked string    // why the broker takes nothing, "" = it does
	silent  time.Time // since when live's broker has not answered; zero = it does
	closed  bool
	changed chan struct{} // closed and replaced with every change of the above
	record  record
}

func newLink(s *settings, role string, log *slog.Logger) *link {
	return &link{
		settings: s, role: role, log: log, hosts: newHosts(s.endpoints, s.backoff), checks: make(chan struct{}, 1), joins: make(chan struct{}, 1), done: make(chan struct{}),
		turns:     make(chan struct{}, leavingAtOnce),
		condition: condition{since: time.Now(), changed: make(chan struct{})},
	}
}

// open connects for the first time: every host is tried once, and the error tells about all of them.
func (l *link) open(ctx context.Context) error {
	s, err := l.pursue(ctx, true)
	if err == nil {
		l.start(ctx, s)
	}
	return err
}

// start has the goroutine keep up s or, where s is nil, connect first. It takes ctx's values only.
func (l *link) start(ctx context.Context, s *session) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	go l.run(own, s)
}

func (l *link) connect(ctx context.Context, e endpoint) (*session, error) {
	conn, sock, err := l.settings.dial(ctx, e)
	if err != nil {
		return nil, err
	}
	s := &session{
		conn: conn, sock: sock, addr: e.addr,
		closes:  conn.NotifyClose(make(chan *amqp.Error, 1)),
		blocks:  conn.NotifyBlocked(make(chan amqp.Blocking, 8)),
		jobs:    make(chan job),
		asks:    make(chan struct{}, 1),
		besides: make(chan func()), slots: make(chan struct{}, maxBeside),
		checked: checked{rota: newRota()},
		gone:    make(chan struct{}),
	}
	s.limit.Store(l.settings.bodyLimit(conn.Properties))
	return s, nil
}

func (l *link) run(ctx context.Context, s *session) {
	defer close(l.done)
	if s == nil {
		s, _ = l.pursue(ctx, false) // it has logged what went wrong
	}
	for s != nil {
		l.adopt(s)
		next, why := l.watch(ctx, s)
		lost := time.Now()
		l.drop(s, why)
		if ctx.Err() == nil {
			l.log.Warn("connection lost, will reconnect", "connection", l.role, "broker", s.addr, "error", why)
			l.sibling.check()
		}
		if next == nil {
			l.hosts.lost(s.addr)
			sleep(ctx, l.settings.backoff.before())
			next = l.search(ctx)
		}
		s = <-next.found
		next.cancel()
		if s != nil {
			l.update(func() { l.record.reconnects++ })
			l.log.Info("connected", "connection", l.role, "broker", s.addr, "after", time.Since(lost).Round(time.Millisecond))
		}
	}
	l.update(func() { l.closed = true })
}

// adopt has everybody use s.
func (l *link) adopt(s *session) {
	s.running.Go(s.work)
	s.running.Go(s.answer)
	for _, f := range l.inside {
		s.running.Go(func() { f(s) })
	}
	l.update(func() { l.live, l.why = s, nil })
}

// drop ends s and waits for its goroutines.
func (l *link) drop(s *session, why error) {
	l.update(func() { l.live, l.why, l.blocked, l.silent = nil, why, "", time.Time{} })
	s.why = why
	close(s.gone)
	_ = s.sock.Close() // it may be closed already
	s.running.Wait()
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
		now := time.Now()
		l.record.passed(now.Sub(l.since), live, blocked)
		l.record.opened = l.record.opened || l.live != nil
		l.since = now
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

// inTurn runs what ends consumers or queues of one of the session's listeners, few at a time: where a process with a thousand of them
// stops, each gets the time that the broker may take to answer, and none wastes it behind the others. It does not wait when ctx or the session ends.
func (l *link) inTurn(ctx context.Context, s *session, f func()) {
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-s.gone:
	case <-ctx.Done():
	}
	f()
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
	case !l.silent.IsZero():
		return fmt.Errorf("%w: %w", &transport.OutageError{For: time.Since(l.silent), Cause: fmt.Errorf("%s does not answer", l.live.addr)}, err)
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
