package rabbit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/wire"
)

func replyTo(queue string) transport.Address {
	return transport.Address{Kind: transport.Reply, Topic: queue}
}

// A reply whose queue is missing does not hold its sender, who may go on with the message, and arrives when the queue is back.
//
// conforms: RMQ-REPLY-01, RMQ-REPLY-02
func TestReplyWaitsForItsQueue(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	bus := openURL(t, url, rabbit.Config{})
	m := &transport.Message{ID: "call", Result: json.RawMessage(`42`), Ending: true, Headers: map[string]string{"of": "the reply"}}
	start := time.Now()
	if err := bus.Send(t.Context(), replyTo("reply_late"), m); err != nil {
		t.Fatal(err)
	}
	m.Headers["of"], m.Result[0] = "another", '!'
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("sending took %v", took)
	}
	ch := raw(t, url)
	if _, err := ch.QueueDeclare("reply_late", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	in, err := ch.Consume("reply_late", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := next(t, in)
	got, err := wire.Parse(d.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != "call" || string(got.Result) != "42" || !got.Ending || len(got.UniqueID) != 32 || d.Headers["of"] != "the reply" {
		t.Errorf("got %+v with headers %v", got, d.Headers)
	}
}

// A reply whose queue does not come back is given up with one line in the log, and further ones for that
// queue are refused at once. A heartbeat is not kept at all.
//
// conforms: CFG-26, RMQ-REPLY-02, RMQ-REPLY-03, RMQ-REPLY-05
func TestReplyIsGivenUp(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	var log lines
	url := node.URLVhost(node.NewVhost(t)) + "?kombu_missing_consumer_retry_timeout=1"
	bus := openURL(t, url, rabbit.Config{Logger: log.logger()})
	beat := &transport.Message{ID: "call-1"}
	if err := bus.Send(t.Context(), replyTo("reply_gone"), beat); err != nil {
		t.Fatal(err)
	}
	brokertest.Await(t, "a heartbeat to a missing queue to fail", func() bool {
		return errors.Is(bus.Send(t.Context(), replyTo("reply_gone"), beat), transport.ErrNoListener)
	})
	reply := &transport.Message{ID: "call-1", Ending: true}
	if err := bus.Send(t.Context(), replyTo("reply_gone"), reply); err != nil {
		t.Errorf("a reply to a queue that may come back: %v", err)
	}
	brokertest.Await(t, "the reply to be given up", func() bool { return log.count("given up", "reply_gone", "call-1") == 1 })
	if err := bus.Send(t.Context(), replyTo("reply_gone"), reply); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("a reply to a queue that was given up: %v, want ErrNoListener", err)
	}
}

// A reply that was on its way when the connection broke is sent again on the next, byte for byte, without holding its
// sender; a sign of life is not.
//
// conforms: RMQ-PUB-16
func TestReplyOnItsWayIsSentAgain(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	bus := openURL(t, through(proxy, vhost), rabbit.Config{})
	ch := raw(t, node.URLVhost(vhost))
	if _, err := ch.QueueDeclare("reply_x", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	in, err := ch.Consume("reply_x", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	send := func(m *transport.Message) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := bus.Send(ctx, replyTo("reply_x"), m); err != nil {
			t.Error(err)
		}
	}
	// What is sent from now on arrives after a while, and what the broker says to it is not heard.
	proxy.SetLatency(1500 * time.Millisecond)
	send(&transport.Message{ID: "had", Ending: true})
	had := next(t, in)
	// What is sent from now on does not arrive.
	proxy.HalfOpen()
	var all sync.WaitGroup
	const n = 20
	for range n {
		all.Go(func() {
			send(&transport.Message{ID: "lost", Ending: true, Result: json.RawMessage(`"` + strings.Repeat("x", 20_000) + `"`)})
		})
	}
	all.Wait()
	send(&transport.Message{ID: "sign of life"})
	proxy.Restore()
	got := map[string]int{}
	for range n + 1 {
		d := next(t, in)
		m, err := wire.Parse(d.Body)
		if err != nil {
			t.Fatal(err)
		}
		got[m.ID]++
		if m.ID == "had" && string(d.Body) != string(had.Body) {
			t.Errorf("sent\n%s\nand again\n%s", had.Body, d.Body)
		}
	}
	if got["lost"] != n || got["had"] != 1 {
		t.Errorf("again came %v", got)
	}
}

// Closing waits for replies that have to be sent again.
func TestCloseWaitsForRepliesOnTheirWay(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	var log lines
	u, err := transport.ParseURL(through(proxy, vhost))
	if err != nil {
		t.Fatal(err)
	}
	bus, err := rabbit.Open(t.Context(), rabbit.Config{URL: u, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	ch := raw(t, node.URLVhost(vhost))
	if _, err := ch.QueueDeclare("reply_x", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	proxy.HalfOpen()
	if err := bus.Send(t.Context(), replyTo("reply_x"), &transport.Message{ID: "1", Ending: true}); err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	brokertest.Await(t, "the connection to be missed", func() bool { return log.count("connection lost") == 1 })
	closed := make(chan error, 1)
	go func() { closed <- bus.Close(t.Context()) }()
	proxy.Restore()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if n := len(drain(t, ch, "reply_x")); n != 1 {
		t.Errorf("%d replies in the queue, want 1", n)
	}
}

// Replies that are not mandatory are gone where their queue is missing, and nobody knows.
//
// conforms: CFG-42
func TestRepliesNeedNotBeMandatory(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	bus := openURL(t, url+"?direct_mandatory_flag=false", rabbit.Config{})
	send := func(id string) {
		if err := bus.Send(t.Context(), replyTo("reply_late"), &transport.Message{ID: id, Ending: true}); err != nil {
			t.Fatal(err)
		}
	}
	send("gone")
	// Once the broker has answered to this it has dealt with what came before on the same connection.
	if err := bus.Send(t.Context(), topic("nobody"), &transport.Message{Method: "m"}); !errors.Is(err, transport.ErrNoListener) {
		t.Fatal(err)
	}
	ch := raw(t, url)
	if _, err := ch.QueueDeclare("reply_late", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	in, err := ch.Consume("reply_late", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	send("found")
	d := next(t, in)
	if m, err := wire.Parse(d.Body); err != nil || m.ID != "found" {
		t.Errorf("got %s, %v; want the second reply alone", d.Body, err)
	}
	select {
	case d := <-in:
		t.Errorf("got %s, which was sent while the queue was missing", d.Body)
	case <-time.After(time.Second): // four times what is between two attempts with a mandatory one
	}
}

// While the broker is away a reply waits for as long as its sender wants.
//
// conforms: RMQ-REPLY-04
func TestReplyWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	var log lines
	bus := openURL(t, through(proxy, node.NewVhost(t)), rabbit.Config{Logger: log.logger()})
	proxy.Cut()
	brokertest.Await(t, "the connection to be missed", func() bool { return log.count("connection lost") == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := bus.Send(ctx, replyTo("reply_x"), &transport.Message{ID: "1", Ending: true})
	var outage *transport.OutageError
	if !errors.Is(err, transport.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &outage) {
		t.Errorf("%v; want ErrNotSent and since when the broker is away", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Callers that are gone hold no worker: a server whose workers all have replies for them answers others at once, and
// the log names them in one line.
//
// conforms: ODD-12, RMQ-REPLY-02
func TestGoneCallersHoldNoWorker(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	var log lines
	target := rpc.Target{Topic: "stock", Version: "1.0"}
	count := rpc.NewCall[struct{}, int](target, "count")
	const dead = 200
	var served atomic.Int64
	server := rpc.NewServer(openURL(t, url+"?kombu_missing_consumer_retry_timeout=20", rabbit.Config{Logger: log.logger()}),
		rpc.ServerConfig{Target: target, Server: "one", Workers: 64, Logger: log.logger()},
		count.Handle(func(context.Context, struct{}) (int, error) { return int(served.Add(1)), nil }))
	ctx, stop := context.WithCancel(t.Context())
	if err := server.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	gone := openURL(t, url, rabbit.Config{})
	for i := range dead {
		m := &transport.Message{Method: "count", Version: "1.0", ID: fmt.Sprintf("call-%d", i), ReplyTo: "reply_gone"}
		if err := gone.Send(t.Context(), topic("stock"), m); err != nil {
			t.Fatal(err)
		}
	}
	client := rpc.NewClient(openURL(t, url, rabbit.Config{}), rpc.ClientConfig{})
	defer client.Close(t.Context())
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 100 {
		if _, err := count.Call(soon, client, struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := served.Load(); n != dead+100 {
		t.Errorf("%d requests have run, want %d", n, dead+100)
	}
	brokertest.Await(t, "the replies to be given up", func() bool { return log.count("given up") > 0 })
	if log.count("given up") != 1 || log.count("given up", "queue=reply_gone", "replies=200", "call-0 count") != 1 {
		t.Errorf("want one line that names the queue, how many replies, and calls:\n%s", log.String())
	}
}

// Acknowledgements of many workers at once, in any order, settle exactly the deliveries that were
// acknowledged: one that is kept stays, and comes back when the listener closes.
//
// conforms: RMQ-CONS-01
func TestAcksOfManyWorkers(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	l, err := bus.Listen(t.Context(), server("stock"), transport.ListenOptions{Prefetch: 50})
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	var senders, workers sync.WaitGroup
	for range n {
		senders.Go(func() {
			if err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "m"}); err != nil {
				t.Error(err)
			}
		})
	}
	var kept *transport.Delivery
	work := make(chan *transport.Delivery, n)
	for range 16 {
		workers.Go(func() {
			for d := range work {
				if err := d.Ack(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]bool{}
	for i := range n {
		d, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if seen[d.Message.UniqueID] || d.Redelivered {
			t.Fatalf("delivery %d of %d came twice", i, n)
		}
		seen[d.Message.UniqueID] = true
		if i == n/3 {
			kept = d
		} else {
			work <- d
		}
	}
	close(work)
	senders.Wait()
	workers.Wait()
	brokertest.Await(t, "all but one to be settled", func() bool {
		q, ok := node.FindQueue(t, vhost, "stock")
		return ok && q.Messages == 1 && q.Unacked == 1
	})
	if err := kept.Requeue(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again.Message.UniqueID != kept.Message.UniqueID || !again.Redelivered {
		t.Errorf("got %+v again, want the one given back", again)
	}
	if err := again.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What cannot be read is rejected without requeue, logged once, and does not stop what comes after.
//
// conforms: RMQ-CONS-03, ENV-03, ENV-04, ENV-05, RMQ-PUB-12, ODD-42
func TestUnreadableIsRejected(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost), rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	ch := raw(t, node.URLVhost(vhost))
	bad := []struct{ contentType, body string }{
		{"application/json", `not JSON`},
		{"application/json", `"text"`},
		{"application/json", `[1]`},
		{"application/json", `{"oslo.version":"3.0","oslo.message":"{}"}`},
		{"application/json", `{"oslo.version":"2.0","oslo.message":{}}`},
		{"application/x-python-serialize", `{"method":"m"}`},
		{"", `{"method":"m"}`},
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	for _, m := range bad {
		confirm, err := ch.PublishWithDeferredConfirm("openstack", "stock", false, false, amqp.Publishing{ContentType: m.contentType, Body: []byte(m.body)})
		if err != nil || !confirm.Wait() { // so that they are in the queue before what receives sends on another connection
			t.Fatalf("publish %s: %v", m.body, err)
		}
	}
	receives(t, bus, l, topic("stock"))
	if n := log.count("cannot be read"); n != len(bad) {
		t.Errorf("%d log lines, want %d:\n%s", n, len(bad), log.String())
	}
	if log.count("rebuilt") > 0 { // a second rejection would have closed the channel
		t.Errorf("the channel was lost:\n%s", log.String())
	}
	brokertest.Await(t, "an empty queue", func() bool {
		q, _ := node.FindQueue(t, vhost, "stock")
		return q.Messages == 0
	})
}
