package compare_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/workload"
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

	next       atomic.Int64
	sent, sunk atomic.Int64 // casts

	mu      sync.Mutex
	pending map[string]chan []byte // bodies of replies
}

// promises are what a bareEcho keeps of those that a call has.
type promises int

const (
	none promises = iota // acknowledgement is automatic and nothing is confirmed
	safe                 // requests are mandatory, confirmed and expire; deliveries are acknowledged, eight at a time
	same                 // as safe, but a request is acknowledged before it is answered, over another connection
)

func newBareEcho(tb testing.TB, url string, p promises) *bareEcho {
	tb.Helper()
	e := &bareEcho{promises: p, pending: map[string]chan []byte{}}
	e.request, e.reply = envelopes(tb)

	client, server := dial(tb, url), dial(tb, url)
	answering := server
	if p == same {
		answering = dial(tb, url)
	}
	answers := must(client.Channel())(tb)
	e.requests, e.casts = must(client.Channel())(tb), must(client.Channel())(tb)
	if err := e.casts.Confirm(false); err != nil {
		tb.Fatal(err)
	}
	work, back := must(server.Channel())(tb), must(answering.Channel())(tb)
	queue := func(ch *amqp.Channel) string {
		return must(ch.QueueDeclare("", false, true, false, false, nil))(tb).Name
	}
	e.replyTo = queue(answers)
	served := queue(work)
	in := must(work.Consume(served, "", p == none, false, false, false, nil))(tb)
	out := must(answers.Consume(e.replyTo, "", p == none, false, false, false, nil))(tb)
	sunk := queue(work)
	sink := must(work.Consume(sunk, "", true, false, false, false, nil))(tb)
	e.key, e.sinkKey = served, sunk
	for _, q := range []string{served, sunk} {
		if err := work.QueueBind(q, q, "amq.topic", false, nil); err != nil {
			tb.Fatal(err)
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
				tb.Error(err)
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
			waiting <- d.Body
		}
	})
	loops.Go(func() {
		for range sink { // as a server takes them
			e.sunk.Add(1)
		}
	})
	tb.Cleanup(func() {
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
	answered := make(chan []byte, 1)
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
	return sameBytes(<-answered, e.reply)
}

func (e *bareEcho) cast() error {
	confirm, err := e.casts.PublishWithDeferredConfirm("amq.topic", e.sinkKey, true, false, publishing(e.request, "", ""))
	if err != nil {
		return err
	}
	confirm.Wait()
	e.sent.Add(1)
	return nil
}

// settled says whether each cast has arrived.
func (e *bareEcho) settled() bool { return e.sunk.Load() >= e.sent.Load() }

func dial(tb testing.TB, url string) *amqp.Connection {
	tb.Helper()
	u := parse(tb, url)
	return must(amqp.Dial("amqp://guest:guest@" + u.Hosts[0].Hostname + ":" + strconv.Itoa(u.Hosts[0].Port) + "/"))(tb)
}

func parse(tb testing.TB, s string) *transport.URL {
	tb.Helper()
	return must(transport.ParseURL(s))(tb)
}

// envelopes are a request and its reply as they are on the wire, for all that is no AMQP 1.0.
func envelopes(tb testing.TB) (request, reply []byte) {
	tb.Helper()
	q, r := workload.Request(tb), workload.Reply(tb)
	q.ID, q.ReplyTo, q.UniqueID = wire.NewID(), "reply_"+wire.NewID(), wire.NewID()
	r.ID, r.UniqueID = wire.NewID(), wire.NewID()
	return must(wire.AppendEnvelope(nil, q))(tb), must(wire.AppendEnvelope(nil, r))(tb)
}

// sameBytes refuses an answer that is not the one that was given.
func sameBytes(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the echo was %.100q, want %.100q", got, want)
	}
	return nil
}
