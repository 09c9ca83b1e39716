package operator

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/nearest"
	"github.com/goslo/goslo/transport/rabbit"
)

// A Message is one as it lay in a queue.
type Message struct {
	Exchange    string         `json:"exchange"`
	RoutingKey  string         `json:"routing_key"`
	Redelivered bool           `json:"redelivered"` // somebody had it before
	Properties  map[string]any `json:"properties,omitempty"`
	Headers     map[string]any `json:"headers,omitempty"`
	Body        []byte         `json:"-"` // to the byte
}

// Line is all of the message as a line of JSON. The body is its member body where it is JSON that fits on a line, to the byte, else body_base64.
func (m *Message) Line() ([]byte, error) {
	if json.Valid(m.Body) && utf8.Valid(m.Body) && !bytes.ContainsAny(m.Body, "\r\n") {
		return m.LineWith("body", m.Body)
	}
	return m.LineWith("body_base64", strconv.AppendQuote(nil, base64.StdEncoding.EncodeToString(m.Body)))
}

// LineWith is the message as a line of JSON, with another member in place of the body, whose value stands there as it is given.
func (m *Message) LineWith(name string, value []byte) ([]byte, error) {
	line, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	line = append(strconv.AppendQuote(append(bytes.TrimSuffix(line, []byte("}")), ','), name), ':')
	return append(append(line, value...), "}\n"...), nil
}

// Oslo returns what oslo.messaging has put into the body: the request, reply or notification, in the JSON that Python writes, which has NaN and Infinity
// as well. It is nil where there is none.
func (m *Message) Oslo() []byte {
	body, err := rabbit.PlainBody(m.Headers, m.Body)
	if err != nil {
		return nil
	}
	var envelope struct {
		Message *string `json:"oslo.message"`
	}
	if json.Unmarshal(body, &envelope) == nil && envelope.Message != nil {
		return []byte(*envelope.Message)
	}
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("{")) {
		return body // version 1.0 of notifications has no envelope
	}
	return nil
}

// Drain takes up to most messages out of a queue, oldest first; 0 = all that it holds as it begins. Each is given to keep, and acknowledged
// when keep has returned nil, so that none is lost; after an error the rest stays where it is, the one at hand marked as redelivered.
// It returns how many were taken. Consumers of the queue go on taking messages meanwhile.
func (b *Bus) Drain(ctx context.Context, queue string, most int, keep func(*Message) error) (taken int, err error) {
	conn, err := b.AMQP(ctx)
	if err != nil {
		return 0, err
	}
	ch, err := conn.Channel()
	if err != nil {
		return 0, fmt.Errorf("operator: drain queue %s: %w", queue, err)
	}
	// Closing gives back what was not acknowledged.
	defer func() { err = errors.Join(err, closed(ch)) }()
	if most == 0 {
		state, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
		if err != nil {
			return 0, queueError("drain", queue, err)
		}
		most = state.Messages
	}
	for taken < most {
		if err := ctx.Err(); err != nil {
			return taken, err
		}
		d, ok, err := ch.Get(queue, false)
		if err != nil {
			return taken, queueError("drain", queue, err)
		}
		if !ok {
			break
		}
		if err := keep(message(d)); err != nil {
			return taken, errors.Join(err, d.Nack(false, true))
		}
		if err := d.Ack(false); err != nil {
			return taken, fmt.Errorf("operator: drain queue %s: a message was kept and could not be acknowledged; it is still there: %w", queue, err)
		}
		taken++
	}
	return taken, nil
}

// closed closes a channel, which a refusal has closed already.
func closed(ch *amqp.Channel) error {
	if err := ch.Close(); err != nil && !errors.Is(err, amqp.ErrClosed) {
		return fmt.Errorf("operator: %w", err)
	}
	return nil
}

// Purge drops the messages of a queue that no consumer holds, and returns how many.
func (b *Bus) Purge(ctx context.Context, queue string) (int, error) {
	conn, err := b.AMQP(ctx)
	if err != nil {
		return 0, err
	}
	ch, err := conn.Channel()
	if err != nil {
		return 0, fmt.Errorf("operator: purge queue %s: %w", queue, err)
	}
	n, err := ch.QueuePurge(queue, false)
	if err != nil {
		return 0, queueError("purge", queue, err)
	}
	return n, closed(ch)
}

// A NoQueueError is a queue, or a topic, that is not there.
type NoQueueError struct {
	What  string // "queue", "topic" or either
	Name  string
	Vhost string
	Near  string // a name that may have been meant; "" = none
}

// Error says what is missing where.
func (e *NoQueueError) Error() string {
	text := fmt.Sprintf("operator: no %s %q in virtual host %q", e.What, e.Name, e.Vhost)
	if e.Near != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Near)
	}
	return text
}

// NoQueue returns an error that says that something is not there, and what may have been meant.
func (v *View) NoQueue(what, name string) error {
	near, _ := nearest.To(name, v.Names())
	longer := slices.DeleteFunc(v.Names(), func(n string) bool { return !strings.HasPrefix(n, name) })
	if len(longer) == 1 && name != "" {
		near = longer[0]
	}
	return &NoQueueError{What: what, Name: name, Vhost: v.Vhost, Near: near}
}

// queueError explains the broker's refusal of something about a queue.
func queueError(what, queue string, err error) error {
	var refusal *amqp.Error
	if !errors.As(err, &refusal) {
		return fmt.Errorf("operator: %s queue %s: %w", what, queue, err)
	}
	advice := ""
	switch refusal.Code {
	case amqp.NotFound:
		advice = "there is no such queue"
	case amqp.ResourceLocked:
		advice = "it is exclusive: only the connection that declared it may use it"
	case amqp.AccessRefused:
		advice = "the user needs the right for it, see `rabbitmqctl list_permissions`; or the queue has an exclusive consumer"
	case amqp.NotImplemented:
		advice = "a stream is read, not emptied: its own retention (x-max-age) does that"
	}
	return fmt.Errorf("operator: %s queue %s: %s: %w", what, queue, advice, err)
}

func message(d amqp.Delivery) *Message {
	return &Message{Exchange: d.Exchange, RoutingKey: d.RoutingKey, Redelivered: d.Redelivered, Headers: d.Headers, Properties: properties(d), Body: d.Body}
}

// properties are those of AMQP that are set.
func properties(d amqp.Delivery) map[string]any {
	all := map[string]any{
		"content_type": d.ContentType, "content_encoding": d.ContentEncoding, "correlation_id": d.CorrelationId, "reply_to": d.ReplyTo,
		"expiration": d.Expiration, "message_id": d.MessageId, "type": d.Type, "user_id": d.UserId, "app_id": d.AppId,
		"delivery_mode": d.DeliveryMode, "priority": d.Priority,
	}
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == "" || value == uint8(0) })
	if !d.Timestamp.IsZero() {
		all["timestamp"] = d.Timestamp.UTC().Format(time.RFC3339)
	}
	return all
}
