package rabbit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// shapes tells of each exchange and queue what its declaration said.
func shapes(t *testing.T, node *brokertest.RabbitNode, vhost string) []string {
	t.Helper()
	var list []string
	w := look(t, node, vhost)
	for _, x := range w.Exchanges {
		list = append(list, fmt.Sprintf("exchange %s durable=%t", x.Name, x.Durable))
	}
	for _, q := range w.Queues {
		args, err := json.Marshal(q.Arguments)
		if err != nil {
			t.Fatal(err)
		}
		consumer, err := json.Marshal(w.Consumers[q.Name])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("queue %s %s durable=%t %s consumer %s", q.Name, q.Type, q.Durable, args, consumer))
	}
	return list
}

// Queues as oslo.messaging 17 declares them, which is newer than the one that tests compare with.
func TestTopologyVariants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query string
		want  []string
	}{
		// conforms: RMQ-TOPO-13, RMQ-TOPO-14, CFG-34
		"transient quorum": {"?rabbit_transient_quorum_queue=true&rabbit_quorum_delivery_limit=7", []string{
			"exchange openstack durable=false",
			"exchange stock_fanout durable=true",
			`queue reply_ID quorum durable=true {"x-delivery-limit":7,"x-expires":1800000,"x-queue-type":"quorum"} consumer {}`,
			`queue stock classic durable=false {} consumer {"x-cancel-on-ha-failover":true}`,
			`queue stock.one classic durable=false {} consumer {"x-cancel-on-ha-failover":true}`,
			`queue stock_fanout_ID quorum durable=true {"x-delivery-limit":7,"x-expires":1800000,"x-queue-type":"quorum"} consumer {}`,
		}},
		// conforms: RMQ-TOPO-15, CFG-38
		"never expiring": {"?rabbit_transient_queues_ttl=0", []string{
			"exchange openstack durable=false",
			"exchange stock_fanout durable=false",
			"queue reply_ID classic durable=false {} consumer {}",
			`queue stock classic durable=false {} consumer {"x-cancel-on-ha-failover":true}`,
			`queue stock.one classic durable=false {} consumer {"x-cancel-on-ha-failover":true}`,
			"queue stock_fanout_ID classic durable=false {} consumer {}",
		}},
		// What oslo.messaging recommends for production, and cancelling on fail-over, which streams leave out.
		// conforms: RMQ-TOPO-16, RMQ-TOPO-17, RMQ-TOPO-19, RMQ-TOPO-20, RMQ-TOPO-33, CFG-44, CFG-45, CFG-46, CFG-47
		"stream": {"?rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true&rabbit_stream_fanout=true&rabbit_qos_prefetch_count=10" +
			"&use_queue_manager=true&hostname=" + host(t) + "&processname=stockd&enable_cancel_on_failover=true", []string{
			"exchange openstack durable=true",
			"exchange stock_fanout durable=true",
			"queue reply_" + host(t) + ":stockd:1" + ` quorum durable=true {"x-expires":1800000,"x-queue-type":"quorum"} consumer {}`,
			`queue stock quorum durable=true {"x-queue-type":"quorum"} consumer {}`,
			`queue stock.one quorum durable=true {"x-queue-type":"quorum"} consumer {}`,
			`queue stock_fanout stream durable=true {"x-max-age":"1800s","x-queue-type":"stream"} consumer null`,
		}},
		"stream for ever": {"?rabbit_transient_quorum_queue=true&rabbit_stream_fanout=true&rabbit_qos_prefetch_count=10&rabbit_transient_queues_ttl=0", []string{
			"exchange openstack durable=false",
			"exchange stock_fanout durable=true",
			`queue reply_ID quorum durable=true {"x-queue-type":"quorum"} consumer {}`,
			`queue stock classic durable=false {} consumer {"x-cancel-on-ha-failover":true}`,
			`queue stock.one classic durable=false {} consumer {"x-cancel-on-ha-failover":true}`,
			`queue stock_fanout stream durable=true {"x-queue-type":"stream"} consumer null`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := brokertest.Rabbit(t)
			vhost := node.NewVhost(t)
			bus := openURL(t, node.URLVhost(vhost)+c.query, rabbit.Config{})
			l, replies := listen(t, bus, server("stock")), listen(t, bus, transport.Address{Kind: transport.Reply})
			consumers := 4
			if strings.Contains(c.query, "stream") {
				consumers = 3 // the broker does not list those of streams
			}
			brokertest.Await(t, "the consumers", func() bool { return len(node.ListConsumers(t, vhost)) == consumers })
			if diff := cmp.Diff(c.want, shapes(t, node, vhost)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			receives(t, bus, l, topic("stock"))
			receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
			receives(t, bus, replies, transport.Address{Kind: transport.Reply, Topic: replies.Addr()})
		})
	}
}

