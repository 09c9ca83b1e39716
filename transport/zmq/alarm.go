//go:build zmq

package zmq

import (
	"sync/atomic"
	"time"
)

// An alarm tells senders, which use it one after the other, that their deadline has come, on the channel that they wait on anyway. Nearly
// all have their outcome long before. So it is not stopped then: the next sender, whose deadline is later as a rule, finds it running, and
// waits on when it has rung too early.
type alarm struct {
	rings chan outcome // has room for one outcome besides
	base  time.Time
	timer *time.Timer
	at    atomic.Int64 // when it rings, since base, whatever clocks are set to; 0 = it is not going to
	rung  atomic.Bool  // it has, and nobody has heard it
}

func newAlarm() *alarm { return &alarm{rings: make(chan outcome, 2), base: time.Now()} }

// farthest is what a time far away counts as, so that sums of times fit into a Duration.
const farthest = 100 * 365 * 24 * time.Hour

// set has it ring at t, and perhaps before.
func (a *alarm) set(t time.Time) {
	d := min(time.Until(t), farthest)
	at := max(int64(time.Since(a.base)+d), 1)
	if before := a.at.Load(); before != 0 && before <= at {
		return
	}
	a.at.Store(at)
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
	} else {
		a.timer.Reset(d)
	}
}

func (a *alarm) ring() {
	a.at.Store(0)
	if a.rung.CompareAndSwap(false, true) {
		a.rings <- outcome{code: outcomeNone}
	}
}

// heard lets it ring again.
func (a *alarm) heard() { a.rung.Store(false) }
