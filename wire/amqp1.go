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
// call_monitor_timeout in seconds where Monitor is set. Any other message is the end of a call (AMQP1-02):
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
	e.next("context")
	if err := e.raw("context", m.Context, '{', 1, "{}"); err != nil {
		return err
	}
	if m.Monitor != 0 {
		e.next("call_monitor_timeout")
		e.seconds(m.Monitor)
	}
	e.dst = append(e.dst, '}')
	return nil
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
// A body with a request is one, in its envelope (notifications are, AMQP1-01) or without; its fields are read as
// [Parse] does, and Context is the object as it came. Any other body is a reply, and ends its call: with the failure if that is neither
// missing nor null, else with the response.
//
// A body is an error, a [*ParseError], when it is not a JSON object, the request is not one, or the limits are exceeded.
func ParseAMQP1(body []byte) (*transport.Message, error) {
	if len(body) > MaxSize {
		return nil, &ParseError{Text: "body", Offset: MaxSize, Problem: "longer than " + strconv.Itoa(MaxSize) + " bytes (wire.MaxSize)"}
	}
	var p amqp1Parser
	if err := p.scan(body); err != nil {
		return nil, in(err, "body", "")
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
	var q parser
	if err := q.scan(p.request.value); err != nil {
		return nil, in(err, "request", "")
	}
	if q.envelope.version.value != nil && q.envelope.message.value != nil {
		if err := q.envelope.check(); err != nil {
			return nil, in(err, "request", "")
		}
		inner := q.envelope.text
		q = parser{}
		if err := q.scan(inner); err != nil {
			return nil, in(err, messageKey, "")
		}
	}
	m := new(transport.Message)
	q.request(m)
	m.Context = nil
	if !p.context.null() {
		if p.context.value[0] != '{' {
			return nil, &ParseError{Text: "body", Field: "context", Offset: p.context.at, Problem: KindOf(p.context.value) + " where an object belongs"}
		}
		m.Context = json.RawMessage(p.context.value)
	}
	m.Monitor = seconds(p.monitor)
	return m, nil
}
