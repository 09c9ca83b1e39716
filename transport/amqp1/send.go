package amqp1

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
)

const (
	// replyPatience is how long a reply waits for credit, which a router gives for as long as its caller is there.
	replyPatience = 3 * time.Second
	// firstPause is the first pause before a message is sent again that the broker gave back, or could not take.
	firstPause = 100 * time.Millisecond
)

// errAgain says that a message did not leave, or was given back, and may be sent again.
var errAgain = errors.New("try again")

// Send sends m. Unless its kind is sent settled (option pre_settled), Send returns when the broker, or with a router the
// receiver, has accepted it. A context without a deadline gets default_send_timeout, for a notification default_notify_timeout, and for a
// reply default_reply_timeout.
//
// Errors wrap transport.ErrNoListener (the broker knows no such address; not every broker says so), ErrNotSent (no
// connection, no link or no credit until ctx ended), ErrInDoubt (it left, and the connection broke or ctx ended before the
// broker said what became of it; it is not sent again), ErrRejected or ErrClosed.
func (c *Conn) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if !c.sending.enter() {
		return fmt.Errorf("amqp1: send to %s: %w", to, transport.ErrClosed)
	}
	defer c.sending.leave()
	if err := c.send(ctx, to, m); err != nil {
		return fmt.Errorf("amqp1: send to %s: %w", to, err)
	}
	return nil
}

func (c *Conn) send(ctx context.Context, to transport.Address, m *transport.Message) error {
	settled := c.settings.settled.cast
	limit := c.settings.timeouts.send
	switch to.Kind {
	case transport.Topic:
		if m.ReplyTo != "" {
			settled = c.settings.settled.call
		}
	case transport.Fanout:
	case transport.Reply:
		limit = c.settings.timeouts.reply
		settled = c.settings.settled.reply || !m.Ending // heartbeats always (AMQP1-04)
	case transport.Notification:
		limit = c.settings.timeouts.notify
		settled = c.settings.settled.notification
	default:
		return reject(errors.New("the address has no kind"))
	}
	if err := transport.CheckNotification(to, m); err != nil {
		return err
	}
	if to.Topic == "" {
		return reject(errors.New("the address has no topic"))
	}
	if err := transport.CheckHeaders(m.Headers); err != nil {
		return reject(err)
	}
	p := c.parcel()
	defer c.keep(p)
	var err error
	if p.body, err = appendBody(p.body[:0], m); err != nil {
		return reject(err)
	}
	var l label
	if m.Method != "" && m.Expires > 0 {
		l.expiry = time.Now().Add(m.Expires)
	}
	if end, ok := ctx.Deadline(); !ok || to.Kind == transport.Reply && time.Until(end) > limit {
		limited := newPatience(ctx, limit)
		defer limited.over()
		ctx = limited
	}
	pause := firstPause
	for {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", transport.ErrNotSent, c.state(context.Cause(ctx)))
		}
		n, err := c.await(ctx)
		if err != nil {
			if errors.Is(err, transport.ErrClosed) {
				return err
			}
			return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
		}
		err = c.attempt(ctx, n, to, m, p, l, settled)
		if !errors.Is(err, errAgain) {
			return err
		}
		if n.isGone() {
			continue // the next connection is waited for
		}
		c.log.Debug("message will be sent again", "to", to.String(), "after", pause, "error", err)
		sleep(ctx, pause)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w: %w", transport.ErrNotSent, err, context.Cause(ctx))
		}
		pause = min(pause*2, c.settings.retry.link)
	}
}

func reject(why error) error { return fmt.Errorf("%w: %w", transport.ErrRejected, why) }

// attempt sends m once on n. An error that wraps errAgain says that it did not leave, or came back.
func (c *Conn) attempt(ctx context.Context, n *connection, to transport.Address, m *transport.Message, p *parcel, l label, settled bool) error {
	r, err := n.route(to)
	if err != nil {
		return reject(err)
	}
	if l.replyTo, err = c.own.present(ctx, n, m.ReplyTo); err != nil {
		return err
	}
	l.to, l.subject = r.address, r.subject
	// A cast or notification that RabbitMQ has taken it has after a restart, too.
	l.durable = n.product.rabbit() && (to.Kind == transport.Topic && l.replyTo == "" || to.Kind == transport.Notification)
	if p.head, err = appendHead(p.head[:0], m, l); err != nil {
		return reject(err)
	}
	if err := n.room(ctx); err != nil {
		return err
	}
	if err := n.prepare(ctx, to, r); err != nil {
		return n.notAttached(err, to)
	}
	s, err := n.acquire(ctx, r.link)
	if err != nil {
		return n.notAttached(err, to)
	}
	defer s.release()
	waiting := ctx
	if to.Kind == transport.Reply {
		short := newPatience(ctx, replyPatience)
		defer short.over()
		waiting = short
	}
	receipt, err := n.hand(waiting, s, p, settled)
	if err != nil {
		return err
	}
	c.counts.published.Add(1)
	if settled {
		return nil
	}
	state, err := s.out.outcome(ctx, receipt)
	if err != nil {
		return fmt.Errorf("%w: waited for %s to say what became of it: %w", transport.ErrInDoubt, n.addr, err)
	}
	err = outcome(state, to)
	switch {
	case err == nil:
		c.counts.confirmed.Add(1)
	case errors.Is(err, transport.ErrRejected):
		c.counts.refused.Add(1)
	default:
		c.counts.returned.Add(1)
	}
	return err
}

