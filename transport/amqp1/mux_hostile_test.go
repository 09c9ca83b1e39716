package amqp1

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/Azure/go-amqp"
)

// bytesOf is a connection from which so many bytes are read.
type bytesOf struct {
	net.Conn
	b []byte
}

func (c *bytesOf) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, net.ErrClosed
	}
	n := copy(p, c.b)
	c.b = c.b[n:]
	return n, nil
}

// Whatever bytes come, reading ends where they do, or before.
func FuzzRead(f *testing.F) {
	f.Add(make([]byte, 2*firstRead))
	f.Add([]byte("AMQP\x00\x01\x00\x00"))
	f.Add([]byte{0, 0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 7})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte(slices.Concat(
		performative(1, transfer0, 6, []byte{typeUint0, typeUint0, typeBinary8, 1, 0, typeUint0, typeFalse, typeTrue}, []byte("a part")),
		performative(1, transfer0, 6, []byte{typeUint0, typeNull, typeNull, typeNull, typeFalse, typeFalse}, []byte("the rest")),
	)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, _, _ := attachedLinks(t)
		m.Conn = &bytesOf{m.Conn, data}
		ended := make(chan struct{})
		go func() { // ends with the test, or hangs, which fails it
			defer close(ended)
			for p := make([]byte, 4096); ; {
				if _, err := m.Read(p); err != nil {
					return
				}
			}
		}()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("still reading")
		}
	})
}

