package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/goslo/goslo/transport"
)

// A Transport is one participant of a bus, as a process is of a broker. It implements
// [transport.Transport], [transport.Inspector] and [transport.Namer], and is safe for concurrent use.
type Transport struct {
	bus      *Bus
	exchange string
	release  func() // of the registry that found the bus; may be nil

	// Guarded by bus.mu.
	closed    bool
	listeners []*listener
	unsettled deliveries // of all listeners, closed ones included
}

var (
	_ transport.Transport   = (*Transport)(nil)
	_ transport.Inspector   = (*Transport)(nil)
	_ transport.Namer       = (*Transport)(nil)
	_ transport.Redeliverer = (*Transport)(nil)
)

// Open attaches another participant.
func (b *Bus) Open(c Config) *Transport {
	return &Transport{bus: b, exchange: cmp.Or(c.Exchange, "openstack")}
}

// Close ends every listener. What was handed over and not settled goes back to the bus. It does not wait
// for anything, so ctx does not matter. A second Close is transport.ErrClosed.
func (t *Transport) Close(context.Context) error {
	t.bus.mu.Lock()
	if t.closed {
		t.bus.mu.Unlock()
		return fmt.Errorf("memory: close: %w", transport.ErrClosed)
	}
	t.closed = true
	for _, l := range slices.Clone(t.listeners) {
		l.close()
	}
	t.unsettled.giveBack()
	t.bus.mu.Unlock()
	if t.release != nil {
		t.release()
	}
	return nil
}

// Inspect says what the bus knows about an address. Its counts are exact. Of a Fanout address, Waiting is
// the sum over its listeners.
func (t *Transport) Inspect(ctx context.Context, at transport.Address) (transport.AddressState, error) {
	if err := ctx.Err(); err != nil {
		return transport.AddressState{}, fmt.Errorf("memory: inspect %s: %w", at, err)
	}
	t.bus.mu.Lock()
	defer t.bus.mu.Unlock()
	if t.closed {
		return transport.AddressState{}, fmt.Errorf("memory: inspect %s: %w", at, transport.ErrClosed)
	}
	if at.Kind == transport.Fanout {
		topic := t.bus.topics[t.name(at)]
		if topic == nil {
			return transport.AddressState{}, nil
		}
		s := transport.AddressState{Exists: true, Listeners: len(topic.fanouts)}
		for _, q := range topic.fanouts {
			s.Waiting += q.live()
		}
		return s, nil
	}
	q := t.bus.find(t.name(at).exchange, at)
	if q == nil {
		return transport.AddressState{}, nil
	}
	return transport.AddressState{Exists: true, Listeners: len(q.listeners), Waiting: q.live()}, nil
}

// Redelivery implements [transport.Redeliverer]: the end of a process is here the transport's Close.
func (t *Transport) Redelivery() transport.Redelivery {
	return transport.Redelivery{Casts: true, Calls: true}
}

// Topics names the topics of an exchange ("" = the default one) that have listeners now.
func (t *Transport) Topics(ctx context.Context, exchange string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memory: list topics: %w", err)
	}
	t.bus.mu.Lock()
	defer t.bus.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("memory: list topics: %w", transport.ErrClosed)
	}
	exchange = cmp.Or(exchange, t.exchange)
	var names []string
	for name, topic := range t.bus.topics {
		if name.exchange == exchange && len(topic.shared.listeners) > 0 {
			names = append(names, name.topic)
		}
	}
	return names, nil
}

func (t *Transport) name(a transport.Address) topicName {
	return topicName{cmp.Or(a.Exchange, t.exchange), a.Topic}
}
