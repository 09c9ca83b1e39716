package rabbit

import (
	amqp "github.com/rabbitmq/amqp091-go"
)

// Quorum queues count, and throw a message away, or dead-letter it, that has come back once more than their limit. Classic queues do
// neither: all that they tell is whether a message was handed over before.
const (
	// returnsHeader says how often a message came back to its queue; absent until it did. Up to RabbitMQ 4.2 everything counts: a
	// reject, a nack, the end of a channel or of a connection. From 4.3 on a nack does not, and it is what the limit is compared with.
	returnsHeader = "x-delivery-count"
	// handedHeader is RabbitMQ's since 4.3: how often a message was handed over before, whatever became of it.
	handedHeader = "x-acquired-count"

	limitArgument = "x-delivery-limit"
	// limitOf4Queues is the limit of queues for which nobody has said one, since 4.0.
	limitOf4Queues = 20
)

// counted tells how often d was handed over, 0 where its queue does not count, and whether it is thrown away when it comes back. A limit that
// a policy sets is not told to clients.
func (l *listener) counted(sub *subscription, i int, d *amqp.Delivery) (deliveries int, last bool) {
	returns, handed := d.Headers[returnsHeader], d.Headers[handedHeader]
	if returns == nil && handed == nil {
		return 0, false
	}
	n := number(returns)
	limit, limited := l.declarer.deliveryLimit(sub.session.conn.Properties, l.queues[i])
	return int(max(n, number(handed))) + 1, limited && n >= limit
}

// deliveryLimit is that of a quorum queue, as it exists.
func (d *declarer) deliveryLimit(server amqp.Table, q queue) (limit int64, limited bool) {
	args := q.args
	if has, ok := d.adopted.Load("queue " + q.name); ok {
		args = has.(form).args
	}
	if own, ok := args[limitArgument]; ok {
		limit = number(own)
		return limit, limit >= 0 // -1 = none
	}
	major, _ := brokerVersion(server)
	return limitOf4Queues, major >= 4
}

// number is an integer of any of the types that tables have; 0 for what is none.
func number(v any) int64 {
	switch n := v.(type) {
	case int8:
		return int64(n)
	case byte:
		return int64(n)
	case int16:
		return int64(n)
	case uint16:
		return int64(n)
	case int32:
		return int64(n)
	case uint32:
		return int64(n)
	case int64:
		return n
	}
	return 0
}
