package rabbit

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// Inspect asks the broker, by passive declaration, about the queue of an address: that of the topic, of the
// server, or the reply queue. Of a fanout it can only tell whether the exchange exists.
func (t *Transport) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	answer := make(chan transport.AddressState, 1)
	s, err := t.out.session(ctx)
	if err == nil {
		err = s.do(ctx, func(su *setup) error {
			state, err := inspect(su, at)
			answer <- state
			return err
		})
	}
	if err != nil {
		return transport.AddressState{}, fmt.Errorf("rabbit: inspect %s: %w", at, err)
	}
	return <-answer, nil
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
