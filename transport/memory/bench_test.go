package memory_test

import (
	"testing"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/transporttest"
)

func BenchmarkTransport(b *testing.B) { transporttest.Benchmark(b, config()) }

// What the transport alone takes of a call: two Sends and two Nexts, without a change of goroutine.
func BenchmarkRoundTrip(b *testing.B) {
	ctx := b.Context()
	bus := memory.NewBus().Open(memory.Config{})
	topic := transport.Address{Kind: transport.Topic, Topic: "t", Server: "s"}
	server, err := bus.Listen(ctx, topic, transport.ListenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	answers, err := bus.Listen(ctx, transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	topic.Server = ""
	back := transport.Address{Kind: transport.Reply, Topic: answers.Addr()}
	b.ReportAllocs()
	for b.Loop() {
		pass(b, bus, topic, &transport.Message{Method: "echo", ReplyTo: answers.Addr(), ID: "1"}, server)
		pass(b, bus, back, &transport.Message{ID: "1", Ending: true}, answers)
	}
}

func pass(b *testing.B, bus *memory.Transport, to transport.Address, m *transport.Message, l transport.Listener) {
	if err := bus.Send(b.Context(), to, m); err != nil {
		b.Fatal(err)
	}
	d, err := l.Next(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := d.Ack(b.Context()); err != nil {
		b.Fatal(err)
	}
}
