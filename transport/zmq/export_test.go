//go:build zmq

package zmq

import (
	"context"
	"time"

	"github.com/goslo/goslo/transport"
)

// BreakConnections breaks the connections to servers, as a network would that is back at once. It returns how many there were.
func (c *Conn) BreakConnections() int {
	n := make(chan int, 1)
	c.loop.inbox.order(func() {
		for k := range c.loop.links {
			_ = k.wire.dealer.socket.Disconnect(k.wire.endpoint)
			_ = k.wire.dealer.socket.Connect(k.wire.endpoint)
		}
		n <- len(c.loop.links)
	})
	return <-n
}

// InFlight is how many requests have left and were not answered.
func (c *Conn) InFlight() int {
	n := make(chan int, 1)
	c.loop.inbox.order(func() {
		sum := 0
		for k := range c.loop.links {
			sum += len(k.inflight)
		}
		n <- sum
	})
	return <-n
}

// Down is how many servers are connected to and do not answer.
func (c *Conn) Down() int {
	n := make(chan int, 1)
	c.loop.inbox.order(func() {
		sum := 0
		for k := range c.loop.links {
			if k.state.Load() == linkDown {
				sum++
			}
		}
		n <- sum
	})
	return <-n
}

// AgeLosses has servers that do not answer have been so for longer.
func (c *Conn) AgeLosses(by time.Duration) {
	done := make(chan struct{})
	c.loop.inbox.order(func() {
		for k := range c.loop.links {
			k.wire.lost = k.wire.lost.Add(-by)
		}
		close(done)
	})
	<-done
}

// Misdirect sends a message that is no notification to where notifications are heard, or a notification elsewhere, as no Conn does.
func (c *Conn) Misdirect(ctx context.Context, to transport.Address, m *transport.Message) error {
	e := envelope{to: toTopic, service: c.serviceAt(to)}
	body, err := appendMessage(appendRequest(nil, &e), m, &c.peers.checker, "")
	if err != nil {
		return err
	}
	return c.toOne(ctx, e, body, anybody{})
}
