package rabbit

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// A quorum queue whose leader loses sight of our node for a moment delivers beyond the prefetch count. That costs a
// receiver that is busy just then no connection.
func TestQuorumQueueDeliversBeyondPrefetch(t *testing.T) {
	t.Parallel()
	cluster := brokertest.NewCluster(t, 3, brokertest.RabbitOptions{})
	first := cluster.Nodes[0]
	conn, err := amqp.Dial("amqp://guest:guest@" + first.Addr() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	// Declared here, so that its leader is here, and the listener is elsewhere.
	if _, err := ch.QueueDeclare("stock.one", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Fatal(err)
	}
	u, err := transport.ParseURL(cluster.Nodes[1].URL() + "?rabbit_quorum_queue=true")
	if err != nil {
		t.Fatal(err)
	}
	bus, err := Open(t.Context(), Config{URL: u})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bus.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	const prefetch = 10
	got, err := bus.Listen(t.Context(), transport.Address{Kind: transport.Topic, Topic: "stock", Server: "one"}, transport.ListenOptions{Prefetch: prefetch})
	if err != nil {
		t.Fatal(err)
	}
	l := got.(*listener)
	l.mu.Lock()
	subscribed := l.cur
	l.mu.Unlock()
	for range 5 * prefetch {
		if err := ch.Publish("", "stock.one", true, false, amqp.Publishing{Body: []byte("text")}); err != nil {
			t.Fatal(err)
		}
	}
	waiting := func() (n int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, all := range subscribed.in {
			for _, in := range all {
				n += len(in)
			}
		}
		return n
	}
	brokertest.Await(t, "the prefetch count", func() bool { return waiting() == prefetch })
	first.Eval(t, `[erlang:disconnect_node(N) || N <- nodes()].`)
	brokertest.Await(t, "more than the prefetch count", func() bool { return waiting() > prefetch })
	if subscribed.ch.IsClosed() {
		t.Error("the channel was closed")
	}
}
