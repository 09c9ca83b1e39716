package interop_test

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/wire"
)

// A raw is a connection to the broker without any messaging library: it sees and sends what nobody else would.
type rawPeer struct {
	w  *town
	ch *amqp.Channel
}

func (w *town) raw(t *testing.T) *rawPeer {
	t.Helper()
	c, err := amqp.DialConfig("amqp://guest:guest@"+w.node.Addr(), amqp.Config{Vhost: w.vhost})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return &rawPeer{w, ch}
}

// queue declares a queue of the raw peer's own and consumes it. With a topic, requests for the topic or its fanout arrive there.
func (p *rawPeer) queue(t *testing.T, name, topic string) <-chan amqp.Delivery {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.ch.QueueDeclare(name, false, true, false, false, nil)
	must(err)
	if topic != "" {
		must(p.ch.ExchangeDeclare("openstack", "topic", false, false, false, false, nil))
		must(p.ch.QueueBind(name, topic, "openstack", false, nil))
		must(p.ch.QueueBind(name, topic+".one", "openstack", false, nil))
		must(p.ch.ExchangeDeclare(topic+"_fanout", "fanout", false, true, false, false, nil))
		must(p.ch.QueueBind(name, topic, topic+"_fanout", false, nil))
	}
	deliveries, err := p.ch.Consume(name, "", true, false, false, false, nil)
	must(err)
	return deliveries
}

// publish sends a body as oslo.messaging would.
func (p *rawPeer) publish(t *testing.T, exchange, key, body string) {
	t.Helper()
	p.publishAs(t, exchange, key, amqp.Publishing{ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: 2, Body: []byte(body)})
}

func (p *rawPeer) publishAs(t *testing.T, exchange, key string, m amqp.Publishing) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := p.ch.PublishWithContext(ctx, exchange, key, true, false, m); err != nil {
		t.Fatal(err)
	}
}

// next waits for a delivery.
func next(t *testing.T, from <-chan amqp.Delivery) amqp.Delivery {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case d, ok := <-from:
		if !ok {
			t.Fatal("the raw channel was closed")
		}
		return d
	case <-timer.C:
		t.Fatal("nothing arrived")
	}
	return amqp.Delivery{}
}

// enveloped puts a message into the envelope of version 2.0.
func enveloped(message string) string {
	text, err := json.Marshal(message)
	if err != nil {
		panic(err) // a string always encodes
	}
	return `{"oslo.version": "2.0", "oslo.message": ` + string(text) + `}`
}

// open takes a body apart: the envelope's other members, and the message.
func open(t *testing.T, body []byte) (envelope, message map[string]any) {
	t.Helper()
	decode := func(text []byte, v any) {
		t.Helper()
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(v); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	decode(body, &envelope)
	inner, ok := envelope["oslo.message"].(string)
	if !ok {
		t.Fatalf("oslo.message is no string: %s", body)
	}
	delete(envelope, "oslo.message")
	decode([]byte(inner), &message)
	return envelope, message
}

var identifier = regexp.MustCompile(`^[0-9a-f]{32}$`)

// seen is what the wire shows of a message, without what differs from run to run.
type seen struct {
	Exchange, Key   string
	ContentType     string
	ContentEncoding string
	DeliveryMode    uint8
	Priority        uint8
	Expiration      string
	Headers         map[string]any // empty also when there is no table: amqp091-go leaves an empty one out
	Other           [6]string      // properties that nobody sets
	Envelope        map[string]any
	Message         map[string]any
}

// look takes a delivery apart. Identifiers become their shape, and so does an expiration that is just under the call's timeout.
func look(t *testing.T, d amqp.Delivery, timeout time.Duration) seen {
	t.Helper()
	envelope, message := open(t, d.Body)
	for _, name := range []string{"_msg_id", "_unique_id"} {
		if id, ok := message[name].(string); ok && identifier.MatchString(id) {
			message[name] = "<32 hex digits>"
		}
	}
	if q, ok := message["_reply_q"].(string); ok {
		if id, ok := strings.CutPrefix(q, "reply_"); ok && identifier.MatchString(id) {
			message["_reply_q"] = "reply_<32 hex digits>"
		}
	}
	s := seen{
		Exchange: d.Exchange, Key: d.RoutingKey,
		ContentType: d.ContentType, ContentEncoding: d.ContentEncoding,
		DeliveryMode: d.DeliveryMode, Priority: d.Priority,
		Expiration: d.Expiration, Headers: map[string]any{},
		Other:    [6]string{d.CorrelationId, d.ReplyTo, d.MessageId, d.Type, d.AppId, d.UserId},
		Envelope: envelope, Message: message,
	}
	for k, v := range d.Headers {
		s.Headers[k] = v
	}
	if d.Expiration != "" {
		left, err := time.ParseDuration(d.Expiration + "ms")
		if err == nil && left <= timeout && left > timeout-20*time.Second {
			s.Expiration = "<in time>"
		}
	}
	return s
}

// request is a request's inner message with a fresh unique id; more holds further members, each with a comma behind it.
func rawRequest(more, method, args string) string {
	return `{` + more + `"method": "` + method + `", "args": ` + args + `, "_unique_id": "` + wire.NewID() + `"}`
}
