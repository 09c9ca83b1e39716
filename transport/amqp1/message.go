package amqp1

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// uniqueID is the application property that carries Message.UniqueID; the others are Message.Headers, of which none can
// have this name. Upstream has no such things, and does not look.
const uniqueID = "x-goslo-unique-id"

// believable is the earliest moment that an absolute-expiry-time can mean. Upstream gives the reading of a clock that
// began when its machine did, some day in January 1970 (AMQP1-12).
var believable = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// The sections of a message (part 3 of the specification, section 3.2).
const (
	headerSection      = 0x70
	propertiesSection  = 0x73
	applicationSection = 0x74
	dataSection        = 0x75
	sequenceSection    = 0x76
	valueSection       = 0x77
)

// A label is what a message says of its way, beside what it is.
type label struct {
	to, subject, replyTo string    // the last two: "" = none
	expiry               time.Time // zero = none
	durable              bool      // a broker that asks for it keeps the message over its own restart
}

// errText is about what peers cannot read.
var errText = errors.New("an address or id is no valid UTF-8")

// A parcel is a message in AMQP's form. They are used again.
type parcel struct{ head, body []byte }

// appendHead appends the sections of m before its body (AMQP1-01 to AMQP1-04, AMQP1-12).
func appendHead(b []byte, m *transport.Message, l label) ([]byte, error) {
	for _, text := range [...]string{l.to, l.subject, l.replyTo, m.ID, m.UniqueID} {
		if !utf8.ValidString(text) {
			return b, fmt.Errorf("%w: %q", errText, text)
		}
	}
	lives := m.Expires
	if m.Method == "" && !m.Ending {
		lives = m.Monitor // a heartbeat is of no use after that
	}
	if lives > 0 || l.durable {
		b = appendHeader(b, lives, l.durable)
	}
	b = appendProperties(b, m, l)
	if m.UniqueID != "" || len(m.Headers) > 0 {
		start := len(b) + 3
		b = begin32(append(b, typeDescribed, typeSmallUlong, applicationSection), typeMap32)
		n := 2 * len(m.Headers)
		if m.UniqueID != "" {
			b = appendString(appendString(b, uniqueID), m.UniqueID)
			n += 2
		}
		for name, value := range m.Headers {
			b = appendString(appendString(b, name), value)
		}
		end32(b, start, n)
	}
	return b, nil
}

// appendBody appends the section that is m's body.
func appendBody(b []byte, m *transport.Message) ([]byte, error) {
	b = append(b, typeDescribed, typeSmallUlong, valueSection)
	if m.Method == "" && m.Event == nil && !m.Ending {
		return append(b, typeNull), nil
	}
	size := len(b) + 1
	b, err := wire.AppendAMQP1(append(b, typeString32, 0, 0, 0, 0), m)
	if err != nil {
		return b, err
	}
	binary.BigEndian.PutUint32(b[size:], uint32(len(b)-size-4))
	return b, nil
}

func appendHeader(b []byte, lives time.Duration, durable bool) []byte {
	start := len(b) + 3
	b = append(b, typeDescribed, typeSmallUlong, headerSection, typeList8, 0, 3)
	b = append(appendBool(b, durable), typeNull) // priority: the default
	if lives > 0 {
		b = appendUint(b, uint32(min(max(lives.Round(time.Millisecond), time.Millisecond).Milliseconds(), int64(^uint32(0)))))
	} else {
		b = append(b, typeNull)
	}
	b[start+1] = byte(len(b) - start - 2)
	return b
}

func appendProperties(b []byte, m *transport.Message, l label) []byte {
	var id, correlation string
	switch {
	case m.Event != nil:
	case m.Method == "":
		correlation = m.ID
	case m.ReplyTo != "":
		id = m.ID
	}
	start := len(b) + 3
	b = begin32(append(b, typeDescribed, typeSmallUlong, propertiesSection), typeList32)
	b = append(appendText(b, id), typeNull) // user-id
	b = appendText(appendText(appendText(appendText(b, l.to), l.subject), l.replyTo), correlation)
	n := 6
	if !l.expiry.IsZero() {
		b = append(b, typeNull, typeNull, typeTimestamp) // content-type, content-encoding
		b = binary.BigEndian.AppendUint64(b, uint64(l.expiry.UnixMilli()))
		n = 9
	}
	end32(b, start, n)
	return b
}

