package rabbit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/wire"
)

// receives sends to an address until l has it.
func receives(t *testing.T, bus transport.Transport, l transport.Listener, to transport.Address) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	m := &transport.Message{Method: "m", UniqueID: wire.NewID()}
	if to.Kind == transport.Reply {
		m = &transport.Message{ID: wire.NewID(), UniqueID: wire.NewID(), Ending: true}
	}
	if err := bus.Send(ctx, to, m); err != nil {
		t.Fatal(err)
	}
	for {
		d, err := l.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for what was sent to %s: %v", to, err)
		}
		if err := d.Ack(ctx); err != nil {
			t.Log(err) // the connection may have broken again
		}
		if d.Message.UniqueID == m.UniqueID {
			return
		}
	}
}

// A node that dies and comes back finds its listeners and senders again, everything declared anew; what was
// sent meanwhile waits, or says why not.
//
// conforms: RMQ-CONS-09, RMQ-PUB-13, RMQ-REPLY-07
func TestNodeDiesAndComesBack(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	var log lines
	bus := openURL(t, node.URL(), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	replies := listen(t, bus, transport.Address{Kind: transport.Reply})
	receives(t, bus, l, topic("stock"))

	node.Kill()
	// Before it has noticed, it may publish and be in doubt.
	brokertest.Await(t, "both connections to be missed", func() bool { return log.count("connection lost") == 2 })
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := bus.Send(short, topic("stock"), &transport.Message{Method: "m"})
	if !errors.Is(err, transport.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "away") {
		t.Errorf("send while the broker is away: %v; want ErrNotSent that says so", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- bus.Send(t.Context(), server("stock"), &transport.Message{Method: "waits"}) }()

	node.Restart(t)
	start := time.Now()
	// Until the listener is back, the queue does not exist: nobody listens is the truth then.
	if err := <-sent; err != nil && !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("send that waited for the broker: %v", err)
	}
	brokertest.Await(t, "both listeners", func() bool { return log.count("listener rebuilt") == 2 })
	t.Logf("recovered %v after the broker was back", time.Since(start))
	receives(t, bus, l, topic("stock"))
	receives(t, bus, l, server("stock"))
	receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
	receives(t, bus, replies, transport.Address{Kind: transport.Reply, Topic: replies.Addr()})
}

// A queue that is deleted under a live listener is rebuilt, and the log says so.
//
// conforms: RMQ-CONS-11, RMQ-TOPO-32
func TestQueueDeletedUnderListener(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	replies := listen(t, bus, transport.Address{Kind: transport.Reply})
	for _, q := range node.ListQueues(t, vhost) {
		node.DeleteQueue(t, vhost, q.Name)
		brokertest.Await(t, "queue "+q.Name, func() bool { return log.count("listener rebuilt", "queues=["+q.Name+"]") > 0 })
	}
	receives(t, bus, l, topic("stock"))
	receives(t, bus, l, server("stock"))
	receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
	receives(t, bus, replies, transport.Address{Kind: transport.Reply, Topic: replies.Addr()})
}

// An exchange that is deleted under a sender closes its channel; it is declared again and the message sent.
func TestExchangeDeletedUnderSender(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	for _, to := range []transport.Address{topic("stock"), {Kind: transport.Fanout, Topic: "stock"}} {
		_ = bus.Send(t.Context(), to, &transport.Message{Method: "m"}) // nobody listens; the exchange is declared
	}
	node.DeleteExchange(t, vhost, "openstack")
	node.DeleteExchange(t, vhost, "stock_fanout")
	if err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"}); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("send: %v, want ErrNoListener", err)
	}
	if err := bus.Send(t.Context(), transport.Address{Kind: transport.Fanout, Topic: "stock"}, &transport.Message{Method: "m"}); err != nil {
		t.Errorf("fanout: %v", err)
	}
	if n := len(node.ListExchanges(t, vhost)); n != 2 {
		t.Errorf("%d exchanges, want both back", n)
	}
}

// A broker that blocks publishers makes senders wait, and their error says what they waited for.
func TestBlockedBroker(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	bus := openURL(t, node.URL(), rabbit.Config{})
	l := listen(t, bus, server("stock"))
	node.SetAlarm(t, true)
	sent := make(chan error, 1)
	// The broker tells of the alarm when the first message comes, and takes that one afterwards.
	go func() { sent <- bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "first"}) }()
	brokertest.Await(t, "the alarm in the error", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := bus.Send(ctx, topic("stock"), &transport.Message{Method: "m"})
		return errors.Is(err, transport.ErrNotSent) && strings.Contains(err.Error(), "memory")
	})
	node.SetAlarm(t, false)
	if err := <-sent; err != nil {
		t.Errorf("send after the alarm: %v", err)
	}
	receives(t, bus, l, topic("stock"))
}

