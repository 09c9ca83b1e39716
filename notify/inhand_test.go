package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// What comes again while it is still in hand, as after a lost connection, is not handled a second time beside the first, and is settled
// with it.
func TestComesAgainWhileInHand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails bool
		batch notify.Batch
		want  []string
	}{
		"handled": {false, notify.Batch{}, []string{"1 after 0s", "1 after 0s"}},
		"failed":  {true, notify.Batch{}, []string{"1 after 0s", "1 after 0s", "1 after 1m1s", "1 after 1m1s"}},
		"batch":   {false, notify.Batch{Size: 5, Timeout: 2 * time.Second}, []string{"2 after 2s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				start := time.Now()
				var got list[string]
				stop := w.run(notify.ListenerConfig{Batch: c.batch, Workers: 4, Prefetch: 20}, notify.HandleBatch(func(_ context.Context, all []notify.Raw) error {
					got.add(fmt.Sprintf("%d after %s", len(all), time.Since(start)))
					<-time.After(time.Minute)
					if c.fails && time.Since(start) < 2*time.Minute-time.Second*30 {
						return errors.New("no")
					}
					return nil
				}))
				for range 3 {
					for _, id := range []string{"1", "2"} {
						to := transport.Address{Kind: transport.Notification, Topic: "notifications.info"}
						if err := w.bus.Send(t.Context(), to, &transport.Message{UniqueID: id, Event: &transport.Event{Type: id, Priority: "INFO"}}); err != nil {
							t.Fatal(err)
						}
					}
					synctest.Wait()
				}
				sleep(time.Hour)
				if diff := cmp.Diff(c.want, got.take()); diff != "" {
					t.Errorf("handled (-want +got):\n%s", diff)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
				if n := w.waiting("notifications.info", ""); n != 0 {
					t.Errorf("%d are not settled", n)
				}
				if !strings.Contains(w.log.String(), "came again") {
					t.Errorf("the log does not say that they came again: %s", w.log)
				}
			})
		})
	}
}

// A counting bus hands over the second of what comes again for the last time.
type counting struct{ transport.Transport }

func (c counting) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := c.Transport.Listen(ctx, from, o)
	return &countingListener{Listener: l}, err
}

type countingListener struct {
	transport.Listener

	handed int
}

func (l *countingListener) Next(ctx context.Context) (*transport.Delivery, error) {
	d, err := l.Listener.Next(ctx)
	if err == nil {
		l.handed++
		d.Last = l.handed == 2
	}
	return d, err
}

// What comes again for the last time, while it is in hand and about to fail, does not go without a word.
func TestComesForTheLastTimeWhileInHand(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		var kept list[string]
		c := notify.ListenerConfig{Logger: slog.New(slog.NewTextHandler(w.log, nil)), GaveUp: func(_ context.Context, n notify.Raw, _ error) error {
			kept.add(n.Type)
			return nil
		}}
		l := notify.NewListener(counting{w.bus}, c, notify.Handle(func(context.Context, notify.Raw) error {
			<-time.After(time.Minute)
			return errors.New("no")
		}))
		if err := l.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- l.Run(ctx) }()
		for range 2 {
			to := transport.Address{Kind: transport.Notification, Topic: "notifications.info"}
			if err := w.bus.Send(ctx, to, &transport.Message{UniqueID: "1", Event: &transport.Event{Type: "e", Priority: "INFO"}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		sleep(90 * time.Second)
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"e"}, kept.take()); diff != "" || !strings.Contains(w.log.String(), "hands it over no more") {
			t.Errorf("kept (-want +got):\n%s\nlog: %s", diff, w.log)
		}
	})
}
