package amqp1

import (
	"context"
	"fmt"
)

// An inlet is the receiving end of a link. Guarded by mux.mu.
type inlet struct {
	link
	receive func(message) // called in the library's reader, without the lock

	count  uint32
	credit uint32
	part   []byte // of a message
	more   bool   // the rest of it is to come
	id     uint32
	first  bool // settled by its sender

	drained chan struct{} // nil, or closed when the broker has used or given up its credit
}

// A message is one that has arrived.
type message struct {
	id      uint32
	settled bool   // by its sender
	data    []byte // its sections; nobody else's
}

// arrived is what a frame completes: a message for an inlet, or nothing.
type arrived struct {
	by      *inlet
	message message
}

func newInlet(m *mux, name string, receive func(message)) *inlet {
	i := &inlet{link: link{mux: m, name: name, gone: make(chan struct{})}, receive: receive}
	i.side = i
	return i
}

// issue gives the broker credit for more messages.
func (i *inlet) issue(credit int) {
	i.mux.mu.Lock()
	defer i.mux.mu.Unlock()
	if i.err == nil {
		i.credit += uint32(credit)
		i.tell(true, false)
	}
}

// drain has the broker use up its credit, or give it up. Several may wait for that.
func (i *inlet) drain(ctx context.Context) error {
	i.mux.mu.Lock()
	if i.err != nil {
		defer i.mux.mu.Unlock()
		return i.err
	}
	if i.credit == 0 {
		defer i.mux.mu.Unlock()
		return nil
	}
	if i.drained == nil {
		i.drained = make(chan struct{})
		i.tell(true, true)
	}
	drained := i.drained
	i.mux.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-i.gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// decide tells the broker what is to become of a message.
func (i *inlet) decide(m message, f fate) error {
	const receiver = true
	if m.settled {
		return nil
	}
	i.mux.mu.Lock()
	err := i.err
	if err == nil {
		err = i.settle(receiver, m.id, m.id, f)
	}
	i.mux.mu.Unlock()
	if err == nil {
		i.mux.push()
	}
	return err
}

func (i *inlet) attached(fields *list) {
	fields.pass(4) // source, target, unsettled, incomplete-unsettled
	i.count = fields.number(0)
}

func (i *inlet) flow(f *linkFlow) {
	if f == nil || !f.drain {
		return
	}
	i.count, i.credit = f.count, 0
	if i.drained != nil {
		close(i.drained)
		i.drained = nil
	}
}

func (i *inlet) state() (count, credit uint32) { return i.count, i.credit }

// disposition hears that the broker has settled what it sent, of which nobody here keeps a record.
func (i *inlet) disposition(*list) error { return nil }

// transfer takes a message, or a part of one.
func (i *inlet) transfer(fields *list, payload []byte, got *arrived) error {
	id, told := i.id, fields.next()
	if told {
		id = uint32(fields.uint())
	}
	fields.pass(2) // delivery-tag, message-format
	settled := fields.flag()
	more := fields.flag()
	fields.pass(3) // rcv-settle-mode, state, resume
	aborted := fields.flag()
	if fields.err != nil {
		return fields.err
	}
	switch {
	case i.more && id != i.id:
		return fmt.Errorf("%w: message %d in the middle of message %d", errSyntax, id, i.id)
	case !i.more && !told:
		return fmt.Errorf("%w: a message without a number", errSyntax)
	case !i.more:
		i.id, i.first, i.part = id, false, nil
	}
	i.more, i.first = more && !aborted, i.first || settled
	switch {
	case aborted: // it used up credit, and nobody will settle it
		i.part = nil
		i.count++
		i.tell(true, false)
		return nil
	case more && i.part == nil:
		i.part = make([]byte, 0, 4*len(payload))
	}
	i.part = append(i.part, payload...)
	if more {
		return nil
	}
	m := message{i.id, i.first, i.part}
	i.part = nil
	i.count++
	if i.credit > 0 {
		i.credit--
	}
	*got = arrived{by: i, message: m}
	return nil
}