// What an operator or the broker closes is opened again, and the log says what was rebuilt, why, and how long it was away.
func TestClosedFromTheBrokersSide(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	s := newStation(t, node.URLVhost(vhost))
	peerHost := node.NewVhost(t)
	for _, c := range node.ListConnections(t) {
		if c.Vhost == vhost {
			node.CloseConnection(t, c, "maintenance of "+peerHost)
		}
	}
	start := time.Now()
	brokertest.Await(t, "both listeners", func() bool {
		return s.log.count("listener rebuilt", "consumers=3")+s.log.count("listener rebuilt", "consumers=1") == 2
	})
	t.Logf("rebuilt after %v", time.Since(start))
	if s.log.count("listener rebuilt", "why=", "maintenance of "+peerHost, "away=") != 2 {
		t.Errorf("the log:\n%s", s.log.String())
	}
	s.hears(t, openURL(t, node.URLVhost(vhost), rabbit.Config{}))
}

// The broker closes the channel of a receiver that keeps a delivery for longer than its consumer_timeout. The listener
// is there again, and the delivery comes again.
func TestChannelClosedByTheBroker(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{Config: "consumer_timeout = 1000\n"})
	var log lines
	bus := openURL(t, node.URL(), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	replies := listen(t, bus, transport.Address{Kind: transport.Reply})
	if err := bus.Send(t.Context(), server("stock"), &transport.Message{Method: "m", UniqueID: "kept"}); err != nil {
		t.Fatal(err)
	}
	d, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last time.Time
	brokertest.Await(t, "the channel to be closed", func() bool {
		if time.Since(last) > time.Second { // the broker looks once a minute by itself
			last = time.Now()
			node.Eval(t, `[Channel ! tick || Channel <- rabbit_channel:list_local()], ok`)
		}
		return log.count("listener rebuilt", "listener=stock.one", "timed out") == 1
	})
	if err := d.Ack(t.Context()); err == nil {
		t.Error("a delivery of a channel that is gone was acknowledged")
	}
	again, err := l.Next(t.Context())
	if err != nil || again.Message.UniqueID != "kept" || !again.Redelivered {
		t.Fatalf("%+v, %v; want the same again", again, err)
	}
	if err := again.Ack(t.Context()); err != nil {
		t.Error(err)
	}
	receives(t, bus, l, topic("stock"))
	receives(t, bus, replies, transport.Address{Kind: transport.Reply, Topic: replies.Addr()})
	if log.count("connection lost") > 0 || log.count("listener rebuilt") != 1 {
		t.Errorf("more was lost than a channel:\n%s", log.String())
	}
}

// An acknowledgement that finds the connection gone is an error, the connection comes back by itself, and so does the
// delivery.
//
// conforms: RMQ-CONS-10
func TestFailedAckLeadsToReconnection(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url, proxy := proxied(t, node)
	bus := openURL(t, url, rabbit.Config{})
	l := listen(t, bus, server("stock"))
	if err := bus.Send(t.Context(), server("stock"), &transport.Message{Method: "m", UniqueID: "kept"}); err != nil {
		t.Fatal(err)
	}
	d, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	brokertest.Await(t, "an acknowledgement to fail", func() bool { return d.Ack(t.Context()) != nil })
	proxy.Restore()
	again, err := l.Next(t.Context())
	if err != nil || again.Message.UniqueID != "kept" || !again.Redelivered {
		t.Fatalf("%+v, %v; want the same again", again, err)
	}
	if err := again.Ack(t.Context()); err != nil {
		t.Error(err)
	}
}

// A listener that was away for longer than its queues last finds them expired, makes them anew, and remembers when:
// replies that were sent meanwhile are lost.
func TestQueuesExpireMeanwhile(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url, proxy := proxied(t, node)
	vhost := url[strings.LastIndex(url, "/")+1:]
	s := newStation(t, url+"?rabbit_transient_queues_ttl=1")
	start := time.Now()
	if state, err := s.bus.Inspect(t.Context(), s.replyAddress()); err != nil || !state.Rebuilt.IsZero() || !state.Exists {
		t.Errorf("%+v, %v", state, err)
	}
	proxy.Cut()
	brokertest.Await(t, "the queues to expire", func() bool { return len(node.ListQueues(t, vhost)) == 2 })
	proxy.Restore()
	s.hears(t, openURL(t, node.URLVhost(vhost), rabbit.Config{}))
	if state, err := s.bus.Inspect(t.Context(), s.replyAddress()); err != nil || state.Rebuilt.Before(start) {
		t.Errorf("%+v, %v; want when the queue was made anew", state, err)
	}
	if s.log.count("listener rebuilt", "queues=["+s.replies.Addr()+"]", "consumers=1") != 1 ||
		s.log.count("listener rebuilt", "queues=[stock_fanout_", "bindings=[stock_fanout->stock_fanout_", "consumers=3") != 1 {
		t.Errorf("the log:\n%s", s.log.String())
	}
}

