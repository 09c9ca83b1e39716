//go:build zmq

package zmq

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A lossyWay carries frames of a stream until it breaks; what was on the way is lost.
type lossyWay struct{ frames [][]byte }

var errBlocked = errors.New("blocked")

// Whatever is lost with connections, each record arrives once and in order.
func TestStreamSurvivesConnections(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var from, to stream
	var way lossyWay
	var got, want []uint64
	send := func(frame []byte) error {
		if random.IntN(10) == 0 {
			return errBlocked
		}
		way.frames = append(way.frames, append([]byte(nil), frame...))
		return nil
	}
	receive := func() {
		frame := way.frames[0]
		way.frames = way.frames[1:]
		h, records, err := parseHeader(frame)
		if err != nil {
			t.Fatal(err)
		}
		if !to.receive(h) {
			return
		}
		for r := newReader(records); len(r.rest) > 0; {
			_, fields := r.record()
			got = append(got, fields.number())
		}
	}
	connect := func() {
		way.frames = nil
		to.up = true
		from.resume(to.in)
	}
	connect()
	for n := range uint64(5000) {
		frame := from.frame()
		for range random.IntN(3) + 1 {
			want = append(want, n)
			frame = appendRecord(frame, recordRequest, appendUvarints(nil, n))
		}
		from.add(frame)
		_ = from.flush(send) // what is blocked goes with the next
		for len(way.frames) > 0 && random.IntN(3) > 0 {
			receive()
		}
		switch random.IntN(20) {
		case 0:
			connect()
		case 1: // an acknowledgement
			from.acknowledged(to.in)
		}
	}
	connect()
	for from.frames.Len() > from.sent || len(way.frames) > 0 {
		_ = from.flush(send)
		for len(way.frames) > 0 {
			receive()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-sent +arrived:\n%s", diff)
	}
	from.acknowledged(to.in)
	if from.frames.Len() != 0 || from.bytes != 0 {
		t.Errorf("%d frames with %d bytes are kept, all of them acknowledged", from.frames.Len(), from.bytes)
	}
}

func TestStreamWindow(t *testing.T) {
	t.Parallel()
	s := stream{up: true}
	for s.room() {
		s.add(append(s.frame(), make([]byte, 1<<20)...))
	}
	if s.bytes < window || s.bytes > window+2<<20 {
		t.Errorf("%d bytes are kept, want about %d", s.bytes, window)
	}
	s.acknowledged(1)
	if !s.room() {
		t.Error("no room although a frame was acknowledged")
	}
}

func TestRequestSurvivesItsFrame(t *testing.T) {
	t.Parallel()
	want := envelope{
		id: 1 << 60, to: toFanout, flags: flagKeep | flagAgain, ttl: 1500 * time.Millisecond,
		service: service{"ex", "a.b", "ü\x00"}, headers: map[string]string{"a": "b", "c": ""},
	}
	fields := append(appendRequest(nil, &want), "body"...)
	setRequest(fields, want.id, want.flags)
	var got envelope
	body, ok := parseRequest(&got, newReader(fields), &recent{})
	if !ok || string(body) != "body" {
		t.Fatalf("got %q, %t", body, ok)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(envelope{})); diff != "" {
		t.Errorf("-sent +arrived:\n%s", diff)
	}
}

// Whatever a peer sends, reading it ends, and takes nothing that is not there.
func FuzzFrame(f *testing.F) {
	e := envelope{to: toTopic, service: service{"ex", "topic", "server"}, headers: map[string]string{"a": "b"}}
	f.Add(appendRecord(appendHeader(nil, header{kind: kindData, number: 1}), recordRequest, appendRequest(nil, &e), []byte("{}")))
	f.Add(appendRecord(appendHeader(nil, header{kind: kindData, number: 1}), recordServices, appendServices(nil, true, []offer{{service{"a", "b", "c"}, true}})))
	f.Add(appendAnswer(appendHeader(nil, header{kind: kindData}), &answer{id: 7, code: answerBusy, load: 50, reason: "no"}))
	f.Add([]byte("GZ\x01\x03"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		_, records, err := parseHeader(frame)
		if err != nil {
			return
		}
		for r := newReader(records); len(r.rest) > 0; {
			before := len(r.rest)
			_, fields := r.record()
			if len(r.rest) >= before {
				t.Fatal("a record takes no room")
			}
			rest := fields.rest
			var e envelope
			if body, ok := parseRequest(&e, newReader(rest), &recent{}); ok && (len(body) > len(rest) || len(e.headers) > len(rest)) {
				t.Fatal("a request is larger than its record")
			}
			if _, list, ok := parseServices(newReader(rest)); ok && len(list) > len(rest) {
				t.Fatal("services are more than their record")
			}
		}
	})
}

func TestReplyAddress(t *testing.T) {
	t.Parallel()
	want := replyAddress{7, member{ID: "id", Host: "h", Key: `ab,c%"&`, Endpoints: []string{"ipc:///run/a b", "tcp://[::1]:5"}}}
	got, ok := parseReplyAddress(want.String())
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(replyAddress{})); !ok || diff != "" {
		t.Errorf("-made +read:\n%s", diff)
	}
	for _, bad := range []string{"", "7", "x,id,h,,e", "7,id,h,%4,e", "7,id,h,"} {
		if _, ok := parseReplyAddress(bad); ok {
			t.Errorf("%q is taken for a reply address", bad)
		}
	}
}
