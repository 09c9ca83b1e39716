package rabbit

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/internal/direct"
)

const (
	// stallLimit is how long the broker may refuse to read from us before the connection counts as dead.
	stallLimit = time.Minute
	// lastWords is how long closing waits for what is still to be written.
	lastWords = 250 * time.Millisecond
	// backlogLimit is how many bytes may wait to be written before senders wait too.
	backlogLimit = 1 << 20
	// sharedFor is how long senders leave the writing to the goroutine after several sent at a time.
	sharedFor = 100 * time.Millisecond
	// keepBuffer is the largest write buffer kept for the next round, and keepLarge the largest that is kept after a round that has used
	// a quarter of it or more: so the next small message, or heartbeat, lets it go.
	keepBuffer = 1 << 20
	keepLarge  = 4 << 20
)

// A socket is a net.Conn whose Write only takes the bytes; one goroutine hands them to the kernel. So the
// AMQP library never holds its locks while the network stalls, a sender can give up when its context ends,
// and whatever was written while one system call ran leaves with the next. A sender who is alone hands over itself what the
// kernel takes without waiting, which spares waking the goroutine: see push.
//
// The goroutine ends with Close.
type socket struct {
	net.Conn
	direct *direct.Writer // nil where there is no such way
	limit  time.Duration  // TCP_USER_TIMEOUT
	wake   chan struct{}  // there is something to write; holds one
	done   chan struct{}  // the goroutine has ended
	reads  atomic.Uint64  // how often something was read

	mu sync.Mutex
	rounds
	pending []byte // taken, not yet handed to the kernel
	writing int    // bytes being handed over now
	spare   []byte // the other buffer
	err     error  // why nothing more can be written
	deaf    error  // why nothing more can be read
	closing bool
}

// rounds are the socket's turns at writing. They are counted.
type rounds struct {
	before         []func() // called at the start of the next round, each may Write
	called         []func() // the other slice, empty
	going          bool     // one is
	started, ended uint64
	changed        chan struct{} // closed at the end of a round; nil when nobody waits for it
	pushes         int           // since the last round
	shared         time.Time     // when one last had more than one push to serve
}

// newSocket takes the connection over. Where the other side acknowledges nothing for limit the kernel ends it.
func newSocket(c net.Conn, limit time.Duration) *socket {
	s := &socket{Conn: c, direct: direct.New(c), limit: limit, wake: make(chan struct{}, 1), done: make(chan struct{})}
	_ = setUserTimeout(c, limit) // without it heartbeats decide
	go s.run()
	return s
}

// Write takes p, which leaves with the next round.
func (s *socket) Write(p []byte) (int, error) {
	if err := s.extend(func(pending []byte) []byte { return append(pending, p...) }); err != nil {
		return 0, err
	}
	s.nudge()
	return len(p), nil
}

// extend has f append to what is to be written, which leaves once somebody calls push, or has called atFlush.
func (s *socket) extend(f func(pending []byte) []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.pending = f(s.pending)
	return nil
}

// push has what was taken leave: at once, as far as the kernel takes it, where nobody else has been sending lately; else
// with the goroutine's next round, where it is gathered with what others send.
func (s *socket) push() {
	s.mu.Lock()
	s.pushes++
	alone := s.direct != nil && s.pushes == 1 && time.Since(s.shared) > sharedFor
	s.mu.Unlock()
	if !alone || !s.begin() {
		s.nudge()
		return
	}
	s.round(s.direct)
}

// begin makes the caller the one who writes, unless somebody is.
func (s *socket) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.going {
		return false
	}
	s.going = true
	return true
}

// Read reads, and remembers why that ended: the library does not always pass it on.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.reads.Add(1)
	if err != nil {
		s.mu.Lock()
		s.deaf = cmp.Or(s.deaf, err)
		s.mu.Unlock()
	}
	return n, err
}

// cause says why the connection broke: the end of reading, which tells more, or that of writing.
func (s *socket) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.deaf, s.err)
}

