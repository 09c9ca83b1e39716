package rabbit

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Where a thousand listeners stop at once, few ask the broker at a time, so that none takes it for dead who only waits behind the others.
func TestListenersLeaveFewAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLink(&settings{}, "listen", nil)
		s := &session{gone: make(chan struct{})}
		var now, most, left, late atomic.Int64
		for range 1000 {
			go l.inTurn(t.Context(), s, func() {
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				limit := time.AfterFunc(windWait, func() { late.Add(1) })
				<-time.After(100 * time.Millisecond) // virtual: the broker's
				limit.Stop()
				now.Add(-1)
				left.Add(1)
			})
		}
		<-time.After(time.Minute)
		if left.Load() != 1000 || late.Load() > 0 || most.Load() != leavingAtOnce {
			t.Errorf("%d have left, %d of them too late, %d at a time; want all 1000 in time, %d at a time", left.Load(), late.Load(), most.Load(), leavingAtOnce)
		}
	})
}

// With its connection gone a listener has nobody to wait behind.
func TestNobodyWaitsForATurnWithoutAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLink(&settings{}, "listen", nil)
		s := &session{gone: make(chan struct{})}
		stuck := make(chan struct{})
		for range leavingAtOnce {
			go l.inTurn(t.Context(), s, func() { <-stuck })
		}
		synctest.Wait()
		close(s.gone)
		done := false
		l.inTurn(t.Context(), s, func() { done = true })
		if !done {
			t.Error("it has not left")
		}
		close(stuck)
	})
}
