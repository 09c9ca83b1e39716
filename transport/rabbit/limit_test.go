package rabbit

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

func TestBodyLimitFollowsTheBroker(t *testing.T) {
	t.Parallel()
	for version, want := range map[any]int64{
		"3.10.8": 128 << 20, "3.13.7": 128 << 20, "4.0.2": 16 << 20, "4.1.0-rc.1": 16 << 20, "10.0": 16 << 20,
		"": 128 << 20, "unknown": 128 << 20, nil: 128 << 20,
	} {
		if got := (&settings{}).bodyLimit(amqp.Table{"version": version}); got != want {
			t.Errorf("version %v: %d, want %d", version, got, want)
		}
		if got := (&settings{maxMessage: 5}).bodyLimit(amqp.Table{"version": version}); got != 5 {
			t.Errorf("version %v, configured: %d, want 5", version, got)
		}
	}
}

func TestLimitInARefusal(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]int64{
		"PRECONDITION_FAILED - message size 5000 is larger than configured max size 2000": 2000,
		"PRECONDITION_FAILED - message size 5000 is larger than max size 2000":            2000,
		"PRECONDITION_FAILED - message size 5001 is larger than configured max size 2000": 0, // of another message
		"PRECONDITION_FAILED - message size 5000 is too large":                            0,
		"PRECONDITION_FAILED - unknown delivery tag 5000":                                 0,
	} {
		if got, ok := limitIn(reason, 5000); got != want || ok != (want > 0) {
			t.Errorf("%s: %d %v, want %d", reason, got, ok, want)
		}
	}
}

// Places where requests have arrived are remembered up to a bound; one more costs an older one.
func TestRoutesAreBounded(t *testing.T) {
	t.Parallel()
	var r routes
	for i := range maxRoutes + 100 {
		at := route{"openstack", strconv.Itoa(i)}
		r.note(at)
		if !r.has(at) {
			t.Fatalf("%v was not noted", at)
		}
	}
	if n := len(r.known); n != maxRoutes {
		t.Errorf("%d places are remembered, want %d", n, maxRoutes)
	}
}

// A broker that has no limit for frames of its own sends long messages in frames that the connection takes, and a
// limit below that of a probe is an error as for any message.
func TestBrokerWithoutFrameLimit(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	node.Eval(t, `application:set_env(rabbit, frame_max, 0).`)
	t.Cleanup(func() { node.Eval(t, `application:set_env(rabbit, frame_max, 131072).`) })
	u, err := transport.ParseURL(node.URL())
	if err != nil {
		t.Fatal(err)
	}
	bus, err := Open(t.Context(), Config{URL: u})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bus.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	at := transport.Address{Kind: transport.Topic, Topic: "stock", Server: "one"}
	l, err := bus.Listen(t.Context(), at, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	args := `{"image": "` + strings.Repeat("x", 20<<20) + `"}`
	if err := bus.Send(t.Context(), at, &transport.Message{Method: "m", Args: json.RawMessage(args)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d, err := l.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(ctx); err != nil || len(d.Message.Args) != len(args) {
		t.Errorf("%d bytes of %d, %v", len(d.Message.Args), len(args), err)
	}
	s, err := bus.out.session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.limit.Store(1)
	if err := bus.Send(ctx, at, &transport.Message{Method: "m"}); !errors.Is(err, transport.ErrRejected) {
		t.Errorf("a request beyond the limit: %v", err)
	}
}
