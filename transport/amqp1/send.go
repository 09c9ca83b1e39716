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
	p, err := pack(m)
	if err != nil {
		return reject(err)
	}
	if end, ok := ctx.Deadline(); !ok || to.Kind == transport.Reply && time.Until(end) > limit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
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
		err = c.attempt(ctx, n, to, m, p, settled)
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

// attempt sends p once on n. An error that wraps errAgain says that it did not leave, or came back.
func (c *Conn) attempt(ctx context.Context, n *connection, to transport.Address, m *transport.Message, p *parcel, settled bool) error {
	address := to.Topic
	if to.Kind != transport.Reply {
		var err error
		if address, err = n.addresses.to(to); err != nil {
			return reject(err)
		}
	}
	replyTo, err := c.own.present(ctx, n, m.ReplyTo)
	if err != nil {
		return err
	}
	link, subject := n.product.trunk(address)
	p.address(address, subject, replyTo)
	if n.product.rabbit() && (to.Kind == transport.Topic && replyTo == "" || to.Kind == transport.Notification) {
		p.durable() // a cast or notification that it has taken it has after a restart, too
	}
	if err := n.room(ctx); err != nil {
		return err
	}
	if err := n.prepare(ctx, to, address); err != nil {
		return n.notAttached(err, to)
	}
	s, err := n.acquire(ctx, link)
	if err != nil {
		return n.notAttached(err, to)
	}
	defer s.release()
	waiting := ctx
	if to.Kind == transport.Reply {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, replyPatience)
		defer cancel()
	}
	receipt, err := n.hand(waiting, s, p, settled)
	if err != nil {
		return err
	}
	c.counts.published.Add(1)
	if settled {
		return nil
	}
	state, err := receipt.Wait(ctx)
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
	crowd := n.sock.crowd()
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

// A passage is the context of one message on its way through the library. The library's writer asks it for its deadline just
// before it writes a frame, and nobody else does: so it tells a message that never left from one that may have.
// It has no deadline, which the library would take for the whole connection's, and no error: the writer would leave out a frame
// whose number is given away by then, and brokers end a connection whose numbers have gaps. Who waits for credit sees Done.
type passage struct {
	context.Context //nolint:containedctx // It is a context.
	left            atomic.Bool
}

// Deadline implements context.Context.
func (p *passage) Deadline() (time.Time, bool) {
	p.left.Store(true)
	return time.Time{}, false
}

// Err implements context.Context.
func (p *passage) Err() error { return nil }

// hand gives p to the library, which waits for credit.
func (n *connection) hand(ctx context.Context, s *sender, p *parcel, settled bool) (amqp.SendReceipt, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-n.gone():
		return amqp.SendReceipt{}, errAgain
	case <-ctx.Done():
		return amqp.SendReceipt{}, fmt.Errorf("%w: waited for credit at %s, where perhaps nobody listens: %w", transport.ErrNotSent, s.address, context.Cause(ctx))
	}
	if s.broken.Load() || n.isGone() {
		return amqp.SendReceipt{}, errAgain
	}
	defer n.rescue(ctx, s)()
	way := &passage{Context: ctx}
	var receipt amqp.SendReceipt
	var err error
	if settled {
		err = s.link.Send(way, &p.Message, &amqp.SendOptions{Settled: true})
	} else {
		receipt, err = s.link.SendWithReceipt(way, &p.Message, nil)
	}
	if err == nil {
		return receipt, nil
	}
	answer, ok := refused(err)
	switch {
	case ok && answer.Condition == amqp.ErrCondMessageSizeExceeded && !way.left.Load():
		return receipt, reject(err)
	case way.left.Load():
		// Part of it left, or all. What comes after a part would be taken for the rest.
		n.spoil(ctx, s)
		return receipt, fmt.Errorf("%w: %w", transport.ErrInDoubt, err)
	case ctx.Err() != nil:
		return receipt, fmt.Errorf("%w: waited for credit at %s, where perhaps nobody listens: %w", transport.ErrNotSent, s.address, context.Cause(ctx))
	}
	n.spoil(ctx, s)
	return receipt, fmt.Errorf("%w: %w", errAgain, err)
}

// rescue has the library let go of a message whose context has ended: it waits for the window of the broker's session without heed
// of the context. That ends with the link, or, of a broker that does not answer for that, with the connection. The result is to be
// called when the library has returned.
func (n *connection) rescue(ctx context.Context, s *sender) (done func()) {
	returned, ended := make(chan struct{}), make(chan struct{})
	within := func(d time.Duration) bool {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-returned:
			return true
		case <-t.C:
			return false
		}
	}
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		if within(firstPause) {
			return
		}
		n.spoil(ctx, s)
		if !within(2 * goodbye) {
			_ = n.amqp.Close() // watch hears of it
		}
	})
	return func() {
		close(returned)
		if !stop() {
			<-ended
		}
	}
}

// outcome says what it means that a message ended in a state.
func outcome(state amqp.DeliveryState, to transport.Address) error {
	switch v := state.(type) {
	case *amqp.StateRejected:
		if v.Error != nil {
			return reject(v.Error)
		}
		return reject(errors.New("the broker rejected the message and did not say why"))
	case *amqp.StateReleased:
		return givenBack(to)
	case *amqp.StateModified:
		switch {
		case v.UndeliverableHere:
			return reject(errors.New("it cannot be delivered there"))
		case v.DeliveryFailed:
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
