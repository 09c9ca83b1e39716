package nats_test

import (
	"context"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
	"github.com/goslo/goslo/transport/transporttest"
)

// serverMaxPayload is nats-server's default.
const serverMaxPayload = 1 << 20

func TestContract(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	transporttest.Run(t, transporttest.Config{
		Open:    func(t testing.TB) transport.Transport { return open(t, node.URL()) },
		Lacks:   transporttest.KeepsCalls,
		MaxBody: serverMaxPayload,
	})
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// dial opens the URL. The test closes the connection, if there is one.
func dial(t testing.TB, url string) (*nats.Conn, error) {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := nats.ConfigFromURL(u)
	if err != nil {
		return nil, err
	}
	return nats.Open(testContext(t), cfg)
}

// open opens the URL, and closes the connection with the test.
func open(t testing.TB, url string) *nats.Conn {
	t.Helper()
	conn, err := dial(t, url)
	if err != nil {
		t.Fatal(err)
	}
	closeWithTest(t, conn)
	return conn
}

func closeWithTest(t testing.TB, bus transport.Transport) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // it may have 65,536 calls to give back
		defer cancel()
		if err := bus.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}
