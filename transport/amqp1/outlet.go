package amqp1

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/goslo/goslo/internal/ending"
)

// transferFields is more than the header and fields of a frame with a part of a message take.
const transferFields = 64

// An outlet is the sending end of a link. Guarded by mux.mu.
type outlet struct {
	link
	turn chan struct{} // holds one while a message is under way that had to wait

	count     uint32
	credit    int64
	largest   uint64 // message; 0 = no limit
	next      uint32 // delivery-id
	queued    int    // who have, or wait for, the turn
	torn      bool   // part of a message was written, and the rest will not be
	unsettled map[uint32]*receipt
	changed   chan struct{} // nil, or closed when the broker takes more
}

// A receipt is for a message of which the broker is to say what becomes of it. They are used again.
type receipt struct {
	id    uint32
	done  chan fate // holds one
	timer ending.Timer
}

// A transit is a message on its way out.
type transit struct {
	head, body []byte // the rest
	settled    bool
	begun      bool
	receipt    *receipt
}

func (t *transit) size() int { return len(t.head) + len(t.body) }

func newOutlet(m *mux, name string) *outlet {
	o := &outlet{link: link{mux: m, name: name, gone: make(chan struct{})}, turn: make(chan struct{}, 1), unsettled: map[uint32]*receipt{}}
	o.side = o
	return o
}

// send writes a message, when the broker takes it. left says that part of it was written, or all, when there is an error.
func (o *outlet) send(ctx context.Context, p *parcel, settled bool) (r *receipt, left bool, err error) {
	t := transit{head: p.head, body: p.body, settled: settled}
	o.mux.mu.Lock()
	if o.err == nil && o.largest > 0 && uint64(t.size()) > o.largest {
		o.mux.mu.Unlock()
		return nil, false, fmt.Errorf("%w: it has %d bytes, and the most is %d", errTooLong, t.size(), o.largest)
	}
	if o.queued == 0 && o.credit > 0 && o.session.room >= o.frames(t.size()) || o.err != nil {
		err = o.put(&t)
		o.mux.mu.Unlock()
		o.mux.push()
		return t.receipt, t.begun && err != nil, err
	}
	o.queued++
	o.mux.mu.Unlock()
	err = o.wait(ctx, &t)
	o.mux.mu.Lock()
	o.queued--
	o.mux.mu.Unlock()
	return t.receipt, t.begun && err != nil, err
}

