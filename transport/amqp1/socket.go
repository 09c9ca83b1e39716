package amqp1

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// crowded is how many bytes may wait for a broker that does not read before senders wait, too. Each of those who
	// are on their way by then adds one message.
	crowded = 1 << 20
	// writeLimit is how long the broker may take no bytes before the connection is given up.
	writeLimit = 30 * time.Second
	// lastWords is how long closing waits for bytes to leave.
	lastWords = 2 * time.Second
)

// A socket writes in a goroutine of its own, so that who sends does not wait for a broker that stopped reading, beyond
// what its context allows: it waits in [connection.room] instead. What is written while the network is busy leaves in
// one piece.
type socket struct {
	net.Conn
	wake   chan struct{}
	closed chan struct{}
	once   sync.Once
	ended  chan struct{} // the goroutine is gone
	full   atomic.Bool   // crowded

	mu      sync.Mutex
	pending []byte
	err     error
	closing bool
	room    chan struct{} // closed when it is crowded no more
}

func newSocket(conn net.Conn) *socket {
	s := &socket{Conn: conn, wake: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{})}
	go s.run() // ends with Close, which waits for it
	return s
}

// Write implements net.Conn. It does not wait. An error is that of an earlier write, which has closed the connection.
func (s *socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return 0, s.err
	}
	s.pending = append(s.pending, b...)
	if len(s.pending) > crowded && s.room == nil {
		s.room = make(chan struct{})
		s.full.Store(true)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return len(b), nil
}

// SetWriteDeadline implements net.Conn. Write does not wait, and needs none.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn: for reading.
func (s *socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

func (s *socket) run() {
	defer close(s.ended)
	var spare []byte
	for open := true; open; {
		select {
		case <-s.wake:
		case <-s.closed:
			open = false
		}
		s.mu.Lock()
		batch := s.pending
		s.pending = spare[:0]
		limit := writeLimit
		if s.closing {
			limit = lastWords
		}
		err := s.Conn.SetWriteDeadline(time.Now().Add(limit))
		s.mu.Unlock()
		if len(batch) == 0 {
			spare = batch
			continue
		}
		if err == nil {
			_, err = s.Conn.Write(batch)
		}
		if spare = batch; cap(spare) > crowded {
			spare = nil
		}
		s.mu.Lock()
		s.err = err
		if s.room != nil && (err != nil || len(s.pending) <= crowded) {
			close(s.room)
			s.room = nil
			s.full.Store(false)
		}
		s.mu.Unlock()
		if err != nil {
			_ = s.Conn.Close() // so that the reading side learns of it
			return
		}
	}
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
	s.once.Do(func() {
		s.mu.Lock()
		s.closing = true
		_ = s.Conn.SetWriteDeadline(time.Now().Add(lastWords)) // of the write that may be under way
		s.mu.Unlock()
		close(s.closed)
	})
	<-s.ended
	return s.Conn.Close()
}
