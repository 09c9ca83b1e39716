//go:build zmq

package zmq

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A message is the body of a request, reply or notification:
//
//	form | UniqueID, a reply's may be empty | lengths of its other texts | these texts | number | JSON | JSON
//
// The number is a request's monitoring period in nanoseconds, and of a notification 1 if its event is Bare, else 0; a reply has none. The
// JSON is arguments and context, result and failure, or payload and context, as the sender has it. Nobody but us reads it, so that it needs neither
// escaping nor a scan on arrival; package rpc scans what it decodes. Numbers and texts are those of frames.
const (
	formRequest      = 'q'
	formReply        = 'r'
	formEnding       = 'e'
	formNotification = 'n'
)

// textsMost is how many texts a message has beside its UniqueID.
const textsMost = 5

var errMessage = errors.New("zmq: message of no known form")

// appendMessage adds a message. What [wire.AppendMessage] refuses is an error here too. Home is what the reader knows the addresses of its client's
// reply listeners to end with; see replyAddress.
func appendMessage(b []byte, m *transport.Message, c *wire.Checker, home string) ([]byte, error) {
	if err := c.Check(m); err != nil {
		return b, err
	}
	return appendChecked(b, m, home), nil
}

// appendChecked adds a message that may be sent, or that has come.
func appendChecked(b []byte, m *transport.Message, home string) []byte {
	unique := m.UniqueID
	if unique == "" && (m.Method != "" || m.Event != nil) { // a reply has the ID of its call
		unique = wire.NewID()
	}
	if v := m.Event; v != nil {
		b = appendText(append(b, formNotification), unique)
		b = appendTexts(b, v.ID, v.Publisher, v.Type, v.Priority, v.Timestamp)
		bare := byte(0)
		if v.Bare {
			bare = 1
		}
		return appendJSON(appendJSON(append(b, bare), v.Payload), m.Context)
	}
	if m.Method == "" {
		form := byte(formReply)
		if m.Ending {
			form = formEnding
		}
		b = appendText(append(b, form), unique)
		b = appendTexts(b, m.ID)
		return appendJSON(appendJSON(b, m.Result), m.Failure)
	}
	b = appendText(append(b, formRequest), unique)
	b = appendTexts(b, m.ID, front(m.ReplyTo, home), m.Method, m.Namespace, m.Version)
	b = binary.AppendUvarint(b, uint64(m.Monitor))
	return appendJSON(appendJSON(b, m.Args), m.Context)
}

// parseMessage reads what appendMessage has written into m, which is zero. The message keeps body. k is that of the client who has sent it.
func parseMessage(m *transport.Message, body []byte, k *recent) error {
	if len(body) == 0 {
		return errMessage
	}
	r := reader{rest: body[1:], ok: true}
	unique := r.bytes()
	end := len(body) - len(r.rest)
	switch body[0] {
	case formRequest:
		t, all := r.parts(textsMost)
		ids := string(body[end-len(unique) : len(body)-len(r.rest)-len(all)+len(t[0])]) // they and what is between them
		m.UniqueID, m.ID = ids[:len(unique)], ids[len(ids)-len(t[0]):]
		m.ReplyTo, m.Method = k.replyTo(t[1]), same(&k.method, t[2])
		m.Namespace, m.Version = same(&k.namespace, t[3]), same(&k.version, t[4])
		if m.Version == "" {
			m.Version = "1.0"
		}
		m.Monitor = time.Duration(r.number())
		m.Args, m.Context = r.json(), r.json()
		r.ok = r.ok && m.Method != "" && m.Monitor >= 0
	case formNotification:
		t := r.texts(textsMost)
		m.UniqueID = string(unique)
		m.Event = &transport.Event{ID: t[0], Publisher: t[1], Type: t[2], Priority: t[3], Timestamp: t[4], Bare: r.number() == 1}
		m.Event.Payload, m.Context = r.json(), r.json()
		if m.Event.Payload == nil {
			m.Event.Payload = json.RawMessage("null")
		}
	case formReply, formEnding:
		id, _ := r.parts(1)
		ids := string(body[end-len(unique) : len(body)-len(r.rest)])
		m.UniqueID, m.ID, m.Ending = ids[:len(unique)], ids[len(ids)-len(id[0]):], body[0] == formEnding
		m.Result, m.Failure = r.json(), r.json()
	default:
		r.ok = false
	}
	if !r.ok {
		return errMessage
	}
	return nil
}

// front is what a request has of its reply address, for recent.replyTo: of one that ends with home what is before that, which has no comma. Any other
// has a comma that is not its first letter, or one is put in front.
func front(replyTo, home string) string {
	before, own := strings.CutSuffix(replyTo, home)
	switch {
	case own && home != "" && before != "" && strings.IndexByte(before, ',') < 0:
		return before
	case replyTo == "" || strings.IndexByte(replyTo, ',') > 0:
		return replyTo
	}
	return "," + replyTo
}

// appendTexts adds texts, at most textsMost.
func appendTexts(b []byte, texts ...string) []byte {
	for _, t := range texts {
		b = binary.AppendUvarint(b, uint64(len(t)))
	}
	for _, t := range texts {
		b = append(b, t...)
	}
	return b
}

// texts reads n texts, which share their memory.
func (r *reader) texts(n int) (t [textsMost]string) {
	parts, all := r.parts(n)
	text := string(all)
	for i, p := range parts[:n] {
		t[i], text = text[:len(p)], text[len(p):]
	}
	return t
}

// parts reads n texts. All is all of them.
func (r *reader) parts(n int) (parts [textsMost][]byte, all []byte) {
	var lengths [textsMost]int
	total := 0
	for i := range n {
		lengths[i] = r.count()
		total += lengths[i]
	}
	if total > len(r.rest) {
		r.rest, r.ok = nil, false
		return parts, nil
	}
	all, r.rest = r.rest[:total], r.rest[total:]
	rest := all
	for i := range n {
		parts[i], rest = rest[:lengths[i]], rest[lengths[i]:]
	}
	return parts, all
}

func appendJSON(b []byte, value json.RawMessage) []byte {
	if string(value) == "null" {
		value = nil
	}
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// json reads a value; nil for null and none.
func (r *reader) json() json.RawMessage {
	if b := r.bytes(); len(b) > 0 {
		return b
	}
	return nil
}
