//go:build zmq

package zmq

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// A frame is one ZeroMQ message between two members, either way (docs/design.md, ZeroMQ):
//
//	'G' 'Z' version kind | ack uint64 | number uint64 | records
//
// Integers are big-endian; lengths and counts are unsigned varints, texts and bytes have their length in front.
const (
	frameVersion = 1
	frameHead    = 20
)

// The kinds of frames.
const (
	kindHello   = 1 // client to server, first on every connection: ack = last number received, number = the stream's epoch; records: what its reply addresses end with
	kindWelcome = 2 // its answer: ack = last number received, number = 1 if the server knows the stream, else 0; records: the server's ID, and what it serves
	kindData    = 3 // ack, and a numbered frame of records; number 0 = nothing but ack
	kindResume  = 4 // server to client: say hello again, I do not know you (any more)
)

// The types of records. Each is its type, its length, and its fields.
const (
	recordRequest  = 1 // client to server: see request
	recordAnswer   = 2 // server to client: id, code, load, reason
	recordReply    = 3 // server to client: number of the reply listener, body
	recordServices = 4 // server to client: what it serves now, and whether it is leaving
	recordLeave    = 5 // client to server, after a recordServices that says so: no request follows
)

// What a server says to a request.
const (
	answerTaken   = 1 // it is a server's, for good
	answerBusy    = 2 // not taken: no room now
	answerNobody  = 3 // not taken: nobody listens here
	answerFull    = 4 // not taken: no room even for what must wait
	answerExpired = 5 // dropped: nobody took it in time
	answerRefused = 6 // not taken: it cannot be read
)

// Flags of a request.
const (
	flagKeep    = 1 << iota // keep it although there is no room: others have none either
	flagAgain               // it was handed to some listener before
	flagReplies             // its sender waits for a reply
	flagGivenUp             // its sender has given up before it could be sent (again)
)

var errFrame = errors.New("zmq: frame of no known form")

// A header is the front of a frame.
type header struct {
	kind        byte
	ack, number uint64
}

func appendHeader(b []byte, h header) []byte {
	b = append(b, 'G', 'Z', frameVersion, h.kind)
	b = binary.BigEndian.AppendUint64(b, h.ack)
	return binary.BigEndian.AppendUint64(b, h.number)
}

// setAck writes the ack of a frame that was made before.
func setAck(frame []byte, ack uint64) { binary.BigEndian.PutUint64(frame[4:], ack) }

func numberOf(frame []byte) uint64 { return binary.BigEndian.Uint64(frame[12:]) }

func setNumber(frame []byte, n uint64) { binary.BigEndian.PutUint64(frame[12:], n) }

func parseHeader(frame []byte) (h header, records []byte, err error) {
	if len(frame) < frameHead || frame[0] != 'G' || frame[1] != 'Z' || frame[2] != frameVersion {
		return h, nil, errFrame
	}
	return header{kind: frame[3], ack: binary.BigEndian.Uint64(frame[4:]), number: numberOf(frame)}, frame[frameHead:], nil
}

// A reader takes fields off a record. After the first field that is not there, ok is false and all others are zero.
type reader struct {
	rest []byte
	ok   bool
}

func newReader(b []byte) *reader { return &reader{rest: b, ok: true} }

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest, r.ok = nil, false
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.rest, r.ok = nil, false
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes()) }

// count is a number of things of at least one byte each.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.rest, r.ok = nil, false
		return 0
	}
	return int(n)
}

func (r *reader) headers() map[string]string {
	n := r.count()
	if n == 0 {
		return nil
	}
	h := make(map[string]string, n)
	for range n {
		name := r.text()
		h[name] = r.text()
	}
	return h
}

// record takes the next record off a frame's records.
func (r *reader) record() (kind byte, fields reader) {
	kind = byte(r.number())
	return kind, reader{rest: r.bytes(), ok: true}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendHeaders(b []byte, h map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(h)))
	for name, value := range h {
		b = appendText(appendText(b, name), value)
	}
	return b
}