// host is a host name of the test's own; its lock files go with the test.
func host(t *testing.T) string {
	t.Helper()
	name := "test-" + strconv.Itoa(os.Getpid()) + "-" + strings.ReplaceAll(t.Name(), "/", "-")
	t.Cleanup(func() {
		for _, dir := range []string{"/dev/shm", os.TempDir()} {
			files, _ := filepath.Glob(filepath.Join(dir, name+"_*.goslo")) // the pattern is good
			for _, f := range files {
				_ = os.Remove(f) // twice, when both folders are one
			}
		}
	})
	return name
}

// Names are the same after a restart, their queues survive it, and no two listeners share one: not of one process,
// nor of two that run at once.
//
// conforms: RMQ-TOPO-20, RMQ-TOPO-21, RMQ-TOPO-22, RMQ-TOPO-23, ODD-35
func TestQueueManager(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	prefix := host(t) + ":stockd:"
	url := node.URLVhost(vhost) + "?use_queue_manager=true&processname=stockd&hostname=" + host(t)
	own := func() []string {
		t.Helper()
		var list []string
		for _, q := range node.ListQueues(t, vhost) {
			if kind, number, ok := strings.Cut(q.Name, prefix); ok && q.Consumers == 1 {
				list = append(list, kind+number)
			}
		}
		slices.Sort(list)
		return list
	}
	check := func(what string, want ...string) {
		t.Helper()
		var got []string
		brokertest.Await(t, what, func() bool { got = own(); return len(got) == len(want) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, -want +got:\n%s", what, diff)
		}
	}
	open := func() (bus *rabbit.Transport, replies transport.Listener) {
		t.Helper()
		bus = openURL(t, url, rabbit.Config{})
		replies = listen(t, bus, transport.Address{Kind: transport.Reply})
		l := listen(t, bus, server("stock"))
		receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
		return bus, replies
	}
	first, _ := open()
	check("one process", "reply_1", "stock_fanout_2")
	second, replies := open()
	check("two processes", "reply_1", "reply_3", "stock_fanout_2", "stock_fanout_4")
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("the first has ended", "reply_3", "stock_fanout_4")
	if _, ok := node.FindQueue(t, vhost, "reply_"+prefix+"1"); !ok {
		t.Error("its reply queue is deleted")
	}
	receives(t, second, replies, transport.Address{Kind: transport.Reply, Topic: replies.Addr()})
	open()
	check("the first is back", "reply_1", "reply_3", "stock_fanout_2", "stock_fanout_4")
}

// Where locks do not reach, in another container with the same host name, the broker knows that a name is taken.
func TestQueueManagerElsewhere(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	name := host(t) + ":stockd:"
	ch := raw(t, url)
	if _, err := ch.QueueDeclare("reply_"+name+"1", false, false, false, false, amqp.Table{"x-expires": int32(1800000)}); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.Consume("reply_"+name+"1", "", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	var log lines
	bus := openURL(t, url+"?use_queue_manager=true&processname=stockd&hostname="+host(t), rabbit.Config{Logger: log.logger()})
	if got := listen(t, bus, transport.Address{Kind: transport.Reply}).Addr(); got != "reply_"+name+"2" {
		t.Errorf("the reply queue is %s, want number 2", got)
	}
	if log.count("level=WARN", "the name is taken", name+"1") != 1 {
		t.Errorf("not said once:\n%s", log.String())
	}
}

// A transient queue whose process is gone keeps its name from being declared; it is deleted. A durable one is not: it has
// messages.
//
// conforms: RMQ-TOPO-30
func TestStuckQueue(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for _, durable := range []bool{false, true} {
		vhost := node.NewVhost(t)
		url := node.URLVhost(vhost)
		if _, err := raw(t, url).QueueDeclare("stock", durable, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
		node.Eval(t, fmt.Sprintf(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<%q>>, queue, <<"stock">>)),
			mnesia:dirty_write(rabbit_queue, amqqueue:set_state(Q, crashed)).`, vhost))
		var log lines
		bus := openURL(t, url+"?amqp_durable_queues="+strconv.FormatBool(durable), rabbit.Config{Logger: log.logger()})
		l, err := bus.Listen(t.Context(), server("stock"), transport.ListenOptions{})
		if durable {
			if err == nil || !strings.Contains(err.Error(), "declare queue stock: ") || log.count("deleting") != 0 {
				t.Errorf("a durable queue: %v\n%s", err, log.String())
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		receives(t, bus, l, topic("stock"))
		if log.count("level=WARN", "deleting a queue that is stuck", "queue=stock") != 1 {
			t.Errorf("not said once:\n%s", log.String())
		}
	}
}

const streamQuery = "?rabbit_transient_quorum_queue=true&rabbit_stream_fanout=true&rabbit_qos_prefetch_count=10"

// Every server reads the whole stream, more than its prefetch count at a time, and goes on where it was when its
// connection has been lost.
//
// conforms: RMQ-TOPO-17
func TestStreamFanout(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	url := node.URLVhost(vhost) + streamQuery
	sender := openURL(t, url, rabbit.Config{})
	var log lines
	var listeners []transport.Listener
	for range 2 {
		listeners = append(listeners, listen(t, openURL(t, url, rabbit.Config{Logger: log.logger()}), server("stock")))
	}
	to := transport.Address{Kind: transport.Fanout, Topic: "stock"}
	sent := 0
	send := func(n int) {
		t.Helper()
		done := make(chan error, n)
		for range n {
			sent++
			go func() { done <- sender.Send(t.Context(), to, &transport.Message{Method: "m"}) }()
		}
		for range n {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	ids, last := make([]map[string]bool, len(listeners)), ""
	take := func() {
		t.Helper()
		for i, l := range listeners {
			if ids[i] == nil {
				ids[i] = map[string]bool{}
			}
			for len(ids[i]) < sent {
				d, err := l.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Ack(t.Context()); err != nil {
					t.Fatal(err)
				}
				if d.To != to {
					t.Errorf("came as sent to %v", d.To)
				}
				if ids[i][d.Message.UniqueID] {
					t.Errorf("listener %d got a message twice", i)
				}
				ids[i][d.Message.UniqueID], last = true, d.Message.UniqueID
			}
		}
	}
	send(1)
	send(1)
	take()
	late := listen(t, openURL(t, url, rabbit.Config{}), server("stock"))
	d, err := late.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.Message.UniqueID != last {
		t.Errorf("a new listener begins with %s, want the last message, %s", d.Message.UniqueID, last)
	}
	send(2000)
	take()
	for _, c := range node.ListConnections(t) {
		if c.Vhost == vhost {
			node.CloseConnection(t, c, "the test's doing")
		}
	}
	send(20)
	brokertest.Await(t, "both listeners", func() bool { return log.count("listener rebuilt") == 2 })
	take()
	if n := log.count("level=ERROR"); n != 0 {
		t.Errorf("something went wrong:\n%s", log.String())
	}
}

// A stream that was deleted is made anew, and read from its end.
//
// conforms: RMQ-TOPO-18
func TestStreamDeleted(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost)+streamQuery, rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	to := transport.Address{Kind: transport.Fanout, Topic: "stock"}
	for range 3 {
		receives(t, bus, l, to)
	}
	node.DeleteQueue(t, vhost, "stock_fanout")
	brokertest.Await(t, "the stream", func() bool { return log.count("listener rebuilt", "stock_fanout") == 1 })
	// From the old offset on there would be nothing.
	receives(t, bus, l, to)
}

// While a listener is away its stream may be deleted, and made anew by another, with less in it than the listener has heard.
//
// conforms: RMQ-TOPO-18
func TestStreamMadeAnewElsewhere(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url, proxy := proxied(t, node)
	vhost := url[strings.LastIndex(url, "/")+1:]
	to := transport.Address{Kind: transport.Fanout, Topic: "stock"}
	const query = streamQuery + "&probe_interval=0.5"
	var log lines
	l := listen(t, openURL(t, url+query, rabbit.Config{Logger: log.logger()}), server("stock"))
	there := openURL(t, node.URLVhost(vhost)+query, rabbit.Config{})
	for range 5 {
		receives(t, there, l, to)
	}
	// A stream that is the same one is followed, and nothing comes twice.
	proxy.Reset()
	brokertest.Await(t, "the listener", func() bool { return log.count("listener rebuilt") == 1 })
	receives(t, there, l, to)

	proxy.Cut()
	node.DeleteQueue(t, vhost, "stock_fanout")
	listen(t, there, server("stock"))
	proxy.Restore()
	if err := there.Send(t.Context(), to, &transport.Message{Method: "m", UniqueID: wire.NewID()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := l.Next(ctx); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	brokertest.Await(t, "the log to tell", func() bool { return log.count("listener rebuilt", "the stream has been made anew") == 1 })
}

// A message cannot be given back to a stream.
func TestStreamRequeue(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	bus := openURL(t, node.URLVhost(node.NewVhost(t))+streamQuery, rabbit.Config{})
	l := listen(t, bus, server("stock"))
	if err := bus.Send(t.Context(), transport.Address{Kind: transport.Fanout, Topic: "stock"}, &transport.Message{Method: "m", UniqueID: wire.NewID()}); err != nil {
		t.Fatal(err)
	}
	d, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Requeue(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v, want ErrUnsupported", err)
	}
	receives(t, bus, l, topic("stock"))
}
