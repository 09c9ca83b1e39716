package amqp1_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
)

// A heard is what a listener has handled, by payload. Each second one fails when it comes first.
type heard struct {
	mu      sync.Mutex
	seen    map[int]int
	handled map[int]bool
	more    chan struct{} // holds one when something was handled
}

func (h *heard) handle(_ context.Context, n notify.Notification[int]) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[n.Payload]++
	if h.seen[n.Payload] == 1 && n.Payload%2 == 0 {
		return errors.New("not yet")
	}
	h.handled[n.Payload] = true
	select {
	case h.more <- struct{}{}:
	default:
	}
	return nil
}

func (h *heard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.handled)
}

// await waits until so many different ones were handled.
func (h *heard) await(t *testing.T, n int) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for h.count() < n {
		select {
		case <-h.more:
		case <-limit.C:
			t.Fatalf("%d notifications were handled, want %d", h.count(), n)
		}
	}
}

// Over RabbitMQ each notification that a notifier was told to have sent is handled, whatever the network does to it and to the
// listener, of which handlers fail.
func TestNoNotificationIsLostOnRabbitMQ(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitAMQP1(t)
	teller, listener := brokertest.NewProxy(t, node.Addr()), brokertest.NewProxy(t, node.Addr())
	url := func(p *brokertest.Proxy) string { return "amqp://guest:guest@" + p.Addr() + "/notifications-lost" }
	tick := notify.NewEvent[int]("tick")

	h := &heard{seen: map[int]int{}, handled: map[int]bool{}, more: make(chan struct{}, 1)}
	l := notify.NewListener(quiet(t, url(listener)), notify.ListenerConfig{Prefetch: 20, Backoff: 10 * time.Millisecond}, tick.Handle(h.handle).On(notify.Info))
	if err := l.Listen(testContext(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(quiet(t, url(teller)), notify.MessagingConfig{})}})
	const all = 400
	var telling sync.WaitGroup
	next := make(chan int)
	for range 4 {
		telling.Go(func() {
			for i := range next {
				if err := tick.Emit(ctx, n, notify.Info, i); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	for i := range all {
		next <- i
		switch i {
		case 50, 200:
			h.await(t, 1+i/4)
			listener.Reset()
		case 100, 250:
			teller.Reset()
		case 150, 300:
			teller.Reset()
			listener.Cut()
			listener.Restore()
		}
	}
	close(next)
	telling.Wait()
	h.await(t, all)
}
