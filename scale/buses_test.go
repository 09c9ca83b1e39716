package scale_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/nats"
	"github.com/goslo/goslo/transport/rabbit"
)

// A bus is one that a part runs on: connections to it, and what it says of itself.
type bus struct {
	name   string
	open   func(tb testing.TB) transport.Transport // closed with the test
	broker *rabbitBroker                           // nil unless it is RabbitMQ
	pid    int                                     // of the broker's process; 0 = there is none
}

// cpu is the CPU time that the broker has used.
func (b *bus) cpu(t *testing.T) time.Duration {
	t.Helper()
	if b.pid == 0 {
		return 0
	}
	return cpuOf(t, b.pid)
}

// rss is what the broker holds of the machine's memory, in bytes.
func (b *bus) rss(t *testing.T) int64 {
	t.Helper()
	if b.pid == 0 {
		return 0
	}
	return memoryOf(t, b.pid).RSS
}

// onEveryBus runs f on a fresh bus of each kind.
func onEveryBus(t *testing.T, f func(t *testing.T, b *bus)) {
	t.Helper()
	for _, b := range []struct {
		name string
		open func(t *testing.T) *bus
	}{{"memory", openMemory}, {"NATS", openNATS}, {"RabbitMQ", openRabbit}} {
		t.Run(b.name, func(t *testing.T) { f(t, b.open(t)) })
	}
}

func openMemory(t *testing.T) *bus {
	t.Helper()
	m := memory.NewBus()
	return &bus{name: "memory", open: func(tb testing.TB) transport.Transport {
		tb.Helper()
		return closing(tb, m.Open(memory.Config{}))
	}}
}

func openNATS(t *testing.T) *bus {
	t.Helper()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	config, err := nats.ConfigFromURL(parse(t, node.URL()))
	if err != nil {
		t.Fatal(err)
	}
	return natsBus(t, node, config)
}

func natsBus(t *testing.T, node *brokertest.NATSNode, config nats.Config) *bus {
	t.Helper()
	return &bus{name: "NATS", pid: node.PID(), open: func(tb testing.TB) transport.Transport {
		tb.Helper()
		n, err := nats.Open(tb.Context(), config)
		if err != nil {
			tb.Fatal(err)
		}
		return closing(tb, n)
	}}
}

func openRabbit(t *testing.T) *bus {
	t.Helper()
	broker := newRabbitBroker(t)
	url := parse(t, broker.url())
	return &bus{
		name: "RabbitMQ", broker: broker, pid: broker.node.PID(),
		open: func(tb testing.TB) transport.Transport {
			tb.Helper()
			r, err := rabbit.Open(tb.Context(), rabbit.Config{URL: url, Program: "scale"})
			if err != nil {
				tb.Fatal(err)
			}
			return closing(tb, r)
		},
	}
}

func parse(tb testing.TB, s string) *transport.URL {
	tb.Helper()
	u, err := transport.ParseURL(s)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// closing closes a transport with the test. One that was closed before is closed.
func closing(tb testing.TB, t transport.Transport) transport.Transport {
	tb.Helper()
	tb.Cleanup(func() {
		if err := t.Close(context.Background()); err != nil && !errors.Is(err, transport.ErrClosed) {
			tb.Errorf("close the bus: %v", err)
		}
	})
	return t
}

// A rabbitBroker is a RabbitMQ and a virtual host of it.
type rabbitBroker struct {
	node  *brokertest.RabbitNode
	vhost string
}

// manyConnections is what RabbitMQ needs to be told before thousands connect: how many may wait to be accepted, and how long the buffers of a
// connection are, which are as long as the kernel's otherwise, and that is 4 MB.
const manyConnections = `vm_memory_high_watermark.absolute = 8GB
tcp_listen_options.backlog = 4096
tcp_listen_options.sndbuf = 131072
tcp_listen_options.recbuf = 131072
`

// newRabbitBroker returns a virtual host of a node: with -scale.full of one that has room for thousands of connections and does nothing else.
func newRabbitBroker(t *testing.T) *rabbitBroker {
	t.Helper()
	node := brokertest.Rabbit
	if *fullFlag {
		node = func(t testing.TB) *brokertest.RabbitNode {
			t.Helper()
			return brokertest.NewRabbit(t, brokertest.RabbitOptions{Config: manyConnections})
		}
	}
	b := &rabbitBroker{node: node(t)}
	b.vhost = b.node.NewVhost(t)
	return b
}

func (b *rabbitBroker) url() string { return b.node.URLVhost(b.vhost) }

// holdings are what a broker holds for its clients, and has declared for them since it started.
type holdings struct {
	Connections, Channels, Queues, Consumers, Bindings int
	Declared, Created                                  int   // queue.declare of any kind, and those that made a queue
	Closed                                             int   // connections, since the node started
	Memory                                             int64 // bytes, by Erlang's own account
	RSS                                                int64
}

// holds asks the node. All but the queues, consumers and bindings are of the whole node.
func (b *rabbitBroker) holds(t *testing.T) holdings {
	t.Helper()
	text := b.node.Eval(t, fmt.Sprintf(`
		V = <<"%s">>,
		Queues = [amqqueue:get_pid(Q) || Q <- rabbit_amqqueue:list(V)],
		[{_, _, Closed, _, _, Declared, Created, _}] = ets:lookup(connection_churn_metrics, node()),
		Bindings = [X || {binding, {resource, _, exchange, X}, _, _, _} <- rabbit_binding:list(V), X =/= <<>>],
		iolist_to_binary(lists:join(" ", [integer_to_list(N) || N <- [
			length(rabbit_networking:connections()), length(rabbit_channel:list()), length(Queues),
			length(rabbit_amqqueue:consumers_all(V)), length(Bindings), Declared, Created, Closed, erlang:memory(total)]]))`, b.vhost))
	var h holdings
	if _, err := fmt.Sscan(text, &h.Connections, &h.Channels, &h.Queues, &h.Consumers, &h.Bindings, &h.Declared, &h.Created, &h.Closed, &h.Memory); err != nil {
		t.Fatalf("what the broker holds: %q: %v", text, err)
	}
	h.RSS = memoryOf(t, b.node.PID()).RSS
	return h
}

// collect has the broker collect its garbage, so that what it holds is what it needs.
func (b *rabbitBroker) collect(t *testing.T) {
	t.Helper()
	b.node.Eval(t, "[garbage_collect(P) || P <- processes()], ok")
}

// leftNothing fails the test where something of the clients that have gone is still there: connections, consumers, messages, and queues
// that were theirs alone. What a topic's servers share stays, for those to come.
func (b *rabbitBroker) leftNothing(t *testing.T) {
	t.Helper()
	brokertest.Await(t, "the broker has forgotten the connections", func() bool {
		for _, c := range b.node.ListConnections(t) {
			if c.Vhost == b.vhost {
				return false
			}
		}
		return true
	})
	for _, q := range b.node.ListQueues(t, b.vhost) {
		own := strings.HasPrefix(q.Name, "reply_") || strings.Contains(q.Name, "_fanout_")
		if own || q.Messages > 0 || q.Consumers > 0 {
			t.Errorf("queue %s was left behind with %d messages and %d consumers", q.Name, q.Messages, q.Consumers)
		}
	}
}
