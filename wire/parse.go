package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/goslo/goslo/transport"
)

// Parse reads a body in its envelope, or without one (ENV-02). The message keeps parts of body, which
// must not be changed afterwards.
//
// A body is an error, a [*ParseError], when it is not a JSON object (ENV-05), not in an envelope of
// version 2.0 (ENV-03) around a string (ENV-04), too deep or too long, or when _msg_id, _reply_q or
// _unique_id is neither a string nor null. Unknown keys are ignored (ENV-16).
//
// Of a request: a missing version reads "1.0" and null "", missing args read {}. Args of any other kind
// are left as they came, null included, and a method, namespace or version that is not a string is left as
// its JSON text: upstream answers such a request with an error (DISP-16), and so can the reader. A Method
// of "" with a ReplyTo is a request without a method. Monitor is _timeout where Python's int() takes it, a
// number or a string, and 0 otherwise; a fraction is kept. Context holds the _context_ members in
// their order, a key given twice twice; without any it is nil. The keys msg_id, reply_q and
// client_timeout never reach a context from a peer (CTX-04, CTX-05).
//
// Of a reply: Ending and Failure follow Python's idea of truth (ENV-12). Failure is the text that the
// string holds; whether that is a failure is for [ParseFailure] to say (EXC-14). It may be given as an
// object too. A reply without the failure key is a failure of class KeyError and ends its call (ENV-11).
func Parse(body []byte) (*transport.Message, error) {
	p, text, err := parse(body)
	if err != nil {
		return nil, err
	}
	return p.message(text)
}

// bodyText is what errors call the text of a message without an envelope.
const bodyText = "body"

// parse finds the fields of a message in its envelope, or without one, and says what its text is called.
func parse(body []byte) (p parser, text string, err error) {
	if len(body) > MaxSize {
		return p, "", &ParseError{Text: bodyText, Offset: MaxSize, Problem: "longer than " + strconv.Itoa(MaxSize) + " bytes (wire.MaxSize)"}
	}
	if err := p.scan(body); err != nil {
		return p, "", in(err, bodyText, "")
	}
	if p.envelope.version.value == nil || p.envelope.message.value == nil {
		return p, bodyText, nil
	}
	if err := p.envelope.check(); err != nil {
		return p, "", in(err, bodyText, "")
	}
	inner := p.envelope.text
	p = parser{}
	if err := p.scan(inner); err != nil {
		return p, "", in(err, messageKey, "")
	}
	return p, messageKey, nil
}

// A field is a value in its text.
type field struct {
	value []byte // nil = missing
	at    int
}

// null reports whether the field is missing or null.
func (f field) null() bool { return f.value == nil || f.value[0] == 'n' }

// text is a string as a string, null as "" and any other value as its JSON text.
func (f field) text() string {
	switch {
	case f.null():
		return ""
	case f.value[0] == '"':
		return string(unquote(f.value[1 : len(f.value)-1]))
	}
	return string(f.value)
}

// string is a string as a string and null as "".
func (f field) string(name string) (string, error) {
	if !f.null() && f.value[0] != '"' {
		return "", &ParseError{Field: name, Offset: f.at, Problem: KindOf(f.value) + " where a string belongs"}
	}
	return f.text(), nil
}

// An envelope is the two members that make one.
type envelope struct {
	version, message field
	text             []byte // what message holds, decoded
}

// check refuses an envelope that is not of the version and form that are read here (ENV-03, ENV-04).
func (e *envelope) check() error {
	if string(e.version.value) != `"`+envelopeVersion+`"` { // nearly always it is
		version, err := e.version.string(versionKey)
		if err != nil {
			return err
		}
		ok, err := Compatible(envelopeVersion, version)
		if err != nil || !ok {
			return &ParseError{Field: versionKey, Offset: e.version.at, Problem: "not the version " + envelopeVersion + " that is read here: " + shown([]byte(version))}
		}
	}
	if e.message.value[0] != '"' {
		return &ParseError{Field: messageKey, Offset: e.message.at, Problem: KindOf(e.message.value) + " where a string belongs"}
	}
	return nil
}

// A parser has the fields of one text, undecoded.
type parser struct {
	envelope                         envelope
	method, args, namespace, version field
	id, replyTo, timeout, uniqueID   field
	result, failure, ending          field
	event                            eventFields
	context                          []byte
}

