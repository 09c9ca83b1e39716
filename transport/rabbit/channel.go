package rabbit

import (
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A channel is an AMQP channel whose messages, confirms and acknowledgements are written and read here, and
// everything else by the library, which would take several times as long and dozens of allocations for each
// message, and hand a delivery through one more goroutine. See mux.
//
// Of the embedded library's methods, those that carry messages must not be used: Publish, Consume, Get, Ack.
type channel struct {
	*amqp.Channel
	mux      *mux
	number   uint16
	most     int               // bytes of a frame
	returned func(amqp.Return) // hears of messages given back; must not block the connection's reader
	looked   func(int) error   // hears how many consumers the queue has that was asked about; nil = the library asks

	incoming content // the reader's

	// Guarded by mux.mu.
	closed     bool // the library has said so to the broker
	consumers  map[string]*consumer
	confirming bool
	published  uint64      // messages, since confirming
	waiting    []confirmer // for confirms of the last of them, in order; nil = confirmed
	heard      int         // of waiting, from its start: confirmed
}

// A confirmer hears, in the connection's reader, which must not wait for it, that the broker has confirmed its
// message or refused it. It hears nothing when the channel ends before.
type confirmer interface{ confirmed(ok bool) }

// A consumer is where deliveries go.
type consumer struct {
	tag       string
	in        chan *amqp.Delivery // has room for all that a broker delivers unsettled; see listener.room
	begun     chan struct{}       // closed when the broker has it
	beginning sync.Once           // for closing it
}

// confirm has the broker confirm what is published from now on.
func (c *channel) confirm() error {
	if err := c.Confirm(false); err != nil {
		return err
	}
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	c.confirming = true
	return nil
}

// publish sends p on its way. Where the channel confirms, to hears of it. The only error is amqp.ErrClosed or the socket's.
func (c *channel) publish(p *publication, to confirmer) error {
	if err := c.put(p, to); err != nil {
		return err
	}
	c.mux.push()
	return nil
}

// put is publish without a push, which the caller is to follow it up with.
func (c *channel) put(p *publication, to confirmer) error {
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.closed {
		return amqp.ErrClosed
	}
	err := m.extend(func(pending []byte) []byte { return appendPublish(pending, c.number, c.most, p) })
	if err != nil {
		return err
	}
	if c.confirming {
		c.published++
		c.await(to)
	}
	return nil
}

// await has to hear of the message that was published last. The room of those that were confirmed is used again.
func (c *channel) await(to confirmer) {
	if len(c.waiting) == cap(c.waiting) && 2*c.heard >= len(c.waiting) {
		c.waiting, c.heard = c.waiting[:copy(c.waiting, c.waiting[c.heard:])], 0
	}
	c.waiting = append(c.waiting, to)
}

// settled deals with a confirm.
func (c *channel) settled(in *cursor, ok bool) error {
	tag, multiple := in.longlong(), in.octet()&1 != 0
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	first := c.published - uint64(len(c.waiting)-c.heard) + 1
	if in.bad || tag < first && !multiple || tag > c.published {
		return fmt.Errorf("%w: confirm of message %d of %d", errSyntax, tag, c.published)
	}
	last := c.heard + int(tag-first)
	if multiple {
		for i := c.heard; i <= last; i++ {
			c.tell(i, ok)
		}
	} else {
		c.tell(last, ok)
	}
	for c.heard < len(c.waiting) && c.waiting[c.heard] == nil {
		c.heard++
	}
	return nil
}

func (c *channel) tell(i int, ok bool) {
	if to := c.waiting[i]; to != nil {
		c.waiting[i] = nil
		to.confirmed(ok)
	}
}

// Ack acknowledges a delivery, or all up to it. The caller is to push, or is called by a round.
func (c *channel) Ack(tag uint64, multiple bool) error {
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.closed {
		return amqp.ErrClosed
	}
	return m.extend(func(pending []byte) []byte { return appendAck(pending, c.number, tag, multiple) })
}

// consume has the broker deliver what is in a queue. Room is for what it may deliver unsettled. It asks by itself: the library would
// start a goroutine for each consumer, which has nothing to do.
func (c *channel) consume(queue, tag string, room int, args amqp.Table) (<-chan *amqp.Delivery, error) {
	to := &consumer{tag: tag, in: make(chan *amqp.Delivery, room), begun: make(chan struct{})}
	ended := c.NotifyClose(make(chan *amqp.Error, 1))
	if err := c.ask(queue, to, args); err != nil {
		return nil, err
	}
	c.mux.push()
	select {
	case <-to.begun:
		return to.in, nil
	case err := <-ended:
		if err == nil { // the channel was closed before
			return nil, amqp.ErrClosed
		}
		return nil, err
	}
}

// ask registers a consumer and asks the broker for it.
func (c *channel) ask(queue string, to *consumer, args amqp.Table) error {
	table, err := consumerArguments(args)
	if err != nil {
		return err
	}
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.closed {
		return amqp.ErrClosed
	}
	if c.consumers == nil {
		c.consumers = make(map[string]*consumer)
	}
	c.consumers[to.tag] = to
	return m.extend(func(pending []byte) []byte { return appendConsume(pending, c.number, queue, to.tag, table) })
}

// begun hears that the broker has a consumer.
func (c *channel) begun(tag []byte) {
	if to := c.consumer(tag); to != nil {
		to.beginning.Do(func() { close(to.begun) })
	}
}

// cancel ends a consumer, or learns that the broker has ended it. Its Go channel is closed behind the last delivery,
// which is before the broker's answer.
func (c *channel) cancel(tag string) error {
	if err := c.Cancel(tag, false); err != nil {
		return err
	}
	c.forget(tag)
	return nil
}

func (c *channel) forget(tag string) {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	if to := c.consumers[tag]; to != nil {
		delete(c.consumers, tag)
		close(to.in)
	}
}

// take deals with a frame from the broker, in the connection's reader, or returns false where the library has to.
func (c *channel) take(f frame) (ours bool, err error) {
	x := &c.incoming
	in := cursor{rest: f.payload()}
	switch {
	case f.kind() == frameMethod:
		x.drop()
		switch in.long() {
		case basicDeliver:
			return true, x.deliver(&in, c.consumer(in.shortstr()))
		case basicReturn:
			return true, x.giveBack(&in)
		case queueDeclareOk:
			if c.looked == nil {
				return false, nil
			}
			in.shortstr()
			in.long()
			return true, c.looked(int(in.long()))
		case basicConsumeOk:
			c.begun(in.shortstr())
			return true, nil
		case basicAck:
			return true, c.settled(&in, true)
		case basicNack:
			return true, c.settled(&in, false)
		}
		return false, nil
	case !x.begun():
		return false, nil
	case f.kind() == frameHeader:
		err = x.header(&in)
	case f.kind() == frameBody:
		err = x.add(in.rest)
	}
	if err != nil || !x.whole() {
		return true, err
	}
	return true, c.arrived()
}

func (c *channel) consumer(tag []byte) *consumer {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	return c.consumers[string(tag)]
}

// arrived hands a whole message on.
func (c *channel) arrived() error {
	d, to, r := c.incoming.finish()
	switch {
	case r != nil && c.returned != nil:
		c.returned(*r)
	case to != nil:
		return c.deliver(d, to)
	}
	return nil
}

// deliver hands a delivery to its consumer, unless that was cancelled while it arrived.
func (c *channel) deliver(d *amqp.Delivery, to *consumer) error {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	if c.consumers[to.tag] != to {
		return nil
	}
	select {
	case to.in <- d:
		return nil
	default:
		return errOverrun
	}
}

var errOverrun = errors.New("rabbit: the broker delivered far more than the prefetch count")
