package rabbit_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// world is what a broker's tools show of a vhost, with ids replaced.
type world struct {
	Exchanges []brokertest.Exchange
	Queues    []brokertest.Queue
	Bindings  []brokertest.Binding
	Consumers map[string]map[string]any // the arguments of each queue's consumer
}

var id32 = regexp.MustCompile(`[0-9a-f]{32}`)

func look(t *testing.T, node *brokertest.RabbitNode, vhost string) world {
	t.Helper()
	w := world{node.ListExchanges(t, vhost), node.ListQueues(t, vhost), node.ListBindings(t, vhost), map[string]map[string]any{}}
	for _, c := range node.ListConsumers(t, vhost) {
		w.Consumers[id32.ReplaceAllString(c.Queue, "ID")] = c.Arguments
	}
	for i := range w.Queues {
		w.Queues[i].Name = id32.ReplaceAllString(w.Queues[i].Name, "ID")
	}
	for i := range w.Bindings {
		w.Bindings[i].Destination = id32.ReplaceAllString(w.Bindings[i].Destination, "ID")
	}
	slices.SortFunc(w.Exchanges, func(a, b brokertest.Exchange) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(w.Queues, func(a, b brokertest.Queue) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(w.Bindings, func(a, b brokertest.Binding) int { return strings.Compare(a.Destination, b.Destination) })
	return w
}

// cancelled adds to the consumers of queues that peers share what ours have beyond Python's; see cancelOnLoss.
func (w world) cancelled(query string, queues ...string) {
	for _, q := range queues {
		if !strings.Contains(query, "rabbit_quorum_queue") {
			w.Consumers[q] = map[string]any{"x-cancel-on-ha-failover": true}
		}
	}
}

func listen(t *testing.T, bus *rabbit.Transport, a transport.Address) transport.Listener {
	t.Helper()
	l, err := bus.Listen(t.Context(), a, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func server(topic string) transport.Address {
	return transport.Address{Kind: transport.Topic, Topic: topic, Server: "one"}
}

func topic(topic string) transport.Address {
	return transport.Address{Kind: transport.Topic, Topic: topic}
}

// The same server, and a client with a reply queue, in Python and in Go leave the same exchanges, queues and bindings.
//
// conforms: RMQ-TOPO-01, RMQ-TOPO-02, RMQ-TOPO-03, RMQ-TOPO-04, RMQ-TOPO-05, RMQ-TOPO-06, RMQ-TOPO-09
func TestTopologyIsPythons(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"defaults": "",
		// conforms: RMQ-TOPO-10, CFG-11
		"durable": "amqp_durable_queues=true",
		// conforms: CFG-12
		"auto-delete": "amqp_auto_delete=true",
		// conforms: RMQ-TOPO-15, CFG-38
		"ttl": "rabbit_transient_queues_ttl=77",
		// conforms: RMQ-TOPO-11, CFG-32
		"mirrored": "rabbit_ha_queues=true",
		// conforms: RMQ-TOPO-12, RMQ-TOPO-14, CFG-35, CFG-36, CFG-37, DEB-05
		"quorum": "rabbit_quorum_queue=true&rabbit_quorum_delivery_limit=3&rabbit_quroum_max_memory_length=100&rabbit_quroum_max_memory_bytes=5000000000",
		// conforms: RMQ-TOPO-19, CFG-43
		"cancelled on fail-over": "enable_cancel_on_failover=true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := brokertest.Rabbit(t)
			python, ours := node.NewVhost(t), node.NewVhost(t)
			startPeer(t, node.URLVhost(python)+"?"+query, "stock", "serve")
			startPeer(t, node.URLVhost(python)+"?"+query, "stock", "call")

			// Nobody receives here: the message of a check would stay.
			bus := openURL(t, node.URLVhost(ours)+"?probe_interval=0&"+query, rabbit.Config{})
			listen(t, bus, server("stock"))
			listen(t, bus, transport.Address{Kind: transport.Reply})

			var want world
			brokertest.Await(t, "Python's four queues", func() bool {
				want = look(t, node, python)
				idle := !slices.ContainsFunc(want.Queues, func(q brokertest.Queue) bool { return q.Messages > 0 || q.Consumers != 1 })
				return len(want.Queues) == 4 && idle
			})
			var got world
			brokertest.Await(t, "four idle consumers of ours", func() bool {
				got = look(t, node, ours)
				return !slices.ContainsFunc(got.Queues, func(q brokertest.Queue) bool { return q.Messages > 0 || q.Consumers != 1 })
			})
			want.cancelled(query, "stock", "stock.one")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-Python +ours:\n%s", diff)
			}
		})
	}
}

