package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// Drop is the end of what the handler had, not of the others that came along.
func TestDropIsOfWhatTheHandlerHad(t *testing.T) {
	t.Parallel()
	drop := errors.New("old news")
	drop = errors.Join(drop, notify.Drop)
	for name, handlers := range map[string]func(got *list[string]) []notify.Handler{
		"one by one": func(got *list[string]) []notify.Handler {
			return []notify.Handler{notify.Handle(func(_ context.Context, n notify.Raw) error {
				if string(n.Payload) == `"a"` {
					return drop
				}
				got.add(string(n.Payload))
				return nil
			})}
		},
		"in batches": func(got *list[string]) []notify.Handler {
			return []notify.Handler{
				notify.HandleBatch(func(context.Context, []notify.Raw) error { return drop }).Where(notify.Filter{Type: "a"}),
				notify.HandleBatch(func(_ context.Context, all []notify.Raw) error {
					for _, n := range all {
						got.add(string(n.Payload))
					}
					return nil
				}),
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				var got list[string]
				stop := w.run(notify.ListenerConfig{Batch: notify.Batch{Size: 3}}, handlers(&got)...)
				for _, kind := range []string{"a", "b", "c"} {
					if err := w.notifier.Notify(t.Context(), notify.Info, kind, kind); err != nil {
						t.Fatal(err)
					}
				}
				sleep(time.Minute)
				if diff := cmp.Diff([]string{`"b"`, `"c"`}, got.take()); diff != "" {
					t.Errorf("handled (-want +got):\n%s", diff)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
				if n := w.waiting("notifications.info", ""); n != 0 {
					t.Errorf("%d wait, want none", n)
				}
			})
		})
	}
}

// What has failed in a batch is given up on only once it has failed alone.
func TestOneAttemptInABatch(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var got list[int]
		stop := w.run(notify.ListenerConfig{Batch: notify.Batch{Size: 3}, MaxAttempts: 1}, sold.HandleBatch(func(_ context.Context, all []notify.Notification[sale]) error {
			if slices.ContainsFunc(all, func(n notify.Notification[sale]) bool { return n.Payload.SKU == 1 }) {
				return errors.New("poison")
			}
			for _, n := range all {
				got.add(n.Payload.SKU)
			}
			return nil
		}))
		for i := range 3 {
			w.emit(notify.Info, sale{SKU: i})
		}
		sleep(time.Hour)
		if err := stop(); err != nil {
			t.Error(err)
		}
		all := got.take()
		slices.Sort(all)
		if diff := cmp.Diff([]int{0, 2}, all); diff != "" || strings.Count(w.log.String(), "gave up") != 1 {
			t.Errorf("handled (-want +got):\n%s\nlog: %s", diff, w.log)
		}
	})
}

// The end of the listener is no fault of a notification.
func TestCancelledHandlersAreNoFailures(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 2} {
		inBubble(t, func(t *testing.T, w *world) {
			calls := 0
			stop := w.run(notify.ListenerConfig{Drain: time.Second, MaxAttempts: 1, Batch: notify.Batch{Size: size}}, notify.Handle(func(ctx context.Context, _ notify.Raw) error {
				calls++
				<-ctx.Done()
				return context.Cause(ctx)
			}))
			w.emit(notify.Info, sale{})
			if size > 0 {
				w.emit(notify.Warn, sale{}) // for which there is no time
			}
			synctest.Wait()
			if err := stop(); err == nil {
				t.Error("stopped without an error, want that handlers were cancelled")
			}
			if n := w.waiting("notifications.info", ""); n != 1 {
				t.Errorf("%d on the bus, want the one whose handler was cancelled", n)
			}
			if n := w.waiting("notifications.warn", ""); n != size/2 || calls != 1 {
				t.Errorf("%d on the bus after %d calls, want what no handler has got", n, calls)
			}
		})
	}
}

// What comes from who gives no unique id has the bound, too, and so has what comes without any id.
func TestPoisonWithoutAnID(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]transport.Event{
		"a message id": {ID: "m", Priority: "INFO", Payload: json.RawMessage(`{}`)},
		"nothing":      {Priority: "INFO"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				var at list[time.Duration]
				start := time.Now()
				stop := w.run(notify.ListenerConfig{MaxAttempts: 3}, notify.Handle(func(context.Context, notify.Raw) error {
					at.add(time.Since(start))
					return errors.New("poison")
				}))
				if err := w.bus.Send(t.Context(), transport.Address{Kind: transport.Notification, Topic: "notifications.info"}, &transport.Message{Event: &e}); err != nil {
					t.Fatal(err)
				}
				sleep(time.Hour)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff([]time.Duration{0, time.Second, 3 * time.Second}, at.take()); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			})
		})
	}
}
