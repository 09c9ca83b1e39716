//go:build !race

package benchmarks_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/internal/workload"
	"github.com/goslo/goslo/notify"
)

// perMeasure is how many operations one measurement takes: what is allocated now and then, such as by a heartbeat, is not to be seen.
const perMeasure = 500

// allocations are the most that a call and a cast make on a bus.
type allocations struct {
	name       string
	call, cast float64
	url        func(*testing.T) string
}

// What a call or cast allocates, client and server together, does not creep up unseen: it is at most what was measured, and a little
// room. Of the embedded bus its server counts as well. The race detector allocates by itself; with it this file is not built.
func TestAllocations(t *testing.T) {
	for _, bus := range append(allocationsOfZMQ(),
		allocations{"memory", 15, 10, func(*testing.T) string { return "memory://allocations/" }},
		allocations{"embedded", 39, 74, embeddedURL},
		allocations{"nats", 27, 19, func(t *testing.T) string { t.Helper(); return brokertest.NewNATS(t, brokertest.NATSOptions{}).URL() }},
		allocations{"rabbit", 34, 21, func(t *testing.T) string { t.Helper(); return brokertest.RabbitAMQP1(t).URL() }},
		allocations{"amqp1", 28, 14, func(t *testing.T) string { t.Helper(); return brokertest.RabbitAMQP1(t).AMQP1URL() }},
	) {
		t.Run(bus.name, func(t *testing.T) {
			p := workload.NewPair(t, bus.url(t))
			atMost(t, "call", bus.call, p.Call)
			atMost(t, "cast", bus.cast, p.Cast, p.Settled)
		})
	}
}

// The same of notifications, each confirmed and acknowledged.
func TestAllocationsOfNotifications(t *testing.T) {
	type instance struct {
		Instance string `json:"instance"`
	}
	created := notify.NewEvent[instance]("compute.instance.create.end")
	born := instance{strings.Repeat("x", 2<<10)}
	url := brokertest.RabbitAMQP1(t).URL()
	notifier := notify.NewNotifier(notify.NotifierConfig{
		Publisher: "compute.host-1", Drivers: []notify.Driver{notify.NewMessaging(workload.Open(t, url), notify.MessagingConfig{})},
	})
	var told, heard atomic.Int64
	listener := notify.NewListener(workload.Open(t, url), notify.ListenerConfig{},
		created.Handle(func(context.Context, notify.Notification[instance]) error { heard.Add(1); return nil }).On(notify.Info))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- listener.Run(ctx) }()
	atMost(t, "notification", 50, func() error {
		told.Add(1)
		return created.Emit(ctx, notifier, notify.Info, born)
	}, func() bool { return heard.Load() == told.Load() })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// atMost fails the test when do allocates more, until it has settled.
func atMost(t *testing.T, what string, most float64, do func() error, settled ...func() bool) {
	t.Helper()
	got := testing.AllocsPerRun(1, func() {
		for range perMeasure {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		for _, is := range settled {
			brokertest.Await(t, "each "+what+" has run", is)
		}
	}) / perMeasure
	t.Logf("%.1f allocations per %s", got, what)
	if got > most {
		t.Errorf("%.1f allocations per %s, and %.0f are the most: see what allocates with -memprofile and -memprofilerate 1, or raise the bound", got, what, most)
	}
}

// embeddedURL is that of a bus of this test's own.
func embeddedURL(t *testing.T) string {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	return fmt.Sprintf("embedded://:%d", freeport.One(t))
}
