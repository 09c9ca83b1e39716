package rabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// Inspect asks the broker, by passive declaration, about the queue of an address: that of the topic, of the
// server, or the reply queue, or that of notifications. Of a fanout it can only tell whether the exchange exists.
//
// It is asked on the listening connection, if there is one: RabbitMQ reads nothing from a connection that it has blocked for
// publishing, questions included. Where the broker is away, or blocks us and there is no other connection to ask on, until ctx
// ends, the error holds a [transport.OutageError].
func (t *Transport) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	for {
		via := t.out
		if t.in.isLive() {
			via = t.in
		}
		s, err := via.session(ctx)
		if err == nil {
			var state transport.AddressState
			if state, err = s.inspect(ctx, at); err == nil {
				state.Blocked, state.Rebuilt = t.out.blockedBy(), t.listeners.rebuilt(at)
				return state, nil
			}
			if ctx.Err() == nil && s.conn.IsClosed() {
				select {
				case <-s.gone:
				case <-ctx.Done():
				}
				continue // the next session may answer
			}
			if ctx.Err() != nil {
				err = via.state(ctx.Err())
			}
		}
		return transport.AddressState{}, fmt.Errorf("rabbit: inspect %s: %w", at, err)
	}
}

func (s *session) inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	answer := make(chan transport.AddressState, 1)
	err := s.do(ctx, func(su *setup) error {
		state, err := inspect(su, at)
		answer <- state
		return err
	})
	if err != nil {
		return transport.AddressState{}, err
	}
	return <-answer, nil
}

func (l *link) isLive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live != nil
}

// blockedBy is why the broker takes no messages; "" when it does.
func (l *link) blockedBy() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocked
}

// consumerTimeout is RabbitMQ's default for consumer_timeout since 3.8.17. What this broker has is not told to clients.
const consumerTimeout = 30 * time.Minute

// Redelivery implements [transport.Redeliverer]: the broker gives what a lost channel held unacknowledged to another
// consumer, and closes the channel that holds a message for longer than its consumer_timeout.
func (t *Transport) Redelivery() transport.Redelivery {
	return transport.Redelivery{Casts: true, Calls: true, Within: consumerTimeout, WithinName: "RabbitMQ's consumer_timeout"}
}

func inspect(su *setup, at transport.Address) (transport.AddressState, error) {
	state := transport.AddressState{Exists: true, Listeners: -1, Waiting: -1}
	ch, err := su.channel()
	if err != nil {
		return state, err
	}
	if at.Kind == transport.Fanout {
		x := (topology{}).fanout(at)
		err = ch.ExchangeDeclarePassive(x.name, x.kind, x.durable, x.autoDelete, false, false, nil)
	} else {
		name := at.Topic
		if at.Server != "" {
			name += "." + at.Server
		}
		if at.Pool != "" {
			name = at.Pool
		}
		var q amqp.Queue
		q, err = ch.QueueDeclarePassive(name, false, false, false, false, nil)
		state.Listeners, state.Waiting = q.Consumers, q.Messages
	}
	var refusal *amqp.Error
	if errors.As(err, &refusal) && refusal.Code == amqp.NotFound {
		return transport.AddressState{}, nil
	}
	return state, err
}
