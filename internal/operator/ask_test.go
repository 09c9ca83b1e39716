package operator_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

// TestDecide is about servers that always hold messages: one acknowledges them, and one does not. Neither queue is ever idle.
func TestDecide(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	conn, err := amqp.DialConfig(strings.Replace(node.URLVhost(vhost), "rabbit:", "amqp:", 1), amqp.Config{Properties: amqp.Table{"connection_name": "nova-compute:77:0a1b"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.ExchangeDeclare("nova", "topic", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	deliveries := make(map[string]<-chan amqp.Delivery)
	for _, name := range []string{"compute", "compute.takes", "compute.stuck"} {
		if _, err := ch.QueueDeclare(name, false, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
		if err := ch.QueueBind(name, name, "nova", false, nil); err != nil {
			t.Fatal(err)
		}
		if deliveries[name], err = ch.Consume(name, "", false, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		var held []amqp.Delivery // what is taken, but for the last few
		for {
			select {
			case d := <-deliveries["compute.takes"]:
				if held = append(held, d); len(held) > 5 {
					_ = held[0].Ack(false)
					held = held[1:]
				}
			case <-deliveries["compute.stuck"]:
			case <-tick.C:
				_ = ch.Publish("nova", "compute.takes", false, false, amqp.Publishing{})
				_ = ch.Publish("nova", "compute.stuck", false, false, amqp.Publishing{})
			case <-ctx.Done():
				return
			}
		}
	})
	bus := looker(t, node, "guest", vhost, node.ManagementURL())
	var topic *operator.Topic
	brokertest.Await(t, "the broker's statistics say that both hold messages", func() bool {
		topic = view(t, bus).Topic("compute")
		return topic != nil && len(topic.Servers) == 2 && topic.Servers[0].Undecided() && topic.Servers[1].Undecided()
	})
	if err := bus.Decide(t.Context(), topic.Servers...); err != nil {
		t.Fatal(err)
	}
	for _, s := range topic.Servers {
		if got := topic.Probe(s, probe.Endpoint{}).Stuck; got != (s.Name == "stuck") {
			t.Errorf("server %s is stuck: %v", s.Name, got)
		}
	}
}
