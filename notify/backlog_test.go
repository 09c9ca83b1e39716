package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
)

func ExampleBacklog() {
	var told notify.Recorder
	b := notify.NewBacklog(notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{&told}}), notify.BacklogConfig{Size: 10})
	_ = b.Notify(context.Background(), notify.Info, "stock.low", map[string]int{"sku": 7}) // it does not wait for the bus
	if err := b.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(told.Notifications()[0].Type, b.Lost())
	// Output: stock.low 0
}

// slow is a driver that waits until it may go on.
type slow struct{ gate chan struct{} }

func (d slow) Notify(context.Context, *notify.Raw, notify.Retry) error {
	<-d.gate
	return nil
}

// What is told is what it was then, in its order, also when the request that told it is over.
func TestBacklogTellsWhatItWasTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told notify.Recorder
		gate := make(chan struct{})
		b := notify.NewBacklog(notify.NewNotifier(notify.NotifierConfig{Publisher: "a", Drivers: []notify.Driver{slow{gate}, &told}}), notify.BacklogConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		payload := json.RawMessage(`{"n":1}`)
		for _, publisher := range []*notify.Backlog{b, b.As("b")} {
			if err := publisher.Notify(ctx, notify.Info, "x", payload); err != nil {
				t.Fatal(err)
			}
		}
		copy(payload, `{"n":2}`)
		cancel()
		if err := b.Notify(ctx, notify.Info, "x", func() {}); err == nil {
			t.Error("a payload that does not encode is no error")
		}
		close(gate)
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range told.Notifications() {
			got = append(got, n.Publisher+string(n.Payload))
		}
		if diff := cmp.Diff([]string{`a{"n":1}`, `b{"n":1}`}, got); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// What its notifier cannot tell is lost and counted, also where the notifier does not return its errors.
func TestBacklogCountsWhatIsLost(t *testing.T) {
	t.Parallel()
	for _, swallow := range []bool{false, true} {
		t.Run(fmt.Sprint("swallow ", swallow), func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			b := notify.NewBacklog(notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{failing{}}, Swallow: swallow}),
				notify.BacklogConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			for range 3 {
				if err := b.Notify(t.Context(), notify.Info, "x", nil); err != nil {
					t.Error(err)
				}
			}
			if err := b.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "3 notifications were lost") || b.Lost() != 3 {
				t.Errorf("closed: %v, lost %d", err, b.Lost())
			}
			if n := strings.Count(log.String(), "broken"); n != 1 {
				t.Errorf("said %d times, want once:\n%s", n, log.String())
			}
		})
	}
}
