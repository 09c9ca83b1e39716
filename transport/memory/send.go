package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/goslo/goslo/transport"
)

// Send puts m into the queue, or queues, of an address. It never waits. A reply to a listener that is
// gone is transport.ErrNoListener, as is a request to a topic or server that never had one.
func (t *Transport) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if err := t.send(ctx, to, m); err != nil {
		return fmt.Errorf("memory: send to %s: %w", to, err)
	}
	return nil
}

func (t *Transport) send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
	}
	if to.Topic == "" {
		return fmt.Errorf("%w: the address has no topic", transport.ErrRejected)
	}
	if err := transport.CheckHeaders(m.Headers); err != nil {
		return err
	}
	if err := transport.CheckNotification(to, m); err != nil {
		return err
	}
	s := stored{message: *m, to: to}
	s.message.Headers = maps.Clone(m.Headers) // the sender may go on with its own
	if m.Event != nil {
		own := *m.Event
		s.message.Event = &own
	}
	s.to.Exchange = t.name(to).exchange
	if m.Method != "" && m.Version == "" {
		s.message.Version = "1.0"
	}
	if m.Expires > 0 {
		s.deadline = time.Now().Add(m.Expires)
	}
	take, d, err := t.put(to, &s)
	if take != nil {
		take(d)
	}
	return err
}

// put has the bus keep a message, or hand it over. A reply that is pushed is returned with who is to be called with it, once the bus is free.
func (t *Transport) put(to transport.Address, m *stored) (take func(*transport.Delivery), d *transport.Delivery, err error) {
	t.bus.mu.Lock()
	defer t.bus.mu.Unlock()
	if t.closed {
		return nil, nil, transport.ErrClosed
	}
	switch to.Kind {
	case transport.Topic, transport.Reply:
		q := t.bus.find(m.to.Exchange, to)
		if q == nil {
			return nil, nil, transport.ErrNoListener
		}
		if to.Kind == transport.Reply && q.listeners[0].push != nil {
			return q.listeners[0].push, q.listeners[0].pushed(m), nil
		}
		q.pushBack(waiting{stored: &pack(m).stored})
		q.dispatch()
	case transport.Fanout:
		if topic := t.bus.topics[t.name(to)]; topic != nil {
			shared := *m
			for _, q := range topic.fanouts {
				q.pushBack(waiting{stored: &shared})
				q.dispatch()
			}
		}
	case transport.Notification:
		shared := *m
		shared.to.Pool = ""
		for _, q := range t.bus.declareNotified(t.name(to)) {
			q.pushBack(waiting{stored: &shared})
			q.dispatch()
		}
	default:
		return nil, nil, fmt.Errorf("%w: the address is of no known kind", transport.ErrRejected)
	}
	return nil, nil, nil
}

var errSettled = errors.New("it was settled before")

// Ack removes the message from the bus. It never waits, so ctx does not matter.
func (d *delivery) Ack(context.Context) error {
	d.listener.bus.mu.Lock()
	defer d.listener.bus.mu.Unlock()
	if err := d.settle(); err != nil {
		return fmt.Errorf("memory: acknowledge a message to %s: %w", d.To, err)
	}
	d.listener.fill()
	return nil
}

// Requeue puts the message back in front of its queue. It never waits, so ctx does not matter. A queue
// that went with its listener cannot take it back.
func (d *delivery) Requeue(context.Context) error {
	d.listener.bus.mu.Lock()
	defer d.listener.bus.mu.Unlock()
	err := d.settle()
	if err == nil && d.queue.gone {
		err = fmt.Errorf("%w: its queue went with the listener", errors.ErrUnsupported)
	}
	if err != nil {
		return fmt.Errorf("memory: give back a message to %s: %w", d.To, err)
	}
	d.queue.pushFront(waiting{stored: d.stored, deliveries: d.Deliveries})
	d.queue.dispatch()
	d.listener.fill()
	return nil
}

func (d *delivery) settle() error {
	switch {
	case d.listener.transport.closed:
		return transport.ErrClosed
	case d.settled:
		return errSettled
	}
	d.settled = true
	d.listener.outstanding--
	d.listener.transport.unsettled.remove(d)
	return nil
}
