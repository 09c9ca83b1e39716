//go:build zmq

package zmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/goslo/goslo/transport"
)

// seenMost is how many addresses are remembered for Inspect.
const seenMost = 10000

// Inspect implements [transport.Inspector]. Exists is whether somebody listens, or this process has seen somebody listen; nobody
// else remembers. Listeners of one name in one process count once. Waiting is -1: nobody can tell. A reply address is
// errors.ErrUnsupported.
func (c *Conn) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	s := transport.AddressState{Listeners: -1, Waiting: -1}
	if at.Kind == transport.Reply {
		return s, fmt.Errorf("zmq: inspect %s: reply addresses: %w", at, errors.ErrUnsupported)
	}
	if c.isClosed() {
		return s, fmt.Errorf("zmq: inspect %s: %w", at, transport.ErrClosed)
	}
	of := service{cmp.Or(at.Exchange, c.cfg.exchange), at.Topic, at.Server}
	if at.Kind == transport.Fanout {
		of.Server = ""
	}
	list, err := c.candidates(ctx, of, true)
	if err != nil {
		return s, fmt.Errorf("zmq: inspect %s: %w", at, err)
	}
	s.Listeners = 0
	for i := range list {
		k := list[i].link
		switch {
		case k.state.Load() == linkDead:
		case list[i].Unasked:
			s.Listeners += k.count(of)
		case of.Server == "":
			s.Listeners += len(list[i].Servers)
		case slices.Contains(list[i].Servers, of.Server):
			s.Listeners++
		}
	}
	s.Exists = s.Listeners > 0 || c.hasSeen(of)
	return s, nil
}

// count returns how many listeners the server has said to have.
func (k *link) count(of service) (n int) {
	list := k.services.Load()
	if list == nil {
		return 0
	}
	for _, s := range *list {
		if s.Exchange == of.Exchange && s.Topic == of.Topic && (of.Server == "" || s.Server == of.Server) {
			n++
		}
	}
	return n
}

// saw remembers who serves a topic. The caller holds mu.
func (c *Conn) saw(name topicName, list []candidate) {
	if len(c.seen) > seenMost {
		clear(c.seen)
	}
	for i := range list {
		for _, server := range list[i].Servers {
			c.seen[service{name.exchange, name.topic, server}] = struct{}{}
			c.seen[service{name.exchange, name.topic, ""}] = struct{}{}
		}
	}
}

func (c *Conn) hasSeen(s service) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.seen[s]
	return ok
}

// Topics implements [transport.Namer].
func (c *Conn) Topics(ctx context.Context, exchange string) ([]string, error) {
	if c.isClosed() {
		return nil, fmt.Errorf("zmq: list topics: %w", transport.ErrClosed)
	}
	topics, err := c.directory.topics(ctx, cmp.Or(exchange, c.cfg.exchange))
	return topics, wrap(err, "zmq: list topics")
}
