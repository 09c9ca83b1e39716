//go:build zmq

package zmq

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"
)

// The states of a link.
const (
	linkDialing = int32(iota) // not connected yet
	linkUp
	linkDown    // was up
	linkLeaving // the server is about to end
	linkDead    // the server has ended
)

// A link is our way to one server: a DEALER connected to its ROUTER, and the stream over it. Sockets, stream and requests belong
// to the loop; state, load and services may be read by anybody.
type link struct {
	member   member
	key      string // in Conn.links
	state    atomic.Int32
	load     atomic.Int32 // requests on their way
	services atomic.Pointer[[]offer]

	wire    wiring
	stream  stream
	epoch   uint64
	server  string // its ID, once it has told
	probing bool   // somebody looks whether it still lives
	refusal string // why the link was ended, though its server may live; "" = it was not
	turned  int    // how often the server has ended the connection during its handshake, one after the other

	outbox   []*request // in no frame yet
	inflight map[uint64]*request
}

// suffix tells the links to one server apart: one that was listed may be known by its ID as well, or be listed twice, and a
// ROUTER has one connection for each identity.
func (l *link) suffix() string {
	if l.member.ID != "" {
		return ""
	}
	sum := sha256.Sum256([]byte(l.key))
	return "/" + hex.EncodeToString(sum[:6])
}

// A wiring is the sockets of a link.
type wiring struct {
	dealer, monitor *source
	endpoint        string
	connected       bool      // as far as libzmq has told
	hailed          time.Time // when we said hello last
	lost            time.Time // since when it is not there
	blocked         bool      // the dealer takes nothing at the moment
}

// An outcome is what became of a request.
type outcome struct {
	code   byte
	load   int
	reason string
}

// Outcomes beside those that a server answers.
const (
	outcomeUnsent  = 100 + iota // given up before it left
	outcomeInDoubt              // given up, or the server died, after it left
	outcomeMoved                // it did not leave, and the link is down
	outcomeDead                 // it did not leave, and the server has ended
	outcomeClosed               // it did not leave, and we are closing
	outcomeShut                 // it did not leave, and server and we do not accept each other
	outcomeNone                 // none yet: the alarm has rung
)

// A verdict is an outcome that the request's sender is to be told.
type verdict struct {
	request *request
	outcome outcome
}

// A waiting says how long a request waits for its link.
type waiting struct {
	stay  bool      // wait for a link that is down, too
	until time.Time // then the request is given back if the link is not up; zero = as long as the sender waits
}

// A request is on its way to a server. It belongs to the loop from the time it is put into the inbox until its outcome is
// there, which comes exactly once.
type request struct {
	link    *link
	id      uint64
	flags   byte
	expires time.Time // zero = never
	waiting waiting
	framed  bool // it has left, or may have
	fields  []byte
	alarm   *alarm
	outcome chan outcome // the alarm's
}

var requests = sync.Pool{New: func() any {
	a := newAlarm()
	return &request{alarm: a, outcome: a.rings}
}}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// keep returns a buffer for others to use, unless it has grown large.
func keepBuffer(b *[]byte) {
	if cap(*b) <= 1<<20 {
		buffers.Put(b)
	}
}

// end tells the request's sender what became of it.
func (r *request) end(o outcome) {
	r.link.load.Add(-1)
	r.outcome <- o // there is room: it comes once
}

// lose notes that the server is not there until it has welcomed us.
func (l *link) lose() {
	if l.stream.up {
		l.stream.up, l.wire.lost = false, time.Now()
	}
}

// push takes a request to be sent.
func (l *link) push(r *request) {
	switch state := l.state.Load(); {
	case state == linkDead && l.refusal != "":
		r.end(outcome{code: outcomeShut, reason: l.refusal})
	case state == linkDead || state == linkLeaving:
		r.end(outcome{code: outcomeDead})
	case state == linkDown && !r.waiting.stay:
		r.end(outcome{code: outcomeMoved})
	default:
		l.outbox = append(l.outbox, r)
	}
}

// fill makes frames of waiting requests, as many as there is room for, and returns of how many.
func (l *link) fill(nextID func() uint64) (n int) {
	for n < len(l.outbox) && l.stream.room() {
		frame := l.stream.frame()
		for n < len(l.outbox) && len(frame) < frameSize {
			r := l.outbox[n]
			n++
			r.id, r.framed = nextID(), true
			setRequest(r.fields, r.id, r.flags)
			if !r.expires.IsZero() {
				setTTL(r.fields, time.Until(r.expires))
			}
			frame = appendRecord(frame, recordRequest, r.fields)
			l.inflight[r.id] = r
		}
		l.stream.add(frame)
	}
	if n > 0 {
		rest := copy(l.outbox, l.outbox[n:])
		clear(l.outbox[rest:])
		l.outbox = l.outbox[:rest]
	}
	return n
}

// refresh brings the requests up to date that will be sent again: time has passed, and some senders have given up. Fanouts go to
// every live server though their senders wait no longer.
func (l *link) refresh() {
	for i := range l.stream.frames.Len() {
		r := newReader(l.stream.frames.At(i)[frameHead:])
		for len(r.rest) > 0 {
			kind, fields := r.record()
			if kind != recordRequest || len(fields.rest) < requestHead {
				continue
			}
			switch q, ok := l.inflight[requestID(fields.rest)]; {
			case !ok && letter(fields.rest[9]) != toFanout:
				fields.rest[8] |= flagGivenUp
			case ok && !q.expires.IsZero():
				setTTL(fields.rest, time.Until(q.expires))
			}
		}
	}
}

// answered takes a server's answer. The request is nil when its sender has given up.
func (l *link) answered(r *reader) (*request, outcome, bool) {
	id := r.number()
	o := outcome{code: byte(r.number()), load: int(r.number()), reason: r.text()}
	if !r.ok {
		return nil, o, false
	}
	q := l.inflight[id]
	delete(l.inflight, id)
	return q, o, true
}

// giveUp ends a request whose sender waits no longer.
func (l *link) giveUp(r *request) {
	if r.framed {
		if _, ok := l.inflight[r.id]; ok {
			delete(l.inflight, r.id)
			r.end(outcome{code: outcomeInDoubt})
		}
		return
	}
	for i, o := range l.outbox {
		if o == r {
			l.outbox = append(l.outbox[:i], l.outbox[i+1:]...)
			r.end(outcome{code: outcomeUnsent})
			return
		}
	}
}

// release gives requests that did not leave back to their senders, those that some are.
func (l *link) release(code byte, reason string, some func(*request) bool) {
	rest := l.outbox[:0]
	for _, r := range l.outbox {
		if !some(r) {
			rest = append(rest, r)
			continue
		}
		r.end(outcome{code: code, reason: reason})
	}
	clear(l.outbox[len(rest):])
	l.outbox = rest
}

func everyone(*request) bool { return true }

// doubt ends the requests that have left and were not answered: nobody knows what became of them.
func (l *link) doubt(reason string) {
	for id, r := range l.inflight {
		delete(l.inflight, id)
		r.end(outcome{code: outcomeInDoubt, reason: reason})
	}
}

// appendAnswer adds the record of an answer.
func appendAnswer(b []byte, a *answer) []byte {
	var fields [64]byte
	f := append(appendUvarints(fields[:0], a.id, uint64(a.code), uint64(max(a.load, 0)), uint64(len(a.reason))), a.reason...)
	return appendRecord(b, recordAnswer, f)
}
