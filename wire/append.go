package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/goslo/goslo/transport"
)

// Keys of the envelope and its one version (oslo_messaging/_drivers/common.py, ENV-01).
const (
	envelopeVersion = "2.0"
	versionKey      = "oslo.version"
	messageKey      = "oslo.message"
	contextPrefix   = "_context_"
)

// AppendEnvelope appends m in its envelope, the form in which every request, reply and heartbeat travels
// (ENV-01). See [AppendMessage] for what is written and for the errors.
func AppendEnvelope(dst []byte, m *transport.Message) ([]byte, error) {
	start := len(dst)
	dst, err := reserve(dst, m)
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"`+versionKey+`":"`+envelopeVersion+`","`+messageKey+`":"`...)
	dst, err = appendMessage(dst, m, 1)
	if err != nil {
		return dst[:start], err
	}
	dst = append(dst, `"}`...)
	return limited(dst, start, m)
}

// AppendMessage appends m without an envelope (ENV-02, the "1.0" form).
//
// A message with a Method is a request (ENV-06, ENV-07): method, args, then namespace and version unless
// they are "", then _msg_id, _reply_q and _timeout if it is a call, which is to say has an ID or a
// ReplyTo, then _unique_id and the context, flattened (CTX-01). Monitor is written as seconds, whole
// where it is whole, and as null when 0; a cast has no place for it. Expires is not part of a body.
//
// A message with an Event is a notification, see [AppendNotification].
//
// Any other message is a reply and needs an ID (ENV-09): result, failure, ending, _msg_id, _unique_id.
// Failure becomes a JSON string (EXC-01).
//
// A message without a UniqueID gets a fresh one, because every message has one (ENV-08). Args and Context
// must be objects (null and nil are {}), Failure an object (null and nil are success), and Result any JSON
// value; NaN, Infinity and -Infinity may stand in them.
//
// On an error, which names the field, dst is returned as it was.
func AppendMessage(dst []byte, m *transport.Message) ([]byte, error) {
	start := len(dst)
	dst, err := reserve(dst, m)
	if err != nil {
		return dst, err
	}
	dst, err = appendMessage(dst, m, 0)
	if err != nil {
		return dst[:start], err
	}
	return limited(dst, start, m)
}

// reserve makes room for about the length that m takes up in its envelope, so that one allocation will do.
func reserve(dst []byte, m *transport.Message) ([]byte, error) {
	raw := len(m.Args) + len(m.Context) + len(m.Result) + len(m.Failure)
	if m.Event != nil {
		raw += len(m.Event.Payload)
	}
	if raw > MaxSize {
		return dst, tooLong(raw, m)
	}
	return slices.Grow(dst, 320+raw+raw/2+len(m.Method)+len(m.Namespace)+len(m.ReplyTo)), nil
}

// limited refuses a body that is too long to send.
func limited(dst []byte, start int, m *transport.Message) ([]byte, error) {
	if n := len(dst) - start; n > MaxSize {
		return dst[:start], tooLong(n, m)
	}
	return dst, nil
}

var errNeither = errors.New("wire: a message with neither a method nor an id is no request and no reply")

func negative(monitor time.Duration) error {
	return fmt.Errorf("wire: monitor: %v is negative", monitor)
}

func tooLong(n int, m *transport.Message) error {
	field, of := Largest(m)
	return fmt.Errorf("wire: the body has %d bytes or more, and %d (wire.MaxSize) is the most; %s alone takes %d: send less, or a reference to it", n, MaxSize, field, of)
}

func appendMessage(dst []byte, m *transport.Message, l level) ([]byte, error) {
	e := encoder{dst: dst, level: l}
	var err error
	switch {
	case m.Event != nil:
		err = e.notification(m)
	case m.Method != "":
		err = e.request(m)
	case m.ID == "":
		err = errNeither
	default:
		err = e.reply(m)
	}
	return e.dst, err
}

// An encoder writes one message at one level.
type encoder struct {
	dst   []byte
	level level
}

func (e *encoder) request(m *transport.Message) error {
	if err := e.bare(m); err != nil {
		return err
	}
	if m.ID != "" || m.ReplyTo != "" {
		e.next("_msg_id")
		e.string(m.ID)
		e.next("_reply_q")
		e.string(m.ReplyTo)
		e.next("_timeout")
		e.seconds(m.Monitor)
	}
	e.unique(m)
	if err := e.context(m.Context); err != nil {
		return err
	}
	e.dst = append(e.dst, '}')
	return nil
}

