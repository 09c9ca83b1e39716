package compare_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/internal/workload"
	"github.com/goslo/goslo/wire"
)

// A bareAMQP1 does what a call does with go-amqp alone: a connection for the client and one for the server, a session
// for each link, credits as oslo.messaging gives them, and messages of the same bytes, already encoded. Replies are
// settled by their sender, as those of calls are. Without guarantees, so are requests; with those that a call has, they
// expire, and the sender waits until the broker has accepted them. What a broker delivers is accepted in either case: the
// brokers deliver all unsettled.
type bareAMQP1 struct {
	guarantees     bool
	request, reply string
	unique         string // an id as messages have it
	requests       *amqp.Sender
	replyTo        string
	address        string

	next    atomic.Int64
	mu      sync.Mutex
	pending map[string]chan any // bodies of replies
}

// newBareAMQP1 starts one on a broker; name tells it from others there. replyTo is the address of the replies, or ""
// for one that the broker makes.
func newBareAMQP1(tb testing.TB, url, name, replyTo string, guarantees bool) *bareAMQP1 {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &bareAMQP1{guarantees: guarantees, address: "bare." + name, unique: wire.NewID(), pending: map[string]chan any{}}
	q, r := workload.Request(tb), workload.Reply(tb)
	q.ID, q.ReplyTo, r.ID = wire.NewID(), "there", wire.NewID()
	e.request, e.reply = string(must(wire.AppendAMQP1(nil, q))(tb)), string(must(wire.AppendAMQP1(nil, r))(tb))
	client, server := must(amqp.Dial(ctx, url, nil))(tb), must(amqp.Dial(ctx, url, nil))(tb)
	session := func(c *amqp.Conn) *amqp.Session { return must(c.NewSession(ctx, nil))(tb) }
	in := must(session(server).NewReceiver(ctx, e.address, &amqp.ReceiverOptions{Credit: 100}))(tb)
	out := must(session(client).NewReceiver(ctx, replyTo, &amqp.ReceiverOptions{Credit: 200, DynamicAddress: replyTo == ""}))(tb)
	e.requests = must(session(client).NewSender(ctx, e.address, nil))(tb)
	e.replyTo = out.Address()
	back := must(session(server).NewSender(ctx, e.replyTo, nil))(tb)
	var loops sync.WaitGroup
	loops.Go(func() { e.serve(ctx, tb, in, back) })
	loops.Go(func() { e.collect(ctx, out) })
	tb.Cleanup(func() {
		cancel()
		_ = client.Close()
		_ = server.Close()
		loops.Wait()
	})
	return e
}

// serve answers requests until ctx ends.
func (e *bareAMQP1) serve(ctx context.Context, tb testing.TB, in *amqp.Receiver, back *amqp.Sender) {
	tb.Helper()
	for {
		m, err := in.Receive(ctx, nil)
		if err == nil {
			err = in.AcceptMessage(ctx, m)
		}
		if err == nil {
			err = back.Send(ctx, e.message(e.reply, e.replyTo, &amqp.MessageProperties{CorrelationID: m.Properties.MessageID}), &amqp.SendOptions{Settled: true})
		}
		if err != nil {
			if ctx.Err() == nil {
				tb.Error(err)
			}
			return
		}
	}
}

// collect wakes the callers until ctx ends.
func (e *bareAMQP1) collect(ctx context.Context, out *amqp.Receiver) {
	for {
		m, err := out.Receive(ctx, nil)
		if err != nil {
			return // shows in the calls
		}
		if err := out.AcceptMessage(ctx, m); err != nil {
			return
		}
		id, _ := m.Properties.CorrelationID.(string)
		e.mu.Lock()
		waiting := e.pending[id]
		delete(e.pending, id)
		e.mu.Unlock()
		waiting <- m.Value
	}
}

func (e *bareAMQP1) message(body, to string, p *amqp.MessageProperties) *amqp.Message {
	p.To = &to
	return &amqp.Message{Properties: p, Value: body, ApplicationProperties: map[string]any{"goslo-unique-id": e.unique}}
}

func (e *bareAMQP1) call() error {
	id := strconv.FormatInt(e.next.Add(1), 10)
	answered := make(chan any, 1)
	e.mu.Lock()
	e.pending[id] = answered
	e.mu.Unlock()
	m := e.message(e.request, e.address, &amqp.MessageProperties{MessageID: id, ReplyTo: &e.replyTo})
	if e.guarantees {
		expires := time.Now().Add(time.Minute)
		m.Header = &amqp.MessageHeader{Priority: 4, TTL: time.Minute}
		m.Properties.AbsoluteExpiryTime = &expires
	}
	if err := e.requests.Send(context.Background(), m, &amqp.SendOptions{Settled: !e.guarantees}); err != nil {
		return err
	}
	if got := <-answered; got != e.reply {
		return fmt.Errorf("the echo was %.100q, want %.100q", got, e.reply)
	}
	return nil
}