// The broker itself compares: what Python declared as quorum queues, ours declares the same.
//
// conforms: RMQ-TOPO-10, RMQ-TOPO-12, CFG-33
func TestQuorumQueuesArePythons(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t)) + "?rabbit_quorum_queue=true"
	startPeer(t, url, "stock", "serve")
	var log lines
	bus := openURL(t, url, rabbit.Config{Logger: log.logger()})
	listen(t, bus, server("stock"))
	if n := log.count("declared otherwise"); n != 0 {
		t.Errorf("the broker found differences:\n%s", log.String())
	}
	for _, name := range []string{"stock", "stock.one"} {
		if _, err := raw(t, strings.TrimSuffix(url, "?rabbit_quorum_queue=true")).QueueDeclare(name, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
			t.Errorf("%s is no quorum queue: %v", name, err)
		}
	}
}

// Messages carry the properties that Python's do, to the exchange and with the key that Python uses.
//
// conforms: RMQ-PUB-01, RMQ-PUB-02, RMQ-PUB-03, ENV-15
func TestPropertiesArePythons(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for _, act := range []string{"call", "cast", "fanout"} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			in := tap(t, node.URLVhost(vhost), "stock")
			bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
			to, m := topic("stock"), &transport.Message{Method: "echo", Args: json.RawMessage(`{"arg":"hello"}`), Version: "1.0", Expires: 7 * time.Second}
			switch act {
			case "call":
				m.ID, m.ReplyTo = "x", "reply_x"
			case "fanout":
				to.Kind = transport.Fanout
			}
			if err := bus.Send(t.Context(), to, m); err != nil {
				t.Fatal(err)
			}
			ours := next(t, in)
			startPeer(t, node.URLVhost(vhost), "stock", act)
			if diff := cmp.Diff(properties(next(t, in)), properties(ours)); diff != "" {
				t.Errorf("-Python +ours:\n%s", diff)
			}
		})
	}
}

// tap reads what is sent to a topic, and to its fanout, as it is on the wire.
func tap(t *testing.T, url, topic string) <-chan amqp.Delivery {
	t.Helper()
	ch := raw(t, url)
	for _, err := range []error{
		ch.ExchangeDeclare("openstack", "topic", false, false, false, false, nil),
		ch.ExchangeDeclare(topic+"_fanout", "fanout", false, true, false, false, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	q, err := ch.QueueDeclare("tap", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, exchange := range []string{"openstack", topic + "_fanout"} {
		if err := ch.QueueBind(q.Name, topic, exchange, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	in, err := ch.Consume(q.Name, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func next(t *testing.T, in <-chan amqp.Delivery) amqp.Delivery {
	t.Helper()
	select {
	case d := <-in:
		return d
	case <-time.After(20 * time.Second):
		t.Fatal("no message within 20 s")
	}
	return amqp.Delivery{}
}

// raw opens a channel of the test's own.
func raw(t testing.TB, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(strings.Replace(url, "rabbit://", "amqp://", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test is over
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// properties are all that a receiver sees of a message except its body.
func properties(d amqp.Delivery) amqp.Delivery {
	d.Acknowledger, d.Body, d.ConsumerTag, d.DeliveryTag = nil, nil, "", 0
	if len(d.Headers) == 0 {
		d.Headers = nil
	}
	return d
}

// Closing a listener deletes the queues that are its own and leaves those it shares.
//
// conforms: RMQ-TOPO-23, ODD-18
func TestCloseDeletesOwnQueues(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	for _, l := range []transport.Listener{listen(t, bus, server("stock")), listen(t, bus, transport.Address{Kind: transport.Reply})} {
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, q := range node.ListQueues(t, vhost) {
		names = append(names, q.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"stock", "stock.one"}, names); diff != "" {
		t.Errorf("-want +left:\n%s", diff)
	}
}

// Operators see whose connection it is, and there are two.
//
// conforms: RMQ-CONN-03, RMQ-CONN-02
func TestConnectionsAreNamed(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{Program: "stockd"})
	listen(t, bus, server("stock"))
	listen(t, bus, transport.Address{Kind: transport.Reply})
	form := regexp.MustCompile(`^stockd:\d+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	n := 0
	for _, c := range node.ListConnections(t) {
		if c.Vhost != vhost {
			continue
		}
		n++
		if name, _ := c.ClientProperties["connection_name"].(string); !form.MatchString(name) {
			t.Errorf("connection name %q is not program:pid:uuid", name)
		}
		if c.ClientProperties["product"] != "goslo" {
			t.Errorf("product %v is not goslo", c.ClientProperties["product"])
		}
	}
	if n != 2 {
		t.Errorf("%d connections, want one to send and one to listen", n)
	}
}
