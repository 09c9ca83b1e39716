package kafka_test

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/kafka"
)

// open opens the URL, and closes the connection with the test.
func open(t testing.TB, url string) *kafka.Conn {
	t.Helper()
	conn := dial(t, url)
	t.Cleanup(func() { shut(t, conn) })
	return conn
}

// shut closes what may have been closed before.
func shut(t testing.TB, conn *kafka.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

func listen(t testing.TB, bus transport.Transport, at transport.Address) transport.Listener {
	t.Helper()
	l, err := bus.Listen(testContext(t), at, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func notification(name string) *transport.Message {
	return &transport.Message{Event: &transport.Event{Publisher: "test.host-1", Type: name, Priority: "INFO", Payload: json.RawMessage(`{}`)}}
}

func tell(t testing.TB, bus transport.Transport, at transport.Address, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := bus.Send(testContext(t), at, notification(name)); err != nil {
			t.Fatal(err)
		}
	}
}

// take returns the next delivery, unsettled, which must be this one.
func take(t testing.TB, l transport.Listener, name string) *transport.Delivery {
	t.Helper()
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatalf("%s: waiting for %s: %v", l.Addr(), name, err)
	}
	if d.Message.Event.Type != name {
		t.Fatalf("%s: got %s, want %s", l.Addr(), d.Message.Event.Type, name)
	}
	return d
}

func hear(t testing.TB, l transport.Listener, names ...string) {
	t.Helper()
	for _, name := range names {
		ack(t, take(t, l, name))
	}
}

func ack(t testing.TB, d *transport.Delivery) {
	t.Helper()
	if err := d.Ack(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

// label is a name of its own for each number.
func label(n int) string { return "host-" + strconv.Itoa(n) }
