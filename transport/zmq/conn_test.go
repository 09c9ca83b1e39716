//go:build zmq

package zmq_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
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

// Processes that were killed leave their sockets, which whoever comes next removes.
func TestSocketsOfTheKilledAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	age := func(path string) {
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	dead, fresh := filepath.Join(dir, wire.NewID()), filepath.Join(dir, wire.NewID())
	for _, path := range []string{dead, fresh} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	age(dead)
	server := open(t, "zmq:///?rpc_zmq_ipc_dir="+dir)
	if _, err := server.Listen(testContext(t), at("one"), transport.ListenOptions{}); err != nil {
		t.Fatal(err)
	}
	for path := range socketsIn(t, dir) {
		age(path)
	}
	client := open(t, "zmq:///?rpc_zmq_ipc_dir="+dir)
	left := socketsIn(t, dir)
	if left[dead] || len(left) != 2 { // fresh has been made to look old, too
		t.Errorf("left are %v", left)
	}
	if err := client.Send(testContext(t), topic, cast("m")); err != nil {
		t.Error(err)
	}
}

func socketsIn(t testing.TB, dir string) map[string]bool {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range files {
		if f.Type() == os.ModeSocket {
			found[filepath.Join(dir, f.Name())] = true
		}
	}
	return found
}

// A list may name sockets of this host.
func TestListOfSockets(t *testing.T) {
	t.Parallel()
	dir, list := t.TempDir(), filepath.Join(t.TempDir(), "endpoints")
	server := open(t, "zmq:///?rpc_zmq_ipc_dir="+dir)
	if _, err := server.Listen(testContext(t), at("one"), transport.ListenOptions{}); err != nil {
		t.Fatal(err)
	}
	for path := range socketsIn(t, dir) {
		if err := os.WriteFile(list, []byte("ipc://"+path+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client := open(t, "zmq:///?rpc_zmq_bind_address=127.0.0.1&directory_file="+list+"&rpc_zmq_ipc_dir="+t.TempDir())
	if err := client.Send(testContext(t), topic, cast("m")); err != nil {
		t.Error(err)
	}
}

// A host that has vanished, and never refuses a connection, is not tried for ever.
func TestVanishedHostIsGivenUp(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	client := listed(t, 0, silent.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := client.Send(ctx, topic, cast("m")); !errors.Is(err, transport.ErrNotSent) {
		t.Fatal(err)
	}
	if n := client.Statistics().Connections; n != 1 {
		t.Fatalf("%d connections, want 1", n)
	}
	client.AgeLosses(time.Hour)
	brokertest.Await(t, "the connection to be given up", func() bool { return client.Statistics().Connections == 0 })
}
