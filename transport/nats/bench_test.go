package nats_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// request is about what a call in a cloud carries: a 200-byte argument and ten keys of context.
func request() *transport.Message {
	context := map[string]string{}
	for i := range 10 {
		context["key"+strconv.Itoa(i)] = "value of a usual length " + strconv.Itoa(i)
	}
	text, _ := json.Marshal(context)
	return &transport.Message{Method: "echo", Version: "1.0", Args: json.RawMessage(`{"arg":"` + strings.Repeat("x", 200) + `"}`), Context: text}
}

// concurrently spreads b.N operations over some goroutines.
func concurrently(b *testing.B, n int, do func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkCall is a request and its reply; bare is nats.go alone with the same bytes, without reading them.
func BenchmarkCall(b *testing.B) {
	node := brokertest.NewNATS(b, brokertest.NATSOptions{})
	for _, callers := range []int{1, 64} {
		b.Run("callers="+strconv.Itoa(callers)+"/bare", func(b *testing.B) { bareCalls(b, node, callers) })
		b.Run("callers="+strconv.Itoa(callers)+"/goslo", func(b *testing.B) { calls(b, node, callers) })
	}
}

func bareConnection(b *testing.B, node *brokertest.NATSNode) *natsgo.Conn {
	b.Helper()
	nc, err := natsgo.Connect(node.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	return nc
}

func bareCalls(b *testing.B, node *brokertest.NATSNode, callers int) {
	client, server := bareConnection(b, node), bareConnection(b, node)
	answer, err := wire.AppendMessage(nil, &transport.Message{Result: request().Args, Ending: true, ID: wire.NewID()})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := server.QueueSubscribe("echo", "q", func(m *natsgo.Msg) { _ = m.Respond(answer) }); err != nil {
		b.Fatal(err)
	}
	if err := server.Flush(); err != nil {
		b.Fatal(err)
	}
	m := request()
	m.ID, m.ReplyTo = wire.NewID(), wire.NewID()
	body, err := wire.AppendMessage(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	ctx := testContext(b)
	concurrently(b, callers, func() error {
		_, err := client.RequestWithContext(ctx, "echo", body)
		return err
	})
}

func calls(b *testing.B, node *brokertest.NATSNode, callers int) {
	client, bus := open(b, node.URL()), open(b, node.URL())
	ctx, cancel := context.WithCancel(testContext(b))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	server := listen(b, bus, transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"})
	replies := listen(b, client, transport.Address{Kind: transport.Reply})
	wg.Go(func() {
		for {
			d, err := server.Next(ctx)
			if err != nil {
				return
			}
			_ = d.Ack(ctx)
			_ = bus.Send(ctx, transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{Result: d.Message.Args, Ending: true, ID: d.Message.ID})
		}
	})
	var mu sync.Mutex
	pending := map[string]chan struct{}{}
	wg.Go(func() {
		for {
			d, err := replies.Next(ctx)
			if err != nil {
				return
			}
			mu.Lock()
			ch := pending[d.Message.ID]
			delete(pending, d.Message.ID)
			mu.Unlock()
			ch <- struct{}{}
		}
	})
	pattern := request()
	concurrently(b, callers, func() error {
		m := *pattern
		m.ID, m.UniqueID, m.ReplyTo = wire.NewID(), wire.NewID(), replies.Addr()
		answered := make(chan struct{}, 1)
		mu.Lock()
		pending[m.ID] = answered
		mu.Unlock()
		if err := client.Send(ctx, topic, &m); err != nil {
			return err
		}
		select {
		case <-answered:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// BenchmarkCast is a stored message, confirmed; bare is nats.go's JetStream publication of the same bytes.
func BenchmarkCast(b *testing.B) {
	node := brokertest.NewNATS(b, brokertest.NATSOptions{})
	for _, senders := range []int{1, 64} {
		b.Run("senders="+strconv.Itoa(senders)+"/bare", func(b *testing.B) {
			js, err := jetstream.New(bareConnection(b, node))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := js.CreateOrUpdateStream(b.Context(), jetstream.StreamConfig{Name: "bare", Subjects: []string{"bare"}, Retention: jetstream.WorkQueuePolicy}); err != nil {
				b.Fatal(err)
			}
			body, err := wire.AppendMessage(nil, request())
			if err != nil {
				b.Fatal(err)
			}
			concurrently(b, senders, func() error {
				_, err := js.Publish(b.Context(), "bare", body, jetstream.WithMsgID(wire.NewID()))
				return err
			})
		})
		b.Run("senders="+strconv.Itoa(senders)+"/goslo", func(b *testing.B) {
			bus := open(b, node.URL())
			if err := listen(b, bus, server).Close(testContext(b)); err != nil {
				b.Fatal(err)
			}
			pattern := request()
			concurrently(b, senders, func() error {
				m := *pattern
				m.UniqueID = wire.NewID()
				return bus.Send(b.Context(), topic, &m)
			})
		})
	}
}
