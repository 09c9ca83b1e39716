//go:build zmq

package zmq_test

import (
	"context"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/transporttest"
	"github.com/goslo/goslo/transport/zmq"
)

func TestContract(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	url := busURL(t)
	transporttest.Run(t, transporttest.Config{
		Open:  func(t testing.TB) transport.Transport { return open(t, url) },
		Lacks: transporttest.Redelivery | transporttest.Keeps | transporttest.KeepsCalls | transporttest.KeepsNotifications,
	})
}

// busURL names a bus of the test's own.
func busURL(t testing.TB) string {
	t.Helper()
	return "zmq:///?rpc_zmq_ipc_dir=" + t.TempDir()
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// open opens the URL, and closes the connection with the test.
func open(t testing.TB, url string) *zmq.Conn {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := zmq.Open(testContext(t), zmq.Config{URL: u})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return conn
}
