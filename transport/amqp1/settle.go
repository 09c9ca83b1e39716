package amqp1

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
)

// An arrival is a message that came by a link.
type arrival struct {
	link  *receiver
	in    message
	again bool // it was given back, and did not leave us
}

// open makes a delivery of it; nil when there is none to be made, which is logged.
func (a arrival) open() *transport.Delivery {
	l := a.link.listener
	if a.link.redelivered() {
		a.link.settled() // it comes again
		return nil
	}
	kind := a.link.at.Kind
	s, err := readSections(a.in.data)
	if err == nil && kind != transport.Notification && s.expired() {
		l.conn.log.Info("request dropped: its caller has given up", "listener", l.name)
		a.settle(fate{state: accepted0})
		return nil
	}
	var m *transport.Message
	if err == nil {
		m, err = s.unpack(kind)
	}
	if err != nil {
		l.conn.log.Error("message dropped: it cannot be read", "listener", l.name, "address", a.link.source, "error", err)
		a.settle(fate{state: rejected0, why: &amqp.Error{Condition: amqp.ErrCondDecodeError, Description: err.Error()}})
		return nil
	}
	d := &delivery{arrival: a}
	d.Delivery = transport.Delivery{Message: m, To: a.link.at, Redelivered: a.again || s.handedOverBefore(a.link.conn.product), Settler: d}
	if kind == transport.Reply {
		d.To.Topic = l.name
	}
	return &d.Delivery
}

// push hands it to who takes everything.
func (a arrival) push(take func(*transport.Delivery)) {
	if d := a.open(); d != nil {
		take(d)
		a.settle(fate{state: accepted0})
	}
}

// redelivered says whether the link is gone and the broker hands the message out again.
func (r *receiver) redelivered() bool {
	return r.isDead() && r.conn.product.redelivers() && r.lasts()
}

// settle settles what nobody gets to see. Where that fails the link is gone, and the message with it.
func (a arrival) settle(f fate) {
	if err := a.link.in.decide(a.in, f); err != nil {
		a.link.listener.conn.log.Debug("not settled", "listener", a.link.listener.name, "error", err)
	}
	a.link.settled()
}

func (a arrival) giveBack() { a.settle(fate{state: released0}) }

// accept tells the broker that the message is ours. Where the link is gone it is an error if somebody else gets it then.
func (a arrival) accept(ctx context.Context) error {
	err := a.link.in.decide(a.in, fate{state: accepted0})
	if err == nil || ctx.Err() == nil && !a.link.conn.product.redelivers() {
		return nil
	}
	return fmt.Errorf("amqp1: acknowledge a message of %s: %w", a.link.source, err)
}

// A delivery is what Next returns.
type delivery struct {
	transport.Delivery
	arrival
}

// Ack is part of transport.Settler.
func (d *delivery) Ack(ctx context.Context) error {
	defer d.link.settled()
	return d.accept(ctx)
}

// Requeue is part of transport.Settler. Of brokers that we do not know, some forget what is released. At a router the sender hears of
// it, unless it sent the message settled, as Python sends casts: that one is gone.
//
// A notification that the broker would forget comes again to the same listener instead, for as long as that is open.
func (d *delivery) Requeue(context.Context) error {
	if !d.link.conn.product.releases() {
		if d.link.at.Kind != transport.Notification || d.link.over() {
			return errors.ErrUnsupported
		}
		d.link.listener.inbox.push(arrival{link: d.link, in: d.in, again: true})
		return nil
	}
	defer d.link.settled()
	if err := d.link.in.decide(d.in, fate{state: released0}); err != nil {
		return fmt.Errorf("amqp1: give a message of %s back: %w", d.link.source, err)
	}
	return nil
}
