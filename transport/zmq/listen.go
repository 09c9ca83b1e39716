//go:build zmq

package zmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/internal/fifo"
	"github.com/goslo/goslo/internal/line"
	"github.com/goslo/goslo/transport"
)

const defaultPrefetch = 64

// The most requests, and bytes of them, that wait in one listener for Next.
const (
	MaxWaiting      = 65536
	MaxWaitingBytes = 256 << 20
)

// patience is how long a request waits for Next before another server is asked, or, where none has room, before its sender is
// told that this one has it.
const patience = 20 * time.Millisecond

// A topicListener receives what is sent to one server of a topic, to the topic, and to its fanout; or the notifications of a topic for a
// pool.
type topicListener struct {
	conn     *Conn
	service  service
	from     transport.Address
	prefetch int
	done     chan struct{} // closed under mu

	mu        sync.Mutex
	backlog   fifo.Queue[*arrival]
	open      fifo.Queue[*arrival] // not answered when they came; what was answered since is still among them
	gone      int                  // of backlog, which others have by now
	bytes     int                  // in backlog
	unsettled int                  // returned by Next
	line      line.Line            // calls of Next that wait
	closed    bool
	left      bool // the topic: what is for any of its servers goes to others
}

// An arrival is a request that has come, and its delivery, which settles itself. What is neither atomic nor of the delivery is guarded by its
// listener's mu.
type arrival struct {
	transport.Delivery
	message  transport.Message // the delivery's
	listener *topicListener
	settled  atomic.Bool
	holders  atomic.Int32 // who may look at it: its listener's open, and whoever it is for; none = it is not recycled

	from     *session
	envelope envelope
	body     []byte
	at       time.Time
	answered bool // its sender knows what became of it
	taken    bool // Next has returned it
	gone     bool // it is not ours any more
}

// load is how full the listener is, in percent. The caller holds mu.
func (l *topicListener) load() int {
	return (l.unsettled + l.backlog.Len() - l.gone) * 100 / l.prefetch
}

// Listen implements [transport.Transport].
func (c *Conn) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := c.listen(ctx, from, o)
	if err != nil {
		return nil, fmt.Errorf("zmq: listen on %s: %w", from, err)
	}
	return l, nil
}

func (c *Conn) listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	if c.isClosed() {
		return nil, transport.ErrClosed
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := o.Check(from); err != nil {
		return nil, err
	}
	switch {
	case from.Kind == transport.Reply:
		return c.listeners.addReply()
	case from.Kind != transport.Topic && from.Kind != transport.Notification:
		return nil, fmt.Errorf("%w: a listener's address is of kind topic, reply or notification", transport.ErrRejected)
	case from.Kind == transport.Notification && from.Topic == "":
		return nil, fmt.Errorf("%w: a listener's address needs a topic", transport.ErrRejected)
	case from.Kind == transport.Topic && (from.Topic == "" || from.Server == ""):
		return nil, fmt.Errorf("%w: a listener's address needs a topic and a server", transport.ErrRejected)
	}
	l := &topicListener{
		conn:     c,
		service:  c.serviceAt(from),
		from:     from,
		prefetch: o.Prefetch,
		done:     make(chan struct{}),
	}
	if l.prefetch <= 0 {
		l.prefetch = defaultPrefetch
	}
	if err := c.listeners.add(l); err != nil {
		return nil, err
	}
	if err := c.announce(ctx, l.service); err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}
	c.loop.inbox.order(c.loop.tellServices)
	return l, nil
}

// Addr implements [transport.Listener].
func (l *topicListener) Addr() string { return l.from.String() }

// push takes a request. It runs on the loop and never waits.
func (l *topicListener) push(a *arrival) {
	a.listener = l
	_ = a.read(&a.from.recent) // where it cannot be read, Next finds it so as well
	keep := a.envelope.flags&flagKeep != 0
	l.mu.Lock()
	load := l.load()
	switch {
	case l.closed, l.left && a.shared():
		l.mu.Unlock()
		l.conn.answer(a, answerNobody, 0)
		return
	case keep && (l.backlog.Len() >= MaxWaiting || l.bytes >= MaxWaitingBytes):
		l.mu.Unlock()
		if a.answered {
			l.conn.log.Error("zmq: fanout message dropped: too many wait", "listener", l.Addr())
		}
		l.conn.answer(a, answerFull, load)
		return
	case !keep && load >= 100:
		l.mu.Unlock()
		l.conn.answer(a, answerBusy, load)
		return
	}
	heard := !a.answered && l.from.Kind == transport.Notification // who tells does not wait for who handles
	a.answered = a.answered || heard
	if !a.answered {
		a.holders.Add(1)
		l.open.Push(a)
		l.conn.loop.deferred.Add(1)
	}
	taken := answer{to: a.from, id: a.envelope.id, code: answerTaken, load: load}
	l.backlog.Push(a)
	l.bytes += len(a.body)
	l.signal()
	if heard {
		l.conn.loop.inbox.put(func(w *work) { w.answers = append(w.answers, taken) })
	}
}

