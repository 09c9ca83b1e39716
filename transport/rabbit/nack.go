package rabbit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// A channel's view of a quorum queue can be stuck. Where the node of the leader is dead when a channel publishes to
// the queue for the first time, RabbitMQ (3.10) refuses this and all that follows on that channel until the node is back,
// even though the queue has had another leader for long. A new channel finds the new leader. Therefore what was refused
// is tried on channels of its own, for as long as an election may take, before it is an error.

// elections are the pauses before these attempts.
var elections = [...]time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond, time.Second}

// errRefused is the broker's basic.nack.
var errRefused = errors.New("the broker did not take it (nack)")

// apart publishes p, which was refused on the publisher's channel, on channels of its own.
func (t *Transport) apart(ctx context.Context, via *publisher, s *session, p *publication) error {
	t.log.Debug("the broker refused a message, trying again on another channel", "broker", s.addr, "exchange", p.exchange.name, "key", p.key)
	for _, pause := range elections {
		if !sleep(ctx, pause) {
			break
		}
		err := t.attempt(ctx, via, s, p)
		if !errors.Is(err, errRefused) {
			return err
		}
	}
	return reject(fmt.Errorf("%w: a queue for %q is full, or its node is in trouble", errRefused, p.key))
}

// attempt publishes p once, on a channel that lives as long. Its error is errRefused when the broker refused p.
func (t *Transport) attempt(ctx context.Context, via *publisher, s *session, p *publication) error {
	o, err := via.open(s)
	if err != nil {
		return fmt.Errorf("%w: open a channel: %w", transport.ErrNotSent, err)
	}
	defer func() { _ = o.ch.Close() }() // it may be closed already
	confirm := t.confirmations.get()
	if err := o.ch.publish(p, confirm); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrInDoubt, err)
	}
	select {
	case ok := <-confirm.done:
		t.confirmations.put(confirm)
		switch {
		case !ok:
			return errRefused
		case o.back.take(p.body):
			return noListener(p)
		}
		return nil
	case why := <-o.closes:
		return fmt.Errorf("%w: %w", transport.ErrInDoubt, cmp.Or(why, amqp.ErrClosed))
	case <-ctx.Done():
		return fmt.Errorf("%w: waited for the broker's confirm: %w", transport.ErrInDoubt, via.link.state(ctx.Err()))
	}
}
