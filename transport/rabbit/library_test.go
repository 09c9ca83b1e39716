package rabbit

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	amqp "github.com/rabbitmq/amqp091-go"
)

// What we rely on in the AMQP library beyond what it documents (docs/adr/0017), with a broker that says what no real one
// can be made to say, or not at a given moment.

// A scripted broker opens connections, channels and consumers, answers questions by the script, and reads all else.
type scripted struct {
	net.Conn // none
	script   func(m uint32, channel uint16) []byte

	mu      sync.Mutex
	changed *sync.Cond
	greeted bool
	part    []byte // of what the client writes
	answers []byte
	closed  bool
}

func newScripted(script func(m uint32, channel uint16) []byte) *scripted {
	s := &scripted{script: script}
	s.changed = sync.NewCond(&s.mu)
	return s
}

const (
	connectionStartOk = 10<<16 | 11
	connectionOpen    = 10<<16 | 40
	connectionClose   = 10<<16 | 50
)

// appendMethod appends a method frame.
func appendMethod(dst []byte, channel uint16, method uint32, arguments ...byte) []byte {
	dst, start := openFrame(dst, frameMethod, channel)
	dst = append(binary.BigEndian.AppendUint32(dst, method), arguments...)
	return closeFrame(dst, start)
}

func (s *scripted) answer(f frame) []byte {
	if said := s.script(f.method(), f.channel()); said != nil {
		return said
	}
	switch f.method() {
	case connectionStartOk:
		return appendMethod(nil, 0, 10<<16|30, 0, 0, 0, 2, 0, 0, 0, 0) // tune: frames of 128 KiB, no heartbeats
	case connectionOpen:
		return appendMethod(nil, 0, 10<<16|41, 0)
	case connectionClose:
		return appendMethod(nil, 0, 10<<16|51)
	case channelOpen:
		return appendMethod(nil, f.channel(), 20<<16|11, 0, 0, 0, 0)
	case channelClose:
		return appendMethod(nil, f.channel(), channelCloseOk)
	case basicConsume:
		return appendMethod(nil, f.channel(), classBasic<<16|21, 1, '1')
	}
	return nil
}

func (s *scripted) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part = append(s.part, p...)
	if !s.greeted && len(s.part) >= protocolHeader {
		s.greeted, s.part = true, s.part[protocolHeader:]
		start := append([]byte{0, 9, 0, 0, 0, 0}, "\x00\x00\x00\x05PLAIN\x00\x00\x00\x05en_US"...)
		s.answers = appendMethod(s.answers, 0, 10<<16|10, start...)
	}
	for s.greeted && frameSize(s.part) <= len(s.part) {
		n := frameSize(s.part)
		s.answers = append(s.answers, s.answer(s.part[:n])...)
		s.part = s.part[n:]
	}
	s.changed.Broadcast()
	return len(p), nil
}

func (s *scripted) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.answers) == 0 && !s.closed {
		s.changed.Wait()
	}
	if s.closed {
		return 0, io.EOF
	}
	n := copy(p, s.answers)
	s.answers = s.answers[n:]
	return n, nil
}

func (s *scripted) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
	return nil
}

func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

