//go:build zmq

package zmq

import (
	"testing"
	"time"
)

// It rings for a sender whose deadline is near although one before had centuries.
func TestAlarmAfterADeadlineFarAway(t *testing.T) {
	t.Parallel()
	for _, far := range []time.Time{time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(1<<63 - 1)} {
		a := newAlarm()
		a.set(far)
		a.set(time.Now().Add(time.Millisecond))
		select {
		case <-a.rings:
		case <-time.After(10 * time.Second):
			t.Errorf("it has not rung after one for %v", far)
		}
	}
}

// It rings at once for a deadline long past, whatever clock that was read from.
func TestAlarmAfterItsDeadline(t *testing.T) {
	t.Parallel()
	for _, past := range []time.Time{{}, time.Now().Add(-1 << 63), time.Now().Round(0).Add(-time.Hour)} {
		a := newAlarm()
		a.set(past)
		select {
		case <-a.rings:
		case <-time.After(10 * time.Second):
			t.Errorf("it has not rung for %v", past)
		}
	}
}