// notAttached says what it means for a message that its link could not be attached.
func (n *connection) notAttached(err error, to transport.Address) error {
	answer, ok := refused(err)
	switch {
	case errors.Is(err, transport.ErrNotSent):
		return err
	case n.isGone():
		return fmt.Errorf("%w: %w", errAgain, err)
	case ok && answer.Condition == amqp.ErrCondNotFound && to.Kind == transport.Fanout:
		return nil // a fanout that nobody hears is no error
	case ok && (answer.Condition == amqp.ErrCondNotFound || answer.Condition == amqp.ErrCondResourceDeleted):
		return fmt.Errorf("%w: %w", transport.ErrNoListener, err)
	case ok && (answer.Condition == amqp.ErrCondUnauthorizedAccess || answer.Condition == amqp.ErrCondInvalidField ||
		answer.Condition == amqp.ErrCondNotAllowed || answer.Condition == amqp.ErrCondNotImplemented):
		return reject(err)
	}
	return fmt.Errorf("%w: %w", errAgain, err)
}

// room waits while the broker takes no bytes.
func (n *connection) room(ctx context.Context) error {
	crowd := n.mux.crowd()
	if crowd == nil {
		return nil
	}
	select {
	case <-crowd:
		return nil
	case <-n.gone():
		return errAgain
	case <-ctx.Done():
		return fmt.Errorf("%w: %s takes no bytes: %w", transport.ErrNotSent, n.addr, context.Cause(ctx))
	}
}

// parcel returns an unused one.
func (c *Conn) parcel() *parcel {
	if p, ok := c.parcels.Get().(*parcel); ok {
		return p
	}
	return new(parcel)
}

// keep keeps a parcel that is used no more, unless it is a large one.
func (c *Conn) keep(p *parcel) {
	if cap(p.body) <= crowded {
		c.parcels.Put(p)
	}
}

// hand writes the message, when the broker takes it.
func (n *connection) hand(ctx context.Context, s *sender, p *parcel, settled bool) (*receipt, error) {
	if s.broken.Load() || n.isGone() {
		return nil, errAgain
	}
	receipt, left, err := s.out.send(ctx, p, settled)
	if err == nil {
		return receipt, nil
	}
	switch {
	case errors.Is(err, errTooLong):
		return nil, reject(err)
	case left: // a part of it; what comes after would be taken for the rest
		n.spoil(ctx, s)
		return nil, fmt.Errorf("%w: %w", transport.ErrInDoubt, err)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: waited for credit at %s, where perhaps nobody listens: %w", transport.ErrNotSent, s.address, err)
	}
	n.spoil(ctx, s)
	return nil, fmt.Errorf("%w: %w", errAgain, err)
}

// outcome says what it means that a message met its fate.
func outcome(f fate, to transport.Address) error {
	switch f.state {
	case rejected0:
		if f.why != nil {
			return reject(f.why)
		}
		return reject(errors.New("the broker rejected the message and did not say why"))
	case released0:
		return givenBack(to)
	case modified0:
		switch {
		case f.never:
			return reject(errors.New("it cannot be delivered there"))
		case f.failed:
			return fmt.Errorf("%w: its receiver went away before it had accepted it", transport.ErrInDoubt)
		}
		return givenBack(to)
	}
	return nil
}

// givenBack is about a message that the broker, or its receiver, released.
func givenBack(to transport.Address) error {
	switch to.Kind {
	case transport.Fanout:
		return nil
	case transport.Reply:
		return fmt.Errorf("%w: the reply was released", transport.ErrNoListener)
	default:
		return fmt.Errorf("%w: it was released", errAgain)
	}
}
