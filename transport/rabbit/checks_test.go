package rabbit

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// running returns checks of which one is running, for the queues given.
func running(policy probePolicy, because ...int) *checks {
	return &checks{policy: policy, timer: time.NewTimer(time.Hour), cancel: func() {}, running: make(chan checkup), began: time.Now(), because: because}
}

// A message that comes straight to a queue while a check is running may have been sent after that has bound the queue.
// It has the listener checked once more, for that reason unless it was known before.
func TestStrayDuringACheck(t *testing.T) {
	t.Parallel()
	for name, because := range map[string][]int{"of its own": nil, "for the same": {1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := queue{name: "q", exchange: &exchange{name: "x"}}
				l := &listener{queues: []queue{q, q}, link: &link{}}
				l.probing.counts = &counters{}
				l.log = slog.New(slog.DiscardHandler)
				c := running(probePolicy{every: time.Hour, misses: 3}, because...)
				c.doubt(1)
				sub := &subscription{session: &session{}}
				if err := c.finish(t.Context(), l, sub, checkup{well: true}); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				<-c.timer.C
				if took := time.Since(start); took > checkPause {
					t.Errorf("checked after %v", took)
				}
				if known := len(because) > 0; known == (len(c.strays) > 0) {
					t.Errorf("the next check is because of %v", c.strays)
				}
			})
		})
	}
}

// Without checks by themselves, those after a miss go on: otherwise a listener that was not ready once stayed so for ever.
func TestMissesAreCheckedWithoutProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &listener{probing: probing{counts: &counters{}}}
		start := time.Now()
		for range 3 {
			c := running(probePolicy{misses: 2})
			if err := c.finish(t.Context(), l, nil, checkup{err: errors.New("the broker did not answer")}); err != nil {
				t.Fatal(err)
			}
			<-c.timer.C
		}
		if took := time.Since(start); took > checkPause+3*checkUnasked {
			t.Errorf("checked thrice within %v", took)
		}
	})
}