// appendRecord adds a record made of parts.
func appendRecord(b []byte, kind byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = binary.AppendUvarint(append(b, kind), uint64(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// An envelope is what a request says beside its body.
type envelope struct {
	id      uint64
	to      string // a letter: t topic or one of its servers, also a pool of notifications; f fanout; r reply listener; p which pools there are
	flags   byte
	ttl     time.Duration // 0 = none; whole milliseconds travel
	service service       // of a reply, Topic is the number of the listener
	headers map[string]string
}

// expires is the instant at which the request's time to live ends, counted from now; zero = never.
func (e *envelope) expires() time.Time {
	if e.ttl <= 0 {
		return time.Time{}
	}
	return time.Now().Add(e.ttl)
}

// The letters of envelope.to.
const (
	toTopic  = "t"
	toFanout = "f"
	toReply  = "r"
	toPools  = "p" // asks a member for the pools of a topic; the reason of its answer has their names
)

// appendRequest adds the fields of a recordRequest, its body not included. The identifier, the flags and the time to live come
// first and have a fixed length, so that they can be set when it is sent.
func appendRequest(b []byte, e *envelope) []byte {
	b = binary.BigEndian.AppendUint64(b, e.id)
	b = append(b, e.flags, e.to[0])
	b = binary.BigEndian.AppendUint64(b, milliseconds(e.ttl))
	b = appendText(appendText(appendText(b, e.service.Exchange), e.service.Topic), e.service.Server)
	return appendHeaders(b, e.headers)
}

// milliseconds of a time to live; 0 = for ever.
func milliseconds(ttl time.Duration) uint64 {
	if ttl <= 0 {
		return 0
	}
	return uint64((ttl + time.Millisecond - 1) / time.Millisecond)
}

// requestHead is how many bytes the fields of fixed length have.
const requestHead = 18

// setRequest writes the identifier and the flags of a request that was made before.
func setRequest(fields []byte, id uint64, flags byte) {
	binary.BigEndian.PutUint64(fields, id)
	fields[8] = flags
}

// setTTL writes what is left of a request's time to live. One that has none left has a millisecond.
func setTTL(fields []byte, left time.Duration) {
	binary.BigEndian.PutUint64(fields[10:], max(milliseconds(left), 1))
}

func requestID(fields []byte) uint64 { return binary.BigEndian.Uint64(fields) }

// parseRequest reads a recordRequest into e, which is zero. The body is what is left.
func parseRequest(e *envelope, r *reader, k *recent) (body []byte, ok bool) {
	if len(r.rest) < requestHead {
		return nil, false
	}
	e.id, e.flags, e.to = requestID(r.rest), r.rest[8], letter(r.rest[9])
	ttl := binary.BigEndian.Uint64(r.rest[10:])
	r.rest = r.rest[requestHead:]
	if ttl < uint64(1<<63-1)/uint64(time.Millisecond) {
		e.ttl = time.Duration(ttl) * time.Millisecond
	}
	e.service = service{same(&k.exchange, r.bytes()), same(&k.topic, r.bytes()), same(&k.server, r.bytes())}
	e.headers = r.headers()
	return r.rest, r.ok && e.to != ""
}

// A recent has the texts of a client's last request. The next one mostly has the same, and shares them.
type recent struct {
	exchange, topic, server    string
	method, namespace, version string

	home            string // what the addresses of the client's own reply listeners end with
	listener, reply string // of the last one that sent the front alone; an address
	elsewhere       string // the last other address
}

// replyTo completes the reply address of a request; see front.
func (k *recent) replyTo(b []byte) string {
	if len(b) == 0 || bytes.IndexByte(b, ',') >= 0 {
		return same(&k.elsewhere, bytes.TrimPrefix(b, []byte{','}))
	}
	if len(b) > recentMost {
		return string(b) + k.home
	}
	if string(b) != k.listener {
		k.listener, k.reply = string(b), string(b)+k.home
	}
	return k.reply
}

// homeMost is how long a home may be: a short request takes the memory of its whole reply address.
const homeMost = 4 << 10

// recentMost is how long a text may be that is kept for the next request.
const recentMost = 1 << 10

// same returns what b says: the last text if that says it too, else b's, which is the last from then on unless it is long.
func same(last *string, b []byte) string {
	switch {
	case string(b) == *last:
		return *last
	case len(b) > recentMost:
		return string(b)
	}
	*last = string(b)
	return *last
}

func letter(b byte) string {
	switch b {
	case 't':
		return toTopic
	case 'f':
		return toFanout
	case 'r':
		return toReply
	case 'p':
		return toPools
	}
	return ""
}

// An offer is a service as its server tells it. Of one that it has left, it takes only what is addressed to the server.
type offer struct {
	service
	left bool
}

func appendServices(b []byte, leaving bool, list []offer) []byte {
	flag := byte(0)
	if leaving {
		flag = 1
	}
	b = binary.AppendUvarint(append(b, flag), uint64(len(list)))
	for _, s := range list {
		left := byte(0)
		if s.left {
			left = 1
		}
		b = append(appendText(appendText(appendText(b, s.Exchange), s.Topic), s.Server), left)
	}
	return b
}

func parseServices(r *reader) (leaving bool, list []offer, ok bool) {
	leaving = r.number() == 1
	n := r.count()
	list = make([]offer, 0, n)
	for range n {
		list = append(list, offer{service{r.text(), r.text(), r.text()}, r.number() == 1})
	}
	return leaving, list, r.ok
}
