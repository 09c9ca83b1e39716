package rabbit

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// checking returns the checks of a listener of its own that is going on, for the queues given.
func checking(l *listener, because ...int) *checks {
	c := &checks{policy: l.probing.policy, timer: time.NewTimer(time.Hour), rota: &rota{wake: make(chan struct{}, 1)}}
	c.strays = because
	c.begin()
	return c
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
				l := &listener{queues: []queue{q, q}, link: &link{}, declarer: &declarer{}}
				l.probing = probing{policy: probePolicy{every: time.Hour, misses: 3}, counts: &counters{}}
				l.log = slog.New(slog.DiscardHandler)
				c := checking(l, because...)
				sub := &subscription{session: &session{}}
				c.doubt(l, sub, 1)
				if err := c.finish(t.Context(), l, sub, checkup{well: true}); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				<-c.timer.C
				if took := time.Since(start); took > checkPause || c.then != stepLook {
					t.Errorf("checked after %v: step %d", took, c.then)
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
		l := &listener{probing: probing{policy: probePolicy{misses: 2}, counts: &counters{}}}
		start := time.Now()
		for range 3 {
			c := checking(l)
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
