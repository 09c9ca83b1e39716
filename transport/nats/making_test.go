package nats

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Of a thousand listeners that start at once, few ask the server for their queues at a time, and each gets its turn.
func TestQueuesAreMadeFewAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMaking()
		var now, most, made atomic.Int64
		for range 1000 {
			go func() {
				err := m.do(t.Context(), func(context.Context) error {
					if n := now.Add(1); n > most.Load() {
						most.Store(n)
					}
					<-time.After(10 * time.Millisecond) // virtual: the server's
					now.Add(-1)
					made.Add(1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}()
		}
		<-time.After(time.Minute)
		if made.Load() != 1000 || most.Load() != makingAtOnce {
			t.Errorf("%d were made, %d at a time; want all 1000, %d at a time", made.Load(), most.Load(), makingAtOnce)
		}
	})
}

// Who gives up waits for no turn.
func TestWhoGivesUpMakesNoQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMaking()
		free := make(chan struct{})
		for range makingAtOnce {
			go func() {
				_ = m.do(t.Context(), func(context.Context) error { <-free; return nil })
			}()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := m.do(ctx, func(context.Context) error { t.Error("it had no turn"); return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		close(free)
	})
}
