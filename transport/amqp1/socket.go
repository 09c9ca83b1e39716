package amqp1

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/internal/direct"
)

const (
	// crowded is how many bytes may wait for a broker that does not read before senders wait, too. Each of those who
	// are on their way by then adds one message.
	crowded = 1 << 20
	// writeLimit is how long the broker may take no bytes before the connection is given up.
	writeLimit = 30 * time.Second
	// lastWords is how long closing waits for bytes to leave.
	lastWords = 2 * time.Second
	// sharedFor is how long senders leave the writing to the goroutine after several sent at a time.
	sharedFor = 100 * time.Millisecond
)

// A socket writes in a goroutine of its own, so that who sends does not wait for a broker that stopped reading, beyond
// what its context allows: it waits in [connection.room] instead. What is written while the network is busy leaves in
// one piece. A sender who is alone writes what the kernel takes at once himself, which spares waking the goroutine.
type socket struct {
	net.Conn
	direct *direct.Writer // nil where there is no such way
	wake   chan struct{}
	ended  chan struct{} // the goroutine is gone
	full   atomic.Bool   // crowded

	mu sync.Mutex
	turns
	pending []byte
	spare   []byte    // the other buffer
	limited time.Time // when the deadline for writing was last put off
	err     error
	closing bool
	room    chan struct{} // closed when it is crowded no more
}

// turns say who writes. Guarded by socket.mu.
type turns struct {
	writing bool      // somebody does
	pushes  int       // since the last turn began
	shared  time.Time // when one last had more than one
}

func newSocket(conn net.Conn) *socket {
	s := &socket{Conn: conn, direct: direct.New(conn), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.run() // ends with Close, which waits for it
	return s
}

// Write implements net.Conn. It does not wait. An error is that of an earlier write, which has closed the connection.
func (s *socket) Write(b []byte) (int, error) {
	if err := s.extend(func(pending []byte) []byte { return append(pending, b...) }); err != nil {
		return 0, err
	}
	s.nudge()
	return len(b), nil
}

// extend has f append to what is to be written, which nudge or push has leave.
func (s *socket) extend(f func(pending []byte) []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.pending = f(s.pending)
	if len(s.pending) > crowded && s.room == nil {
		s.room = make(chan struct{})
		s.full.Store(true)
	}
	return nil
}

func (s *socket) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// push has what a message was appended to leave, as far as the kernel takes it before it returns if nobody else sends.
func (s *socket) push() {
	s.mu.Lock()
	s.pushes++
	if s.direct == nil || s.writing || s.pushes > 1 || s.closing || s.err != nil || time.Since(s.shared) < sharedFor {
		s.nudge()
		s.mu.Unlock()
		return
	}
	batch := s.begin()
	s.mu.Unlock()
	s.end(batch, s.direct.Write(batch), nil)
}

// SetWriteDeadline implements net.Conn. Write does not wait, and needs none.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn: for reading.
func (s *socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// begin makes the caller the one who writes: what is returned. The mutex is held, and nobody writes.
func (s *socket) begin() []byte {
	if s.pushes > 1 {
		s.shared = time.Now()
	}
	s.pushes, s.writing = 0, true
	batch := s.pending
	s.pending, s.spare = s.spare[:0], nil
	return batch
}

// end says that the kernel has n bytes of the batch, or why no more can be written. It returns true when nothing is to be written any more.
func (s *socket) end(batch []byte, n int, err error) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	switch {
	case err != nil:
		s.err = err
	case n < len(batch):
		s.pending = append(batch[n:], s.pending...)
	case cap(batch) <= crowded:
		s.spare = batch
	}
	if s.room != nil && (s.err != nil || len(s.pending) <= crowded) {
		close(s.room)
		s.room = nil
		s.full.Store(false)
	}
	last = s.err != nil || s.closing && len(s.pending) == 0
	if len(s.pending) > 0 || last {
		s.nudge() // for whoever found us writing
	}
	return last
}

func (s *socket) run() {
	defer close(s.ended)
	for range s.wake {
		runtime.Gosched() // whoever is about to send goes first: one system call for many of them
		s.mu.Lock()
		if s.writing {
			s.mu.Unlock()
			continue
		}
		batch, err := s.begin(), s.limit()
		s.mu.Unlock()
		n := len(batch)
		if n > 0 && err == nil {
			n, err = s.Conn.Write(batch)
		}
		last := s.end(batch, n, err)
		if err != nil {
			_ = s.Conn.Close() // so that the reading side learns of it
		}
		if last {
			return
		}
	}
}

// limit bounds how long a write may take. The mutex is held.
func (s *socket) limit() error {
	now := time.Now()
	if s.closing || now.Sub(s.limited) < writeLimit/10 {
		return nil
	}
	s.limited = now
	return s.Conn.SetWriteDeadline(now.Add(writeLimit))
}

// crowd is nil, or closed when senders may go on.
func (s *socket) crowd() <-chan struct{} {
	if !s.full.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room
}

// Close implements net.Conn. What was written before leaves first, where the broker takes it.
func (s *socket) Close() error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		_ = s.Conn.SetWriteDeadline(time.Now().Add(lastWords)) // of the write that may be under way, too
	}
	s.mu.Unlock()
	s.nudge()
	<-s.ended
	return s.Conn.Close()
}
