package rabbit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

const (
	// settleEvery is how often the broker is asked whether it has the replies that were sent to it.
	settleEvery = 50 * time.Millisecond
	// maxUnsettled is how many replies are kept until it has said so, and maxUnsettledBytes how long they may be together. Those
	// beyond are sent like the others, and lost if their connection breaks.
	maxUnsettled      = 10_000
	maxUnsettledBytes = 64 << 20
)

// A reply is kept by us until the broker has it.
type reply struct {
	publication
	call, method string    // which it answers
	until        time.Time // when its caller gives up
	since        time.Time // when its queue was first missing
}

// reply hands p to the connection, and returns without waiting for the broker. What comes back, because its queue is
// missing, or was on its way when the channel broke, goes to t.replies.
func (t *Transport) reply(ctx context.Context, p *publication) error {
	m := p.message
	if err := p.fits(); err != nil {
		return err
	}
	if t.replies.refuses(p.key, m.Ending) {
		return noListener(p)
	}
	if !m.Ending {
		return t.answer(ctx, p, nil) // a sign of life is neither kept nor sent again
	}
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(goneFor)
	}
	kept := &reply{publication: *p, call: m.ID, method: m.Answers, until: until}
	kept.message, kept.headers = nil, maps.Clone(p.headers) // the sender goes on with its own
	err := t.answer(ctx, p, kept)
	if err == nil {
		p.buf = nil // it is kept's
	}
	return err
}

// answer publishes p. Unless kept is nil it is kept until the broker has it.
func (t *Transport) answer(ctx context.Context, p *publication, kept *reply) error {
	for {
		o, err := t.answers.outlet(ctx)
		if err != nil {
			if errors.Is(err, transport.ErrClosed) {
				return err
			}
			return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
		}
		if limit := o.session.limit.Load(); int64(len(p.body)) > limit {
			return p.tooBig(limit)
		}
		if t.ready(ctx, o, p) == nil && o.unsettled.put(o.ch, p, kept) {
			o.ch.mux.push()
			t.counters.published.Add(1)
			return nil
		}
		select {
		case <-o.gone:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", transport.ErrNotSent, t.out.state(ctx.Err()))
		}
	}
}

// settle learns from the broker which replies it has, for as long as o lives, and passes those on of which it is not
// known then. It asks with basic.qos, which changes nothing on a channel without consumers: the answer comes after everything
// that was published before on the channel was dealt with, given back or put into its queue. One confirm for each
// would tell no more, because reply queues live and die with the broker's process that answers, and costs
// the broker and us a twentieth of a call (docs/adr/0013).
func (t *Transport) settle(o *outlet) {
	u := &o.unsettled
	for t.settleOnce(o) {
	}
	<-o.gone
	rest, lost := u.end()
	if lost > 0 {
		t.log.Warn("replies may be lost with their connection: more were on their way than are kept", "replies", lost, "broker", o.session.addr)
	}
	if t.sending.hold(len(rest)) { // else the connection was closed behind them
		t.replies.sendAgain(rest)
	}
}

// settleOnce returns false when the channel has ended.
func (t *Transport) settleOnce(o *outlet) bool {
	select {
	case <-o.unsettled.wake:
	case <-o.gone:
		return false
	}
	timer := time.NewTimer(settleEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-o.gone:
		return false
	}
	o.unsettled.ask()
	if o.ch.Qos(0, 0, false) != nil {
		return false
	}
	for _, r := range o.unsettled.answered() {
		if r != nil {
			t.counters.confirmed.Add(1)
			t.bodies.put(r.buf)
		}
	}
	return true
}

// unsettled are the replies on one channel of which it is not known whether the broker has them.
type unsettled struct {
	wake chan struct{} // holds one: there are some

	mu    sync.Mutex
	ended bool
	sent  []*reply // since the broker was last asked
	asked []*reply // before; nil where one has come back
	bytes int      // of both
	lost  int      // sent and not kept
}

// put puts p on ch, which is to be pushed, and keeps the reply. It returns false when the channel has ended.
func (u *unsettled) put(ch *channel, p *publication, kept *reply) bool {
	if kept == nil {
		return ch.put(p, nil) == nil
	}
	// In the lock, so that what is in sent was published before the broker is asked, and is there when it comes back.
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended || ch.put(p, nil) != nil {
		return false
	}
	if len(u.sent)+len(u.asked) >= maxUnsettled || u.bytes+len(p.body) > maxUnsettledBytes {
		u.lost++
		return true
	}
	u.sent = append(u.sent, kept)
	u.bytes += len(p.body)
	if len(u.sent) == 1 {
		select {
		case u.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// ask notes that the broker is asked about what was sent so far.
func (u *unsettled) ask() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked, u.sent = u.sent, nil
}

// answered returns those that the broker was asked about, and forgets them.
func (u *unsettled) answered() []*reply {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.asked
	u.asked = nil
	u.lost = 0
	for _, r := range list {
		if r != nil {
			u.bytes -= len(r.body)
		}
	}
	return list
}

// back takes the reply out that the broker gave back; nil when it is not kept.
func (u *unsettled) back(ret amqp.Return) *reply {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, list := range [][]*reply{u.asked, u.sent} {
		for i, r := range list {
			if r != nil && r.key == ret.RoutingKey && bytes.Equal(r.body, ret.Body) {
				list[i] = nil
				u.bytes -= len(r.body)
				return r
			}
		}
	}
	return nil
}

// end returns what is left, and how many are lost, when the channel has ended.
func (u *unsettled) end() (rest []*reply, lost int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	for _, r := range append(u.asked, u.sent...) {
		if r != nil {
			rest = append(rest, r)
		}
	}
	u.asked, u.sent = nil, nil
	return rest, u.lost
}