// sections are what is of use in a message that has arrived. Texts are parts of it, as they came.
type sections struct {
	header        bool // there is one
	firstAcquirer bool
	lives         time.Duration
	deliveries    uint32 // that failed

	id, correlation string
	replyTo         []byte
	expiry          int64 // in milliseconds since 1970; 0 = none
	unique          string
	headers         map[string]string

	body []byte // nil = none
}

// readSections reads the sections of a message.
func readSections(data []byte) (s sections, err error) {
	v := values{b: data}
	parts := 0
	for len(v.b) > 0 {
		switch section := v.descriptor(); section {
		case headerSection:
			s.readHeader(v.list())
		case propertiesSection:
			if err := s.readProperties(v.list()); err != nil {
				return s, err
			}
		case applicationSection:
			if err := s.readApplication(v.mapping()); err != nil {
				return s, err
			}
		case dataSection:
			s.body = v.bytes()
			parts++
		case valueSection:
			switch c := v.peek(); c {
			case typeNull:
				v.byte()
			case typeString8, typeString32, typeBinary8, typeBinary32:
				s.body = v.bytes()
			default:
				return s, fmt.Errorf("the body is of AMQP's type 0x%02x and no string", c)
			}
			parts++
		case sequenceSection:
			return s, errors.New("the body is a sequence and no string")
		default: // annotations and footers
			v.skip()
		}
	}
	if parts > 1 {
		return s, fmt.Errorf("the body has %d parts", parts)
	}
	return s, v.err
}

func (s *sections) readHeader(l list) {
	s.header = true
	l.pass(2) // durable, priority
	s.lives = time.Duration(l.number(0)) * time.Millisecond
	s.firstAcquirer = l.flag()
	s.deliveries = l.number(0)
}

func (s *sections) readProperties(l list) error {
	s.id = readID(&l)
	l.pass(3) // user-id, to, subject
	s.replyTo = l.text()
	s.correlation = readID(&l)
	l.pass(2) // content-type, content-encoding
	if l.next() {
		s.expiry = l.timestamp()
	}
	return l.err
}

func (s *sections) readApplication(l list) error {
	for ; l.n > 0 && l.err == nil; l.n -= 2 {
		name := l.bytes()
		switch l.peek() {
		case typeString8, typeString32:
		default:
			l.skip()
			continue
		}
		value := l.bytes()
		if string(name) == uniqueID {
			s.unique = string(value)
			continue
		}
		if !transport.HeaderName(string(name)) {
			continue
		}
		if s.headers == nil {
			s.headers = make(map[string]string, min(l.n/2, 16)) // it is the peer who says how many
		}
		s.headers[string(name)] = string(value)
	}
	return l.err
}

// readID reads a message-id or correlation-id as text: peers write strings.
func readID(l *list) string {
	if !l.next() {
		return ""
	}
	switch l.peek() {
	case typeUlong0, typeSmallUlong, typeUlong:
		return strconv.FormatUint(l.uint(), 10)
	case typeUUID:
		l.byte()
		return hex.EncodeToString(l.take(16))
	}
	return string(l.bytes())
}

// expired says whether the caller of a request has given up, by our clock.
func (s *sections) expired() bool {
	return s.expiry > believable && time.Now().UnixMilli() > s.expiry
}

// handedOverBefore says whether some listener had the message before, as far as the broker tells.
func (s *sections) handedOverBefore(p product) bool {
	return s.header && (s.deliveries > 0 || p.rabbit() && !s.firstAcquirer)
}

// unpack makes a message of what came to an address of some kind.
func (s *sections) unpack(kind transport.Kind) (*transport.Message, error) {
	if kind == transport.Notification {
		m, err := wire.ParseAMQP1Notification(s.body)
		if err != nil {
			return nil, err
		}
		m.UniqueID, m.Headers = s.unique, s.headers
		return m, nil
	}
	m := new(transport.Message) // a heartbeat has no body (AMQP1-04)
	if s.body != nil {
		var err error
		if m, err = wire.ParseAMQP1(s.body); err != nil {
			return nil, err
		}
	}
	switch {
	case m.Ending || s.body == nil:
		if m.ID = s.correlation; m.ID == "" {
			return nil, errors.New("a reply without a correlation-id")
		}
	case len(s.replyTo) > 0:
		m.ReplyTo, m.ID = string(s.replyTo), s.id
	}
	if m.Method != "" {
		m.Expires, m.Headers = s.lives, s.headers
	}
	m.UniqueID = s.unique
	return m, nil
}
