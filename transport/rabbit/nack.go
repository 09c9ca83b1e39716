package rabbit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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
	own := *p // whose body and headers stay when Send has returned
	own.body, own.buf, own.headers, own.message = bytes.Clone(p.body), nil, maps.Clone(p.headers), nil
	for _, pause := range elections {
		if !sleep(ctx, pause) {
			break
		}
		err := s.beside(ctx, func() error { return t.attempt(ctx, via, s, &own) })
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return fmt.Errorf("%w: %w", transport.ErrInDoubt, via.link.state(ctx.Err()))
		}
		if !errors.Is(err, errRefused) {
			return err
		}
	}
	return reject(fmt.Errorf("%w: a queue for %q is full, or its node is in trouble", errRefused, p.key))
}

// maxBeside is how many messages are tried on channels of their own at once, of which a connection has 2047.
const maxBeside = 16

// beside runs f in a goroutine of the session's, because a channel opens and closes only with the broker's answer,
// for which f may wait longer than ctx.
func (s *session) beside(ctx context.Context, f func() error) error {
	select {
	case s.slots <- struct{}{}:
	case <-s.gone:
		return s.why
	case <-ctx.Done():
		return ctx.Err()
	}
	result := make(chan error, 1)
	leave := func() { <-s.slots }
	select {
	case s.besides <- func() { defer leave(); result <- f() }:
	case <-s.gone:
		leave()
		return s.why
	case <-ctx.Done():
		leave()
		return ctx.Err()
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
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
	t.counters.published.Add(1)
	t.counters.resent.Add(1)
	select {
	case ok := <-confirm.done:
		t.confirmations.put(confirm)
		back := ok && o.back.take(p.body)
		t.counters.settled(ok, back)
		switch {
		case !ok:
			return errRefused
		case back:
			return noListener(p)
		}
		return nil
	case why := <-o.closes:
		return fmt.Errorf("%w: %w", transport.ErrInDoubt, cmp.Or(why, amqp.ErrClosed))
	case <-ctx.Done():
		return ctx.Err()
	}
}