// atFlush has f called at the start of the next round, and returns which that is. It is for the caller to push.
func (s *socket) atFlush(f func()) (round uint64) {
	s.mu.Lock()
	s.before = append(s.before, f)
	round = s.started + 1
	s.mu.Unlock()
	return round
}

// flushed returns when a round is over, and what it wrote is with the kernel.
func (s *socket) flushed(ctx context.Context, round uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ended < round {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// room returns when few enough bytes wait to be written for a sender to go ahead.
func (s *socket) room(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.writing+len(s.pending) > backlogLimit {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait releases the lock until a round has ended.
func (s *socket) wait(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *socket) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *socket) run() {
	defer close(s.done)
	for range s.wake {
		// Whoever is about to write goes first: one system call for many of them.
		runtime.Gosched()
		if s.begin() && s.round(nil) {
			return
		}
	}
}

// write returns when the kernel has all of p.
func (s *socket) write(p []byte) error {
	s.mu.Lock()
	if !s.closing {
		// In the lock, so that it cannot undo the shorter one that Close sets. It only arms a timer.
		_ = s.SetWriteDeadline(time.Now().Add(stallLimit))
	}
	s.mu.Unlock()
	_, err := s.Conn.Write(p)
	return err
}

// round writes what is there, for whoever has begun it: all of it, or what by can, unless that is nil. It returns true when
// it was the last one.
func (s *socket) round(by *direct.Writer) (last bool) {
	s.mu.Lock()
	s.started++
	if s.pushes > 1 {
		s.shared = time.Now()
	}
	s.pushes = 0
	before := s.before
	s.before = s.called
	s.mu.Unlock()
	for _, f := range before {
		f()
	}
	clear(before)

	s.mu.Lock()
	s.called = before[:0]
	buf := s.pending
	s.pending, s.spare = s.spare[:0], nil
	s.writing = len(buf)
	err := s.err
	s.mu.Unlock()
	n := len(buf)
	switch {
	case err != nil || n == 0:
	case by != nil:
		n = by.Write(buf)
	default:
		err = s.write(buf)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.going, s.writing = false, 0
	switch {
	case err == nil && n < len(buf):
		s.pending = append(buf[n:], s.pending...)
	case cap(buf) <= keepBuffer, cap(buf) <= keepLarge && len(buf) >= cap(buf)/4:
		s.spare = buf
	}
	if err == nil && n == len(buf) {
		s.ended = s.started
	}
	if s.err == nil && err != nil {
		s.err = err
		_ = below(s.Conn).Close() // so that the reading side learns of it; err says more than this would
	}
	last = s.closing && len(s.pending) == 0 || s.err != nil
	if last && s.err == nil {
		s.err = net.ErrClosed
	}
	if len(s.pending)+len(s.before) > 0 || last {
		s.nudge() // for whoever found this round going on
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return last
}

// below is the connection below TLS. Closing it does not wait; TLS would say goodbye first, for up to 5 s where nothing
// can be written.
func below(c net.Conn) net.Conn {
	if encrypted, ok := c.(*tls.Conn); ok {
		return encrypted.NetConn()
	}
	return c
}

// bear lets the broker refuse to read for as long as it blocks us, which it says on purpose. It is to be called anew
// within stallLimit.
func (s *socket) bear(blocked bool) {
	limit := s.limit
	if blocked {
		limit = 0
	}
	_ = setUserTimeout(s.Conn, limit) // as in newSocket
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing && s.writing > 0 {
		_ = s.SetWriteDeadline(time.Now().Add(stallLimit)) // fails only when already closed
	}
}

// Close writes what it can within a moment, and closes.
func (s *socket) Close() error {
	s.mu.Lock()
	s.closing = true
	_ = s.SetWriteDeadline(time.Now().Add(lastWords)) // fails only when already closed
	s.mu.Unlock()
	s.nudge()
	<-s.done
	return s.Conn.Close()
}