// scan reads the members of an object.
func (p *parser) scan(text []byte) error {
	s := scanner{data: text}
	if err := s.object(); err != nil {
		return err
	}
	var m member
	for first := true; ; first = false {
		more, err := s.key(&m, first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if s.peek() == '"' && string(m.name()) == messageKey {
			p.envelope.text, err = s.decoded()
		} else {
			err = s.value(1)
		}
		if err != nil {
			return in(err, "", shown(m.name()))
		}
		m.value = text[m.at:s.pos]
		p.set(&m, len(text))
	}
	if p.context != nil {
		p.context = append(p.context, '}')
	}
	return s.end()
}

// set keeps a member whose key means something. Of a key given twice the last stays, as in Python.
func (p *parser) set(m *member, size int) {
	name := m.name()
	f := field{m.value, m.at}
	switch string(name) {
	case versionKey:
		p.envelope.version = f
	case messageKey:
		p.envelope.message = f
	case "method":
		p.method = f
	case "args":
		p.args = f
	case "namespace":
		p.namespace = f
	case "version":
		p.version = f
	case "_msg_id":
		p.id = f
	case "_reply_q":
		p.replyTo = f
	case "_timeout":
		p.timeout = f
	case "_unique_id":
		p.uniqueID = f
	case "result":
		p.result = f
	case "failure":
		p.failure = f
	case "ending":
		p.ending = f
	default:
		if bytes.HasPrefix(name, []byte(contextPrefix)) {
			p.addContext(m, name[len(contextPrefix):], size-m.at)
			return
		}
		p.event.set(name, f)
	}
}

// addContext adds a member to the context. The context comes last in a message as a rule, so the rest of
// the text is a good guess at its size.
func (p *parser) addContext(m *member, key []byte, rest int) {
	switch string(key) {
	case "msg_id", "reply_q", "client_timeout":
		return
	}
	if p.context == nil {
		p.context = append(make([]byte, 0, len(key)+rest+8), '{')
	} else {
		p.context = append(p.context, ',')
	}
	if raw, ok := bytes.CutPrefix(m.key, []byte(contextPrefix)); ok {
		p.context = append(p.context, '"')
		p.context = append(p.context, raw...)
		p.context = append(p.context, '"')
	} else {
		p.context = appendString(p.context, string(key), 0)
	}
	p.context = append(p.context, ':')
	p.context = append(p.context, m.value...)
}

// message makes a message of the fields found in a text of that name.
func (p *parser) message(text string) (*transport.Message, error) {
	m := new(transport.Message)
	var err error
	if m.ID, err = p.id.string("_msg_id"); err != nil {
		return nil, in(err, text, "")
	}
	if m.UniqueID, err = p.uniqueID.string("_unique_id"); err != nil {
		return nil, in(err, text, "")
	}
	if m.ReplyTo, err = p.replyTo.string("_reply_q"); err != nil {
		return nil, in(err, text, "")
	}
	if p.method.value == nil && p.args.value == nil && p.replyTo.value == nil {
		p.reply(m)
	} else {
		p.request(m)
	}
	return m, nil
}

func (p *parser) request(m *transport.Message) {
	m.Method = p.method.text()
	m.Namespace = p.namespace.text()
	m.Version = "1.0"
	if p.version.value != nil && string(p.version.value) != `"1.0"` {
		m.Version = p.version.text()
	}
	m.Args = p.args.value
	if m.Args == nil {
		m.Args = json.RawMessage("{}")
	}
	m.Context = p.context
	m.Monitor = seconds(p.timeout)
}

func (p *parser) reply(m *transport.Message) {
	if !p.result.null() {
		m.Result = p.result.value
	}
	m.Ending = p.ending.value != nil && truthy(p.ending.value)
	switch {
	case p.failure.value == nil:
		m.Failure = json.RawMessage(`{"class":"KeyError","module":"builtins","message":"the reply has no failure field","tb":[],"args":["failure"],"kwargs":{}}`)
		m.Ending = true
	case !truthy(p.failure.value):
	case p.failure.value[0] == '"':
		m.Failure = unquote(p.failure.value[1 : len(p.failure.value)-1])
	default:
		m.Failure = p.failure.value
	}
}

// seconds reads _timeout. What no heartbeat can keep to is 0, as upstream ignores it (DISP-22).
func seconds(f field) time.Duration {
	if f.null() {
		return 0
	}
	text := f.text()
	if f.value[0] == '"' {
		n, err := parseInteger(text)
		if err != nil || n.negative {
			return 0
		}
		text = n.digits
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	if math.IsInf(v, 0) && err == nil || math.IsNaN(v) || v < 0 {
		return 0
	}
	if v >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(math.Round(v * float64(time.Second)))
}
