package rabbit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// declared is an exchange or queue that a peer declared before us.
type declared struct {
	exchange, queue string // one of them
	kind            string
	durable, auto   bool
	args            amqp.Table
}

func (d declared) declare(t *testing.T, ch *amqp.Channel) {
	t.Helper()
	var err error
	if d.exchange != "" {
		err = ch.ExchangeDeclare(d.exchange, d.kind, d.durable, d.auto, false, false, d.args)
	} else {
		_, err = ch.QueueDeclare(d.queue, d.durable, d.auto, false, false, d.args)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// adoptions are what peers may have declared otherwise, with what the log says of it.
var adoptions = map[string]struct {
	options string
	peer    declared
	says    string // "" = nothing, it makes no difference to the broker
	change  string
}{
	"durable exchange": {
		peer: declared{exchange: "openstack", kind: "topic", durable: true},
		says: "durable is true, not false", change: "amqp_durable_queues=true (or rabbit_quorum_queue=true)",
	},
	"transient exchange": {
		options: "?amqp_durable_queues=true",
		peer:    declared{exchange: "openstack", kind: "topic"},
		says:    "durable is false, not true", change: "amqp_durable_queues=false and rabbit_quorum_queue=false",
	},
	"auto-delete exchange": {
		peer: declared{exchange: "openstack", kind: "topic", auto: true},
		says: "auto_delete is true, not false", change: "amqp_auto_delete=true",
	},
	"lasting exchange": {
		options: "?amqp_auto_delete=true",
		peer:    declared{exchange: "openstack", kind: "topic"},
		says:    "auto_delete is false, not true", change: "amqp_auto_delete=false",
	},
	"direct exchange": {
		peer: declared{exchange: "openstack", kind: "direct", durable: true},
		says: "type is direct, not topic; durable is true, not false", change: "amqp_durable_queues=true",
	},
	"exchange with an alternate": {
		peer: declared{exchange: "openstack", kind: "topic", args: amqp.Table{"alternate-exchange": "amq.fanout"}},
		says: "alternate-exchange is amq.fanout, not none", change: "no option of this service",
	},
	"durable queue": {
		peer: declared{queue: "stock", durable: true},
		says: "durable is true, not false", change: "amqp_durable_queues=true",
	},
	"transient queue": {
		options: "?amqp_durable_queues=true",
		peer:    declared{queue: "stock"},
		says:    "durable is false, not true", change: "amqp_durable_queues=false",
	},
	"auto-delete queue": {
		peer: declared{queue: "stock", auto: true},
		says: "auto_delete is true, not false", change: "amqp_auto_delete=true",
	},
	"quorum queue": {
		peer: declared{queue: "stock", durable: true, args: amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": int32(5)}},
		says: "durable is true, not false; x-queue-type is quorum, not none; x-delivery-limit is 5, not none",
		// The type brings durability with it.
		change: `change="rabbit_quorum_queue=true, rabbit_quorum_delivery_limit=5 in this service`,
	},
	"classic queue": {
		options: "?rabbit_quorum_queue=true",
		peer:    declared{queue: "stock"},
		says:    "durable is false, not true; x-queue-type is none, not quorum", change: "rabbit_quorum_queue=false",
	},
	"bounded queue": {
		peer: declared{queue: "stock", args: amqp.Table{"x-max-length": int64(1000), "x-overflow": "reject-publish"}},
		says: "x-max-length is 1000, not none; x-overflow is reject-publish, not none", change: "no option of this service",
	},
	"expiring queue of a server": {
		peer: declared{queue: "stock.one", args: amqp.Table{"x-expires": int32(3600000)}},
		says: "x-expires is 3600000, not none", change: "no option of this service",
	},
	"durable queue of a server": {
		peer: declared{queue: "stock.one", durable: true},
		says: "durable is true, not false", change: "amqp_durable_queues=true",
	},
	"mirrored queue": { // the broker does not look at the argument
		peer: declared{queue: "stock", args: amqp.Table{"x-ha-policy": "all"}},
	},
	"durable fanout exchange": {
		peer: declared{exchange: "stock_fanout", kind: "fanout", durable: true, auto: true},
		says: "durable is true, not false", change: "rabbit_transient_quorum_queue=true",
	},
	// conforms: ODD-32
	"lasting fanout exchange": { // what upstream makes of it when it gives way to another durability
		peer: declared{exchange: "stock_fanout", kind: "fanout"},
		says: "auto_delete is false, not true", change: "no option of this service",
	},
	"topic exchange as fanout": {
		peer: declared{exchange: "stock_fanout", kind: "topic", auto: true},
		says: "type is topic, not fanout", change: "no option of this service",
	},
	"direct exchange as fanout": {
		peer: declared{exchange: "stock_fanout", kind: "direct", auto: true},
		says: "type is direct, not fanout", change: "no option of this service",
	},
	"headers exchange as fanout": {
		peer: declared{exchange: "stock_fanout", kind: "headers", auto: true},
		says: "type is headers, not fanout", change: "no option of this service",
	},
}

// A listener and a sender take exchanges and queues that a peer declared otherwise, use them, and say so once,
// whatever happens to their connections.
//
// conforms: RMQ-TOPO-24, RMQ-TOPO-25, DEB-06
func TestAdopts(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for name, c := range adoptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			c.peer.declare(t, raw(t, node.URLVhost(vhost)))
			var log, sends lines
			bus := openURL(t, node.URLVhost(vhost)+c.options, rabbit.Config{Logger: log.logger()})
			sender := openURL(t, node.URLVhost(vhost)+c.options, rabbit.Config{Logger: sends.logger()})
			l := listen(t, bus, server("stock"))
			work := func() {
				t.Helper()
				receives(t, sender, l, topic("stock"))
				receives(t, sender, l, server("stock"))
				receives(t, sender, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
			}
			work()
			for _, conn := range node.ListConnections(t) {
				if conn.Vhost == vhost && conn.ClientProperties["product"] == "goslo" {
					node.CloseConnection(t, conn, "the test")
				}
			}
			brokertest.Await(t, "the listener", func() bool { return log.count("listener rebuilt") == 1 })
			brokertest.Await(t, "the sender", func() bool { return sends.count("msg=connected") == 1 })
			work()
			what := "queue " + c.peer.queue
			if c.peer.exchange != "" {
				what = "exchange " + c.peer.exchange
			}
			want := 1
			if c.says == "" {
				want = 0
			}
			if n := log.count("declared otherwise", `what="`+what+`"`, `differs="`+c.says+`"`, c.change); n != want || log.count("declared otherwise") != want {
				t.Errorf("%d log lines about %s, want %d:\n%s", n, what, want, log.String())
			}
			if c.peer.exchange == "" {
				want = 0 // a sender declares no queue
			}
			if n := sends.count("declared otherwise"); n != want {
				t.Errorf("%d log lines of the sender, want %d:\n%s", n, want, sends.String())
			}
		})
	}
}

// An exchange that would hand every request to every server is not taken; the error says what to do.
func TestAdoptsNothingThatMultiplies(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for _, kind := range []string{"fanout", "headers"} {
		vhost := node.NewVhost(t)
		declared{exchange: "openstack", kind: kind}.declare(t, raw(t, node.URLVhost(vhost)))
		bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
		_, err := bus.Listen(t.Context(), server("stock"), transport.ListenOptions{})
		if err == nil || !strings.Contains(err.Error(), "exchange openstack") || !strings.Contains(err.Error(), "of type "+kind) {
			t.Errorf("listen: %v", err)
		}
		err = bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"})
		if err == nil || !strings.Contains(err.Error(), "of type "+kind) {
			t.Errorf("send: %v", err)
		}
	}
}

// What was adopted and has gone since is declared as our options say.
func TestAdoptedAndGone(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	ch := raw(t, node.URLVhost(vhost))
	for _, d := range []declared{{exchange: "openstack", kind: "topic", durable: true}, {queue: "stock", durable: true}} {
		d.declare(t, ch)
	}
	var log lines
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	node.DeleteExchange(t, vhost, "openstack")
	node.DeleteQueue(t, vhost, "stock")
	brokertest.Await(t, "the queue", func() bool {
		q, ok := node.FindQueue(t, vhost, "stock")
		return ok && !q.Durable && q.Consumers == 1
	})
	receives(t, bus, l, topic("stock"))
	for _, x := range node.ListExchanges(t, vhost) {
		if x.Durable {
			t.Errorf("exchange %s is durable as its former one", x.Name)
		}
	}
	if n := log.count("declared otherwise"); n != 2 {
		t.Errorf("%d log lines, want 2:\n%s", n, log.String())
	}
}

// There are other preconditions than being the same: the broker's words are the error, at once.
func TestDeclarationRefused(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	node.Eval(t, `ok = rabbit_vhost_limit:parse_set(<<"`+vhost+`">>, <<"{\"max-queues\": 0}">>, <<"the test">>)`)
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := bus.Listen(ctx, server("stock"), transport.ListenOptions{})
	if err == nil || !strings.Contains(err.Error(), "declare queue stock: ") || !strings.Contains(err.Error(), "limit") || strings.Contains(err.Error(), "exists") {
		t.Errorf("listen: %v", err)
	}
}
