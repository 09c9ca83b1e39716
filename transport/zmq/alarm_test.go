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
