package amqp1_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport/amqp1"
)

// Of several brokers the one that is there is found, and after its death the other.
//
// conforms: AMQP1-15
func TestTheOtherBrokerIsFound(t *testing.T) {
	t.Parallel()
	first, second := brokertest.NewProton(t), brokertest.NewProton(t)
	second.Kill()
	both := strings.TrimSuffix(first.URL(), "/") + "," + second.Addr() + "/"
	load := newTraffic(t, both, both)
	load.start()
	load.awaitSuccess(t, 20)
	first.Kill()
	second.Restart(t)
	load.awaitSuccess(t, 20)
	load.stop()
	load.check(t, false)
}

// A connection that was never there is an error in time, which names the hosts that were tried.
func TestNoBroker(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	node.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	bus, err := amqp1.Open(ctx, config(t, node.URL()))
	if err == nil {
		_ = bus.Close(ctx)
		t.Fatal("connected to nobody")
	}
	if took := time.Since(began); took > 20*time.Second || !strings.Contains(err.Error(), node.Addr()) {
		t.Errorf("after %v: %v", took, err)
	}
}
