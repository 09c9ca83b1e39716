package amqp1

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// uniqueID is the application property that carries Message.UniqueID; the others are Message.Headers, of which none can
// have this name. Upstream has no such things, and does not look.
const uniqueID = "x-goslo-unique-id"

// believable is the earliest moment that an absolute-expiry-time can mean. Upstream gives the reading of a clock that
// began when its machine did, some day in January 1970 (AMQP1-12).
var believable = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// A parcel is a message in AMQP's form, with everything that it points to.
type parcel struct {
	amqp.Message
	properties amqp.MessageProperties
	header     amqp.MessageHeader
	expiry     time.Time

	to, subject, replyTo string
}

// pack puts m into AMQP's form (AMQP1-01 to AMQP1-04, AMQP1-12). What depends on the connection is address's.
func pack(m *transport.Message) (*parcel, error) {
	if err := transport.CheckHeaders(m.Headers); err != nil {
		return nil, err
	}
	p := new(parcel)
	p.Properties = &p.properties
	if m.Method == "" && m.Event == nil && !m.Ending {
		p.Value = amqp.Null{}
	} else {
		body, err := wire.AppendAMQP1(nil, m)
		if err != nil {
			return nil, err
		}
		p.Value = string(body)
	}
	switch {
	case m.Event != nil:
	case m.Method == "":
		p.properties.CorrelationID = m.ID
	case m.ReplyTo != "":
		p.properties.MessageID = m.ID
	}
	lives := m.Expires
	if m.Method == "" && !m.Ending {
		lives = m.Monitor // a heartbeat is of no use after that
	}
	if lives > 0 {
		p.header = amqp.MessageHeader{Priority: 4, TTL: max(lives.Round(time.Millisecond), time.Millisecond)}
		p.Header = &p.header
		if m.Method != "" {
			p.expiry = time.Now().Add(m.Expires)
			p.properties.AbsoluteExpiryTime = &p.expiry
		}
	}
	if m.UniqueID != "" || len(m.Headers) > 0 {
		p.ApplicationProperties = make(map[string]any, 1+len(m.Headers))
		if m.UniqueID != "" {
			p.ApplicationProperties[uniqueID] = m.UniqueID
		}
		for name, value := range m.Headers {
			p.ApplicationProperties[name] = value
		}
	}
	return p, nil
}

// address writes where p goes, by which subject, and where its reply goes; "" = there is none.
func (p *parcel) address(to, subject, replyTo string) {
	p.to, p.subject, p.replyTo = to, subject, replyTo
	p.properties.To = &p.to
	p.properties.Subject, p.properties.ReplyTo = nil, nil
	if subject != "" {
		p.properties.Subject = &p.subject
	}
	if replyTo != "" {
		p.properties.ReplyTo = &p.replyTo
	}
}

// durable has a broker that asks for it keep p over its own restart.
func (p *parcel) durable() {
	if p.Header == nil {
		p.header = amqp.MessageHeader{Priority: 4}
		p.Header = &p.header
	}
	p.header.Durable = true
}

// unpack reads a message that came to an address of some kind.
func unpack(in *amqp.Message, kind transport.Kind) (*transport.Message, error) {
	if kind == transport.Notification {
		return unpackNotification(in)
	}
	var id, correlation any
	var replyTo *string
	if p := in.Properties; p != nil {
		id, correlation, replyTo = p.MessageID, p.CorrelationID, p.ReplyTo
	}
	body, err := text(in)
	if err != nil {
		return nil, err
	}
	m := new(transport.Message) // a heartbeat has no body (AMQP1-04)
	if body != nil {
		if m, err = wire.ParseAMQP1(body); err != nil {
			return nil, err
		}
	}
	switch {
	case m.Ending || body == nil:
		if m.ID = idText(correlation); m.ID == "" {
			return nil, errors.New("a reply without a correlation-id")
		}
	case replyTo != nil && *replyTo != "":
		m.ReplyTo, m.ID = *replyTo, idText(id)
	}
	if in.Header != nil && m.Method != "" {
		m.Expires = in.Header.TTL
	}
	m.UniqueID, _ = in.ApplicationProperties[uniqueID].(string)
	if m.Method != "" {
		m.Headers = headers(in.ApplicationProperties)
	}
	return m, nil
}

func unpackNotification(in *amqp.Message) (*transport.Message, error) {
	body, err := text(in)
	if err != nil {
		return nil, err
	}
	m, err := wire.ParseAMQP1Notification(body)
	if err != nil {
		return nil, err
	}
	m.UniqueID, _ = in.ApplicationProperties[uniqueID].(string)
	m.Headers = headers(in.ApplicationProperties)
	return m, nil
}

// headers are the application properties that are a message's; nil = none.
func headers(properties map[string]any) map[string]string {
	var list map[string]string
	for name, value := range properties {
		text, ok := value.(string)
		if !ok || !transport.HeaderName(name) {
			continue
		}
		if list == nil {
			list = make(map[string]string, len(properties))
		}
		list[name] = text
	}
	return list
}

// text returns the body, nil where there is none. Upstream writes a string; some libraries write bytes.
func text(in *amqp.Message) ([]byte, error) {
	switch v := in.Value.(type) {
	case nil:
	case string:
		return []byte(v), nil
	case []byte:
		return v, nil
	default:
		return nil, fmt.Errorf("the body is a %T and no string", v)
	}
	switch len(in.Data) {
	case 0:
		return nil, nil
	case 1:
		return in.Data[0], nil
	}
	return nil, fmt.Errorf("the body has %d parts", len(in.Data))
}

// idText is a message-id or correlation-id as text: peers write strings.
func idText(id any) string {
	switch v := id.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case uint64:
		return strconv.FormatUint(v, 10)
	case amqp.UUID:
		return hex.EncodeToString(v[:])
	}
	return ""
}

// expired says whether the caller of a request has given up, by our clock.
func expired(in *amqp.Message) bool {
	p := in.Properties
	return p != nil && p.AbsoluteExpiryTime != nil && p.AbsoluteExpiryTime.After(believable) && time.Now().After(*p.AbsoluteExpiryTime)
}

// handedOverBefore says whether some listener had the message before, as far as the broker tells.
func handedOverBefore(in *amqp.Message, p product) bool {
	h := in.Header
	if h == nil {
		return false
	}
	return h.DeliveryCount > 0 || p.rabbit() && !h.FirstAcquirer
}
