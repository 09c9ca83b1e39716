package rabbit

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
)

// muxed is a connection of the library's through a mux.
func muxed(t *testing.T, heartbeat time.Duration) (*amqp.Connection, *mux) {
	t.Helper()
	conn, err := net.Dial("tcp", brokertest.Rabbit(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	m := newMux(newSocket(conn, 0))
	c, err := amqp.Open(m, amqp.Config{
		SASL: []amqp.Authentication{&amqp.PlainAuth{Username: "guest", Password: "guest"}}, Heartbeat: heartbeat, Vhost: "/",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.CloseDeadline(time.Now().Add(goodbye)) // some tests end it themselves
		_ = m.Close()
	})
	return c, m
}

// library is a channel of a connection that has no mux.
func library(t *testing.T) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial("amqp://guest:guest@" + brokertest.Rabbit(t).Addr() + "/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func openChannel(t *testing.T, c *amqp.Connection, m *mux, returned func(amqp.Return)) *channel {
	t.Helper()
	ch, err := m.open(c, returned)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// queueOn declares a queue of the test's own, bound to the exchange unless that is "".
func queueOn(t *testing.T, ch *amqp.Channel, exchange string) string {
	t.Helper()
	q, err := ch.QueueDeclare("", false, true, false, false, nil)
	if err == nil && exchange != "" {
		err = ch.QueueBind(q.Name, "", exchange, false, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return q.Name
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v, ok := <-from:
		if ok {
			return v
		}
		t.Fatalf("%s: the channel was closed", what)
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come", what)
	}
	panic("unreachable")
}

// What arrives is what the library would have read of it: every property, headers of every type, bodies of
// no, one and several frames.
func TestContentIsReadAsTheLibraryReadsIt(t *testing.T) {
	t.Parallel()
	conn, m := muxed(t, 0)
	ours, theirs := openChannel(t, conn, m, nil), library(t)
	const exchange = "content-test"
	if err := theirs.ExchangeDeclare(exchange, amqp.ExchangeFanout, false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	forUs, forThem := queueOn(t, theirs, exchange), queueOn(t, theirs, exchange)
	messages := []amqp.Publishing{
		{},
		{Body: []byte("x"), ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, Expiration: "60000"},
		{Body: bytes.Repeat([]byte("0123456789"), 40_000)},
		{
			Body: []byte("all"), ContentType: "text/plain", ContentEncoding: "gzip", DeliveryMode: amqp.Transient, Priority: 3, CorrelationId: "c",
			ReplyTo: "r", Expiration: "70000", MessageId: "m", Timestamp: time.Unix(1_700_000_000, 0), Type: "t", UserId: "guest", AppId: "a",
			Headers: amqp.Table{
				"bool": true, "int8": int8(-8), "uint8": uint8(200), "int16": int16(-16), "uint16": uint16(16), "int32": int32(-32), "uint32": uint32(32),
				"int64": int64(-64), "float32": float32(1.5), "float64": 2.5, "decimal": amqp.Decimal{Scale: 2, Value: 5}, "string": "s", "bytes": []byte{0, 1},
				"time": time.Unix(1_600_000_000, 0), "nil": nil, "table": amqp.Table{"inner": amqp.Table{"s": "t"}}, "array": []any{int32(1), "two", []any{nil}},
			},
		},
	}
	if err := ours.Qos(len(messages), 0, false); err != nil {
		t.Fatal(err)
	}
	in, err := ours.consume(forUs, "1", len(messages), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := theirs.Consume(forThem, "1", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		if err := theirs.Publish(exchange, fmt.Sprintf("key%d", i), false, false, messages[i]); err != nil {
			t.Fatal(err)
		}
	}
	for range messages {
		w, g := receive(t, want, "the library's"), receive(t, in, "ours")
		if d := cmp.Diff(&w, g, cmpopts.IgnoreFields(amqp.Delivery{}, "Acknowledger", "Body"), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("-library +ours:\n%s", d)
		}
		if !bytes.Equal(w.Body, g.Body) {
			t.Errorf("a body of %d bytes is one of %d, or another", len(w.Body), len(g.Body))
		}
	}
	if err := ours.Ack(uint64(len(messages)), true); err != nil {
		t.Fatal(err)
	}
	if err := ours.cancel("1"); err != nil {
		t.Fatal(err)
	}
	if _, open := <-in; open {
		t.Error("the Go channel stays open after cancel")
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if q, err := theirs.QueueDeclarePassive(forUs, false, true, false, false, nil); err == nil && q.Messages > 0 {
		t.Errorf("%d messages came back; they were acknowledged", q.Messages)
	}
}

// Bodies around the size of a frame arrive whole while the library writes frames of its own, some longer than it
// writes at once; each is confirmed.
func TestPublishedFramesDoNotMixWithTheLibrarys(t *testing.T) {
	t.Parallel()
	conn, m := muxed(t, 0)
	ours, theirs := openChannel(t, conn, m, nil), library(t)
	if err := ours.confirm(); err != nil {
		t.Fatal(err)
	}
	queue := queueOn(t, theirs, "")
	in, err := theirs.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := ours.most - frameRoom
	sizes := []int{0, 1, frame - 1, frame, frame + 1, 2 * frame, 3*frame + 7}
	declaring, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	var library sync.WaitGroup
	library.Go(func() {
		for range 50 {
			arguments := amqp.Table{"x-filler": string(bytes.Repeat([]byte("y"), 9000))}
			if _, err := declaring.QueueDeclare("", false, true, true, false, arguments); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for round := range 10 {
		for _, n := range sizes {
			answer := &confirmation{done: make(chan bool, 1)}
			body := bytes.Repeat([]byte{'a' + byte(round)}, n)
			if err := ours.publish(&publication{key: queue, mandatory: true, expires: time.Minute, body: body}, answer); err != nil {
				t.Fatal(err)
			}
			d := receive(t, in, "the message")
			if !bytes.Equal(d.Body, body) || d.ContentType != "application/json" || d.ContentEncoding != "utf-8" || d.Expiration != "60000" || d.DeliveryMode != amqp.Persistent {
				t.Fatalf("%d bytes sent, %d received, with %q %q %q %d", n, len(d.Body), d.ContentType, d.ContentEncoding, d.Expiration, d.DeliveryMode)
			}
			if !receive(t, answer.done, "the confirm") {
				t.Fatal("not taken")
			}
		}
	}
	library.Wait()
}

// A message without a queue comes back before its confirm; after the channel has been closed by the broker
// nothing more is written to it.
func TestReturnedThenClosed(t *testing.T) {
	t.Parallel()
	conn, m := muxed(t, 0)
	var returned []amqp.Return
	ch := openChannel(t, conn, m, func(r amqp.Return) { returned = append(returned, r) })
	if err := ch.confirm(); err != nil {
		t.Fatal(err)
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	answer := &confirmation{done: make(chan bool, 1)}
	if err := ch.publish(&publication{key: "no-such-queue", mandatory: true, body: []byte("text")}, answer); err != nil {
		t.Fatal(err)
	}
	if !receive(t, answer.done, "the confirm") {
		t.Error("not confirmed")
	}
	if len(returned) != 1 || returned[0].RoutingKey != "no-such-queue" || returned[0].ReplyCode != amqp.NoRoute || string(returned[0].Body) != "text" {
		t.Errorf("returned %+v", returned)
	}
	if err := ch.publish(&publication{exchange: exchange{name: "no-such-exchange"}, body: []byte("text")}, answer); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, closed, "the end of the channel"); err.Code != amqp.NotFound {
		t.Errorf("closed with %v", err)
	}
	if err := ch.publish(&publication{key: "q"}, answer); err != amqp.ErrClosed { //nolint:errorlint // it is that error
		t.Errorf("publish on a closed channel: %v", err)
	}
	if err := ch.Ack(1, false); err != amqp.ErrClosed { //nolint:errorlint // it is that error
		t.Errorf("ack on a closed channel: %v", err)
	}
	again := openChannel(t, conn, m, nil) // it may get the same number
	if err := again.confirm(); err != nil {
		t.Fatal(err)
	}
	if err := again.publish(&publication{key: "q"}, answer); err != nil {
		t.Fatal(err)
	}
	if !receive(t, answer.done, "the confirm") {
		t.Error("not confirmed")
	}
}

// A connection that carries nothing but our messages is alive to the library, which sees none of them: RabbitMQ
// sends heartbeats only when it has nothing else to send.
func TestBusyConnectionIsAliveToTheLibrary(t *testing.T) {
	t.Parallel()
	conn, m := muxed(t, time.Second)
	ch := openChannel(t, conn, m, nil)
	if err := ch.confirm(); err != nil {
		t.Fatal(err)
	}
	answer := &confirmation{done: make(chan bool, 1)}
	for started := time.Now(); time.Since(started) < 5*time.Second; { // the library gives up after 3 s
		if err := ch.publish(&publication{key: "nobody"}, answer); err != nil {
			t.Fatalf("after %s: %v", time.Since(started), err)
		}
		receive(t, answer.done, "the confirm")
	}
}

// A consumer may end while a message for it is arriving: the message is nobody's then.
func TestConsumerEndsInTheMiddleOfADelivery(t *testing.T) {
	t.Parallel()
	in := make(chan *amqp.Delivery, 1)
	ch := &channel{mux: newMux(nil), number: 1, consumers: map[string]*consumer{"1": {tag: "1", in: in}}}
	whole := appendDelivery(nil, ch.number, "1", []byte("body"))
	parts := make([]frame, 0, 3)
	for len(whole) > 0 {
		n := frameSize(whole)
		parts, whole = append(parts, whole[:n]), whole[n:]
	}
	for _, f := range parts[:2] {
		if ours, err := ch.take(f); !ours || err != nil {
			t.Fatal(ours, err)
		}
	}
	ch.forget("1")
	if ours, err := ch.take(parts[2]); !ours || err != nil {
		t.Errorf("%t, %v", ours, err)
	}
	if d, open := <-in; open {
		t.Errorf("%+v", d)
	}
}
