package rabbit

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// A message that is tried on a channel of its own does not hold its sender beyond the deadline, although such a channel
// opens and closes only with the broker's answer.
func TestTryingOnAnotherChannelEndsWithItsContext(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	u, err := transport.ParseURL(node.URL())
	if err != nil {
		t.Fatal(err)
	}
	bus, err := Open(t.Context(), Config{URL: u})
	if err != nil {
		t.Fatal(err)
	}
	s, err := bus.out.session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	node.Pause(t)
	attempt := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			ended <- bus.apart(ctx, bus.requests, s, &publication{key: "q", mandatory: true, body: []byte("{}")})
		}()
		return receive(t, ended, "the end of trying")
	}
	brokertest.Await(t, "the broker's silence", func() bool {
		err = attempt()
		return !errors.Is(err, transport.ErrNoListener)
	})
	if !errors.Is(err, transport.ErrInDoubt) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; want ErrInDoubt and the deadline", err)
	}
	node.Resume(t)
	if err := bus.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
