package nats

import (
	"bytes"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/goslo/goslo/internal/direct"
)

const (
	// crowded is how many bytes may wait for a server that does not read before senders wait, too. Each of those
	// who are on their way by then adds one message.
	crowded = 1 << 20
	// sharedFor is how long senders leave the writing to the goroutine after several sent at a time.
	sharedFor = 100 * time.Millisecond
	// longestLine is how many bytes of subjects a line may have: servers end the connection of who writes longer lines than their
	// max_control_line, 4096, and nats.go does not come back then.
	longestLine = 4000
)

// errAway: there is no connection that takes messages at this moment.
var errAway = errors.New("the connection is away")

// A socket is the net.Conn that nats.go gets. What nats.go writes, and what we publish, is gathered and written by a goroutine of the
// socket's: a server or network that stopped taking bytes would hold every sender for a minute otherwise, whatever their contexts
// say. Here they wait in [Conn.await] instead. A sender who is alone writes what the kernel takes at once himself, which spares waking the
// goroutine. What is read goes through the reader, which keeps messages for subscriptions of ours from nats.go.
type socket struct {
	net.Conn
	in     reader
	direct *direct.Writer // nil where there is no such way
	wake   chan struct{}
	closed chan struct{}
	once   sync.Once
	ended  chan struct{} // the goroutine is gone
	full   atomic.Bool   // crowded
	server atomic.Pointer[serverInfo]

	mu sync.Mutex
	turns
	open    bool // the server has let us in: messages may be published
	pending []byte
	spare   []byte // the other buffer
	err     error
	room    chan struct{} // closed when it is crowded no more
}

// turns say who writes. Guarded by socket.mu.
type turns struct {
	writing bool      // somebody does
	sent    int       // messages since the last turn began
	shared  time.Time // when one last had more than one message
}

// newSocket takes a connection over. The server has said info, which may be more than a line.
func newSocket(conn net.Conn, info []byte, s *subscriptions) *socket {
	k := &socket{Conn: conn, direct: direct.New(conn), wake: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{})}
	k.in = reader{socket: k, subscriptions: s, theirs: info}
	k.server.Store(&serverInfo{})
	line, _, _ := bytes.Cut(info, []byte("\n"))
	k.learn(line)
	go k.run() // ends with Close, which waits for it
	return k
}

// Read returns what is for nats.go to read.
func (s *socket) Read(p []byte) (int, error) { return s.in.read(p) }

// Write takes what nats.go writes. It does not wait. An error is that of an earlier write, which has closed the connection.
func (s *socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.pending = append(s.pending, b...)
	s.crowds()
	s.nudge()
	return len(b), nil
}

// SetWriteDeadline has no effect, as nats.go's writes do not wait.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is for what nats.go reads while it connects.
func (s *socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// learn reads what the server says of itself.
func (s *socket) learn(line []byte) {
	if info, ok := parseInfo(line); ok {
		s.server.Store(&info)
	}
}

// publish takes one message. It does not wait. The error is errAway, nats.ErrBadSubject, nats.ErrMaxPayload, or
// nats.ErrHeadersNotSupported.
func (s *socket) publish(subject, reply []byte, h header, body []byte) error {
	if len(subject) == 0 || len(subject)+len(reply) > longestLine {
		return nats.ErrBadSubject
	}
	if server := s.server.Load(); int64(len(h)+len(body)) > server.MaxPayload {
		return nats.ErrMaxPayload
	} else if h != nil && !server.Headers {
		return nats.ErrHeadersNotSupported
	}
	s.mu.Lock()
	if s.err != nil || !s.open {
		s.mu.Unlock()
		return errAway
	}
	s.pending = appendPublication(s.pending, subject, reply, h, body)
	s.crowds()
	s.sent++
	if s.direct == nil || s.writing || s.sent > 1 || time.Since(s.shared) < sharedFor {
		s.nudge()
		s.mu.Unlock()
		return nil
	}
	batch := s.begin()
	s.mu.Unlock()
	s.end(batch, s.direct.Write(batch), nil)
	return nil
}

// control takes a line that is no message, as long as the connection lasts.
func (s *socket) control(line func(pending []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.pending = line(s.pending)
		s.nudge()
	}
}

// admit has messages published from now on, after what first writes.
func (s *socket) admit(first func(pending []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
	s.pending = first(s.pending)
	s.nudge()
}

// fail has nothing be taken any more, as the connection can be read no more.
func (s *socket) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.crowds()
}

// crowds makes senders wait, or go on. The mutex is held.
func (s *socket) crowds() {
	switch full := len(s.pending) > crowded && s.err == nil; {
	case full && s.room == nil:
		s.room = make(chan struct{})
		s.full.Store(true)
	case !full && s.room != nil:
		close(s.room)
		s.room = nil
		s.full.Store(false)
	}
}

func (s *socket) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// begin makes the caller the one who writes: what is returned. The mutex is held, and nobody writes.
func (s *socket) begin() []byte {
	if s.sent > 1 {
		s.shared = time.Now()
	}
	s.sent = 0
	s.writing = true
	batch := s.pending
	s.pending, s.spare = s.spare[:0], nil
	return batch
}

// end says that the kernel has n bytes of the batch, or why no more can be written.
func (s *socket) end(batch []byte, n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	switch {
	case err != nil:
		if s.err == nil {
			s.err = err
		}
	case n < len(batch):
		s.pending = append(batch[n:], s.pending...)
	case cap(batch) <= crowded:
		s.spare = batch
	}
	s.crowds()
	if len(s.pending) > 0 {
		s.nudge() // for whoever found us writing
	}
}

func (s *socket) run() {
	defer close(s.ended)
	for {
		select {
		case <-s.wake:
		case <-s.closed:
			return
		}
		runtime.Gosched() // whoever is about to send goes first: one system call for many of them
		s.mu.Lock()
		if s.writing || len(s.pending) == 0 {
			s.mu.Unlock()
			continue
		}
		batch := s.begin()
		s.mu.Unlock()
		n, err := s.Conn.Write(batch)
		s.end(batch, n, err)
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