// A message whose sender gives up when part of it has left is nobody else's beginning: nothing more is written to its link.
func TestNothingFollowsAPartOfAMessage(t *testing.T) {
	t.Parallel()
	m, out, _ := attachedLinks(t)
	m.frameMax, out.credit, out.session.room = 512, 10, 3
	type result struct {
		left bool
		err  error
	}
	long, short := make(chan result, 1), make(chan result, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, left, err := out.send(ctx, &parcel{head: make([]byte, 100), body: make([]byte, 2000)}, false)
		long <- result{left, err}
	}()
	awaitLocked(m, func() bool { return out.session.nextOut == 3 })
	go func() {
		_, left, err := out.send(t.Context(), &parcel{head: []byte("h"), body: []byte("b")}, false)
		short <- result{left, err}
	}()
	awaitLocked(m, func() bool { return out.queued == 2 })
	m.mu.Lock()
	out.session.room = 100
	m.mu.Unlock()
	cancel()
	if r := <-long; !r.left || !errors.Is(r.err, context.Canceled) {
		t.Errorf("the long one: left %v, %v", r.left, r.err)
	}
	select {
	case r := <-short:
		if r.left || r.err == nil {
			t.Errorf("the other one: left %v, %v", r.left, r.err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the other one still waits")
	}
	if _, left, err := out.send(t.Context(), &parcel{head: []byte("h")}, true); left || err == nil {
		t.Errorf("one that comes later: left %v, %v", left, err)
	}
	if out.session.nextOut != 3 {
		t.Errorf("%d frames were written, and 3 are of the first", out.session.nextOut)
	}
}

// awaitLocked waits for what the lock guards.
func awaitLocked(m *mux, f func() bool) {
	for done := false; !done; {
		m.mu.Lock()
		done = f()
		m.mu.Unlock()
	}
}

// A disposition that cannot be read ends the connection, and accepts nothing.
func TestDispositionThatCannotBeRead(t *testing.T) {
	t.Parallel()
	m, out, _ := attachedLinks(t)
	out.credit = 10
	r, _, err := out.send(t.Context(), &parcel{head: []byte("h"), body: []byte("b")}, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string][]byte{
		"no described type": {typeTrue},
		"a list cut short":  {typeDescribed, typeSmallUlong, rejected0, typeList8, 9, 1},
		"nothing":           nil,
	} {
		fields := append([]byte{typeTrue, typeUint0, typeNull, typeTrue}, state...)
		if _, err := m.take(performative(0, disposition0, 5, fields, nil)); !errors.Is(err, errSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
	select {
	case f := <-r.done:
		t.Errorf("the message met %+v", f)
	default:
	}
}

// A link that the broker closed for a message that was too long for it is not used again: the next message is not to blame.
func TestLinkClosedForALongMessage(t *testing.T) {
	t.Parallel()
	m, out, _ := attachedLinks(t)
	condition := string(amqp.ErrCondMessageSizeExceeded)
	why := append([]byte{typeUint0, typeTrue, typeDescribed, typeSmallUlong, error0, typeList8, byte(len(condition) + 3), 1, typeSymbol8, byte(len(condition))}, condition...)
	if _, err := m.take(performative(0, detach0, 3, why, nil)); err != nil {
		t.Fatal(err)
	}
	n, s := &connection{amqp: new(amqp.Conn), mux: m}, &sender{out: out}
	if _, err := n.hand(t.Context(), s, &parcel{head: []byte("h")}, false); !errors.Is(err, errAgain) || !s.broken.Load() {
		t.Errorf("broken %v: %v", s.broken.Load(), err)
	}
}

// Nothing is written after the library has said that the connection ends, or the broker has.
func TestNothingIsSentAfterClose(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*mux, frame) error{
		"ours":     func(m *mux, f frame) error { _, err := m.Write(f); return err },
		"broker's": func(m *mux, f frame) error { _, err := m.take(f); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, out, _ := attachedLinks(t)
			out.credit = 10
			if err := end(m, performative(0, 0x18, 0, nil, nil)); err != nil {
				t.Fatal(err)
			}
			if _, left, err := out.send(t.Context(), &parcel{head: []byte("h")}, true); left || err == nil {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

// A broker may open its session's window before the link is attached.
func TestWindowBeforeTheLink(t *testing.T) {
	t.Parallel()
	m, _, _ := attachedLinks(t)
	s := &session{channel: 7, window: 100}
	m.sessions[7], m.arriving[7] = s, s
	if ours, err := m.take(performative(7, flow0, 4, []byte{typeUint0, typeSmallUint, 9, typeUint0, typeUint0}, nil)); err != nil || ours {
		t.Fatal(ours, err)
	}
	if s.room != 9 {
		t.Errorf("room for %d", s.room)
	}
}

// Messages that are not what a peer may send end the connection; one that was aborted is none, and its credit is renewed.
func TestPartsOfMessages(t *testing.T) {
	t.Parallel()
	first := func(id byte) frame {
		return performative(1, transfer0, 6, []byte{typeUint0, typeSmallUint, id, typeBinary8, 1, 0, typeUint0, typeFalse, typeTrue}, []byte("1"))
	}
	last := performative(1, transfer0, 6, []byte{typeUint0, typeNull, typeNull, typeNull, typeFalse, typeFalse}, []byte("2"))
	aborted := performative(1, transfer0, 10, []byte{typeUint0, typeNull, typeNull, typeNull, typeFalse, typeFalse, typeNull, typeNull, typeNull, typeTrue}, []byte("2"))
	for name, test := range map[string]struct {
		frames []frame
		bad    bool
		want   string
		count  uint32
	}{
		"two parts":              {[]frame{first(3), last}, false, "12", 1},
		"no number":              {[]frame{last}, true, "", 0},
		"another in the middle":  {[]frame{first(3), first(4)}, true, "", 0},
		"aborted":                {[]frame{first(3), aborted}, false, "", 1},
		"aborted, and a message": {[]frame{first(3), aborted, first(4), last}, false, "12", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _, in := attachedLinks(t)
			in.credit = 10
			got := ""
			var err error
			for _, f := range test.frames {
				if _, err = m.take(f); err != nil {
					break
				}
				if m.now.got.by != nil {
					got += string(m.now.got.message.data)
				}
			}
			if errors.Is(err, errSyntax) != test.bad || got != test.want || in.count != test.count {
				t.Errorf("%q, count %d, error %v", got, in.count, err)
			}
			if !test.bad && in.count+in.credit != 10+test.count-uint32(len(test.want)/2) {
				t.Errorf("count %d and credit %d", in.count, in.credit)
			}
		})
	}
}

// The reason for which a message is refused is text, however long it is.
func TestReasonIsText(t *testing.T) {
	t.Parallel()
	for _, description := range []string{"xüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü", "a\xffb"} {
		b := fate{state: rejected0, why: &amqp.Error{Condition: amqp.ErrCondDecodeError, Description: description}}.append(nil)
		f := readFate(&values{b: b})
		if f.why == nil || !utf8.ValidString(f.why.Description) || len(f.why.Description) < min(len(description), 90) {
			t.Errorf("%q: %+v", description, f.why)
		}
	}
}

// Two who take the credit of a link back, as Leave and Close do, are both told.
func TestDrainTwice(t *testing.T) {
	t.Parallel()
	m, _, in := attachedLinks(t)
	in.credit = 10
	drained := make(chan error, 2)
	for range 2 {
		go func() { drained <- in.drain(t.Context()) }()
	}
	awaitLocked(m, func() bool { return in.drained != nil })
	for range 2 { // the second may come too late for the first answer, as it may with a broker
		if _, err := m.take(performative(1, flow0, 9, []byte{typeUint0, typeSmallUint, 9, typeUint0, typeUint0, typeUint0, typeSmallUint, 10, typeUint0, typeNull, typeTrue}, nil)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-drained:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("still waiting")
		}
	}
}