// A request that its queue's consumer had brought before the queue was deleted is still handed out.
func TestQueueDeletedWithDeliveriesInHand(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	const n = 5
	for range n {
		if err := bus.Send(t.Context(), server("stock"), &transport.Message{Method: "m"}); err != nil {
			t.Fatal(err)
		}
	}
	brokertest.Await(t, "the deliveries", func() bool {
		q, _ := node.FindQueue(t, vhost, "stock.one")
		return q.Unacked == n
	})
	node.DeleteQueue(t, vhost, "stock.one")
	brokertest.Await(t, "the queue", func() bool { return log.count("listener rebuilt", "queues=[stock.one]") == 1 })
	for range n {
		d, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Ack(t.Context()); err != nil {
			t.Error(err)
		}
	}
	receives(t, bus, l, server("stock"))
}

// A listener that the broker refuses to have back tries again until it may, and says so once.
func TestRefusedListenerTriesAgain(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	s := newStation(t, node.URLVhost(vhost))
	deleteForGood(t, node, vhost, "stock")
	brokertest.Await(t, "three attempts", func() bool {
		return strings.Count(node.Log(t), "queue limit in vhost '"+vhost+"' (0) is reached") >= 3
	})
	if n := s.log.count("level=ERROR", "not rebuilt", "queue limit"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, s.log.String())
	}
	node.Eval(t, fmt.Sprintf(`rabbit_vhost_limit:clear(<<%q>>, <<"brokertest">>)`, vhost))
	brokertest.Await(t, "the listener", func() bool { return s.log.count("listener rebuilt", "queues=[stock]") == 1 })
	s.hears(t, openURL(t, node.URLVhost(vhost), rabbit.Config{}))
}

// While the broker deletes an exchange it says to have declared it anew, and then does not find it when the queue is to
// be bound. The listener gives nothing up for that, and is whole as soon as the broker is done.
func TestExchangeBeingDeleted(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	s := newStation(t, node.URLVhost(vhost)+"?probe_interval=3600")
	peer := openURL(t, node.URLVhost(vhost)+"?probe_interval=0", rabbit.Config{})
	s.hears(t, peer)
	node.Eval(t, `V = <<"`+vhost+`">>,
		X = rabbit_misc:r(V, exchange, <<"openstack">>),
		{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(V, queue, <<"stock.one">>)),
		Delete = fun Delete(Until) ->
			rabbit_exchange:delete(X, false, <<"brokertest">>),
			case erlang:monotonic_time(millisecond) < Until of true -> Delete(Until); false -> ok end
		end,
		rabbit_exchange:delete(X, false, <<"brokertest">>),
		spawn(fun() -> Delete(erlang:monotonic_time(millisecond) + 300) end),
		{ok, _} = rabbit_amqqueue:delete(Q, false, false, <<"brokertest">>).`)
	brokertest.Await(t, "the listener", func() bool { return s.log.count("listener rebuilt") > 0 })
	if s.log.count("listener rebuilt", "exchanges=[openstack]", "queues=[stock.one]", "consumers=1") != 1 || s.log.count("will try again") > 0 {
		t.Errorf("the log:\n%s", s.log.String())
	}
	s.hears(t, peer)
}

// An idle listener acknowledges and stops at once: upstream's loop may wait for five seconds.
//
// conforms: ODD-08
func TestIdleListenerIsPrompt(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	fastest := time.Hour
	for range 3 { // the machine may stall once
		l := listen(t, bus, server("stock"))
		receives(t, bus, l, topic("stock"))
		start := time.Now()
		brokertest.Await(t, "the acknowledgement", func() bool {
			q, ok := node.FindQueue(t, vhost, "stock")
			return ok && q.Messages == 0
		})
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
		fastest = min(fastest, time.Since(start))
	}
	if fastest > 4*time.Second {
		t.Errorf("acknowledged and stopped after %s", fastest)
	}
}

// A queue that is made again before the broker's channel has heard that it was deleted: RabbitMQ before 4.0 would consume from it by itself,
// and lose what it delivers.
func TestQueueMadeAgainAtOnce(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	bus := openURL(t, node.URLVhost(vhost)+"?probe_interval=0", rabbit.Config{})
	l := listen(t, bus, server("stock"))
	for _, q := range []string{"stock", "stock.one"} {
		node.RemakeQueue(t, vhost, "openstack", q)
		to := topic("stock")
		if q == "stock.one" {
			to.Server = "one"
		}
		receives(t, bus, l, to)
	}
}

// A queue that a peer has made a quorum queue refuses what a listener asks of the others.
func TestConsumersOfTheirQuorumQueues(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	if _, err := raw(t, node.URLVhost(vhost)).QueueDeclare("stock", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Fatal(err)
	}
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	receives(t, bus, listen(t, bus, server("stock")), topic("stock"))
	if diff := cmp.Diff(map[string]map[string]any{"stock": {}, "stock.one": {"x-cancel-on-ha-failover": true}, "stock_fanout_ID": {}}, look(t, node, vhost).Consumers); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
