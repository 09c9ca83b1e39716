package wire

import (
	"encoding/json"
	"errors"

	"github.com/goslo/goslo/transport"
)

// nestedContext is the member that holds the context of a notification on Kafka.
const nestedContext = "_context"

// AppendKafka appends m, which has an Event, as the value of a Kafka record: always in an envelope, whatever Bare says, and with the
// context as one object, where other buses have a member for each of its keys (KAFKA-04, CTX-07). There is no unique id in it.
//
// What may stand in the fields, and the errors, are those of [AppendNotification].
func AppendKafka(dst []byte, m *transport.Message) ([]byte, error) {
	if m.Event == nil {
		return dst, errors.New("wire: a message without an event is no notification")
	}
	start := len(dst)
	dst, err := reserve(dst, m)
	if err != nil {
		return dst, err
	}
	e := encoder{dst: append(dst, `{"`+versionKey+`":"`+envelopeVersion+`","`+messageKey+`":"`...), level: 1}
	if err := e.event(m.Event); err != nil {
		return e.dst[:start], err
	}
	e.next(nestedContext)
	if err := e.raw("context", m.Context, '{', 1, "{}"); err != nil {
		return e.dst[:start], err
	}
	return limited(append(e.dst, `}"}`...), start, m)
}

// ParseKafka reads the value of a Kafka record, in an envelope or without one (KAFKA-05); Event.Bare says which it was. The message keeps parts
// of body, which must not be changed afterwards, and has no unique id.
//
// A missing context, for which upstream drops the record, reads as none. Anything else is read, and refused, as by [ParseNotification].
func ParseKafka(body []byte) (*transport.Message, error) {
	p, text, err := parse(body)
	if err != nil {
		return nil, err
	}
	m := &transport.Message{Event: p.event.event()}
	m.Event.Bare = text == bodyText
	if c := p.event.context; !c.null() {
		if c.value[0] != '{' {
			return nil, in(&ParseError{Field: nestedContext, Offset: c.at, Problem: KindOf(c.value) + " where an object belongs"}, text, "")
		}
		m.Context = json.RawMessage(c.value)
	}
	return m, nil
}
