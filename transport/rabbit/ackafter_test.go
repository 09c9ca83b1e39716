package rabbit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport/rabbit"
)

// A till books what it is cast, slowly, and counts how often each was begun.
type till struct {
	mu    sync.Mutex
	begun map[int]int
	began chan int
	end   chan struct{} // closed to let all end
}

type sale struct {
	Number int `json:"number"`
}

var book = rpc.NewCast[sale](stock, "book")

func (b *till) book(ctx context.Context, s sale) error {
	b.mu.Lock()
	b.begun[s.Number]++
	b.mu.Unlock()
	b.began <- s.Number
	select {
	case <-b.end:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// once fails the test unless each of n was begun once, and nothing else.
func (b *till) once(t *testing.T, n int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range n {
		if b.begun[i] != 1 {
			t.Errorf("number %d was begun %d times, want once", i, b.begun[i])
		}
	}
	if len(b.begun) != n {
		t.Errorf("%d numbers were begun, want %d", len(b.begun), n)
	}
}

// openTill serves with AckAfter, and books n sales.
func openTill(t *testing.T, url string, n int, drain time.Duration, log *lines) (*till, func() error) {
	t.Helper()
	b := &till{begun: map[int]int{}, began: make(chan int, 100), end: make(chan struct{})}
	server := rpc.NewServer(openURL(t, url, rabbit.Config{Logger: log.logger()}),
		rpc.ServerConfig{Target: stock, Server: "h1", Workers: n, AckAfter: true, Drain: drain, Logger: log.debugger()}, book.Handle(b.book))
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	client := rpc.NewClient(openURL(t, url, rabbit.Config{}), rpc.ClientConfig{})
	for i := range n {
		if err := book.Cast(t.Context(), client, sale{i}); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		<-b.began
	}
	return b, stop
}

// A server whose connection breaks while its workers are busy finishes, once, what they do: the broker's copies are held, and
// acknowledged in place of the first deliveries, whose channel is gone.
//
// conforms: RMQ-CONS-10
func TestAckAfterOverLostConnections(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	const n = 4
	var log lines
	b, stop := openTill(t, node.URLVhost(vhost), n, 20*time.Second, &log)
	closed := map[string]bool{}
	for round := range 3 {
		for _, c := range node.ListConnections(t) {
			if c.Vhost == vhost && !closed[c.PID] {
				closed[c.PID] = true
				node.CloseConnection(t, c, "to see what the server does")
			}
		}
		brokertest.Await(t, "the copies to come over a new connection", func() bool {
			return log.count("duplicate of a running request held") == n*(round+1)
		})
	}
	close(b.end)
	brokertest.Await(t, "the queue to be empty", func() bool {
		q, ok := node.FindQueue(t, vhost, "stock")
		return ok && q.Messages == 0
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.once(t, n)
	if log.count("could not be acknowledged") != 0 {
		t.Errorf("the log warns of what its copies made good: %s", &log)
	}
}

// A handler that outlives the broker's consumer_timeout loses its channel, again and again, and nothing else.
func TestAckAfterOverConsumerTimeout(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{Config: "consumer_timeout = 1000\n"})
	node.Eval(t, "application:set_env(rabbit, channel_tick_interval, 200)") // how often channels look at it
	t.Cleanup(func() { node.Eval(t, "application:set_env(rabbit, channel_tick_interval, 60000)") })
	const n = 2
	var log lines
	b, stop := openTill(t, node.URL(), n, 20*time.Second, &log)
	brokertest.Await(t, "two timeouts", func() bool { return log.count("delivery acknowledgement on channel") >= 2 })
	close(b.end)
	brokertest.Await(t, "the queue to be empty", func() bool {
		q, ok := node.FindQueue(t, "/", "stock")
		return ok && q.Messages == 0 && q.Consumers == 1
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	b.once(t, n)
}

// A stop cancels the consumers at once, so that the broker hands the rest to others, and leaves the channel to what still runs.
//
// conforms: RMQ-CONS-08
func TestAckAfterDrainLetsWorkEnd(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	const n = 3
	var log lines
	b, stop := openTill(t, node.URLVhost(vhost), n, time.Minute, &log)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	brokertest.Await(t, "the consumer to be cancelled", func() bool {
		q, ok := node.FindQueue(t, vhost, "stock")
		return ok && q.Consumers == 0 && q.Unacked == n
	})
	close(b.end)
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	b.once(t, n)
	brokertest.Await(t, "the queue to be empty", func() bool {
		q, ok := node.FindQueue(t, vhost, "stock")
		return ok && q.Messages == 0
	})
	if n := log.count("level=WARN"); n != 0 {
		t.Errorf("%d warnings: %s", n, &log)
	}
}

// At a stop the broker gets back what did not end in time, and another server runs it.
func TestAckAfterDrainsIntoTheQueue(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	const n = 3
	var log lines
	b, stop := openTill(t, node.URLVhost(vhost), n, -1, &log)
	var drain *rpc.DrainError
	if err := stop(); !errors.As(err, &drain) || len(drain.Running) != n {
		t.Errorf("stop: %v, want a DrainError of %d handlers", err, n)
	}
	b.once(t, n)
	brokertest.Await(t, "all to be back in the queue", func() bool {
		q, ok := node.FindQueue(t, vhost, "stock")
		return ok && q.Messages == n && q.Unacked == 0
	})
}
