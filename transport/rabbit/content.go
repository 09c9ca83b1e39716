package rabbit

import (
	"fmt"
	"slices"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A content is a message on its way in, from the method that announces it to the last byte of its body. It is
// the connection's reader's.
type content struct {
	delivery *amqp.Delivery // of a basic.deliver, without its Acknowledger
	to       *consumer      // of a basic.deliver; nil for one that was cancelled
	returned *amqp.Return   // of a basic.return
	size     uint64         // of the body
	body     []byte
	headed   bool // the header was read
	texts    texts

	expiration lastText
	deliveries deliveries
}

// firstBody is the most room made for a body before its bytes are there; beyond, it doubles with those that are. It is the longest body
// that RabbitMQ takes by default, from 4.0 on: room that grows is copied and cleared again each time.
const firstBody = 16 << 20

// deliver begins with a basic.deliver, after the consumer tag.
func (c *content) deliver(in *cursor, to *consumer) error {
	c.to, c.delivery = to, c.deliveries.get()
	*c.delivery = amqp.Delivery{
		DeliveryTag: in.longlong(),
		Redelivered: in.octet()&1 != 0,
		Exchange:    c.texts.text(in.shortstr()),
		RoutingKey:  c.texts.text(in.shortstr()),
	}
	if to != nil {
		c.delivery.ConsumerTag = to.tag
	}
	if in.bad {
		return fmt.Errorf("%w: delivery", errSyntax)
	}
	return nil
}

// giveBack begins with a basic.return.
func (c *content) giveBack(in *cursor) error {
	c.returned = &amqp.Return{
		ReplyCode:  in.short(),
		ReplyText:  string(in.shortstr()),
		Exchange:   c.texts.text(in.shortstr()),
		RoutingKey: c.texts.text(in.shortstr()),
	}
	if in.bad {
		return fmt.Errorf("%w: returned message", errSyntax)
	}
	return nil
}

func (c *content) begun() bool { return c.delivery != nil || c.returned != nil }

// header reads a header frame. Of a message that was given back the properties are of no use.
func (c *content) header(in *cursor) error {
	in.bytes(4) // class and weight
	c.size = in.longlong()
	if c.delivery != nil {
		c.properties(in)
	}
	if in.bad {
		return fmt.Errorf("%w: properties", errSyntax)
	}
	c.headed = true
	return nil
}

func (c *content) properties(in *cursor) {
	d, flags := c.delivery, in.short()
	has := func(property uint16) bool { return flags&property != 0 }
	if has(hasContentType) {
		d.ContentType = c.texts.text(in.shortstr())
	}
	if has(hasContentEncoding) {
		d.ContentEncoding = c.texts.text(in.shortstr())
	}
	if has(hasHeaders) {
		d.Headers = in.table(0)
	}
	if has(hasDeliveryMode) {
		d.DeliveryMode = in.octet()
	}
	if has(hasPriority) {
		d.Priority = in.octet()
	}
	if has(hasCorrelationID) {
		d.CorrelationId = string(in.shortstr())
	}
	if has(hasReplyTo) {
		d.ReplyTo = string(in.shortstr())
	}
	if has(hasExpiration) {
		d.Expiration = c.expiration.text(in.shortstr())
	}
	if has(hasMessageID) {
		d.MessageId = string(in.shortstr())
	}
	if has(hasTimestamp) {
		d.Timestamp = in.time()
	}
	if has(hasType) {
		d.Type = string(in.shortstr())
	}
	if has(hasUserID) {
		d.UserId = string(in.shortstr())
	}
	if has(hasAppID) {
		d.AppId = string(in.shortstr())
	}
	if has(hasClusterID) {
		in.shortstr() // which the library has no place for
	}
}

// add takes a body frame.
func (c *content) add(part []byte) error {
	if uint64(len(c.body)+len(part)) > c.size {
		return fmt.Errorf("%w: more than the %d bytes of a body", errSyntax, c.size)
	}
	if left := c.size - uint64(len(c.body)); cap(c.body)-len(c.body) < len(part) {
		c.body = slices.Grow(c.body, int(min(left, uint64(firstBody+len(c.body)))))
	}
	c.body = append(c.body, part...)
	return nil
}

func (c *content) whole() bool { return c.headed && uint64(len(c.body)) == c.size }

// finish returns what has come, whole, and is ready for the next.
func (c *content) finish() (d *amqp.Delivery, to *consumer, r *amqp.Return) {
	d, to, r = c.delivery, c.to, c.returned
	if d != nil {
		d.Body = c.body
	}
	if r != nil {
		r.Body = c.body
	}
	c.drop()
	return d, to, r
}

// drop forgets what was begun.
func (c *content) drop() {
	c.delivery, c.to, c.returned, c.body, c.size, c.headed = nil, nil, nil, nil, 0, false
}

// texts keeps those few texts that are in every message, so that they need not be copied each time.
type texts struct{ known map[string]string }

// maxTexts bounds it: peers may make keys up.
const maxTexts = 64

func (t *texts) text(b []byte) string {
	if s, ok := t.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if t.known == nil {
		t.known = make(map[string]string)
	}
	if len(t.known) < maxTexts {
		t.known[s] = s
	}
	return s
}

// A lastText keeps one text that is often the same as the last time.
type lastText string

func (t *lastText) text(b []byte) string {
	if string(b) != string(*t) {
		*t = lastText(b)
	}
	return string(*t)
}

// deliveries are used one after the other.
type deliveries struct{ pool sync.Pool }

func (s *deliveries) get() *amqp.Delivery {
	if d, ok := s.pool.Get().(*amqp.Delivery); ok {
		return d
	}
	return new(amqp.Delivery)
}

// put takes one back that nobody uses any more. Its texts and its body may still be in use.
func (s *deliveries) put(d *amqp.Delivery) {
	*d = amqp.Delivery{}
	s.pool.Put(d)
}
