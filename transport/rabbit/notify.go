package rabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

const (
	// maxRemakes is how often the queue of a notification may be missing right after it was declared.
	maxRemakes = 5
	// temporaryLength and temporaryBytes are the most that waits in a queue of a temporary pool. The oldest give way: who only looks is not to
	// fill the broker.
	temporaryLength, temporaryBytes = 10_000, 64 << 20
	// temporaryExpiry is how long a temporary pool lasts that nobody has begun to consume from. It goes with its last consumer.
	temporaryExpiry = time.Minute
)

// notified is the queue of listeners for notifications: of those without a pool, named after its key, or of a pool, which has just
// the pool's name, whatever the topic (RMQ-TOPO-07, NPOOL-01, NPOOL-04).
func (t topology) notified(a transport.Address) queue {
	x := t.topic(a)
	q := t.shared(a, "", &x)
	q.to.Kind = transport.Notification
	if a.Pool != "" {
		q.name = a.Pool
	}
	return q
}

// listened is queues, for a pool that may be temporary. Such a pool, which no Python program is in, has a queue for each topic and priority: the
// consumers of one queue for all would get turns of it, and hear nothing in order.
func (t topology) listened(a transport.Address, unique string, temporary bool) []queue {
	all := t.queues(a, unique)
	if temporary {
		q := &all[0]
		q.name += "." + q.key
		q.durable, q.autoDelete, q.consume = false, true, cancelling(true)
		q.args = amqp.Table{
			amqp.QueueTTLArg:    int32(temporaryExpiry.Milliseconds()),
			amqp.QueueMaxLenArg: int32(temporaryLength), amqp.QueueMaxLenBytesArg: int32(temporaryBytes),
		}
	}
	return all
}

// notify publishes a notification until the broker has confirmed it. Who sends one declares the queue that listeners without a
// pool consume from, once on each connection, so that it waits for them (RMQ-TOPO-08). Upstream learns nothing of a queue
// that was deleted since; here the broker gives the message back, and the queue is declared again.
func (t *Transport) notify(ctx context.Context, to transport.Address, p *publication) error {
	q := t.settings.topology.notified(to)
	p.exchange, p.key, p.mandatory, p.queue = *q.exchange, q.key, true, &q
	for remakes := 0; ; remakes++ {
		err := t.publish(ctx, t.requests, p)
		if !errors.Is(err, transport.ErrNoListener) {
			return err
		}
		t.out.forget(route{p.exchange.name, p.key})
		if remakes == maxRemakes {
			return fmt.Errorf("%w: somebody deletes queue %s as often as it is declared", transport.ErrNotSent, q.name)
		}
		t.log.Warn("queue of notifications gone, declaring it again", "queue", q.name)
	}
}

// forget has a queue declared again by the next who needs it.
func (l *link) forget(at route) {
	l.mu.Lock()
	s := l.live
	l.mu.Unlock()
	if s != nil {
		s.declared.forget(at)
	}
}

// has says which queue, or else which exchange, p needs, and whether it was declared in this session.
func (s *session) has(p *publication) (what route, declared bool) {
	what.exchange = p.exchange.name
	if p.queue != nil {
		what.key = p.key
	}
	return what, s.declared.has(what)
}
