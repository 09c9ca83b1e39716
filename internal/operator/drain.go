package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/nearest"
)

// A Message is one as it lay in a queue.
type Message struct {
	Exchange    string         `json:"exchange"`
	RoutingKey  string         `json:"routing_key"`
	Redelivered bool           `json:"redelivered"` // somebody had it before
	Properties  map[string]any `json:"properties,omitempty"`
	Headers     map[string]any `json:"headers,omitempty"`
	// Body is what was sent where that is JSON, else Base64 is.
	Body   json.RawMessage `json:"body,omitempty"`
	Base64 []byte          `json:"body_base64,omitempty"`
}

// Oslo returns what oslo.messaging has put into the body: the request, reply or notification, a JSON object. It is nil where there is none.
func (m *Message) Oslo() json.RawMessage {
	var envelope struct {
		Message *string `json:"oslo.message"`
	}
	if json.Unmarshal(m.Body, &envelope) == nil && envelope.Message != nil {
		if inner := json.RawMessage(*envelope.Message); json.Valid(inner) {
			return inner
		}
		return nil
	}
	if len(m.Body) > 0 && m.Body[0] == '{' {
		return m.Body // version 1.0 of notifications has no envelope
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
	m := &Message{Exchange: d.Exchange, RoutingKey: d.RoutingKey, Redelivered: d.Redelivered, Headers: d.Headers, Properties: properties(d)}
	if json.Valid(d.Body) {
		m.Body = d.Body
	} else {
		m.Base64 = d.Body
	}
	return m
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
