package notify_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
)

// A killable broker comes back with what it has stored.
type killable interface {
	Kill()
	Restart(t testing.TB)
}

// A broker that is killed while notifications are sent to it and heard from it has those that it had confirmed.
//
// conforms: NOTIFY-16
func TestBrokerKilledInMidPublish(t *testing.T) {
	t.Parallel()
	t.Run("rabbit", func(t *testing.T) {
		t.Parallel()
		node := brokertest.NewRabbit(t, brokertest.RabbitOptions{})
		killInMidPublish(t, node.URL()+"?amqp_durable_queues=true", node, 2)
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		node := brokertest.NewNATS(t, brokertest.NATSOptions{})
		killInMidPublish(t, node.URL(), node, 4)
	})
	t.Run("kafka", func(t *testing.T) {
		t.Parallel()
		node := brokertest.NewKafka(t, brokertest.KafkaOptions{Topics: []string{"notifications.info"}})
		killInMidPublish(t, node.URL(), node, 2)
	})
}

func killInMidPublish(t *testing.T, url string, broker killable, rounds int) {
	t.Helper()
	const senders, between = 8, 200 // confirmed between two kills
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

	var mu sync.Mutex
	heard := map[int]bool{}
	l := notify.NewListener(bus, meter, sold.HandleBatch(func(_ context.Context, batch []notify.Notification[sale]) error {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range batch {
			heard[n.Payload.SKU] = true
		}
		return nil
	}).On(notify.Info))
	if err := l.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- l.Run(running) }()

	n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}})
	var next, confirmed atomic.Int64
	enough := make(chan struct{})
	sent := make([]map[int]bool, senders)
	var sending sync.WaitGroup
	for i := range sent {
		sent[i] = map[int]bool{}
		sending.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
				}
				sku := int(next.Add(1))
				if err := sold.Emit(ctx, n, notify.Info, sale{SKU: sku}); err != nil {
					t.Errorf("emit: %v", err)
					return
				}
				sent[i][sku] = true
				confirmed.Add(1)
			}
		})
	}
	for range rounds {
		goal := confirmed.Load() + between
		brokertest.Await(t, "more that are confirmed", func() bool { return confirmed.Load() >= goal })
		broker.Kill()
		broker.Restart(t)
	}
	goal := confirmed.Load() + between
	brokertest.Await(t, "more that are confirmed", func() bool { return confirmed.Load() >= goal })
	close(enough)
	sending.Wait()
	missing := func() (all []int) {
		mu.Lock()
		defer mu.Unlock()
		for _, of := range sent {
			for sku := range of {
				if !heard[sku] {
					all = append(all, sku)
				}
			}
		}
		return all
	}
	defer func() {
		if t.Failed() {
			t.Logf("of %d confirmed not heard: %v", confirmed.Load(), missing())
		}
	}()
	brokertest.Await(t, "all that were confirmed", func() bool { return len(missing()) == 0 })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
