package nats

import (
	"net"
	"sync"
	"sync/atomic"
)

// crowded is how many bytes may wait for a server that does not read before senders wait, too. Each of those
// who are on their way by then adds one message.
const crowded = 1 << 20

// A socket writes in a goroutine of its own. nats.go writes while it holds the lock that every sender needs: a
// server or network that stopped taking bytes would hold all of them for a minute, whatever their contexts say.
// Here they wait in [Conn.await] instead.
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
	room    chan struct{} // closed when it is crowded no more
}

func newSocket(conn net.Conn) *socket {
	s := &socket{Conn: conn, wake: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{})}
	go s.run() // ends with Close, which waits for it
	return s
}

// Write implements net.Conn. It does not wait; the deadline for writing has no effect. An error is that of an
// earlier write, which has closed the connection.
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

func (s *socket) run() {
	defer close(s.ended)
	var spare []byte
	for {
		select {
		case <-s.wake:
		case <-s.closed:
			return
		}
		s.mu.Lock()
		batch := s.pending
		s.pending = spare[:0]
		s.mu.Unlock()
		_, err := s.Conn.Write(batch)
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

// Close implements net.Conn.
func (s *socket) Close() error {
	s.once.Do(func() { close(s.closed) })
	err := s.Conn.Close()
	<-s.ended
	return err
}
