package rabbit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

func notified(topic, pool string) transport.Address {
	return transport.Address{Kind: transport.Notification, Topic: topic + ".info", Pool: pool}
}

func event(kind string) *transport.Message {
	return &transport.Message{Event: &transport.Event{Type: kind, Priority: "INFO"}}
}

func sendEvent(t *testing.T, bus *rabbit.Transport, to transport.Address, kind string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := bus.Send(ctx, to, event(kind)); err != nil {
		t.Fatalf("send %s: %v", kind, err)
	}
}

// hear takes and acknowledges the next notification.
func hear(t *testing.T, l transport.Listener) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := l.Next(ctx)
	if err != nil {
		t.Fatalf("%s: %v", l.Addr(), err)
	}
	if err := d.Ack(ctx); err != nil {
		t.Fatal(err)
	}
	return d.Message.Event.Type
}

// A notifier, and a listener in a pool, in Python and in Go leave the same exchanges, queues and bindings.
//
// conforms: RMQ-TOPO-07, RMQ-TOPO-08, RMQ-PUB-01, NPOOL-01
func TestNotificationTopologyIsPythons(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"defaults":    "",
		"durable":     "?amqp_durable_queues=true",
		"auto-delete": "?amqp_auto_delete=true",
		"mirrored":    "?rabbit_ha_queues=true",
		"quorum":      "?rabbit_quorum_queue=true&rabbit_quorum_delivery_limit=3",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := brokertest.Rabbit(t)
			python, ours := node.NewVhost(t), node.NewVhost(t)
			startPeer(t, node.URLVhost(python)+query, "stock", "hear")
			startPeer(t, node.URLVhost(python)+query, "stock", "notify")
			bus := openURL(t, node.URLVhost(ours)+query, rabbit.Config{})
			l := listen(t, bus, notified("stock", "pool"))
			sendEvent(t, bus, notified("stock", ""), "event")
			hear(t, l)

			settled := func(w world) bool { // the numbers of a quorum queue come later than what they count
				return len(w.Queues) == 2 && !slices.ContainsFunc(w.Queues, func(q brokertest.Queue) bool {
					pool := q.Name == "pool"
					return pool != (q.Messages == 0) || pool != (q.Consumers == 1)
				})
			}
			var want, got world
			brokertest.Await(t, "Python's two queues", func() bool {
				want = look(t, node, python)
				return settled(want)
			})
			brokertest.Await(t, "our two queues", func() bool {
				got = look(t, node, ours)
				return settled(got)
			})
			want.cancelled(query, "pool")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-Python +ours:\n%s", diff)
			}
		})
	}
}

// Topics that have a pool of one name share its queue, and a delivery says which topic it was sent to.
//
// conforms: NPOOL-04, ODD-34
func TestPoolNamesAreGlobal(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	bus := openURL(t, node.URLVhost(node.NewVhost(t)), rabbit.Config{})
	l, other := listen(t, bus, notified("stock", "pool")), listen(t, bus, notified("sales", "pool"))
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"stock", "sales"} {
		sendEvent(t, bus, notified(topic, ""), topic)
	}
	var got []string
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		d, err := l.Next(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Message.Event.Type+" at "+d.To.Topic)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"sales at sales.info", "stock at stock.info"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A queue, binding or exchange that is deleted under notifiers and listeners is made again, and nothing that is sent from then on is lost.
func TestNotificationsOutliveTheirQueue(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost)+"?probe_interval=1", rabbit.Config{Logger: log.debugger()})
	defer func() {
		if t.Failed() {
			t.Logf("queues: %+v\n%s", node.ListQueues(t, vhost), log.String())
		}
	}()
	to := notified("stock", "")
	sendEvent(t, bus, to, "one")
	node.DeleteQueue(t, vhost, "stock.info")
	sendEvent(t, bus, to, "two")
	node.DeleteBinding(t, vhost, "openstack", "stock.info", "stock.info")
	sendEvent(t, bus, to, "three")
	node.DeleteExchange(t, vhost, "openstack")
	sendEvent(t, bus, to, "four")
	l := listen(t, bus, to)
	for _, want := range []string{"two", "three", "four"} {
		if got := hear(t, l); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	node.DeleteQueue(t, vhost, "stock.info")
	sendEvent(t, bus, to, "five")
	if got := hear(t, l); got != "five" {
		t.Errorf("got %s, want five", got)
	}
}

// What a peer has declared otherwise is taken as it is, and told once; upstream's notifier loses the message.
//
// conforms: RMQ-TOPO-26
func TestNotificationsTakeQueuesAsTheyAre(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	conn, err := amqp.Dial(strings.Replace(url, "rabbit://", "amqp://", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare("stock.info", true, false, false, false, amqp.Table{"x-max-length": int32(1000)}); err != nil {
		t.Fatal(err)
	}
	var log lines
	bus := openURL(t, url, rabbit.Config{Logger: log.logger()})
	sendEvent(t, bus, notified("stock", ""), "one")
	sendEvent(t, bus, notified("stock", ""), "two")
	l := listen(t, bus, notified("stock", ""))
	if a, b := hear(t, l), hear(t, l); a != "one" || b != "two" {
		t.Errorf("got %s and %s", a, b)
	}
	if n := log.count("taking what a peer declared otherwise"); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
}

// Confirmed notifications in durable queues are there after a broker was killed, those sent meanwhile too.
func TestNotificationsOutliveTheBroker(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	bus := openURL(t, node.URL()+"?amqp_durable_queues=true", rabbit.Config{})
	l := listen(t, bus, notified("stock", "pool"))
	var sent []string
	send := func(kind string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := bus.Send(ctx, notified("stock", ""), event(kind)); err != nil {
			t.Errorf("send %s: %v", kind, err)
		}
		sent = append(sent, kind)
	}
	for _, kind := range []string{"a", "b", "c"} {
		send(kind)
	}
	if got := hear(t, l); got != "a" {
		t.Errorf("got %s, want a", got)
	}
	node.Kill()
	var waiting sync.WaitGroup
	waiting.Go(func() { send("d") })
	node.Restart(t)
	waiting.Wait()
	send("e")
	var got []string
	for !slices.Contains(got, "e") || len(got) < 4 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		d, err := l.Next(ctx)
		cancel()
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		if err := d.Ack(t.Context()); err != nil && !errors.Is(err, transport.ErrNotSent) {
			t.Fatal(err)
		}
		got = append(got, d.Message.Event.Type)
	}
	slices.Sort(got)
	got = slices.Compact(got) // what was handed over may come again
	if len(got) > 0 && got[0] == "a" {
		got = got[1:] // its acknowledgement may have been lost
	}
	if !slices.Equal(got, []string{"b", "c", "d", "e"}) {
		t.Errorf("got %q of %q", got, sent)
	}
}
