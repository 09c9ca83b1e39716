package rabbit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/wire"
)

// BenchmarkEcho sends requests with a 200-byte argument and ten context keys, and waits for each one's reply:
// through this package, and with the bare AMQP library, which confirms and acknowledges nothing. The metric
// cpu-us/call is the processor time of this process, client and server together, without the broker's.
func BenchmarkEcho(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("rabbit/%d", callers), func(b *testing.B) {
			e := newEcho(b)
			measure(b, callers, e.call)
		})
		b.Run(fmt.Sprintf("bare/%d", callers), func(b *testing.B) {
			e := newBareEcho(b)
			measure(b, callers, e.call)
		})
	}
}

func measure(b *testing.B, callers int, call func(chan struct{}) error) {
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
			answered := make(chan struct{}, 1)
			for range jobs {
				if err := call(answered); err != nil {
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

func (p *pending) add(id string, answered chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = make(map[string]chan struct{})
	}
	p.calls[id] = answered
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

type echo struct {
	bus     *rabbit.Transport
	replyTo string
	pending pending
}

const workers = 64

func newEcho(b *testing.B) *echo {
	b.Helper()
	node := brokertest.Rabbit(b)
	url := node.URLVhost(node.NewVhost(b))
	server, e := openURL(b, url, rabbit.Config{}), &echo{bus: openURL(b, url, rabbit.Config{})}
	requests, err := server.Listen(b.Context(), transport.Address{Kind: transport.Topic, Topic: "bench", Server: "one"}, transport.ListenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	replies, err := e.bus.Listen(b.Context(), transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	e.replyTo = replies.Addr()
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	work := make(chan *transport.Delivery)
	wg.Go(func() {
		defer close(work)
		for {
			d, err := requests.Next(ctx)
			if err != nil {
				return
			}
			work <- d
		}
	})
	for range workers {
		wg.Go(func() {
			for d := range work {
				err := d.Ack(ctx)
				if err == nil {
					to := transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}
					err = server.Send(ctx, to, &transport.Message{ID: d.Message.ID, Result: d.Message.Args, Ending: true})
				}
				if err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for {
			d, err := replies.Next(ctx)
			if err != nil {
				return
			}
			if err := d.Ack(ctx); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
			e.pending.done(d.Message.ID)
		}
	})
	b.Cleanup(func() { cancel(); wg.Wait() })
	return e
}

func (e *echo) call(answered chan struct{}) error {
	id := wire.NewID()
	e.pending.add(id, answered)
	err := e.bus.Send(context.Background(), topic("bench"), &transport.Message{
		Method: "echo", Args: benchArgs, Context: benchContext, ID: id, ReplyTo: e.replyTo, Expires: time.Minute,
	})
	if err == nil {
		<-answered
	}
	return err
}

var (
	benchArgs    = json.RawMessage(`{"arg":"` + strings.Repeat("a", 200) + `"}`)
	benchContext = json.RawMessage(`{"user":"0123456789abcdef","project_id":"0123456789abcdef","domain":null,"roles":["admin"],` +
		`"request_id":"req-0123456789abcdef","is_admin":true,"read_only":false,"auth_token":"0123456789abcdef0123456789abcdef","a":1,"b":"two"}`)
)

type bareEcho struct {
	ch      *amqp.Channel
	body    []byte
	pending pending
	mu      sync.Mutex
	last    int
}

func newBareEcho(b *testing.B) *bareEcho {
	b.Helper()
	node := brokertest.Rabbit(b)
	url := node.URLVhost(node.NewVhost(b))
	body, err := wire.AppendEnvelope(nil, &transport.Message{
		Method: "echo", Args: benchArgs, Context: benchContext, ID: wire.NewID(), ReplyTo: "reply_" + wire.NewID(),
	})
	if err != nil {
		b.Fatal(err)
	}
	e := &bareEcho{ch: raw(b, url), body: body}
	var wg sync.WaitGroup
	b.Cleanup(wg.Wait) // runs after those of bareConsume
	answers := raw(b, url)
	requests := bareConsume(b, url, "bench")
	for range workers {
		wg.Go(func() {
			for d := range requests {
				m := amqp.Publishing{CorrelationId: d.CorrelationId, Body: d.Body[:len(d.Body)/2]}
				if err := answers.PublishWithContext(context.Background(), "", d.ReplyTo, false, false, m); err != nil {
					b.Error(err)
				}
			}
		})
	}
	replies := bareConsume(b, url, "replies")
	wg.Go(func() {
		for d := range replies {
			e.pending.done(d.CorrelationId)
		}
	})
	return e
}

func bareConsume(b *testing.B, url, queue string) <-chan amqp.Delivery {
	b.Helper()
	ch := raw(b, url)
	if _, err := ch.QueueDeclare(queue, false, false, false, false, nil); err != nil {
		b.Fatal(err)
	}
	in, err := ch.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ch.Close() }) // ends in
	return in
}

func (e *bareEcho) call(answered chan struct{}) error {
	e.mu.Lock()
	e.last++
	id := strconv.Itoa(e.last)
	e.mu.Unlock()
	e.pending.add(id, answered)
	m := amqp.Publishing{CorrelationId: id, ReplyTo: "replies", Body: e.body}
	if err := e.ch.PublishWithContext(context.Background(), "", "bench", false, false, m); err != nil {
		return err
	}
	<-answered
	return nil
}
