package kafka_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// A broker that is away holds senders as long as their contexts allow; what they could not send did not leave.
//
// conforms: KAFKA-10, ODD-43
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	node := brokertest.NewKafka(t, brokertest.KafkaOptions{Topics: []string{info.Topic}})
	bus := open(t, node.URL())
	l := listen(t, bus, info)
	tell(t, bus, info, "before")
	hear(t, l, "before")
	node.Kill()
	brokertest.Await(t, "the outage to be known", func() bool { return bus.Statistics().Connected == 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := bus.Send(ctx, info, notification("never"))
	var outage *transport.OutageError
	if !errors.Is(err, transport.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &outage) || outage.Cause == nil {
		t.Errorf("send: %v, want ErrNotSent and why", err)
	}
	if _, err := bus.Listen(ctx, info, transport.ListenOptions{}); !errors.As(err, &outage) {
		t.Errorf("listen: %v, want an outage", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- bus.Send(testContext(t), info, notification("waited")) }()
	node.Restart(t)
	if err := <-waiting; err != nil {
		t.Errorf("send while the broker was away: %v", err)
	}
	hear(t, l, "waited")
	if s := bus.Statistics(); s.Connected != 1 || s.Reconnects < 1 || s.Away <= 0 || s.Published < 2 || s.Confirmed != 2 {
		t.Errorf("statistics %+v", s)
	}
}

// Close ends although the broker is away, with what is in hand not acknowledged.
func TestCloseWhileBrokerAway(t *testing.T) {
	t.Parallel()
	node := brokertest.NewKafka(t, brokertest.KafkaOptions{Topics: []string{info.Topic}})
	bus := open(t, node.URL())
	l := listen(t, bus, info)
	tell(t, bus, info, "done", "held")
	hear(t, l, "done")
	held := take(t, l, "held")
	node.Kill()
	began := time.Now()
	if err := bus.Close(testContext(t)); err != nil {
		t.Errorf("close: %v", err)
	}
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("close took %v", took)
	}
	if err := held.Ack(testContext(t)); !errors.Is(err, transport.ErrInDoubt) {
		t.Errorf("acknowledge after Close: %v, want ErrInDoubt", err)
	}
	if err := bus.Send(testContext(t), info, notification("e")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("send after Close: %v, want ErrClosed", err)
	}
	node.Restart(t)
	again := listen(t, open(t, node.URL()), info)
	d, err := again.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if d.Message.Event.Type == "done" { // its commit has not arrived
		ack(t, d)
		d = take(t, again, "held")
	}
	if d.Message.Event.Type != "held" {
		t.Errorf("got %s, want what was in hand", d.Message.Event.Type)
	}
}

// A broker that does not answer leaves the sender in doubt, and what was sent is stored once.
//
// conforms: KAFKA-09, KAFKA-10, KAFKA-11
func TestBrokerSilent(t *testing.T) {
	t.Parallel()
	node := brokertest.NewKafka(t, brokertest.KafkaOptions{Topics: []string{info.Topic}})
	bus := open(t, node.URL()+"?producer_batch_size=1")
	tell(t, bus, info, "first")
	node.Pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := bus.Send(ctx, info, notification("doubtful")); !errors.Is(err, transport.ErrInDoubt) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("send: %v, want ErrInDoubt", err)
	}
	full, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := bus.Send(full, info, notification("never")); !errors.Is(err, transport.ErrNotSent) {
		t.Errorf("send with no room: %v, want ErrNotSent", err)
	}
	node.Resume(t)
	tell(t, bus, info, "last")
	l := listen(t, bus, info)
	hear(t, l, "first", "doubtful", "last")
	silent(t, l)
}

// conforms: KAFKA-10
func TestRefusals(t *testing.T) {
	t.Parallel()
	node := brokertest.NewKafka(t, brokertest.KafkaOptions{NoTopics: true, Topics: []string{"small.info"}, Settings: map[string]string{"message.max.bytes": "2000"}})
	bus := open(t, node.URL())
	large := notification("large")
	large.Event.Payload = []byte(`"` + strings.Repeat("x", 3000) + `"`)
	huge := notification("huge")
	huge.Event.Payload = []byte(`"` + strings.Repeat("x", 1_100_000) + `"`)
	small := transport.Address{Kind: transport.Notification, Topic: "small.info"}
	for name, c := range map[string]struct {
		to   transport.Address
		m    *transport.Message
		want string
	}{
		"no such topic":      {info, notification("e"), "kafka-topics.sh --create --topic events.info"},
		"more than allowed":  {small, large, "message.max.bytes"},
		"more than we send":  {small, huge, "message.max.bytes"},
		"no name of a topic": {transport.Address{Kind: transport.Notification, Topic: "a b"}, notification("e"), "letters, digits"},
		"a long name":        {transport.Address{Kind: transport.Notification, Topic: strings.Repeat("a", 250)}, notification("e"), "249 at most"},
	} {
		if err := bus.Send(testContext(t), c.to, c.m); !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrRejected with %s", name, err, c.want)
		}
	}
	if _, err := bus.Listen(testContext(t), info, transport.ListenOptions{}); err == nil || !strings.Contains(err.Error(), "kafka-topics.sh") {
		t.Errorf("listen at no topic: %v", err)
	}
	s, err := bus.Inspect(testContext(t), info)
	if err != nil || s.Exists {
		t.Errorf("inspect no topic: %+v, %v", s, err)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	g := newGlass(t, kfake.DefaultNumPartitions(2))
	bus := open(t, g.url())
	pool := info
	pool.Pool = "p"
	is := func(at transport.Address, listeners, waiting int) func() bool {
		return func() bool {
			s, err := bus.Inspect(testContext(t), at)
			if err != nil {
				t.Fatal(err)
			}
			return s.Exists && s.Listeners == listeners && s.Waiting == waiting
		}
	}
	tell(t, bus, info, "0", "1")
	brokertest.Await(t, "two to wait for nobody", is(info, 0, 2))
	l := listen(t, bus, info)
	_ = listen(t, bus, pool)
	hear(t, l, "0")
	brokertest.Await(t, "one to wait for one", is(info, 1, 1))
	brokertest.Await(t, "the pool to have missed what was before", is(pool, 1, 0))
	if _, err := bus.Inspect(testContext(t), transport.Address{Kind: transport.Topic, Topic: "t"}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("inspect a topic of RPC: %v", err)
	}
}

// A broker that does not answer holds up who closes for as long as the context says.
func TestCloseAtASilentBroker(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]func(context.Context, transport.Transport, transport.Listener){
		"listener":   func(ctx context.Context, _ transport.Transport, l transport.Listener) { _ = l.Close(ctx) },
		"connection": func(ctx context.Context, bus transport.Transport, _ transport.Listener) { _ = bus.Close(ctx) },
		"connection with deliveries in hand": func(ctx context.Context, bus transport.Transport, l transport.Listener) {
			if _, err := l.Next(ctx); err != nil {
				t.Error(err)
			}
			_ = l.Close(ctx) // goes on until the connection is closed
			_ = bus.Close(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := brokertest.NewKafka(t, brokertest.KafkaOptions{Topics: []string{info.Topic}})
			bus := open(t, node.URL())
			l := listen(t, bus, info)
			tell(t, bus, info, "0", "1")
			hear(t, l, "0")
			again := take(t, l, "1")
			if err := again.Requeue(testContext(t)); err != nil { // so that it is there
				t.Fatal(err)
			}
			node.Pause(t)
			t.Cleanup(func() { node.Resume(t) })
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			start := time.Now()
			closing(ctx, bus, l)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("closing took %s", took)
			}
		})
	}
}
