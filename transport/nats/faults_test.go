package nats_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
)

var (
	topic  = transport.Address{Kind: transport.Topic, Topic: "compute"}
	server = transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"}
)

func listen(t testing.TB, bus transport.Transport, from transport.Address) transport.Listener {
	t.Helper()
	l, err := bus.Listen(testContext(t), from, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func send(t testing.TB, bus transport.Transport, to transport.Address, method string) {
	t.Helper()
	if err := bus.Send(testContext(t), to, &transport.Message{Method: method, UniqueID: t.Name() + method}); err != nil {
		t.Fatal(err)
	}
}

// next returns the method of the next delivery, which is acknowledged.
func next(t testing.TB, l transport.Listener) string {
	t.Helper()
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return d.Message.Method
}

func TestCastsSurviveTheServersDeath(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	sender, receiver := open(t, node.URL()), open(t, node.URL())
	if err := listen(t, receiver, server).Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	const n = 50
	for i := range n {
		send(t, sender, []transport.Address{topic, server}[i%2], fmt.Sprint("m", i))
	}
	node.Kill()
	node.Restart(t)
	l := listen(t, receiver, server)
	got := map[string]bool{}
	for range n {
		got[next(t, l)] = true
	}
	if len(got) != n {
		t.Errorf("got %d different casts, want %d", len(got), n)
	}
}

func TestListenerGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	client, bus := open(t, node.URL()), open(t, node.URL())
	l := listen(t, bus, server)
	replies := listen(t, client, transport.Address{Kind: transport.Reply})
	seen := map[string]bool{}
	expect := func(want string) {
		t.Helper()
		got := next(t, l)
		for seen[got] {
			got = next(t, l) // its acknowledgement died with the server
		}
		if seen[got] = true; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for i := range 3 {
		send(t, client, topic, fmt.Sprint("cast", i))
		expect(fmt.Sprint("cast", i))
		node.Kill()
		noticed, cancel := context.WithTimeout(testContext(t), 300*time.Millisecond)
		if err := client.Send(noticed, topic, &transport.Message{Method: "nowhere"}); err == nil {
			t.Fatal("a cast was confirmed by a server that was killed")
		}
		cancel()
		waiting := make(chan error, 1)
		go func() { // awaited below
			m := &transport.Message{Method: fmt.Sprint("call", i), ID: fmt.Sprint(i), ReplyTo: replies.Addr()}
			waiting <- client.Send(testContext(t), server, m)
		}()
		node.Restart(t)
		if err := <-waiting; err != nil {
			t.Fatalf("a call that waited for the server: %v", err)
		}
		expect(fmt.Sprint("call", i))
	}
}

// A cutter is a connection that breaks once, before or after it writes what holds a text.
type cutter struct {
	net.Conn
	at    string
	after bool
	cut   *atomic.Bool
}

func (c *cutter) Write(b []byte) (int, error) {
	if !strings.Contains(string(b), c.at) || c.cut.Swap(true) {
		return c.Conn.Write(b)
	}
	if c.after {
		if _, err := c.Conn.Write(b); err != nil {
			return 0, err
		}
	}
	return 0, c.Close()
}

func TestListenWhileTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	for name, at := range map[string]string{"subscribing": "SUB om.", "making the stream": "STREAM.CREATE.", "making the consumer": "CONSUMER.CREATE."} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, sent=%t", name, after), func(t *testing.T) {
				t.Parallel()
				u, err := transport.ParseURL(node.URL())
				if err != nil {
					t.Fatal(err)
				}
				cfg, err := nats.ConfigFromURL(u)
				if err != nil {
					t.Fatal(err)
				}
				cut := new(atomic.Bool)
				cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, address)
					return &cutter{conn, at, after, cut}, err
				}
				bus, err := nats.Open(testContext(t), cfg)
				if err != nil {
					t.Fatal(err)
				}
				closeWithTest(t, bus)
				own := transport.Address{Kind: transport.Topic, Topic: strings.ReplaceAll(t.Name(), "/", "-"), Server: "h1"}
				l := listen(t, bus, own)
				if !cut.Load() {
					t.Fatal("nothing was cut")
				}
				send(t, bus, own, "m")
				if got := next(t, l); got != "m" {
					t.Errorf("got %q", got)
				}
			})
		}
	}
}

