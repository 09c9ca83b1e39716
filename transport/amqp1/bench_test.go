package amqp1_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/amqp1"
	"github.com/goslo/goslo/wire"
)

// BenchmarkEcho sends requests with a 200-byte argument and ten context keys, and waits for each one's reply: through this package, and
// with bare go-amqp, whose requests await their outcome and whose replies are sent settled, as here. The metric cpu-us/call is the
// processor time of this process, client and server together, without the broker's.
func BenchmarkEcho(b *testing.B) {
	node := brokertest.NewRabbit(b, brokertest.RabbitOptions{Plugins: []string{brokertest.AMQP1Plugin}})
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("amqp1/%d", callers), func(b *testing.B) {
			measure(b, callers, newEcho(b, node.AMQP1URL()))
		})
		b.Run(fmt.Sprintf("bare/%d", callers), func(b *testing.B) {
			measure(b, callers, newBareEcho(b, node.AMQP1URL()))
		})
	}
}

func measure(b *testing.B, callers int, call func(context.Context) error) {
	b.Helper()
	jobs := make(chan struct{}, b.N)
	for range b.N {
		jobs <- struct{}{}
	}
	close(jobs)
	before := cpu(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range jobs {
				if err := call(b.Context()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/call")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pending are the calls that wait for a reply.
type pending struct {
	mu    sync.Mutex
	calls map[string]chan struct{}
}

func (p *pending) add(id string) chan struct{} {
	answered := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = make(map[string]chan struct{})
	}
	p.calls[id] = answered
	return answered
}

func (p *pending) done(id string) {
	p.mu.Lock()
	answered := p.calls[id]
	delete(p.calls, id)
	p.mu.Unlock()
	if answered != nil {
		answered <- struct{}{}
	}
}

func echoMessage() *transport.Message {
	keys := make([]string, 10)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"key%d":"value of the request context"`, i)
	}
	return &transport.Message{
		Method: "echo", Version: "1.0",
		Args:    json.RawMessage(`{"arg":"` + strings.Repeat("x", 200) + `"}`),
		Context: json.RawMessage("{" + strings.Join(keys, ",") + "}"),
	}
}

const workers = 64

func newEcho(b *testing.B, url string) func(context.Context) error {
	b.Helper()
	server, client := openConn(b, url), openConn(b, url)
	ctx, stop := context.WithCancel(b.Context())
	requests, err := server.Listen(ctx, transport.Address{Kind: transport.Topic, Topic: "bench", Server: "one"}, transport.ListenOptions{Prefetch: workers})
	if err != nil {
		b.Fatal(err)
	}
	replies, err := client.Listen(ctx, transport.Address{Kind: transport.Reply}, transport.ListenOptions{Prefetch: 1000})
	if err != nil {
		b.Fatal(err)
	}
	var loops, running sync.WaitGroup
	var p pending
	loops.Go(func() {
		for {
			d, err := requests.Next(ctx)
			if err != nil {
				return
			}
			if err := d.Ack(ctx); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
			running.Go(func() {
				m := &transport.Message{Result: d.Message.Args, Ending: true, ID: d.Message.ID, UniqueID: wire.NewID()}
				if err := server.Send(ctx, transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, m); err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			})
		}
	})
	loops.Go(func() {
		for {
			d, err := replies.Next(ctx)
			if err != nil {
				return
			}
			p.done(d.Message.ID)
			if err := d.Ack(ctx); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
		}
	})
	b.Cleanup(func() {
		stop()
		loops.Wait()
		running.Wait()
	})
	template := echoMessage()
	return func(ctx context.Context) error {
		m := *template
		m.ID, m.UniqueID, m.ReplyTo, m.Expires = wire.NewID(), wire.NewID(), replies.Addr(), time.Minute
		answered := p.add(m.ID)
		if err := client.Send(ctx, transport.Address{Kind: transport.Topic, Topic: "bench"}, &m); err != nil {
			return err
		}
		<-answered
		return nil
	}
}

func openConn(b *testing.B, url string) *amqp1.Conn {
	b.Helper()
	conn := dial(b, url)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), 10*time.Second)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			b.Error(err)
		}
	})
	return conn
}

func newBareEcho(b *testing.B, url string) func(context.Context) error {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	session := func(c *amqp.Conn) *amqp.Session {
		s, err := c.NewSession(ctx, nil)
		must(err)
		return s
	}
	server, err := amqp.Dial(ctx, url, nil)
	must(err)
	client, err := amqp.Dial(ctx, url, nil)
	must(err)
	requests, err := session(server).NewReceiver(ctx, "/queue/bare", &amqp.ReceiverOptions{Credit: workers})
	must(err)
	replies, err := session(client).NewReceiver(ctx, "/queue/bare_replies", &amqp.ReceiverOptions{Credit: 1000})
	must(err)
	out, err := session(client).NewSender(ctx, "/amq/queue/bare", nil)
	must(err)
	back, err := session(server).NewSender(ctx, "/amq/queue/bare_replies", nil)
	must(err)
	var loops, running sync.WaitGroup
	var p pending
	loops.Go(func() {
		for {
			in, err := requests.Receive(ctx, nil)
			if err != nil {
				return
			}
			if err := requests.AcceptMessage(ctx, in); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
			running.Go(func() {
				m := &amqp.Message{Value: in.Value, Properties: &amqp.MessageProperties{CorrelationID: in.Properties.MessageID}}
				if err := back.Send(ctx, m, &amqp.SendOptions{Settled: true}); err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			})
		}
	})
	loops.Go(func() {
		for {
			in, err := replies.Receive(ctx, nil)
			if err != nil {
				return
			}
			p.done(in.Properties.CorrelationID.(string))
			if err := replies.AcceptMessage(ctx, in); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
		}
	})
	b.Cleanup(func() {
		stop()
		loops.Wait()
		running.Wait()
		if err := errors.Join(server.Close(), client.Close()); err != nil {
			b.Error(err)
		}
	})
	body, err := wire.AppendAMQP1(nil, echoMessage())
	must(err)
	text := string(body)
	return func(ctx context.Context) error {
		id := wire.NewID()
		answered := p.add(id)
		if err := out.Send(ctx, &amqp.Message{Value: text, Properties: &amqp.MessageProperties{MessageID: id}}, nil); err != nil {
			return err
		}
		<-answered
		return nil
	}
}
