package nats_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
)

// stored is how many casts the node keeps for the topic.
func stored(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	stream, err := js.Stream(testContext(t), "om~_~cast~openstack~compute")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

// TestLostClaimIsNotAcknowledged: what another server may have been handed by now must not run here as well.
func TestLostClaimIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	bus := open(t, node.URL())
	l := listen(t, bus, server)
	send(t, bus, topic, "x")
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	nats.LoseClaims(l)
	if err := d.Ack(testContext(t)); err == nil || !strings.Contains(err.Error(), "went back to its queue") {
		t.Errorf("got %v, want an error that says where the message is", err)
	}
	if err := l.Close(testContext(t)); err != nil { // the acknowledgement, had it been sent, has arrived then
		t.Fatal(err)
	}
	if n := stored(t, jetStream(t, node)); n != 1 {
		t.Errorf("the queue has %d messages, want 1", n)
	}
}

// TestCloseInAHurry ends a listener with no time at all: what it held goes back nevertheless.
func TestCloseInAHurry(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	client, bus := open(t, node.URL()), open(t, node.URL())
	l := listen(t, bus, server)
	send(t, client, topic, "first")
	send(t, client, topic, "second")
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(testContext(t))
	cancel()
	if err := l.Close(over); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	other := listen(t, client, transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h2"})
	soon, cancel := context.WithTimeout(testContext(t), 10*time.Second) // a claim given up in silence takes 15 s
	defer cancel()
	second, err := other.Next(soon)
	if err != nil || second.Message.Method != "second" {
		t.Fatalf("got %+v, %v, want the cast that nobody had taken", second, err)
	}
	if n := bus.Listeners(); n != 1 {
		t.Errorf("the connection looks after %d listeners, want the one whose delivery is unsettled", n)
	}
	if err := d.Ack(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if n := bus.Listeners(); n != 0 {
		t.Errorf("the connection looks after %d listeners, want none", n)
	}
}

// TestCloseInAHurryWithACastUnderWay ends a listener with no time at all, while a cast is on its way to it: it goes back when it comes.
func TestCloseInAHurryWithACastUnderWay(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	proxy := brokertest.NewProxy(t, node.Addr())
	client, bus := open(t, node.URL()), open(t, "nats://"+proxy.Addr())
	l := listen(t, bus, server)
	proxy.SetLatency(time.Second)
	send(t, client, topic, "m")
	js := jetStream(t, node)
	brokertest.Await(t, "the cast to be under way", func() bool {
		c, err := js.Consumer(testContext(t), "om~_~cast~openstack~compute", "servers")
		return err == nil && c.CachedInfo().NumAckPending == 1
	})
	over, cancel := context.WithCancel(testContext(t))
	cancel()
	if err := l.Close(over); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	other := listen(t, client, transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h2"})
	soon, cancel := context.WithTimeout(testContext(t), 10*time.Second) // a claim given up in silence takes 15 s
	defer cancel()
	if d, err := other.Next(soon); err != nil || d.Message.Method != "m" {
		t.Fatalf("got %+v, %v, want the cast that nobody had taken", d, err)
	}
}

// TestListenWhileClosing proves that both end, and that neither needs the other.
func TestListenWhileClosing(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	for range 20 {
		bus, err := dial(t, node.URL())
		if err != nil {
			t.Fatal(err)
		}
		ctx := testContext(t)
		var both sync.WaitGroup
		for _, from := range []transport.Address{server, {Kind: transport.Reply}} {
			both.Go(func() {
				l, err := bus.Listen(ctx, from, transport.ListenOptions{})
				if err == nil {
					_, err = l.Next(ctx)
				}
				if ctx.Err() != nil {
					t.Errorf("listen and next: %v, want them to end with the connection", err)
				}
			})
		}
		if err := bus.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		both.Wait()
	}
}

// TestStreamThatTakesNothing: there is a queue, so that nobody ever listened would be wrong to say.
func TestStreamThatTakesNothing(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	js, bus := jetStream(t, node), open(t, node.URL())
	if _, err := js.CreateStream(testContext(t), jetstream.StreamConfig{Name: "om~_~cast~openstack~compute", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	var err error
	for range 10 { // the deadline may come while the server is being asked, which is a doubt
		ctx, cancel := context.WithTimeout(testContext(t), 300*time.Millisecond)
		err = bus.Send(ctx, topic, &transport.Message{Method: "x"})
		cancel()
		if !errors.Is(err, transport.ErrInDoubt) {
			break
		}
	}
	if !errors.Is(err, transport.ErrNotSent) || errors.Is(err, transport.ErrNoListener) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrNotSent for the deadline", err)
	}
	// Once it takes the subject, as when its cluster has a leader again, the cast that waits is stored.
	sent := make(chan error, 1)
	ctx := testContext(t)
	go func() { sent <- bus.Send(ctx, topic, &transport.Message{Method: "x"}) }()
	if _, err := js.UpdateStream(testContext(t), jetstream.StreamConfig{Name: "om~_~cast~openstack~compute", Subjects: []string{"om._.cast.openstack.compute"}}); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if n := stored(t, js); n != 1 {
		t.Errorf("the queue has %d messages, want 1", n)
	}
}

// TestInspectSilentListener asks about a topic whose only listener is stopped.
func TestInspectSilentListener(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	bus := open(t, node.URL())
	nc := jetStream(t, node).Conn()
	if _, err := nc.SubscribeSync("om._.fanout.openstack.compute"); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := bus.Inspect(testContext(t), topic)
	if want := (transport.AddressState{Exists: true, Listeners: -1}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// TestLastServerToLeaveTellsCallers: the node tells only who makes a request that nobody listens, and the one that gives calls
// back did not make them.
func TestLastServerToLeaveTellsCallers(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	client, bus := open(t, node.URL()), open(t, node.URL())
	answers := listen(t, client, transport.Address{Kind: transport.Reply})
	told := func(id string) {
		t.Helper()
		d, err := answers.Next(testContext(t))
		if err != nil || d.Message.ID != id || !errors.Is(d.Undelivered, transport.ErrNoListener) {
			t.Fatalf("the caller got %+v, %v, want that nobody listens for call %s", d, err, id)
		}
	}
	call := func(to transport.Address, id string) {
		t.Helper()
		if err := client.Send(testContext(t), to, &transport.Message{Method: "m", ID: id, UniqueID: id, ReplyTo: answers.Addr()}); err != nil {
			t.Fatal(err)
		}
	}
	l := listen(t, bus, server)
	call(topic, "before")
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	call(topic, "1")
	call(server, "2")
	if err := l.(transport.Leaver).Leave(testContext(t)); err != nil {
		t.Fatal(err)
	}
	told("1")
	if err := d.Requeue(testContext(t)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("requeue of a call that nobody else can have: %v, want ErrUnsupported", err)
	}
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	told("2")
}

// TestRequeuedCallGoesToAnother: it is sent again with its caller's address.
func TestRequeuedCallGoesToAnother(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	client, bus := open(t, node.URL()), open(t, node.URL())
	answers := listen(t, client, transport.Address{Kind: transport.Reply})
	l := listen(t, bus, server)
	m := transport.Message{Method: "m", ID: "1", UniqueID: "1", ReplyTo: answers.Addr(), Expires: time.Hour}
	if err := client.Send(testContext(t), topic, &m); err != nil {
		t.Fatal(err)
	}
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.(transport.Leaver).Leave(testContext(t)); err != nil {
		t.Fatal(err)
	}
	other := listen(t, open(t, node.URL()), transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h2"})
	if err := d.Requeue(testContext(t)); err != nil {
		t.Fatal(err)
	}
	again, err := other.Next(testContext(t))
	if err != nil || again.Message.ID != "1" || again.Message.ReplyTo != m.ReplyTo || again.Message.Expires <= 0 || again.Message.Expires > time.Hour {
		t.Errorf("the other server got %+v, %v, want the call", again, err)
	}
}
