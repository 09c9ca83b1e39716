//go:build zmq

package zmq_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// redisBus names a bus whose directory is in the Redis at addr.
func redisBus(t testing.TB, addr, query string) string {
	t.Helper()
	return "zmq+redis://" + addr + "/?rpc_zmq_ipc_dir=" + t.TempDir() + query
}

// A watched context tells when somebody waits for its end.
type watched struct {
	context.Context //nolint:containedctx // It is one.
	once            sync.Once
	awaited         chan struct{}
}

func (w *watched) Done() <-chan struct{} {
	w.once.Do(func() { close(w.awaited) })
	return w.Context.Done()
}

func TestCloseEndsWhoWaitsForTheDirectory(t *testing.T) {
	t.Parallel()
	proxy := brokertest.NewProxy(t, brokertest.NewRedis(t, brokertest.RedisOptions{}).Addr())
	conn := open(t, redisBus(t, proxy.Addr(), "&rpc_zmq_bind_address=127.0.0.1"))
	proxy.Cut()
	sent := make(chan error, 1)
	ctx := &watched{Context: testContext(t), awaited: make(chan struct{})}
	go func() { sent <- conn.Send(ctx, topic, cast("m")) }()
	<-ctx.awaited
	start := time.Now()
	if err := conn.Close(testContext(t)); err != nil {
		t.Error(err)
	}
	if err := <-sent; !errors.Is(err, transport.ErrClosed) || time.Since(start) > atOnce {
		t.Errorf("a cast that waited when the transport was closed, after %v: %v", time.Since(start), err)
	}
}

// A listener that could not be announced in time is not announced later.
func TestListenThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	proxy := brokertest.NewProxy(t, node.Addr())
	conn, other := open(t, redisBus(t, proxy.Addr(), "&rpc_zmq_bind_address=127.0.0.1")), open(t, redisBus(t, node.Addr(), "&rpc_zmq_bind_address=127.0.0.1"))
	proxy.Cut()
	for i := range 16 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := conn.Listen(ctx, at(fmt.Sprint("s", i)), transport.ListenOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("listen while Redis is away: %v", err)
		}
		cancel()
	}
	proxy.Restore()
	if _, err := conn.Listen(testContext(t), at("real"), transport.ListenOptions{}); err != nil {
		t.Fatal(err)
	}
	if s, err := other.Inspect(testContext(t), topic); err != nil || s.Listeners != 1 {
		t.Errorf("Redis knows %d listeners (%v), want 1", s.Listeners, err)
	}
}

func TestFolderIsTheSameFromEverywhere(t *testing.T) { //nolint:paralleltest // It changes the process's folder.
	base := t.TempDir()
	t.Chdir(base)
	server := open(t, "zmq:///?rpc_zmq_ipc_dir=bus")
	if _, err := server.Listen(testContext(t), at("one"), transport.ListenOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := open(t, "zmq:///?rpc_zmq_ipc_dir="+filepath.Join(base, "bus")).Send(testContext(t), topic, cast("m")); err != nil {
		t.Error(err)
	}
}

// Others are told an address, whatever names it here.
func TestInterfaceIsBound(t *testing.T) {
	t.Parallel()
	server := open(t, redisBus(t, brokertest.NewRedis(t, brokertest.RedisOptions{}).Addr(), "&rpc_zmq_bind_address=lo"))
	l, err := server.Listen(testContext(t), transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(l.Addr(), "tcp://[::1]:") && !strings.Contains(l.Addr(), "tcp://127.0.0.1:") {
		t.Errorf("replies to %s", l.Addr())
	}
}
