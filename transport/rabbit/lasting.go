package rabbit

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/wire"
)

// A lasting remembers that the broker takes no transient queues, except for exclusive ones. RabbitMQ 4.3 refuses
// them by default, 3.13 to 4.2 when configured so (deprecated_features.permit.transient_nonexcl_queues), with
// connection.close 541. Then queues and topic exchanges are declared durable, with the same names and expiries.
// An exclusive queue would end with its connection, and the replies in it; and no other connection can look at
// it, which inspecting and probing need. The zero value is ready.
type lasting struct{ on atomic.Bool }

// transientQueues is how the broker calls them.
const transientQueues = "transient_nonexcl_queues"

// queue returns q as the broker takes it.
func (l *lasting) queue(q queue) queue {
	q.durable = q.durable || l.on.Load()
	return q
}

// exchange returns x as peers declare it on such a broker: theirs work with durable queues only, and then their
// topic exchange is durable too. That of a fanout is transient all the same.
func (l *lasting) exchange(x exchange) exchange {
	x.durable = x.durable || x.kind == amqp.ExchangeTopic && l.on.Load()
	return x
}

// refused says that the broker takes no transient queues.
func (l *lasting) refused(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == amqp.InternalError && strings.Contains(e.Reason, transientQueues)
}

func (l *lasting) begin(log *slog.Logger, why error) {
	if l.on.Swap(true) {
		return
	}
	log.Warn("the broker takes no transient queues: declaring durable ones instead, its connection is closed and made again",
		"change", "amqp_durable_queues=true or rabbit_quorum_queue=true in this service and its peers, "+
			"rabbit_transient_quorum_queue=true for reply and fanout queues, "+
			"or deprecated_features.permit."+transientQueues+"=true in the broker", "broker", why)
}

// ask finds out before a transient topic exchange is declared whether that should be a durable one, by declaring
// a queue as reply queues are. Once on each connection to a broker that may refuse, until one has.
func (l *lasting) ask(su *setup, x exchange, log *slog.Logger) error {
	if x.durable || x.kind != amqp.ExchangeTopic || su.asked || l.on.Load() || !mayRefuse(su.session.conn) {
		return nil
	}
	su.asked = true
	name := "reply_" + wire.NewID()
	err := su.try(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(name, false, true, false, false, amqp.Table{amqp.QueueTTLArg: int32(60_000)})
		return err
	})
	if l.refused(err) {
		l.begin(log, err)
		return err
	}
	if err == nil {
		err = su.try(func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(name, false, false, false)
			return err
		})
	}
	if su.session.conn.IsClosed() {
		return err
	}
	return nil // this user may not declare such a queue: then it is not known, nor is it needed
}

// mayRefuse says that the broker is of a version that knows deprecated features.
func mayRefuse(conn *amqp.Connection) bool {
	major, minor := brokerVersion(conn.Properties)
	return major > 3 || major == 3 && minor >= 13
}
