package rabbit_test

import (
	"context"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/transport/transporttest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// openURL opens a transport and closes it with the test.
func openURL(t testing.TB, url string, c rabbit.Config) *rabbit.Transport {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c.URL = u
	bus, err := rabbit.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := bus.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return bus
}

// conforms: NLIS-09, NLIS-11
func TestContract(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	transporttest.Run(t, transporttest.Config{
		Open: func(t testing.TB) transport.Transport {
			u, err := transport.ParseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			bus, err := rabbit.Open(t.Context(), rabbit.Config{URL: u})
			if err != nil {
				t.Fatal(err)
			}
			return bus
		},
		MaxBody: 128 << 20,
		Lacks:   transporttest.Topics | transporttest.SeparateExchanges | transporttest.LiteralNames,
	})
}
