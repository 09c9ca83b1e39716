package kafka_test

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// What is given back comes again in front of what waits, and nothing behind it is lost when the listener ends.
//
// conforms: KAFKA-12, NLIS-11
func TestGivenBack(t *testing.T) {
	t.Parallel()
	g := newGlass(t)
	bus := open(t, g.url())
	tell(t, bus, info, "0", "1", "2")
	l := listen(t, bus, info)
	first := take(t, l, "0")
	if err := first.Requeue(testContext(t)); err != nil {
		t.Fatal(err)
	}
	again := take(t, l, "0")
	if !again.Redelivered {
		t.Error("what was given back is not marked as redelivered")
	}
	hear(t, l, "1")
	ack(t, again)
	second := take(t, l, "2")
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := second.Requeue(testContext(t)); err != nil {
		t.Errorf("give back after Close: %v", err)
	}
	hear(t, listen(t, bus, info), "2")
}

// A listener that was closed keeps its partitions until what it has handed over is settled, and gives them up then.
func TestClosedWithDeliveriesInHand(t *testing.T) {
	t.Parallel()
	g := newGlass(t)
	bus, other := open(t, g.url()), open(t, g.url())
	tell(t, bus, info, "0", "1", "2")
	l := listen(t, bus, info)
	held := take(t, l, "0")
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(testContext(t)); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
	if err := l.Close(testContext(t)); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Close again: %v", err)
	}
	next := listen(t, other, info)
	silent(t, next)
	ack(t, held)
	hear(t, next, "1", "2")
}

// What cannot be read is passed over, and does not stop the partition.
//
// conforms: KAFKA-05, KAFKA-16
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	g := newGlass(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(g.ListenAddrs()...), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for _, value := range []string{`no JSON`, `{"_context": []}`, `{"event_type": "bare", "_context": {"a": 1}}`, ``, `{"event_type": "without"}`} {
		if err := client.ProduceSync(testContext(t), &kgo.Record{Topic: info.Topic, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	bus := open(t, g.url())
	l := listen(t, bus, info)
	d := take(t, l, "bare")
	if string(d.Message.Context) != `{"a": 1}` || !d.Message.Event.Bare {
		t.Errorf("%+v", d.Message)
	}
	ack(t, d)
	hear(t, l, "without")
	brokertest.Await(t, "all to be committed", func() bool {
		all := positions(g, "oslo_messaging_consumer")
		return len(all) > 0 && all[len(all)-1] == 5
	})
}

// Partitions move when members come and go; every notification is handled, and what was acknowledged in time only once.
//
// conforms: KAFKA-13, KAFKA-15
func TestRebalance(t *testing.T) {
	t.Parallel()
	g := newGlass(t, kfake.DefaultNumPartitions(6))
	bus, other := open(t, g.url()), open(t, g.url())
	one := listen(t, bus, info)
	sent := 0
	send := func(n int) {
		for range n {
			m := notification("e")
			m.Event.Publisher, m.UniqueID = label(sent), label(sent)
			sent++
			if err := bus.Send(testContext(t), info, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	handled := map[string]int{}
	drain := func(l transport.Listener, until func() bool) {
		t.Helper()
		for !until() {
			d, err := l.Next(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			handled[d.Message.UniqueID]++
			if err := d.Ack(testContext(t)); err != nil && !errors.Is(err, transport.ErrInDoubt) {
				t.Fatal(err)
			}
		}
	}
	send(60)
	drain(one, func() bool { return len(handled) == 30 })
	two := listen(t, other, info)
	var sharing *kfake.GroupInfo
	sharing, err := g.WaitGroupStable(testContext(t), "oslo_messaging_consumer", 2)
	if err != nil || sharing == nil {
		t.Fatal(err)
	}
	send(60)
	arrivals := make(chan string)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	for _, l := range []transport.Listener{one, two} {
		go func() { // ends with ctx
			for {
				d, err := l.Next(ctx)
				if err != nil {
					return
				}
				_ = d.Ack(ctx)
				select {
				case arrivals <- d.Message.UniqueID:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	for len(handled) < sent {
		select {
		case id := <-arrivals:
			handled[id]++
		case <-ctx.Done():
			t.Fatalf("%d of %d were heard", len(handled), sent)
		}
	}
	twice := 0
	for _, n := range handled {
		if n > 1 {
			twice++
		}
	}
	if twice > 0 {
		t.Errorf("%d of %d were handled more than once, and all were acknowledged in time", twice, sent)
	}
}
