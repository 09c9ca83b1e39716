package interop_test

import (
	"context"
	"errors"
	"flag"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/interop"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

func TestMain(m *testing.M) {
	// The tests wait for brokers, timeouts and Python; as many as processors at a time would take minutes. -parallel overrides it.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	brokertest.Main(m)
}

// A peer is a language, as a client or as a server.
type peer string

const (
	python peer = "Python"
	golang peer = "Go"
)

var peers = []peer{python, golang}

// topic is where the peer's server listens.
func (p peer) topic() string {
	if p == python {
		return "shop_python"
	}
	return "shop_go"
}

// other is a topic of the peer's with a second server, for what is relayed.
func (p peer) other() string { return p.topic() + "_far" }

// A town is what most tests share: a bus on which both languages serve the same endpoints, and a client of each.
type town struct {
	node   *brokertest.RabbitNode // nil on another bus
	vhost  string
	url    string
	client *interop.Python
	server *interop.Python
	bus    transport.Transport
	caller *rpc.Client
	log    *records // of the Go servers
	ends   []func() error
}

var (
	townOnce   sync.Once
	sharedTown *town
)

// inTown returns the shared town, and builds it for the first test.
func inTown(t *testing.T) *town {
	t.Helper()
	townOnce.Do(func() {
		node := brokertest.Rabbit(t)
		w := &town{node: node, vhost: "interop", url: node.URLVhost("interop")}
		brokertest.AtEnd(w.end)
		node.AddVhost(t, w.vhost)
		w.settle(t)
		sharedTown = w
	})
	if sharedTown == nil {
		t.Fatal("the shared servers did not start; see the first failure")
	}
	return sharedTown
}

// newTown builds a town of the test's own on the bus with that URL.
func newTown(t *testing.T, url string) *town {
	t.Helper()
	w := &town{url: url}
	t.Cleanup(func() {
		if err := w.end(); err != nil {
			t.Error(err)
		}
	})
	w.settle(t)
	return w
}

// settle starts the servers and clients.
func (w *town) settle(t *testing.T) {
	t.Helper()
	w.log = &records{}
	w.client, w.server = w.python(t, "client.py"), w.python(t, "server.py")
	w.bus = w.open(t)
	w.caller = rpc.NewClient(w.bus, rpc.ClientConfig{})
	w.ends = append(w.ends, func() error { return w.caller.Close(context.Background()) })
	for _, p := range peers {
		w.serve(t, p, p.topic(), "one")
		w.serve(t, p, p.topic(), "two")
		w.serve(t, p, p.other(), "one")
	}
}

func (w *town) python(t *testing.T, program string) *interop.Python {
	t.Helper()
	p, err := interop.Start(program)
	if err != nil {
		t.Fatal(err)
	}
	w.ends = append(w.ends, func() error {
		p.Stop()
		return nil
	})
	return p
}

func (w *town) open(t *testing.T) transport.Transport {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	bus, err := goslo.Config{URL: w.url, Program: "interop"}.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.ends = append(w.ends, func() error { return bus.Close(context.Background()) })
	return bus
}

// serve starts a server of the peer's, which runs as long as the town.
func (w *town) serve(t *testing.T, p peer, topic, server string) {
	t.Helper()
	if p == python {
		w.server.Do(t, "start", map[string]any{"url": w.url, "topic": topic, "server": server}, nil)
		return
	}
	s := newShop(w.bus, w.log, topic, server)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := s.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	w.ends = append(w.ends, run(s))
}

// run runs a server until the returned function is called.
func run(s *rpc.Server) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func (w *town) end() error {
	var problems error
	for i := len(w.ends) - 1; i >= 0; i-- {
		problems = errors.Join(problems, w.ends[i]())
	}
	return problems
}

// limit bounds what a test waits for in Go, on a machine with much else to do.
const limit = 60 * time.Second

// startPython starts a program of one test's own.
func startPython(t *testing.T, program string) *interop.Python {
	t.Helper()
	p, err := interop.Start(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}