func TestSendWhileAway(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	client := open(t, node.URL())
	listen(t, client, server)
	node.Kill()
	for name, m := range map[string]*transport.Message{"cast": {Method: "x"}, "call": {Method: "x", ID: "1", ReplyTo: "r"}} {
		for range 2 {
			ctx, cancel := context.WithTimeout(testContext(t), 200*time.Millisecond)
			start := time.Now()
			err := client.Send(ctx, topic, m)
			cancel()
			// The first of them may have left before the connection was known to be lost.
			if !errors.Is(err, transport.ErrNotSent) && !errors.Is(err, transport.ErrInDoubt) && (name == "cast" || err != nil) {
				t.Errorf("%s: got %v, want ErrNotSent or ErrInDoubt", name, err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
		}
	}
	ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
	defer cancel()
	if err := client.Send(ctx, topic, &transport.Message{Method: "x"}); !errors.Is(err, transport.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrNotSent for the deadline", err)
	}
}

func TestCastIsInDoubtWhenTheServerFreezes(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	client := open(t, node.URL())
	l := listen(t, client, server)
	node.Pause(t)
	var sent []string
	for err := error(nil); err == nil; { // it freezes when the kernel comes to it
		name := fmt.Sprint("m", len(sent))
		sent = append(sent, name)
		ctx, cancel := context.WithTimeout(testContext(t), 200*time.Millisecond)
		err = client.Send(ctx, topic, &transport.Message{Method: name, UniqueID: name})
		cancel()
		if err != nil && !errors.Is(err, transport.ErrInDoubt) {
			t.Fatalf("got %v, want ErrInDoubt", err)
		}
	}
	node.Resume(t)
	last := sent[len(sent)-1]
	if err := client.Send(testContext(t), topic, &transport.Message{Method: last, UniqueID: last}); err != nil {
		t.Fatalf("again: %v", err)
	}
	send(t, client, topic, "end")
	for _, want := range append(sent, "end") {
		if got := next(t, l); got != want {
			t.Errorf("got %s, want %s: what was sent twice under one id arrives once", got, want)
		}
	}
}

func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	admits(t, "nats://127.0.0.1:1,"+node.Addr()+"/")
	refuses(t, "nats://127.0.0.1:1,127.0.0.1:2/", "127.0.0.1:1, 127.0.0.1:2", "connection refused")
}

func TestNoJetStream(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{NoJetStream: true})
	bus := open(t, node.URL())
	ctx := testContext(t)
	l, replies := listen(t, bus, server), listen(t, bus, transport.Address{Kind: transport.Reply})
	err := bus.Send(ctx, topic, &transport.Message{Method: "x"})
	if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "JetStream") || !strings.Contains(err.Error(), "-js") {
		t.Errorf("cast: got %v, want ErrRejected that says how to enable JetStream", err)
	}
	if err := bus.Send(ctx, topic, &transport.Message{Method: "call", ID: "1", ReplyTo: replies.Addr()}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, l); got != "call" {
		t.Errorf("got %s", got)
	}
	send(t, bus, transport.Address{Kind: transport.Fanout, Topic: "compute"}, "fanout")
	if got := next(t, l); got != "fanout" {
		t.Errorf("got %s", got)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: "max_payload: 4096"})
	bus := open(t, node.URL())
	listen(t, bus, server)
	large := json.RawMessage(`{"a":"` + strings.Repeat("x", 5050) + `"}`)
	for name, m := range map[string]*transport.Message{"cast": {Method: "x", Args: large}, "call": {Method: "x", ID: "1", ReplyTo: "r", Args: large}} {
		err := bus.Send(testContext(t), topic, m)
		if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "4096") || !strings.Contains(err.Error(), " 51") {
			t.Errorf("%s: got %v, want ErrRejected with the limit and the size", name, err)
		}
	}
}

// jetStream is an operator's own connection.
func jetStream(t *testing.T, node *brokertest.NATSNode) jetstream.JetStream {
	t.Helper()
	nc, err := natsgo.Connect(node.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestQueueDeleted takes queues away under a live listener.
func TestQueueDeleted(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	js, bus := jetStream(t, node), open(t, node.URL())
	l := listen(t, bus, server)
	for what, remove := range map[string]func(stream string) error{
		"stream":   func(stream string) error { return js.DeleteStream(t.Context(), stream) },
		"consumer": func(stream string) error { return js.DeleteConsumer(t.Context(), stream, "servers") },
	} {
		for name := range js.StreamNames(t.Context()).Name() {
			if err := remove(name); err != nil {
				t.Fatal(err)
			}
		}
		for _, to := range []transport.Address{topic, server} {
			m := &transport.Message{Method: what + " for " + to.String(), UniqueID: what + to.Server}
			for err := transport.ErrNoListener; err != nil; { // until the queue is back; a server that deletes it answers nothing
				ctx, cancel := context.WithTimeout(testContext(t), time.Second)
				err = bus.Send(ctx, to, m)
				cancel()
				if err != nil && !errors.Is(err, transport.ErrNoListener) && !errors.Is(err, transport.ErrInDoubt) {
					t.Fatal(err)
				}
			}
			if got := next(t, l); got != m.Method {
				t.Errorf("got %q, want %q", got, m.Method)
			}
		}
	}
}

// TestQueueOfAnOperator takes a queue as it finds it.
func TestQueueOfAnOperator(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	js, bus := jetStream(t, node), open(t, node.URL())
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "om~_~cast~openstack~compute", Subjects: []string{"om._.cast.openstack.compute"},
		Retention: jetstream.WorkQueuePolicy, MaxMsgs: 2, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t, bus, server)
	if err := bus.Send(testContext(t), topic, &transport.Message{Method: "x", Expires: time.Minute}); err != nil {
		t.Fatalf("with a time to live, which the stream does not allow: %v", err)
	}
	if got := next(t, l); got != "x" {
		t.Errorf("got %s", got)
	}
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	brokertest.Await(t, "the first to be gone", func() bool {
		stream, err := js.Stream(t.Context(), "om~_~cast~openstack~compute")
		return err == nil && stream.CachedInfo().State.Msgs == 0
	})
	send(t, bus, topic, "1")
	send(t, bus, topic, "2")
	err = bus.Send(testContext(t), topic, &transport.Message{Method: "3"})
	if !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), "maximum messages exceeded") {
		t.Errorf("cast to a full queue: got %v, want ErrRejected with the reason", err)
	}
}

