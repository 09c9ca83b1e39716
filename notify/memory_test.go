package notify_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// What a listener cannot handle as fast as it is sent stays with the bus: this process holds what Prefetch says, and no more. The test is
// alone in its process while it runs, for the sake of the heap's size.
//
//nolint:paralleltest // see above
func TestSlowListenerHoldsNoMoreThanPrefetch(t *testing.T) {
	for name, url := range map[string]func(t *testing.T) string{"rabbit": rabbitURL(""), "nats": natsURL} {
		t.Run(name, func(t *testing.T) {
			holdNoMoreThanPrefetch(t, url(t))
		})
	}
}

func holdNoMoreThanPrefetch(t *testing.T, url string) {
	t.Helper()
	const (
		all, prefetch, senders = 3200, 20, 16
		size                   = 16 << 10 // more than 50 MB together
		room                   = 12 << 20
	)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	bus, err := goslo.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bus.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	release := make(chan struct{})
	l := notify.NewListener(bus, notify.ListenerConfig{Prefetch: prefetch, Workers: 1}, sold.Handle(func(context.Context, notify.Notification[sale]) error {
		<-release
		return nil
	}).On(notify.Info))
	if err := l.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- l.Run(running) }()
	n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}})
	text := strings.Repeat("x", size)
	before := heap()
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range all / senders {
				if err := sold.Emit(ctx, n, notify.Info, sale{Buyer: text}); err != nil {
					t.Errorf("emit: %v", err)
					return
				}
			}
		})
	}
	sending.Wait()
	var waiting int
	brokertest.Await(t, "what waits on the bus", func() bool {
		s, err := bus.(transport.Inspector).Inspect(ctx, transport.Address{Kind: transport.Notification, Topic: "notifications.info"})
		if err != nil {
			t.Fatal(err)
		}
		waiting = s.Waiting
		return waiting >= all/senders*senders-prefetch
	})
	if after := heap(); after > before+room {
		t.Errorf("the heap grew from %d to %d MB while %d of %d waited on the bus", before>>20, after>>20, waiting, all)
	}
	stop()
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// heap is how much of it is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
