package nats_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// TestSendToAFrozenServer fills the sockets to a server that reads nothing: a call ends with its context.
func TestSendToAFrozenServer(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	bus := open(t, node.URL())
	node.Pause(t)
	defer node.Resume(t)
	large := json.RawMessage(`{"a":"` + strings.Repeat("x", 900_000) + `"}`)
	for range 40 {
		ctx, cancel := context.WithTimeout(testContext(t), 300*time.Millisecond)
		start := time.Now()
		err := bus.Send(ctx, topic, &transport.Message{Method: "x", ID: "1", ReplyTo: "r", Args: large})
		cancel()
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("a call with 300 ms took %v: %v", took, err)
		}
	}
}