func TestExpiredCastIsNotDelivered(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	bus := open(t, node.URL())
	if err := listen(t, bus, server).Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := bus.Send(testContext(t), topic, &transport.Message{Method: "late", Expires: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if err := bus.Send(testContext(t), topic, &transport.Message{Method: "in time", Expires: time.Minute}); err != nil {
		t.Fatal(err)
	}
	l := listen(t, bus, server)
	d, err := l.Next(testContext(t))
	if err != nil || d.Message.Method != "in time" || d.Message.Expires <= 0 || d.Message.Expires > time.Minute {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestVirtualHostsAreApart(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	one, two, plain := open(t, node.URL()+"/one"), open(t, node.URL()+"/a.b%20*"), open(t, node.URL())
	l := listen(t, two, server)
	for _, bus := range []*nats.Conn{one, plain} {
		if err := bus.Send(testContext(t), topic, &transport.Message{Method: "x"}); !errors.Is(err, transport.ErrNoListener) {
			t.Errorf("got %v, want ErrNoListener", err)
		}
	}
	send(t, two, topic, "found")
	if got := next(t, l); got != "found" {
		t.Errorf("got %s", got)
	}
}

// TestReplyAddressIsAName proves that a request cannot make its server write to a subject of its sender's choice.
func TestReplyAddressIsAName(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	nc, err := natsgo.Connect(node.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	all, err := nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	bus := open(t, node.URL())
	evil := "x 0\r\n\r\nPUB $JS.API.STREAM.PURGE.x 0\r\n\r\n"
	if err := bus.Send(testContext(t), transport.Address{Kind: transport.Reply, Topic: evil}, &transport.Message{ID: evil, Ending: true}); err != nil {
		t.Fatal(err)
	}
	m, err := all.NextMsgWithContext(testContext(t))
	if err != nil || !strings.HasPrefix(m.Subject, "om._.reply.x%200%0D%0A") {
		t.Errorf("got %+v, %v", m, err)
	}
}

// TestFullListenerGivesCallsBack fills a listener that nobody reads.
func TestFullListenerGivesCallsBack(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	client, bus := open(t, node.URL()), open(t, node.URL())
	listen(t, bus, server)
	replies := listen(t, client, transport.Address{Kind: transport.Reply})
	const more = 10
	for i := range nats.MaxWaitingCalls + more {
		if err := client.Send(testContext(t), topic, &transport.Message{Method: "x", ID: fmt.Sprint(i), ReplyTo: replies.Addr()}); err != nil {
			t.Fatal(err)
		}
	}
	for range more {
		d, err := replies.Next(testContext(t))
		if err != nil || !errors.Is(d.Undelivered, transport.ErrRejected) || !strings.Contains(d.Undelivered.Error(), "h1") {
			t.Fatalf("got %+v, %v, want the call back, refused by h1", d, err)
		}
	}
}

// TestCallsOfAClosedListenerGoOn closes a server that has calls waiting; another of the topic gets them.
func TestCallsOfAClosedListenerGoOn(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	client := open(t, node.URL())
	replies := listen(t, client, transport.Address{Kind: transport.Reply})
	first := listen(t, open(t, node.URL()), server)
	const n = 20
	for i := range n {
		m := &transport.Message{Method: fmt.Sprint("m", i), ID: fmt.Sprint(i), ReplyTo: replies.Addr(), Expires: time.Minute}
		if err := client.Send(testContext(t), topic, m); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{next(t, first): true}
	second := listen(t, open(t, node.URL()), transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h2"})
	if err := first.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for len(got) < n {
		got[next(t, second)] = true
	}
}
