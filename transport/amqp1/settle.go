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
	link *receiver
	in   *amqp.Message
}

// open makes a delivery of it; nil when there is none to be made, which is logged.
func (a arrival) open(ctx context.Context) *transport.Delivery {
	l := a.link.listener
	if a.link.redelivered() {
		a.link.settled() // it comes again
		return nil
	}
	if expired(a.in) {
		l.conn.log.Info("request dropped: its caller has given up", "listener", l.name)
		a.settle(ctx, a.accept)
		return nil
	}
	m, err := unpack(a.in)
	if err != nil {
		l.conn.log.Error("message dropped: it cannot be read", "listener", l.name, "address", a.link.source, "error", err)
		a.settle(ctx, func(ctx context.Context) error {
			return a.link.link.RejectMessage(ctx, a.in, &amqp.Error{Condition: amqp.ErrCondDecodeError, Description: err.Error()})
		})
		return nil
	}
	d := &delivery{arrival: a}
	d.Delivery = transport.Delivery{Message: m, To: a.link.at, Redelivered: handedOverBefore(a.in, a.link.conn.product), Settler: d}
	if a.link.at.Kind == transport.Reply {
		d.To.Topic = l.name
	}
	return &d.Delivery
}

// redelivered says whether the link is gone and the broker hands the message out again.
func (r *receiver) redelivered() bool {
	return r.isDead() && r.conn.product.redelivers() && r.at.Kind == transport.Topic
}

// settle settles what nobody gets to see. Where that fails the link is gone, and the message with it.
func (a arrival) settle(ctx context.Context, how func(context.Context) error) {
	if err := how(ctx); err != nil {
		a.link.listener.conn.log.Debug("not settled", "listener", a.link.listener.name, "error", err)
	}
	a.link.settled()
}

func (a arrival) giveBack(ctx context.Context) {
	a.settle(context.WithoutCancel(ctx), func(ctx context.Context) error { return a.link.link.ReleaseMessage(ctx, a.in) })
}

// accept tells the broker that the message is ours. Where the link is gone it is an error if somebody else gets it then.
func (a arrival) accept(ctx context.Context) error {
	err := a.link.link.AcceptMessage(ctx, a.in)
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
func (d *delivery) Requeue(ctx context.Context) error {
	if !d.link.conn.product.releases() {
		return errors.ErrUnsupported
	}
	defer d.link.settled()
	if err := d.link.link.ReleaseMessage(ctx, d.in); err != nil {
		return fmt.Errorf("amqp1: give a message of %s back: %w", d.link.source, err)
	}
	return nil
}
