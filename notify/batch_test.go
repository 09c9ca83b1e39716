package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
)

// conforms: NBAT-01, NBAT-02, NBAT-03
func TestBatchesBySizeAndTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		batch notify.Batch
		n     int
		want  []int
	}{
		"12 by 5":    {notify.Batch{Size: 5, Timeout: time.Second}, 12, []int{5, 5, 2}},
		"10 by 5":    {notify.Batch{Size: 5}, 10, []int{5, 5}},
		"205 by 100": {notify.Batch{Size: 100, Timeout: 2 * time.Second}, 205, []int{100, 100, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				var sizes list[int]
				var skus list[int]
				stop := w.run(notify.ListenerConfig{Batch: c.batch}, sold.HandleBatch(func(_ context.Context, all []notify.Notification[sale]) error {
					sizes.add(len(all))
					for _, n := range all {
						skus.add(n.Payload.SKU)
					}
					return nil
				}))
				var want []int
				for i := range c.n {
					w.emit(notify.Info, sale{SKU: i})
					want = append(want, i)
				}
				sleep(time.Minute)
				if diff := cmp.Diff(c.want, sizes.take()); diff != "" {
					t.Errorf("batches (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(want, skus.take()); diff != "" {
					t.Errorf("order (-want +got):\n%s", diff)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The clock of a batch starts with its first notification, an empty one is nobody's, and a prefetch of less than a batch for one priority
// is no reason to wait for ever.
//
// conforms: NBAT-04, NBAT-05, NBAT-06, ODD-45
func TestBatchesTakeTheirTime(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		start := time.Now()
		var at list[string]
		stop := w.run(notify.ListenerConfig{Batch: notify.Batch{Size: 5, Timeout: 2 * time.Second}, Prefetch: 5, Workers: 3},
			sold.HandleBatch(func(_ context.Context, all []notify.Notification[sale]) error {
				at.add(fmt.Sprintf("%d after %s", len(all), time.Since(start)))
				<-time.After(time.Hour) // so that nothing is settled meanwhile
				return nil
			}))
		sleep(1500 * time.Millisecond)
		for range 3 {
			w.emit(notify.Info, sale{})
			sleep(500 * time.Millisecond)
		}
		sleep(time.Minute)
		for range 7 { // two of which there is room for
			w.emit(notify.Info, sale{})
		}
		sleep(time.Minute)
		if diff := cmp.Diff([]string{"3 after 3.5s", "2 after 1m5s"}, at.take()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		sleep(3 * time.Hour)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// conforms: NBAT-07, NBAT-08, NBAT-10
func TestBatchesByPriority(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var got list[string]
		bad := true
		stop := w.run(notify.ListenerConfig{Batch: notify.Batch{Size: 6}}, notify.HandleBatch(func(_ context.Context, all []notify.Raw) error {
			text := string(all[0].Priority)
			for _, n := range all {
				text += string(n.Payload)
			}
			got.add(text)
			if bad {
				bad = false
				return errors.New("try again")
			}
			return nil
		}))
		for _, p := range []notify.Priority{notify.Info, notify.Error, notify.Info, notify.Error, notify.Audit, notify.Info} {
			if err := w.notifier.Notify(t.Context(), p, "x", len(w.log.String())); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // priorities have no order among each other
		}
		sleep(time.Minute)
		if diff := cmp.Diff([]string{"audit0", "error00", "info000", "audit0"}, got.take()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for range 7 {
			if err := w.notifier.Notify(t.Context(), notify.Info, "x", 1); err != nil {
				t.Fatal(err)
			}
		}
		sleep(time.Minute)
		if diff := cmp.Diff([]string{"info111111", "info1"}, got.take()); diff != "" {
			t.Errorf("later batches (-want +got):\n%s", diff)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Priorities have queues of their own: one that is stuck holds up no other, whichever was told first.
//
// conforms: NLIS-15
func TestPrioritiesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var got list[string]
		release := make(chan struct{})
		stop := w.run(notify.ListenerConfig{Prefetch: 1}, notify.Handle(func(_ context.Context, n notify.Raw) error {
			if n.Priority == notify.Info {
				<-release
			}
			got.add(string(n.Priority))
			return nil
		}))
		for _, p := range []notify.Priority{notify.Info, notify.Info, notify.Error, notify.Audit} {
			w.emit(p, sale{})
			synctest.Wait()
		}
		if diff := cmp.Diff([]string{"error", "audit"}, got.take()); diff != "" {
			t.Errorf("while one is stuck (-want +got):\n%s", diff)
		}
		close(release)
		synctest.Wait()
		if diff := cmp.Diff([]string{"info", "info"}, got.take()); diff != "" {
			t.Errorf("afterwards (-want +got):\n%s", diff)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// One that always fails does not take the rest of its batch along.
func TestPoisonInABatch(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		handled := map[int]int{}
		stop := w.run(notify.ListenerConfig{Batch: notify.Batch{Size: 10}, MaxAttempts: 3}, sold.HandleBatch(func(_ context.Context, all []notify.Notification[sale]) error {
			for _, n := range all {
				if n.Payload.SKU == 5 {
					return errors.New("poison")
				}
			}
			for _, n := range all {
				handled[n.Payload.SKU]++
			}
			return nil
		}))
		for i := range 10 {
			w.emit(notify.Info, sale{SKU: i})
		}
		sleep(time.Hour)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if want := map[int]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 6: 1, 7: 1, 8: 1, 9: 1}; !cmp.Equal(want, handled) {
			t.Errorf("handled %v, want each but the fifth once", handled)
		}
		if n := strings.Count(w.log.String(), "gave up"); n != 1 {
			t.Errorf("gave up %d times, want once", n)
		}
	})
}
