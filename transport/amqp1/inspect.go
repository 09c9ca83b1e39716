package amqp1

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
)

// Inspect is part of transport.Inspector. Only RabbitMQ can be asked whether a queue exists; who listens and what waits nobody
// tells on AMQP 1.0. The error wraps errors.ErrUnsupported where it cannot be asked.
func (c *Conn) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	state, err := c.inspect(ctx, at)
	if err != nil {
		return transport.AddressState{}, fmt.Errorf("amqp1: inspect %s: %w", at, err)
	}
	return state, nil
}

func (c *Conn) inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	n, err := c.await(ctx)
	if err == nil {
		err = ctx.Err() // the library would end a session later that it never began, and the broker the connection
	}
	if err != nil {
		return transport.AddressState{}, err
	}
	if !n.product.rabbit() || at.Kind == transport.Fanout {
		return transport.AddressState{}, fmt.Errorf("%w: the broker at %s cannot be asked", errors.ErrUnsupported, n.addr)
	}
	queue := at.Topic
	if at.Kind != transport.Reply {
		if queue, err = n.addresses.to(at); err != nil {
			return transport.AddressState{}, err
		}
	}
	session, err := n.probe(ctx, queue)
	if session != nil {
		defer end(ctx, session)
	}
	if answer, ok := refused(err); ok && answer.Condition == amqp.ErrCondNotFound {
		return transport.AddressState{}, nil
	}
	return transport.AddressState{Exists: true, Listeners: -1, Waiting: -1}, err
}

// rabbitConsumerTimeout is how long RabbitMQ waits for an acknowledgement by default.
const rabbitConsumerTimeout = 30 * time.Minute

// Redelivery is part of transport.Redeliverer. It is what the kind of broker does that the transport is, or was last,
// connected to; of one that does not say what it is nothing is claimed, nor of a router, which keeps nothing.
func (c *Conn) Redelivery() transport.Redelivery {
	p := c.product()
	switch {
	case p.rabbit():
		return transport.Redelivery{Casts: true, Calls: true, Within: rabbitConsumerTimeout, WithinName: "consumer_timeout"}
	case p.redelivers():
		return transport.Redelivery{Casts: true, Calls: true}
	}
	return transport.Redelivery{}
}

// product is that of the connection, or of the last one.
func (c *Conn) product() product {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		return ""
	}
	return *c.last
}

// counts are what a transport has done.
type counts struct {
	published, confirmed, returned, refused, reconnects atomic.Uint64
}

// Statistics is part of transport.Meter.
func (c *Conn) Statistics() transport.Statistics {
	s := transport.Statistics{
		Published: c.counts.published.Load(), Confirmed: c.counts.confirmed.Load(), Returned: c.counts.returned.Load(), Refused: c.counts.refused.Load(),
		Reconnects: c.counts.reconnects.Load(), Connections: 1,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Away = c.away
	if c.live != nil {
		s.Connected = 1
	} else if !c.closed {
		s.Away += time.Since(c.since)
	}
	return s
}
