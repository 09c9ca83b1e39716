package rpc

import (
	"sync/atomic"
	"time"
)

// An alarm tells calls, which use it one after the other, that their time has come. Nearly all end long before. So its timer is not stopped when
// one ends, and the next, which ends later as a rule, finds it running and has nothing to do but to wait on after it rang too early.
type alarm struct {
	rings chan struct{} // of capacity one
	base  time.Time
	timer *time.Timer
	at    atomic.Int64 // when it rings, since base; 0 = it is not going to
}

func newAlarm() *alarm { return &alarm{rings: make(chan struct{}, 1), base: time.Now()} }

// farthest is what a time far away counts as, so that sums of times fit into a Duration.
const farthest = 100 * 365 * 24 * time.Hour

// set has it ring when d has passed since a moment that may be long ago, and perhaps before.
func (a *alarm) set(now time.Time, d time.Duration) {
	d = min(d, farthest)
	at := max(int64(now.Sub(a.base)+d), 1)
	if before := a.at.Load(); before != 0 && before <= at {
		return
	}
	a.at.Store(at)
	d -= time.Since(now) // the clock is read here alone, which is seldom
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
	} else {
		a.timer.Reset(d)
	}
}

// ring may be late, and tell of what was set before: then it rings twice.
func (a *alarm) ring() {
	a.at.Store(0)
	select {
	case a.rings <- struct{}{}:
	default:
	}
}