// bare writes what a request is about, and leaves its object open.
func (e *encoder) bare(m *transport.Message) error {
	if m.Monitor < 0 {
		return negative(m.Monitor)
	}
	e.dst = append(e.dst, '{')
	e.name("method")
	e.string(m.Method)
	e.next("args")
	if err := e.raw("args", m.Args, '{', 1, "{}"); err != nil {
		return err
	}
	if m.Namespace != "" {
		e.next("namespace")
		e.string(m.Namespace)
	}
	if m.Version != "" {
		e.next("version")
		e.string(m.Version)
	}
	return nil
}

func (e *encoder) reply(m *transport.Message) error {
	e.dst = append(e.dst, '{')
	e.name("result")
	if err := e.raw("result", m.Result, 0, 1, "null"); err != nil {
		return err
	}
	e.next("failure")
	if err := e.failure(m.Failure); err != nil {
		return err
	}
	e.next("ending")
	e.dst = strconv.AppendBool(e.dst, m.Ending)
	e.next("_msg_id")
	e.string(m.ID)
	e.unique(m)
	e.dst = append(e.dst, '}')
	return nil
}

func (e *encoder) unique(m *transport.Message) {
	e.next("_unique_id")
	if m.UniqueID == "" {
		e.string(NewID())
		return
	}
	e.string(m.UniqueID)
}

// name writes a key, next a key after a comma.
func (e *encoder) name(key string) {
	e.dst = append(e.dst, e.level.quote()...)
	e.dst = append(e.dst, key...)
	e.dst = append(e.dst, e.level.quote()...)
	e.dst = append(e.dst, ':')
}

func (e *encoder) next(key string) {
	e.dst = append(e.dst, ',')
	e.name(key)
}

func (e *encoder) string(s string) { e.dst = appendString(e.dst, s, e.level) }

// raw writes a raw value inside depth containers. It must begin with first (0: anything); otherwise is
// written when there is none.
func (e *encoder) raw(field string, value json.RawMessage, first byte, depth int, otherwise string) error {
	text, err := rawField(field, value, first, depth)
	if err != nil {
		return err
	}
	if text == nil {
		e.dst = append(e.dst, otherwise...)
		return nil
	}
	e.dst = appendText(e.dst, text, e.level)
	return nil
}

// rawField checks a raw value on its way out. It returns nil for null and nil.
func rawField(field string, value json.RawMessage, first byte, depth int) ([]byte, error) {
	if len(value) == 0 {
		return nil, nil
	}
	text, _, err := check(value, depth)
	if err != nil {
		return nil, in(err, field, "")
	}
	if text[0] == 'n' {
		return nil, nil
	}
	if first != 0 && text[0] != first {
		return nil, fmt.Errorf("wire: %s: %s where an object belongs", field, KindOf(text))
	}
	return text, nil
}

func (e *encoder) failure(value json.RawMessage) error {
	text, err := rawField("failure", value, '{', 0)
	if err != nil {
		return err
	}
	if text == nil {
		e.dst = append(e.dst, "null"...)
		return nil
	}
	e.dst = append(e.dst, e.level.quote()...)
	e.dst = appendText(e.dst, text, e.level+1)
	e.dst = append(e.dst, e.level.quote()...)
	return nil
}

// seconds writes _timeout: an integer where d is whole, because peers cut the fraction off (DISP-22).
func (e *encoder) seconds(d time.Duration) {
	switch {
	case d == 0:
		e.dst = append(e.dst, "null"...)
	case d%time.Second == 0:
		e.dst = strconv.AppendInt(e.dst, int64(d/time.Second), 10)
	default:
		e.dst = strconv.AppendFloat(e.dst, d.Seconds(), 'f', -1, 64)
	}
}

// context writes each member of an object as _context_<key>, undecoded.
func (e *encoder) context(value json.RawMessage) error {
	if len(value) == 0 {
		return nil
	}
	s := scanner{data: value}
	if s.peek() == 'n' {
		_, err := rawField("context", value, 0, 1)
		return err
	}
	if err := s.object(); err != nil {
		return in(err, "context", "")
	}
	var m member
	for first := true; ; first = false {
		more, err := s.member(&m, first)
		if err != nil {
			return in(err, "context", "")
		}
		if !more {
			return in(s.end(), "context", "")
		}
		e.dst = append(e.dst, ',')
		e.dst = append(e.dst, e.level.quote()...)
		e.dst = append(e.dst, contextPrefix...)
		e.dst = appendText(e.dst, m.key, e.level)
		e.dst = append(e.dst, e.level.quote()...)
		e.dst = append(e.dst, ':')
		e.dst = appendText(e.dst, m.value, e.level)
	}
}
