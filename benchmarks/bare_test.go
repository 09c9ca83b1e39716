package benchmarks_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A bareEcho does what a call does with amqp091-go alone: a connection for the client and one for the server, and
// messages of the same bytes, already encoded. Its cast is what a confirmed cast costs at the least: a deferred confirm, awaited.
type bareEcho struct {
	promises       promises
	request, reply []byte
	requests       *amqp.Channel
	replyTo        string
	casts          *amqp.Channel // with confirms
	key, sinkKey   string

	next    atomic.Int64
	mu      sync.Mutex
	pending map[string]chan struct{}
}

// promises are what a bareEcho keeps of those that a call has.
type promises int

const (
	none promises = iota // acknowledgement is automatic and nothing is confirmed
	safe                 // requests are mandatory, confirmed and expire; deliveries are acknowledged, eight at a time
	same                 // as safe, but a request is acknowledged before it is answered, over another connection
)

func newBareEcho(b *testing.B, url string, p promises) *bareEcho {
	b.Helper()
	e := &bareEcho{promises: p, pending: map[string]chan struct{}{}}
	e.request = must(wire.AppendEnvelope(nil, &transport.Message{
		Method: "echo", Version: "1.0", Args: sampleArgs(b), Context: requestContext(b).JSON(),
		ID: wire.NewID(), ReplyTo: "reply_" + wire.NewID(), UniqueID: wire.NewID(),
	}))(b)
	e.reply = must(wire.AppendEnvelope(nil, &transport.Message{
		Result: must(json.Marshal(payload.Arg))(b), Ending: true, ID: wire.NewID(), UniqueID: wire.NewID(),
	}))(b)

	client, server := dial(b, url), dial(b, url)
	answering := server
	if p == same {
		answering = dial(b, url)
	}
	answers := must(client.Channel())(b)
	e.requests, e.casts = must(client.Channel())(b), must(client.Channel())(b)
	if err := e.casts.Confirm(false); err != nil {
		b.Fatal(err)
	}
	work, back := must(server.Channel())(b), must(answering.Channel())(b)
	queue := func(ch *amqp.Channel) string {
		return must(ch.QueueDeclare("", false, true, false, false, nil))(b).Name
	}
	e.replyTo = queue(answers)
	served := queue(work)
	in := must(work.Consume(served, "", p == none, false, false, false, nil))(b)
	out := must(answers.Consume(e.replyTo, "", p == none, false, false, false, nil))(b)
	sunk := queue(work)
	sink := must(work.Consume(sunk, "", true, false, false, false, nil))(b)
	e.key, e.sinkKey = served, sunk
	for _, q := range []string{served, sunk} {
		if err := work.QueueBind(q, q, "amq.topic", false, nil); err != nil {
			b.Fatal(err)
		}
	}
	var loops sync.WaitGroup
	loops.Go(func() {
		for d := range in {
			if p == same {
				_ = d.Ack(false) // as in acknowledge
			} else {
				e.acknowledge(d)
			}
			if err := back.PublishWithContext(context.Background(), "", d.ReplyTo, false, false,
				publishing(e.reply, d.CorrelationId, "")); err != nil {
				b.Error(err)
			}
		}
	})
	loops.Go(func() {
		for d := range out {
			e.acknowledge(d)
			e.mu.Lock()
			waiting := e.pending[d.CorrelationId]
			delete(e.pending, d.CorrelationId)
			e.mu.Unlock()
			waiting <- struct{}{}
		}
	})
	loops.Go(func() {
		for range sink { // as a server takes them
		}
	})
	b.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
		_ = answering.Close() // it may be the server's
		loops.Wait()
	})
	return e
}

func publishing(body []byte, id, replyTo string) amqp.Publishing {
	return amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent,
		CorrelationId: id, ReplyTo: replyTo, Body: body,
	}
}

func (e *bareEcho) acknowledge(d amqp.Delivery) {
	if e.promises != none && d.DeliveryTag%8 == 0 {
		_ = d.Ack(true) // a lost connection shows in the calls
	}
}

func (e *bareEcho) call() error {
	id := strconv.FormatInt(e.next.Add(1), 10)
	answered := make(chan struct{}, 1)
	e.mu.Lock()
	e.pending[id] = answered
	e.mu.Unlock()
	p, via := publishing(e.request, id, e.replyTo), e.requests
	if e.promises != none {
		p.Expiration, via = "60000", e.casts
	}
	confirm, err := via.PublishWithDeferredConfirm("amq.topic", e.key, e.promises != none, false, p)
	if err != nil {
		return err
	}
	if e.promises != none {
		confirm.Wait()
	}
	<-answered
	return nil
}

func (e *bareEcho) cast() error {
	confirm, err := e.casts.PublishWithDeferredConfirm("amq.topic", e.sinkKey, true, false, publishing(e.request, "", ""))
	if err != nil {
		return err
	}
	confirm.Wait()
	return nil
}

func dial(b *testing.B, url string) *amqp.Connection {
	b.Helper()
	u := parse(b, url)
	return must(amqp.Dial("amqp://guest:guest@" + u.Hosts[0].Hostname + ":" + strconv.Itoa(u.Hosts[0].Port) + "/"))(b)
}

// must(f())(b) is f's value; its error fails b.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
