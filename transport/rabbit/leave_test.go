package rabbit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// leave has a listener give up its topic.
func leave(t *testing.T, l transport.Listener) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := l.(transport.Leaver).Leave(ctx); err != nil {
		t.Fatal(err)
	}
}

// consumers is how many consume from each of the topic's queues that last.
func consumers(t *testing.T, node *brokertest.RabbitNode, vhost string) (shared, own int) {
	t.Helper()
	for _, q := range node.ListQueues(t, vhost) {
		switch q.Name {
		case "stock":
			shared = q.Consumers
		case "stock.one":
			own = q.Consumers
		}
	}
	return shared, own
}

// A topic that was left stays left when the connection is rebuilt, and when the queue of the server is deleted under it.
func TestLeftForGood(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	var log lines
	bus := openURL(t, "rabbit://guest:guest@"+proxy.Addr()+"/"+vhost, rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	receives(t, bus, l, topic("stock"))
	leave(t, l)
	if shared, own := consumers(t, node, vhost); shared != 0 || own != 1 {
		t.Fatalf("%d consume from the topic and %d from the server's queue, want 0 and 1", shared, own)
	}
	proxy.Reset()
	brokertest.Await(t, "the listener", func() bool { return log.count("listener rebuilt") == 1 })
	receives(t, bus, l, server("stock"))
	node.DeleteQueue(t, vhost, "stock.one")
	brokertest.Await(t, "the queue", func() bool { return log.count("listener rebuilt", "queues=[stock.one]") == 1 })
	receives(t, bus, l, server("stock"))
	receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
	if shared, own := consumers(t, node, vhost); shared != 0 || own != 1 {
		t.Errorf("later %d consume from the topic and %d from the server's queue, want 0 and 1", shared, own)
	}
}

// Without a connection there is no consumer that would have to be ended.
func TestLeaveWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	var log lines
	bus := openURL(t, node.URL(), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	node.Kill()
	brokertest.Await(t, "both connections to be missed", func() bool { return log.count("connection lost") >= 1 })
	leave(t, l)
	node.Restart(t)
	brokertest.Await(t, "the listener", func() bool { return log.count("listener rebuilt") == 1 })
	receives(t, bus, l, server("stock"))
	if shared, own := consumers(t, node, "/"); shared != 0 || own != 1 {
		t.Errorf("%d consume from the topic and %d from the server's queue, want 0 and 1", shared, own)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(t.Context()); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("next after the close: %v, want ErrClosed", err)
	}
}
