package amqp1

import (
	"net"
	"testing"
	"time"
)

// attachedLinks is a mux with a link out and a link in, as if the library had attached them.
func attachedLinks(tb testing.TB) (m *mux, out *outlet, in *inlet) {
	tb.Helper()
	near, far := net.Pipe()
	go func() { // reads what is written; ends with the pipe
		for b := make([]byte, 1<<16); ; {
			if _, err := far.Read(b); err != nil {
				return
			}
		}
	}()
	m = newMux(newSocket(near), 0)
	tb.Cleanup(func() { _ = m.Close(); _ = far.Close() })
	out, in = newOutlet(m, "out"), newInlet(m, "in", func(message) {})
	for i, l := range []*link{&out.link, &in.link} {
		s := &session{channel: uint16(i), window: 100, room: 100, link: l}
		l.session = s
		m.sessions[s.channel], m.arriving[s.channel] = s, s
	}
	return m, out, in
}

// performative is a frame with fields that are encoded already.
func performative(channel uint16, code byte, count byte, fields, payload []byte) frame {
	b := append(beginFrame(nil, channel, code, count), fields...)
	endFields(b, 0)
	b = append(b, payload...)
	endFrame(b, 0)
	return b
}

// Nothing that a broker may send to links of ours does more than end the connection.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(performative(0, flow0, 7, []byte{typeUint0, typeSmallUint, 9, typeUint0, typeUint0, typeUint0, typeUint0, typeSmallUint, 5}, nil)))
	f.Add([]byte(performative(1, transfer0, 6, []byte{typeUint0, typeUint0, typeBinary8, 1, 0, typeUint0, typeFalse, typeFalse}, []byte{typeDescribed, typeSmallUlong, valueSection, typeNull})))
	f.Add([]byte(performative(0, disposition0, 5, []byte{typeTrue, typeUint0, typeUint, 255, 255, 255, 255, typeTrue, typeDescribed, typeSmallUlong, accepted0, typeList0}, nil)))
	f.Add([]byte(performative(1, detach0, 3, []byte{typeUint0, typeTrue, typeDescribed, typeSmallUlong, error0, typeList8, 4, 1, typeSymbol8, 1, 'x'}, nil)))
	f.Add([]byte(performative(1, end0, 0, nil, nil)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < frameHeader {
			return
		}
		m, out, in := attachedLinks(t)
		_, err := m.take(data)
		if err != nil && m.now.got.by != nil {
			t.Errorf("a message, and %v", err)
		}
		if out.session.nextOut != 0 || in.count > 1 {
			t.Errorf("%d sent, %d received", out.session.nextOut, in.count)
		}
	})
}

// A disposition tells of many messages at once, also of more than there are, and does not take long for it.
func TestDispositionOfMany(t *testing.T) {
	t.Parallel()
	m, out, _ := attachedLinks(t)
	out.credit = 10
	var receipts []*receipt
	for range 3 {
		r, _, err := out.send(t.Context(), &parcel{head: []byte("h"), body: []byte("b")}, false)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	released := []byte{typeDescribed, typeSmallUlong, released0, typeList0}
	for _, fields := range [][]byte{
		{typeTrue, typeSmallUint, 1, typeNull, typeTrue},
		{typeTrue, typeUint0, typeUint, 255, 255, 255, 255, typeTrue},
	} {
		if _, err := m.take(performative(0, disposition0, 5, append(fields, released...), nil)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range receipts {
		if f, err := out.outcome(t.Context(), r); err != nil || f.state != released0 {
			t.Errorf("%+v, %v", f, err)
		}
	}
}

// A message that needs more frames than the session has room for waits for it, and its parts are not mixed with other messages.
func TestMessageLongerThanTheWindow(t *testing.T) {
	t.Parallel()
	m, out, _ := attachedLinks(t)
	m.frameMax, out.credit, out.session.room = 512, 10, 3
	sent := make(chan error, 2)
	go func() {
		_, _, err := out.send(t.Context(), &parcel{head: make([]byte, 100), body: make([]byte, 2000)}, true)
		sent <- err
	}()
	for wait := true; wait; {
		m.mu.Lock()
		wait = out.session.nextOut < 3
		m.mu.Unlock()
	}
	select {
	case err := <-sent:
		t.Fatalf("sent: %v", err)
	default:
	}
	go func() {
		_, _, err := out.send(t.Context(), &parcel{head: []byte("h"), body: []byte("b")}, true)
		sent <- err
	}()
	window := []byte{typeSmallUint, 3, typeSmallUint, 9, typeUint0, typeUint0}
	if _, err := m.take(performative(0, flow0, 4, window, nil)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case err := <-sent:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("still waiting")
		}
	}
	if out.session.nextOut != 6 || out.count != 2 || out.credit != 8 {
		t.Errorf("%d frames, %d messages, credit %d", out.session.nextOut, out.count, out.credit)
	}
}
