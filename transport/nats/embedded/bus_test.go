package embedded_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats/embedded"
)

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func testConfig(t testing.TB) embedded.Config {
	t.Helper()
	dir := t.TempDir() + "/run"
	return embedded.Config{Port: freeport.One(t), RuntimeDir: dir}
}

func open(t testing.TB, cfg embedded.Config) *embedded.Bus {
	t.Helper()
	bus, err := embedded.Open(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := bus.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return bus
}

func TestCallCastReply(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	cfg := testConfig(t)
	host, guest := open(t, cfg), open(t, cfg)
	if !host.Hosting() || guest.Hosting() {
		t.Fatalf("hosting: %v and %v, want the first to host", host.Hosting(), guest.Hosting())
	}
	server, err := host.Listen(ctx, transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	replies, err := guest.Listen(ctx, transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	topic := transport.Address{Kind: transport.Topic, Topic: "compute"}
	if err := guest.Send(ctx, topic, &transport.Message{Method: "echo", Args: json.RawMessage(`{"a":1}`), ID: "1", UniqueID: "u1", ReplyTo: replies.Addr(), Expires: time.Minute}); err != nil {
		t.Fatal(err)
	}
	d, err := server.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d.Message.Method != "echo" || string(d.Message.Args) != `{"a":1}` || d.Message.ID != "1" || d.Message.Expires <= 59*time.Second {
		t.Fatalf("got %+v", d.Message)
	}
	if err := d.Ack(ctx); err != nil {
		t.Fatal(err)
	}
	reply := &transport.Message{ID: d.Message.ID, UniqueID: "u2", Result: json.RawMessage(`"ok"`), Ending: true}
	if err := host.Send(ctx, transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, reply); err != nil {
		t.Fatal(err)
	}
	if d, err = replies.Next(ctx); err != nil || string(d.Message.Result) != `"ok"` || d.Message.ID != "1" {
		t.Fatalf("got %+v, %v", d, err)
	}
	if err := guest.Send(ctx, topic, &transport.Message{Method: "note", UniqueID: "u3"}); err != nil {
		t.Fatal(err)
	}
	if d, err = server.Next(ctx); err != nil || d.Message.Method != "note" || d.Redelivered {
		t.Fatalf("got %+v, %v", d, err)
	}
	if err := d.Requeue(ctx); err != nil {
		t.Fatal(err)
	}
	if d, err = server.Next(ctx); err != nil || d.Message.Method != "note" || !d.Redelivered {
		t.Fatalf("got %+v, %v", d, err)
	}
	if err := d.Ack(ctx); err != nil {
		t.Fatal(err)
	}
	nobody := transport.Address{Kind: transport.Topic, Topic: "nosuch"}
	if err := guest.Send(ctx, nobody, &transport.Message{Method: "note"}); !errors.Is(err, transport.ErrNoListener) {
		t.Fatalf("cast to nobody: %v", err)
	}
	if err := guest.Send(ctx, nobody, &transport.Message{Method: "echo", ID: "2", ReplyTo: replies.Addr()}); err != nil {
		t.Fatal(err)
	}
	if d, err = replies.Next(ctx); err != nil || d.Message.ID != "2" || !errors.Is(d.Undelivered, transport.ErrNoListener) {
		t.Fatalf("got %+v, %v", d, err)
	}
}
