package rabbit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// A leaving is how a listener gives up the queue that its topic's servers share; see transport.Leaver.
type leaving struct {
	asked chan struct{} // closed by Leave; from then on the queue is not consumed from again
	left  chan struct{} // closed when it is not consumed from

	lock  sync.Mutex
	asks  bool // asked is closed
	holds bool // the queue may be consumed from
}

// Leave is part of transport.Leaver. Where there is no connection there is nothing to be left.
func (l *listener) Leave(ctx context.Context) error {
	l.ask()
	select {
	case <-l.left:
		return nil
	case <-l.stopping: // which leaves everything
		return nil
	case <-ctx.Done():
		return fmt.Errorf("rabbit: leave the topic of %s: %w", l.addr, l.link.state(ctx.Err()))
	}
}

func (l *leaving) ask() {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.asks {
		return
	}
	l.asks = true
	close(l.asked)
	if !l.holds {
		close(l.left)
	}
}

// subscribing says that the queue may be consumed from, unless it was left.
func (l *leaving) subscribing() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.holds = !l.asks
}

// unsubscribed says that the queue is not consumed from.
func (l *leaving) unsubscribed() {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.holds && l.asks {
		close(l.left)
	}
	l.holds = false
}

// everyones says that a queue is that of a topic, which all its servers consume from.
func (q queue) everyones() bool { return q.to.Kind == transport.Topic && q.to.Server == "" }

// hasLeft says that a queue is not to be consumed from any more.
func (l *listener) hasLeft(q queue) bool {
	if !q.everyones() {
		return false
	}
	select {
	case <-l.asked:
		return true
	default:
		return false
	}
}

// kept are the queues that were not left.
func (l *listener) kept() []queue {
	return slices.DeleteFunc(slices.Clone(l.queues), l.hasLeft)
}

// leave ends the consumer of the topic's queue, if there is one; watch calls it. A broker that does not answer must not hold the
// listener: the consumer goes with the connection then, which is rebuilt without it.
func (l *listener) leave(ctx context.Context, sub *subscription) {
	defer l.unsubscribed()
	l.link.inTurn(ctx, sub.session, func() {
		limit := time.AfterFunc(windWait, func() { _ = sub.session.sock.Close() })
		defer limit.Stop()
		for tag, i := range sub.tags {
			if l.queues[i].everyones() && l.endConsumer(sub, tag) {
				delete(sub.tags, tag)
			}
		}
	})
}
