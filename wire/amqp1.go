package wire

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/goslo/goslo/transport"
)

// AppendAMQP1 appends m as the body that oslo.messaging's driver for AMQP 1.0 writes; ids, addresses and expiry are
// properties of the AMQP message and not in it.
//
// A message with a Method is a request (AMQP1-01): {"request": ..., "context": ...}, without an envelope, and with
// call_monitor_timeout in seconds where Monitor is set. A message with an Event is the same with the members of a notification, in
// an envelope unless the event is Bare; they have no _unique_id. Any other message is the end of a call (AMQP1-02):
// {"failure": "..."} with the failure as a JSON string, or {"response": ...}. A heartbeat has no body (AMQP1-04).
//
// What may stand in the fields, and the errors, are those of [AppendMessage].
func AppendAMQP1(dst []byte, m *transport.Message) ([]byte, error) {
	start := len(dst)
	dst, err := reserve(dst, m)
	if err != nil {
		return dst, err
	}
	e := encoder{dst: dst}
	switch {
	case m.Event != nil:
		err = e.amqp1Notification(m)
	case m.Method != "":
		err = e.amqp1Request(m)
	case !m.Ending:
		err = errors.New("wire: a heartbeat has no body on AMQP 1.0")
	default:
		err = e.amqp1Reply(m)
	}
	if err != nil {
		return dst[:start], err
	}
	return limited(e.dst, start, m)
}

func (e *encoder) amqp1Request(m *transport.Message) error {
	e.dst = append(e.dst, '{')
	e.name("request")
	if err := e.bare(m); err != nil {
		return err
	}
	e.dst = append(e.dst, '}')
	if err := e.amqp1Context(m); err != nil {
		return err
	}
	if m.Monitor != 0 {
		e.next("call_monitor_timeout")
		e.seconds(m.Monitor)
	}
	e.dst = append(e.dst, '}')
	return nil
}

func (e *encoder) amqp1Notification(m *transport.Message) error {
	e.dst = append(e.dst, '{')
	e.name("request")
	if !m.Event.Bare {
		e.dst = append(e.dst, `{"`+versionKey+`":"`+envelopeVersion+`","`+messageKey+`":"`...)
		e.level++
	}
	if err := e.event(m.Event); err != nil {
		return err
	}
	e.dst = append(e.dst, '}')
	if !m.Event.Bare {
		e.level--
		e.dst = append(e.dst, `"}`...)
	}
	if err := e.amqp1Context(m); err != nil {
		return err
	}
	e.dst = append(e.dst, '}')
	return nil
}

func (e *encoder) amqp1Context(m *transport.Message) error {
	e.next("context")
	return e.raw("context", m.Context, '{', 1, "{}")
}

func (e *encoder) amqp1Reply(m *transport.Message) error {
	text, err := rawField("failure", m.Failure, '{', 0)
	if err != nil {
		return err
	}
	e.dst = append(e.dst, '{')
	if text != nil {
		e.name("failure")
		err = e.failure(m.Failure)
	} else {
		e.name("response")
		err = e.raw("result", m.Result, 0, 1, "null")
	}
	e.dst = append(e.dst, '}')
	return err
}

// ParseAMQP1 reads a body that [AppendAMQP1] or oslo.messaging wrote. The message keeps parts of body, which must
// not be changed afterwards. It lacks what is not in the body: ids, the reply address, the expiry.
//
// A body with a request is one, without an envelope or in one; its fields are read as [Parse] does, and Context is the object as it
// came. A notification looks the same: who listens for those reads them with [ParseAMQP1Notification]. Any other body is a reply, and ends its call: with the failure if that is neither
// missing nor null, else with the response.
//
// A body is an error, a [*ParseError], when it is not a JSON object, the request is not one, or the limits are exceeded.
func ParseAMQP1(body []byte) (*transport.Message, error) {
	p, err := parseAMQP1(body)
	if err != nil {
		return nil, err
	}
	if p.request.value != nil {
		return p.asRequest()
	}
	m := &transport.Message{Ending: true}
	if !p.response.null() {
		m.Result = p.response.value
	}
	switch {
	case p.failure.null():
	case p.failure.value[0] == '"':
		m.Failure = unquote(p.failure.value[1 : len(p.failure.value)-1])
	default:
		m.Failure = p.failure.value
	}
	return m, nil
}

// ParseAMQP1Notification reads a body that [AppendAMQP1] or oslo.messaging wrote for a notification, in either format; Event.Bare
// says which it was. Its members are read as by [ParseNotification], its context and errors are as those of ParseAMQP1, and a unique id
// is not in it.
func ParseAMQP1Notification(body []byte) (*transport.Message, error) {
	p, err := parseAMQP1(body)
	if err != nil {
		return nil, err
	}
	if p.request.value == nil {
		return nil, &ParseError{Text: "body", Field: "request", Problem: "missing, where a notification belongs"}
	}
	q, bare, err := p.unwrap()
	if err != nil {
		return nil, err
	}
	m := &transport.Message{Event: q.event.event()}
	m.Event.Bare = bare
	m.Context, err = p.contextObject()
	if err != nil {
		return nil, err
	}
	return m, nil
}

func parseAMQP1(body []byte) (p amqp1Parser, err error) {
	if len(body) > MaxSize {
		return p, &ParseError{Text: "body", Offset: MaxSize, Problem: "longer than " + strconv.Itoa(MaxSize) + " bytes (wire.MaxSize)"}
	}
	return p, in(p.scan(body), "body", "")
}

// An amqp1Parser has the fields of one body, undecoded.
type amqp1Parser struct {
	request, context, monitor field
	response, failure         field
}

func (p *amqp1Parser) scan(body []byte) error {
	s := scanner{data: body}
	if err := s.object(); err != nil {
		return err
	}
	var m member
	for first := true; ; first = false {
		more, err := s.member(&m, first)
		if err != nil {
			return err
		}
		if !more {
			return s.end()
		}
		f := field{m.value, m.at}
		switch string(m.name()) {
		case "request":
			p.request = f
		case "context":
			p.context = f
		case "call_monitor_timeout":
			p.monitor = f
		case "response":
			p.response = f
		case "failure":
			p.failure = f
		}
	}
}

func (p *amqp1Parser) asRequest() (*transport.Message, error) {
	q, _, err := p.unwrap()
	if err != nil {
		return nil, err
	}
	m := new(transport.Message)
	q.request(m)
	if m.Context, err = p.contextObject(); err != nil {
		return nil, err
	}
	m.Monitor = seconds(p.monitor)
	return m, nil
}

// unwrap has the members of what the body has as its request, out of its envelope if it has one.
func (p *amqp1Parser) unwrap() (q parser, bare bool, err error) {
	if err := q.scan(p.request.value); err != nil {
		return q, false, in(err, "request", "")
	}
	if q.envelope.version.value == nil || q.envelope.message.value == nil {
		return q, true, nil
	}
	if err := q.envelope.check(); err != nil {
		return q, false, in(err, "request", "")
	}
	inner := q.envelope.text
	q = parser{}
	return q, false, in(q.scan(inner), messageKey, "")
}

// contextObject is the body's context; nil = none.
func (p *amqp1Parser) contextObject() (json.RawMessage, error) {
	switch {
	case p.context.null():
		return nil, nil
	case p.context.value[0] != '{':
		return nil, &ParseError{Text: "body", Field: "context", Offset: p.context.at, Problem: KindOf(p.context.value) + " where an object belongs"}
	}
	return p.context.value, nil
}
