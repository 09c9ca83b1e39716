package amqp1

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

const (
	// firstRead is how much a connection reads at once; a longer frame makes its buffer grow.
	firstRead = 32 << 10
	// renewed is how often a connection that is busy has its deadline for reading put off.
	renewed = time.Second
)

var (
	errDetached = errors.New("the link was closed")
	errClosed   = errors.New("the broker closed the link, its session or the connection")
	errLost     = errors.New("the connection has ended")
	errTorn     = errors.New("part of a message was the last that was written to the link")
	errTooLong  = errors.New("the message is too long for the broker")
)

// A mux is the net.Conn that go-amqp gets. It lets the library's frames through, and has our links write and read those of messages, of
// what became of them, and of credit. So the library opens and closes connections, sessions and links, and is not there on the way of a message.
//
// It writes whole frames only, so that the library's and ours never mix. It starts no goroutine: what links take they take in the
// library's reader.
type mux struct {
	*socket
	idle     time.Duration // the silence that the library takes for the end; 0 = none
	receipts sync.Pool

	mu       sync.Mutex // acquired before the socket's; guards links, too
	part     []byte     // the beginning of a frame of the library's
	expected map[string]*link
	sessions map[uint16]*session // by our channel

	// Of the library's reader.
	arriving map[uint16]*session // by the broker's channel
	frameMax uint32              // the largest frame that the broker takes
	buf      []byte
	r, w     int    // between them buf holds what was read and not looked at
	theirs   []byte // the library has yet to take it; a part of buf
	due      time.Time
	now      frameBeingRead
}

// frameBeingRead is what is known of a frame, kept here since it would be garbage for each.
type frameBeingRead struct {
	fields list
	got    arrived
}

// A session is one that the library has begun. Guarded by mux.mu.
type session struct {
	channel uint16
	link    *link // its only one, if that is one of ours

	window  uint32 // how many frames we take ahead
	heard   uint32 // so many came since the broker was last told
	nextIn  uint32
	nextOut uint32
	room    int64 // how many frames the broker takes
}

func newMux(s *socket, idle time.Duration) *mux {
	return &mux{
		socket: s, idle: idle, expected: map[string]*link{}, sessions: map[uint16]*session{}, arriving: map[uint16]*session{},
		frameMax: math.MaxUint32, buf: make([]byte, firstRead),
	}
}

// expect has a link that the library is about to attach be ours. forget is to be called if it does not succeed.
func (m *mux) expect(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expected[l.name] = l
}

func (m *mux) forget(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.expected, l.name)
}

// Write takes the library's bytes, which may end in the middle of a frame.
func (m *mux) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.part = append(m.part, p...)
	whole := m.part
	for n := frameSize(whole); n > 0 && n <= len(whole); n = frameSize(whole) {
		m.note(whole[:n])
		whole = whole[n:]
	}
	n := len(m.part) - len(whole)
	if _, err := m.socket.Write(m.part[:n]); err != nil {
		return 0, err
	}
	m.part = append(m.part[:0], whole...)
	return len(p), nil
}

// note looks at a frame of the library's. The lock is held, so that nothing is written to a link that has just been closed.
func (m *mux) note(f frame) {
	performative, fields, _ := f.body()
	switch performative {
	case begin0:
		fields.pass(1) // remote-channel
		m.sessions[f.channel()] = &session{channel: f.channel(), nextOut: fields.number(0), window: fields.number(0)}
	case attach0:
		s, l := m.sessions[f.channel()], m.expected[string(fields.text())]
		if s != nil && l != nil {
			delete(m.expected, l.name)
			l.session, s.link, l.handle = s, l, fields.number(0)
		}
	case detach0, end0:
		if s := m.sessions[f.channel()]; s != nil && s.link != nil {
			s.link.end(errDetached)
		}
	case close0:
		m.endAll(errLost)
	}
}

// Read returns the next frame for the library, or a part of it.
func (m *mux) Read(p []byte) (int, error) {
	for len(m.theirs) == 0 {
		if err := m.next(); err != nil {
			m.lose()
			return 0, err
		}
	}
	n := copy(p, m.theirs)
	m.theirs = m.theirs[n:]
	return n, nil
}

// lose ends all links.
func (m *mux) lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endAll(errLost)
}

// endAll is lose where the lock is held.
func (m *mux) endAll(why error) {
	for _, s := range m.sessions {
		if s.link != nil {
			s.link.end(why)
		}
	}
}

// Close implements net.Conn.
func (m *mux) Close() error {
	m.lose()
	return m.socket.Close()
}

// next deals with the next frame, or reads on where it is not whole.
func (m *mux) next() error {
	ahead := m.buf[m.r:m.w]
	n := frameSize(ahead)
	switch {
	case len(ahead) < 4:
		return m.fill(frameHeader)
	case n < frameHeader:
		return fmt.Errorf("%w: a frame of %d bytes", errSyntax, n)
	case n > len(ahead):
		return m.fill(n)
	}
	m.r += n
	f := frame(ahead[:n])
	ours, err := m.take(f)
	switch got := m.now.got; {
	case err != nil:
		return err
	case got.by != nil:
		got.by.receive(got.message)
	case !ours:
		m.theirs = f
	}
	return nil
}

// fill reads until the buffer may hold n bytes, once.
func (m *mux) fill(n int) error {
	if n > largestFrame {
		return fmt.Errorf("%w: a frame of %d bytes", errSyntax, n)
	}
	if m.r == m.w || m.r+n > len(m.buf) {
		to := m.buf
		if n > len(to) {
			to = make([]byte, max(n, 2*len(to)))
		}
		m.r, m.w, m.buf = 0, copy(to, m.buf[m.r:m.w]), to
	}
	if now := time.Now(); m.idle > 0 && now.After(m.due) { // the library puts it off when it reads, which may be never again
		m.due = now.Add(min(renewed, m.idle/4))
		_ = m.SetReadDeadline(now.Add(m.idle))
	}
	got, err := m.Conn.Read(m.buf[m.w:])
	m.w += got
	if got > 0 {
		return nil // an error comes again
	}
	return err
}

// take looks at a frame of the broker's, and deals with it if it is ours: it is about messages on a link of ours.
func (m *mux) take(f frame) (ours bool, err error) {
	performative, body, rest := f.body()
	m.now = frameBeingRead{fields: body}
	fields := &m.now.fields
	if performative == 0 || fields.err != nil { // of the latter the library says what is wrong
		return false, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch performative {
	case open0:
		fields.pass(2) // container-id, hostname
		m.frameMax = max(fields.number(math.MaxUint32), 512)
		return false, nil
	case begin0:
		if s := m.sessions[uint16(fields.number(math.MaxUint16))]; s != nil {
			s.nextIn, s.room = fields.number(0), int64(fields.number(0))
			m.arriving[f.channel()] = s
		}
		return false, nil
	case close0:
		m.endAll(closedBy(fields))
		return false, nil
	}
	s := m.arriving[f.channel()]
	if s == nil {
		return false, nil
	}
	if performative == end0 {
		delete(m.arriving, f.channel())
		if m.sessions[s.channel] == s {
			delete(m.sessions, s.channel)
		}
	}
	if s.link == nil {
		if performative == flow0 {
			s.flow(fields) // a link that is attached next begins with that; the library answers
		}
		return false, nil
	}
	ours, err = s.link.take(performative, fields, rest, &m.now.got)
	if err == nil {
		err = fields.err
	}
	return ours, err
}
