package memory

import (
	"bytes"
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
	if to.Kind == transport.Reply && t.push(to, m) {
		return nil
	}
	s := newStored(to.Kind)
	s.message, s.to = taken(m), to
	s.to.Exchange = t.name(to).exchange
	if m.Method != "" && m.Version == "" {
		s.message.Version = "1.0"
	}
	if m.Expires > 0 {
		s.deadline = time.Now().Add(m.Expires)
	}
	return t.put(to, s)
}

// taken is a message as it was sent, whatever its sender does with its own from now on.
func taken(m *transport.Message) transport.Message {
	t := *m
	t.Headers = maps.Clone(m.Headers)
	t.Args, t.Result, t.Failure = bytes.Clone(m.Args), bytes.Clone(m.Result), bytes.Clone(m.Failure)
	if m.Event != nil {
		event := *m.Event
		event.Payload = bytes.Clone(event.Payload)
		t.Event = &event
	}
	return t
}

// push hands a reply to its listener, if that wants it.
func (t *Transport) push(to transport.Address, m *transport.Message) bool {
	t.bus.mu.Lock()
	var take func(*transport.Delivery)
	if q := t.bus.replies[to.Topic]; q != nil && !t.closed {
		take = q.listeners[0].push
	}
	t.bus.mu.Unlock()
	if take == nil {
		return false
	}
	p, ok := t.bus.pushed.Get().(*pushedReply)
	if !ok {
		p = new(pushedReply)
	}
	p.message = taken(m)
	p.Delivery = transport.Delivery{Message: &p.message, To: to, Deliveries: 1, Settler: pushed{}}
	take(&p.Delivery)
	*p = pushedReply{}
	t.bus.pushed.Put(p)
	return true
}

// A pushedReply is a delivery with its message.
type pushedReply struct {
	transport.Delivery
	message transport.Message
}

// pushed is the settler of what is pushed, which nobody has to settle.
type pushed struct{}

func (pushed) Ack(context.Context) error     { return errSettled }
func (pushed) Requeue(context.Context) error { return errSettled }

// put has the bus keep a message, or hand it over. It is the bus's from now on.
func (t *Transport) put(to transport.Address, m *stored) error {
	t.bus.mu.Lock()
	defer t.bus.mu.Unlock()
	if t.closed {
		return transport.ErrClosed
	}
	switch to.Kind {
	case transport.Topic, transport.Reply:
		q := t.bus.find(m.to.Exchange, to)
		if q == nil {
			return transport.ErrNoListener
		}
		q.take(waiting{stored: m})
	case transport.Fanout:
		if topic := t.bus.topics[t.name(to)]; topic != nil {
			for _, q := range topic.fanouts {
				q.take(waiting{stored: m})
			}
		}
	case transport.Notification:
		m.to.Pool = ""
		for _, q := range t.bus.declareNotified(t.name(to)) {
			q.take(waiting{stored: m})
		}
	default:
		return fmt.Errorf("%w: the address is of no known kind", transport.ErrRejected)
	}
	return nil
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
