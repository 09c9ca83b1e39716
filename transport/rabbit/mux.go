package rabbit

import (
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// firstRead is how much a connection reads at once; a longer frame makes its buffer grow.
	firstRead = 16 << 10
	// alive is how often the library, which counts silence, learns that frames came which it did not see. The shortest
	// silence that it takes for the end is 1.5 s, and a broker may take a second to send its first heartbeat.
	alive = 250 * time.Millisecond
)

// A mux is the net.Conn that the AMQP library gets. It lets the library's frames through, and has our channels read
// and write those of messages, confirms and acknowledgements. So the library opens and closes connections and
// channels, declares, sends heartbeats, and is not there on the way of a message.
//
// It writes whole frames only, so that the library's and ours never mix. It starts no goroutine: what channels
// take they take in the library's reader.
type mux struct {
	*socket
	opening sync.Mutex // held while a channel is opened: opened is its number

	mu       sync.Mutex // acquired before the socket's
	part     []byte     // the beginning of a frame of the library's
	greeted  bool       // the protocol header was written
	opened   uint16     // the last channel that the library opened
	channels map[uint16]*channel

	// Of the library's reader.
	buf    []byte
	r, w   int       // between them buf holds what was read and not looked at
	theirs []byte    // the library has yet to take it; a part of buf
	missed bool      // frames were taken since it got the last
	beat   time.Time // when it was last told so
}

func newMux(s *socket) *mux {
	return &mux{socket: s, channels: make(map[uint16]*channel), buf: make([]byte, firstRead), beat: time.Now()}
}

// channel opens a channel of the library's, and says its number. Every channel of the connection is opened here,
// one at a time, because the library does not tell.
func (m *mux) channel(conn *amqp.Connection) (*amqp.Channel, uint16, error) {
	m.opening.Lock()
	defer m.opening.Unlock()
	ch, err := conn.Channel()
	m.mu.Lock()
	defer m.mu.Unlock()
	return ch, m.opened, err
}

// open opens a channel whose messages are ours to read and write.
func (m *mux) open(conn *amqp.Connection, returned func(amqp.Return)) (*channel, error) {
	ch, number, err := m.channel(conn)
	if err != nil {
		return nil, err
	}
	c := &channel{Channel: ch, mux: m, number: number, most: conn.Config.FrameSize, returned: returned}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.channels[number] = c
	return c, nil
}

// Write takes the library's bytes, which may end in the middle of a frame.
func (m *mux) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.part = append(m.part, p...)
	whole := m.part
	if !m.greeted && len(whole) >= protocolHeader {
		m.greeted, whole = true, whole[protocolHeader:]
	}
	for m.greeted {
		n := frameSize(whole)
		if n > len(whole) {
			break
		}
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

// note looks at a frame of the library's. The caller holds the lock, so that nothing is written to a channel
// that has just been closed.
func (m *mux) note(f frame) {
	switch f.method() {
	case channelOpen:
		m.opened = f.channel()
	case channelClose, channelCloseOk:
		if c := m.channels[f.channel()]; c != nil {
			c.closed = true
			delete(m.channels, f.channel())
		}
	}
}

// Read returns the next frame for the library, or a part of it.
func (m *mux) Read(p []byte) (int, error) {
	for len(m.theirs) == 0 {
		if err := m.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, m.theirs)
	m.theirs = m.theirs[n:]
	return n, nil
}

// next deals with the next frame, or reads on where it is not whole.
func (m *mux) next() error {
	ahead := m.buf[m.r:m.w]
	n := frameSize(ahead)
	switch {
	case len(ahead) > 0 && !known(ahead[0]): // no AMQP: the library says so
		m.theirs, m.r = ahead, m.w
		return nil
	case n > len(ahead):
		return m.fill(n)
	}
	m.r += n
	f := frame(ahead[:n])
	m.mu.Lock()
	c := m.channels[f.channel()]
	m.mu.Unlock()
	if c != nil && f[n-1] == frameEnd {
		if ours, err := c.take(f); ours || err != nil {
			m.missed = true
			return err
		}
	}
	m.theirs, m.missed = f, false
	return nil
}

// fill reads until the buffer may hold n bytes, once. The library closes a connection that it hears nothing from;
// so, where all that came was taken from it, it gets a heartbeat instead.
func (m *mux) fill(n int) error {
	if m.missed && time.Since(m.beat) > alive {
		m.theirs, m.missed, m.beat = []byte{frameHeartbeat, 0, 0, 0, 0, 0, 0, frameEnd}, false, time.Now()
		return nil
	}
	if n > frameMax {
		return fmt.Errorf("%w: it has %d bytes, and the most is %d", errSyntax, n, frameMax)
	}
	if m.r == m.w || m.r+n > len(m.buf) {
		to := m.buf
		if n > len(to) {
			to = make([]byte, max(n, 2*len(to)))
		}
		m.r, m.w, m.buf = 0, copy(to, m.buf[m.r:m.w]), to
	}
	got, err := m.socket.Read(m.buf[m.w:])
	m.w += got
	if got > 0 {
		return nil // an error comes again
	}
	return err
}