// overdue answers what nobody took in time. Where others may have room they get it; the rest is ours from now on.
// It returns whether more waits in the backlog than there is room for.
func (l *topicListener) overdue(now time.Time) {
	var answers []answer
	l.mu.Lock()
open:
	for l.open.Len() > 0 {
		a := l.open.First()
		switch {
		case a.answered:
		case now.Sub(a.at) < patience:
			break open
		case !a.taken && a.envelope.flags&flagKeep == 0:
			a.answered, a.gone = true, true
			l.gone++
			l.bytes -= len(a.body)
			answers = append(answers, answer{to: a.from, id: a.envelope.id, code: answerBusy, load: l.load()})
		default:
			a.answered = true
			answers = append(answers, answer{to: a.from, id: a.envelope.id, code: answerTaken})
		}
		l.shut()
	}
	l.mu.Unlock()
	if len(answers) > 0 {
		l.conn.loop.inbox.put(func(w *work) { w.answers = append(w.answers, answers...) })
	}
}

// shut takes the first out of open. The caller holds mu.
func (l *topicListener) shut() {
	l.open.Pop().release()
	l.conn.loop.deferred.Add(-1)
}

// Close implements [transport.Listener]. What Next has not returned goes to other servers: at once where the sender still
// waits for an answer, and otherwise from here, until the transport is closed.
func (l *topicListener) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.done)
	ours, back := l.giveBack(func(*arrival) bool { return true })
	for l.open.Len() > 0 { // what Next has returned is ours
		if a := l.open.First(); !a.answered {
			a.answered = true
			back = append(back, answer{to: a.from, id: a.envelope.id, code: answerTaken})
		}
		l.shut()
	}
	l.mu.Unlock()
	l.conn.listeners.remove(l)
	err := l.conn.announce(ctx, l.service)
	l.send(ours, back)
	return wrap(err, "zmq: close listener "+l.Addr())
}

// Leave implements [transport.Leaver]: what comes from now on for any server of the topic goes to the others, as does what
// waits here.
func (l *topicListener) Leave(context.Context) error {
	if l.from.Kind != transport.Topic {
		return fmt.Errorf("zmq: listener %s: leave: %w", l.Addr(), errors.ErrUnsupported)
	}
	l.mu.Lock()
	if l.closed || l.left {
		l.mu.Unlock()
		return nil
	}
	l.left = true
	ours, back := l.giveBack((*arrival).shared)
	l.mu.Unlock()
	l.send(ours, back)
	return nil
}

// giveBack takes out of the backlog what some are: ours to hand over, and what its senders give to others when they have the answer.
// The caller holds mu.
func (l *topicListener) giveBack(some func(*arrival) bool) (ours []*arrival, back []answer) {
	for range l.backlog.Len() {
		a := l.backlog.Pop()
		switch {
		case a.gone:
			l.gone--
			continue
		case !some(a):
			l.backlog.Push(a)
			continue
		case a.answered && a.envelope.to != toFanout:
			ours = append(ours, a)
		case !a.answered:
			a.answered = true
			back = append(back, answer{to: a.from, id: a.envelope.id, code: answerNobody})
		}
		l.bytes -= len(a.body)
	}
	return ours, back
}

// send sends back and hands over what was given back, and tells our clients what we serve now.
func (l *topicListener) send(ours []*arrival, back []answer) {
	l.conn.loop.inbox.put(func(w *work) {
		w.answers = append(w.answers, back...)
		w.orders = append(w.orders, l.conn.loop.tellServices)
	})
	l.conn.listeners.handOver(ours)
}

// shared says whether a request is for any server of its topic.
func (a *arrival) shared() bool { return a.envelope.to == toTopic && a.envelope.service.Server == "" }

// answer says to a request what becomes of it, if its sender does not know yet.
func (c *Conn) answer(a *arrival, code byte, load int) {
	if a.answered {
		return
	}
	c.loop.inbox.put(func(w *work) {
		w.answers = append(w.answers, answer{to: a.from, id: a.envelope.id, code: code, load: load})
	})
}