// wait is send where the broker does not take the message at once.
func (o *outlet) wait(ctx context.Context, t *transit) error {
	select {
	case o.turn <- struct{}{}:
		defer o.pass(t)
	case <-o.gone:
		return o.why()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		o.mux.mu.Lock()
		err := o.put(t)
		if err != nil || t.size() == 0 {
			o.mux.mu.Unlock()
			o.mux.push()
			return err
		}
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mux.mu.Unlock()
		o.mux.push()
		select {
		case <-changed:
		case <-o.gone:
			return o.why()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pass gives the turn to the next one, who is not to go on where t was left off: what he wrote would be taken for its rest.
func (o *outlet) pass(t *transit) {
	o.mux.mu.Lock()
	o.torn = o.torn || t.begun && t.size() > 0
	o.mux.mu.Unlock()
	<-o.turn
}

func (o *outlet) why() error {
	o.mux.mu.Lock()
	defer o.mux.mu.Unlock()
	return o.err
}

// frames is how many a message takes.
func (o *outlet) frames(size int) int64 {
	most := int64(o.mux.frameMax) - transferFields
	return (int64(size) + most - 1) / most
}

// put writes as much of a message as the broker takes. The lock is held.
func (o *outlet) put(t *transit) error {
	if o.err != nil {
		return o.err
	}
	if o.torn {
		return errTorn
	}
	s := o.session
	if !t.begun && o.credit <= 0 {
		return nil
	}
	for t.size() > 0 && s.room > 0 {
		n := int(min(int64(t.size()), int64(o.mux.frameMax)-transferFields))
		if err := o.mux.extend(func(b []byte) []byte { return o.appendTransfer(b, t, n) }); err != nil {
			return err
		}
		if !t.begun && !t.settled {
			t.receipt = o.mux.receipt(o.next)
			o.unsettled[o.next] = t.receipt
		}
		head := min(n, len(t.head))
		t.begun, t.head, t.body = true, t.head[head:], t.body[n-head:]
		s.nextOut++
		s.room--
	}
	if t.begun && t.size() == 0 {
		o.next++
		o.count++
		o.credit--
	}
	return nil
}

// appendTransfer appends a frame with the next n bytes of a message.
func (o *outlet) appendTransfer(b []byte, t *transit, n int) []byte {
	start := len(b)
	b = appendUint(beginFrame(b, o.session.channel, transfer0, 6), o.handle)
	if t.begun {
		b = append(b, typeNull, typeNull, typeNull)
	} else {
		b = appendUint(b, o.next)
		b = binary.BigEndian.AppendUint32(append(b, typeBinary8, 4), o.next)
		b = append(b, typeUint0) // message-format
	}
	b = appendBool(appendBool(b, t.settled), n < t.size())
	endFields(b, start)
	head := min(n, len(t.head))
	b = append(append(b, t.head[:head]...), t.body[:n-head]...)
	endFrame(b, start)
	return b
}

// outcome waits for what becomes of a message.
func (o *outlet) outcome(ctx context.Context, r *receipt) (fate, error) {
	ended, due := r.timer.Of(ctx)
	var err error
	for err == nil {
		select {
		case f := <-r.done:
			o.mux.keep(r)
			return f, nil
		case <-o.gone:
			err = o.why()
		case <-ended:
			err = context.Cause(ctx)
		case <-due:
			due = nil // where ctx has not ended the deadline is its parent's, which tells in a moment
			err = ctx.Err()
		}
	}
	o.mux.mu.Lock()
	delete(o.unsettled, r.id)
	o.mux.mu.Unlock()
	select {
	case f := <-r.done: // at the last moment
		o.mux.keep(r)
		return f, nil
	default:
	}
	o.mux.keep(r)
	return fate{}, err
}

// keep keeps a receipt that is used no more. Its timer is the next one's from then on.
func (m *mux) keep(r *receipt) {
	r.timer.Stop()
	m.receipts.Put(r)
}

// receipt returns an unused one.
func (m *mux) receipt(id uint32) *receipt {
	r, ok := m.receipts.Get().(*receipt)
	if !ok {
		r = &receipt{done: make(chan fate, 1)}
	}
	r.id = id
	return r
}

func (o *outlet) attached(fields *list) {
	fields.pass(5) // source, target, unsettled, incomplete-unsettled, initial-delivery-count
	if fields.next() {
		o.largest = fields.uint()
	}
}

func (o *outlet) flow(f *linkFlow) {
	if f != nil {
		o.credit = int64(f.credit) + int64(int32(f.count-o.count)) // less what is on its way
	}
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

func (o *outlet) state() (count, credit uint32) { return o.count, uint32(max(o.credit, 0)) }

func (o *outlet) transfer(*list, []byte, *arrived) error {
	return fmt.Errorf("%w: a message came by a link that takes messages away", errSyntax)
}

// disposition hears what became of messages.
func (o *outlet) disposition(fields *list) error {
	const receiver = true
	if byReceiver := fields.flag(); !byReceiver {
		return nil
	}
	first := fields.number(0)
	last := fields.number(first)
	settled := fields.flag()
	var f fate
	if fields.next() {
		f = readFate(&fields.values)
	}
	if fields.err != nil {
		return fields.err
	}
	if !settled {
		if f.state < accepted0 || closed(o.gone) {
			return nil // it is not decided yet
		}
		_ = o.settle(!receiver, first, last, f) // where that fails the connection has ended
		o.mux.nudge()
	}
	if last-first < uint32(len(o.unsettled)) {
		for id := first; ; id++ {
			o.decided(id, f)
			if id == last {
				return nil
			}
		}
	}
	for id := range o.unsettled {
		if id-first <= last-first {
			o.decided(id, f)
		}
	}
	return nil
}

// decided tells the sender of a message. The send cannot block: a receipt has room for one, and gets one.
func (o *outlet) decided(id uint32, f fate) {
	if r := o.unsettled[id]; r != nil {
		delete(o.unsettled, id)
		r.done <- f
	}
}
