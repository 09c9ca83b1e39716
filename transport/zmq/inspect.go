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
	of := c.serviceAt(at)
	list, err := c.peers.candidates(ctx, of, true)
	if err != nil {
		return s, fmt.Errorf("zmq: inspect %s: %w", at, err)
	}
	s.Listeners = 0
	for i := range list {
		k := list[i].link
		switch {
		case k.state.Load() == linkDead:
		case list[i].Unasked:
			s.Listeners += k.count(of, false) + k.count(of, true)
		case of.Server == "":
			s.Listeners += len(list[i].Servers)
		case slices.Contains(list[i].Servers, of.Server):
			s.Listeners++
		}
	}
	s.Exists = s.Listeners > 0 || c.peers.hasSeen(of)
	return s, nil
}

// Topics implements [transport.Namer].
func (c *Conn) Topics(ctx context.Context, exchange string) ([]string, error) {
	if c.isClosed() {
		return nil, fmt.Errorf("zmq: list topics: %w", transport.ErrClosed)
	}
	topics, err := c.directory.topics(ctx, cmp.Or(exchange, c.cfg.exchange))
	return topics, wrap(err, "zmq: list topics")
}
