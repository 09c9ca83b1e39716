package compare_test

import (
	"context"
	"sync/atomic"
	"testing"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/workload"
	"github.com/goslo/goslo/wire"
)

// startNATS has Goslo on NATS, nats.go's own services, and nats.go's requests without more; for casts, a publication to a stream by nats.go,
// confirmed, which a consumer acknowledges.
func startNATS(t *testing.T, m *machine) []contest {
	t.Helper()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	m.module("nats.go", "github.com/nats-io/nats.go")
	m.module("nats-server", "github.com/nats-io/nats-server/v2")
	goslo, casts := workload.NewPair(t, node.URL()), newBareStream(t, node.URL())
	return []contest{
		{work: "call", callers: allCallers(), node: node, contenders: []contender{
			inProcess("goslo", goslo.Call),
			inProcess("bare", newBareNATS(t, node.URL()).call),
			inProcess("micro", newMicro(t, node.URL()).call),
		}},
		{work: "cast", callers: allCallers(), node: node, contenders: []contender{
			until(inProcess("goslo", goslo.Cast), goslo.Settled),
			until(inProcess("bare", casts.cast), casts.settled),
		}},
	}
}

func dialNATS(tb testing.TB, url string) *natsgo.Conn {
	tb.Helper()
	nc := must(natsgo.Connect(url))(tb)
	tb.Cleanup(nc.Close)
	return nc
}

// A bareNATS is a request and its reply of the same bytes, encoded before the run, by nats.go alone; with a service of it or a mere subscription as the server.
type bareNATS struct {
	nc             *natsgo.Conn
	ctx            context.Context //nolint:containedctx // of the test
	subject        string
	request, reply []byte
}

func newBareNATS(tb testing.TB, url string) *bareNATS {
	tb.Helper()
	e := &bareNATS{nc: dialNATS(tb, url), ctx: tb.Context(), subject: "bare.echo"}
	e.request, e.reply = envelopes(tb)
	server := dialNATS(tb, url)
	must(server.QueueSubscribe(e.subject, "servers", func(m *natsgo.Msg) { _ = m.Respond(e.reply) }))(tb)
	if err := server.Flush(); err != nil {
		tb.Fatal(err)
	}
	return e
}

func newMicro(tb testing.TB, url string) *bareNATS {
	tb.Helper()
	e := &bareNATS{nc: dialNATS(tb, url), ctx: tb.Context(), subject: "echo"}
	e.request, e.reply = envelopes(tb)
	server := dialNATS(tb, url)
	service := must(micro.AddService(server, micro.Config{
		Name: "bench", Version: "1.0.0",
		Endpoint: &micro.EndpointConfig{Subject: e.subject, Handler: micro.HandlerFunc(func(r micro.Request) { _ = r.Respond(e.reply) })},
	}))(tb)
	tb.Cleanup(func() {
		if err := service.Stop(); err != nil {
			tb.Error(err)
		}
	})
	if err := server.Flush(); err != nil {
		tb.Fatal(err)
	}
	return e
}

func (e *bareNATS) call() error {
	m, err := e.nc.RequestWithContext(e.ctx, e.subject, e.request)
	if err != nil {
		return err
	}
	return sameBytes(m.Data, e.reply)
}

// A bareStream is a work queue of JetStream, as Goslo has for the casts of a topic, in which each message is stored once and acknowledged.
type bareStream struct {
	js         jetstream.JetStream
	ctx        context.Context //nolint:containedctx // of the test
	body       []byte
	sent, sunk atomic.Int64
}

func newBareStream(tb testing.TB, url string) *bareStream {
	tb.Helper()
	s := &bareStream{js: must(jetstream.New(dialNATS(tb, url)))(tb), ctx: tb.Context()}
	s.body, _ = envelopes(tb)
	server := must(jetstream.New(dialNATS(tb, url)))(tb)
	stream := must(server.CreateStream(s.ctx, jetstream.StreamConfig{Name: "bare", Subjects: []string{"bare.cast"}, Retention: jetstream.WorkQueuePolicy}))(tb)
	consumer := must(stream.CreateConsumer(s.ctx, jetstream.ConsumerConfig{Durable: "servers", AckPolicy: jetstream.AckExplicitPolicy}))(tb)
	taking := must(consumer.Consume(func(m jetstream.Msg) {
		if err := m.Ack(); err != nil {
			tb.Error(err)
		}
		s.sunk.Add(1)
	}))(tb)
	tb.Cleanup(func() {
		taking.Stop()
		<-taking.Closed()
	})
	return s
}

func (s *bareStream) cast() error {
	_, err := s.js.Publish(s.ctx, "bare.cast", s.body, jetstream.WithMsgID(wire.NewID()))
	if err == nil {
		s.sent.Add(1)
	}
	return err
}

func (s *bareStream) settled() bool { return s.sunk.Load() >= s.sent.Load() }
