//go:build zmq

package zmq

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/goslo/goslo/transport"
)

// arrivals are those that nobody looks at any more.
var arrivals = sync.Pool{New: func() any { return new(arrival) }}

func newArrival(from *session) *arrival {
	a := arrivals.Get().(*arrival)
	a.from, a.at = from, from.silent
	a.holders.Store(1)
	return a
}

// Recycle implements [transport.Recycler].
func (a *arrival) Recycle() { a.release() }

func (a *arrival) release() {
	if a.holders.Add(-1) == 0 {
		*a = arrival{}
		arrivals.Put(a)
	}
}

var errSettled = errors.New("zmq: delivery was settled before")

// Ack implements [transport.Settler]. It tells the sender that the message is a server's, unless that was said before.
func (a *arrival) Ack(context.Context) error { return a.settle(answerTaken, "") }

// Requeue implements [transport.Settler]: the message goes to the end of this listener's queue or, if that is closed, to another
// server. A fanout message goes with its listener.
func (a *arrival) Requeue(context.Context) error {
	if err := a.settle(answerTaken, ""); err != nil {
		return err
	}
	l, again := a.listener, a.again()
	again.envelope.flags |= flagAgain
	l.mu.Lock()
	if l.closed || l.left && a.shared() {
		l.mu.Unlock()
		if a.envelope.to == toFanout {
			return fmt.Errorf("zmq: requeue a fanout message: %w: its listener is closed", errors.ErrUnsupported)
		}
		l.conn.listeners.handOver([]*arrival{again})
		return nil
	}
	l.backlog.Push(again)
	l.bytes += len(again.body)
	l.signal()
	return nil
}

// again returns an arrival of the same request, of whose answer its sender knows.
func (a *arrival) again() *arrival {
	return &arrival{listener: a.listener, from: a.from, envelope: a.envelope, body: a.body, at: a.at, answered: true}
}

// drop ends a message that nobody is to have.
func (a *arrival) drop(code byte, reason string) {
	if err := a.settle(code, reason); err != nil {
		a.listener.conn.log.Debug("zmq: drop a message", "listener", a.listener.Addr(), "error", err)
	}
}

func (a *arrival) settle(code byte, reason string) error {
	if a.settled.Swap(true) {
		return errSettled
	}
	l := a.listener
	l.mu.Lock()
	l.unsettled--
	told := true
	if !a.answered {
		a.answered = true
		add := func(w *work) {
			w.answers = append(w.answers, answer{to: a.from, id: a.envelope.id, code: code, reason: reason})
		}
		// Whoever waits for a reply gets both at once if that is soon. Meanwhile the loop ticks, because the request is still among those
		// that were not answered: nobody takes it off those before we unlock.
		if code == answerTaken && a.envelope.flags&flagReplies != 0 {
			told = l.conn.loop.inbox.putLazily(add)
		} else {
			told = l.conn.loop.inbox.put(add)
		}
	}
	for l.open.Len() > 0 && l.open.First().answered {
		l.shut()
	}
	l.signal()
	if !told {
		return fmt.Errorf("zmq: settle: %w, and its sender does not know that the message was taken", transport.ErrClosed)
	}
	return nil
}