func openScripted(t *testing.T, conn net.Conn) *amqp.Connection {
	t.Helper()
	c, err := amqp.Open(conn, amqp.Config{SASL: []amqp.Authentication{&amqp.PlainAuth{}}, Vhost: "/", Locale: "en_US"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is on its way for a channel that was just closed is the library's to read, the rest of a message included. It
// drops it, and the connection lives on.
func TestLibraryDropsWhatComesAfterClose(t *testing.T) {
	t.Parallel()
	first := true
	s := newScripted(func(method uint32, channel uint16) []byte {
		delivery := appendDelivery(nil, channel, "1", []byte("body"))
		begin := frameSize(delivery)
		switch {
		case method == basicConsume:
			ok := appendMethod(nil, channel, classBasic<<16|21, 1, '1')
			return append(ok, delivery[:begin]...) // the header and the body are still to come
		case method == channelClose && first:
			first = false
			late := appendDelivery(delivery[begin:], channel, "1", []byte("body"))
			late = appendAck(late, channel, 1, false)
			late = appendMethod(late, channel, basicNack, 0, 0, 0, 0, 0, 0, 0, 1, 0)
			return appendMethod(late, channel, channelCloseOk)
		}
		return nil
	})
	m := newMux(newSocket(s, 0))
	conn := openScripted(t, m)
	defer func() { _ = conn.Close() }()
	ch := openChannel(t, conn, m, nil)
	in, err := ch.consume("q", "1", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	again := openChannel(t, conn, m, nil)
	fresh, err := again.consume("q", "1", 1, nil)
	if err != nil || conn.IsClosed() {
		t.Fatalf("%v, connection closed: %t", err, conn.IsClosed())
	}
	if len(in)+len(fresh) > 0 {
		t.Errorf("%d and %d deliveries; no message was delivered whole while its channel was open", len(in), len(fresh))
	}
}

// FuzzProperties has a message delivered with any properties: what we take the library takes, and reads the same.
func FuzzProperties(f *testing.F) {
	f.Add(appendProperties(nil, &publication{}))
	f.Add(appendProperties(nil, &publication{expires: time.Minute, probe: &posting{id: "id", besides: []string{"q"}}, compression: "gzip"}))
	f.Add(appendProperties(nil, &publication{headers: map[string]string{"a": "1", "b": ""}, compression: "gzip"}))
	f.Add([]byte("\xff\xfc\x01t\x01e\x00\x00\x00\x00\x02\x01\x01c\x01r\x01x\x01m\x00\x00\x00\x00\x00\x00\x00\x01\x01t\x01u\x01a\x01k"))
	table := func(fields string) []byte {
		return append([]byte{0x20, 0, 0, 0, 0, byte(len(fields))}, fields...)
	}
	f.Add(table("\x01aF\x00\x00\x00\x0e\x01bF\x00\x00\x00\x07\x01cS\x00\x00\x00\x00\x01dV"))
	f.Add(table("\x01aA\x00\x00\x00\x07t\x01VB\x01s\x00\x01\x01bx\x00\x00\x00\x01y\x01cD\x02\x00\x00\x00\x05"))
	f.Add(table("\x01ad\x7f\xf8\x00\x00\x00\x00\x00\x01\x01bf\x7f\xc0\x00\x01\x01cT\xff\xff\xff\xff\xff\xff\xff\xff\x01dl\x80\x00\x00\x00\x00\x00\x00\x00"))
	f.Add(table("\x01aS\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, properties []byte) {
		if len(properties) > 8<<10 {
			return // the library takes no more than 8192 entries of a table
		}
		body := []byte("body")
		delivery := appendDelivery(nil, 1, "1", body)
		frames := delivery[:frameSize(delivery)]
		frames, start := openFrame(frames[:len(frames):len(frames)], frameHeader, 1)
		frames = append(frames, 0, classBasic, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(body)))
		frames = closeFrame(append(frames, properties...), start)
		frames, start = openFrame(frames, frameBody, 1)
		frames = closeFrame(append(frames, body...), start)

		ours := make(chan *amqp.Delivery, 1)
		m := newMux(&socket{Conn: &chunked{left: frames, size: 1 << 20}})
		m.channels[1] = &channel{mux: m, number: 1, consumers: map[string]*consumer{"1": {tag: "1", in: ours}}}
		if _, err := io.ReadAll(m); err != nil {
			return // it ends the connection
		}

		conn := openScripted(t, newScripted(func(method uint32, channel uint16) []byte {
			if method != basicConsume {
				return nil
			}
			return append(appendMethod(nil, channel, classBasic<<16|21, 1, '1'), frames...)
		}))
		defer func() { _ = conn.Close() }()
		ch, err := conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := ch.Consume("q", "1", false, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, ok := <-theirs
		if !ok {
			t.Fatalf("the library does not take %q", properties)
		}
		if d := cmp.Diff(&want, <-ours, cmpopts.IgnoreFields(amqp.Delivery{}, "Acknowledger"), cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); d != "" {
			t.Errorf("-library +ours:\n%s", d)
		}
	})
}
