package benchmarks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/amqp1"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/nats"
	"github.com/goslo/goslo/transport/rabbit"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// The message of every benchmark: a 200-byte argument and a request context of ten keys.
var (
	target  = rpc.Target{Topic: "bench", Version: "1.0"}
	echo    = rpc.NewCall[echoArgs, string](target, "echo")
	note    = rpc.NewCast[echoArgs](target, "note")
	payload = echoArgs{strings.Repeat("x", 198)}
)

type echoArgs struct {
	Arg string `json:"arg"`
}

func requestContext(tb testing.TB) rpc.RequestContext {
	tb.Helper()
	keys := map[string]any{"request_id": "req-5f0c2c1e-7a55-4d9a-9d4f-3a3b2d1c0e9f", "is_admin": true, "roles": []string{"admin", "member"}}
	for i := len(keys); i < 10; i++ {
		keys[fmt.Sprintf("context_key_%d", i)] = strings.Repeat("v", 20)
	}
	rc, err := rpc.NewRequestContext(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return rc
}

// pair is a server and a client in this process, each with connections of its own, as two processes have.
type pair struct {
	ctx    context.Context //nolint:containedctx // of the benchmark, with the request context
	client *rpc.Client
	noted  atomic.Int64 // casts that have run
}

// newPair starts a server and a client on a bus that open connects to.
func newPair(b *testing.B, open func(testing.TB) transport.Transport) *pair {
	b.Helper()
	p := &pair{}
	server := rpc.NewServer(open(b), rpc.ServerConfig{Target: target, Server: "h1"},
		echo.Handle(func(_ context.Context, a echoArgs) (string, error) { return a.Arg, nil }),
		note.Handle(func(context.Context, echoArgs) error { p.noted.Add(1); return nil }))
	var stop context.CancelFunc
	p.ctx, stop = context.WithCancel(rpc.WithContext(context.Background(), requestContext(b)))
	if err := server.Listen(p.ctx); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(p.ctx) }()
	p.client = rpc.NewClient(open(b), rpc.ClientConfig{})
	b.Cleanup(func() {
		_ = p.client.Close(context.Background())
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return p
}

func (p *pair) call() error {
	got, err := echo.Call(p.ctx, p.client, payload)
	if err == nil && got != payload.Arg {
		return fmt.Errorf("echo returned %q", got)
	}
	return err
}

func (p *pair) cast() error { return note.Cast(p.ctx, p.client, payload) }

var buses = []struct {
	name string
	open func(b *testing.B) func(testing.TB) transport.Transport
}{
	{"memory", func(*testing.B) func(testing.TB) transport.Transport {
		bus := memory.NewBus()
		return func(tb testing.TB) transport.Transport { return closing(tb, bus.Open(memory.Config{})) }
	}},
	{"nats", openNATS},
	{"rabbit", openRabbit},
}

func openNATS(b *testing.B) func(testing.TB) transport.Transport {
	b.Helper()
	config, err := nats.ConfigFromURL(parse(b, brokertest.NewNATS(b, brokertest.NATSOptions{}).URL()))
	if err != nil {
		b.Fatal(err)
	}
	return func(tb testing.TB) transport.Transport {
		tb.Helper()
		bus, err := nats.Open(tb.Context(), config)
		if err != nil {
			tb.Fatal(err)
		}
		return closing(tb, bus)
	}
}

func openRabbit(b *testing.B) func(testing.TB) transport.Transport {
	b.Helper()
	url := parse(b, brokertest.Rabbit(b).URL())
	return func(tb testing.TB) transport.Transport {
		tb.Helper()
		bus, err := rabbit.Open(tb.Context(), rabbit.Config{URL: url})
		if err != nil {
			tb.Fatal(err)
		}
		return closing(tb, bus)
	}
}

func openAMQP1(b *testing.B, url string) func(testing.TB) transport.Transport {
	b.Helper()
	config := amqp1.Config{URL: parse(b, url)}
	return func(tb testing.TB) transport.Transport {
		tb.Helper()
		bus, err := amqp1.Open(tb.Context(), config)
		if err != nil {
			tb.Fatal(err)
		}
		return closing(tb, bus)
	}
}

func parse(tb testing.TB, s string) *transport.URL {
	tb.Helper()
	u, err := transport.ParseURL(s)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func closing(tb testing.TB, bus transport.Transport) transport.Transport {
	tb.Helper()
	tb.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			tb.Errorf("close the bus: %v", err)
		}
	})
	return bus
}

// BenchmarkCall is one call: ns/op is the time between two calls that end, with so many callers at work.
func BenchmarkCall(b *testing.B) { overBuses(b, (*pair).call) }

// BenchmarkCast is one cast, until the bus owns it.
func BenchmarkCast(b *testing.B) { overBuses(b, (*pair).cast) }

func overBuses(b *testing.B, op func(*pair) error) {
	b.Helper()
	for _, bus := range buses {
		b.Run(bus.name, func(b *testing.B) {
			open := bus.open(b)
			for _, callers := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
					p := newPair(b, open)
					if err := op(p); err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					b.ResetTimer()
					together(b, callers, int64(b.N), func() error { return op(p) })
				})
			}
		})
	}
}

// together runs op n times by so many goroutines.
func together(b *testing.B, callers int, n int64, op func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(n)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// rate runs op by so many goroutines for a while, and returns operations per second and this process's
// CPU time per operation.
func rate(b *testing.B, callers int, d time.Duration, op func() error) (perSecond float64, cpu time.Duration) {
	b.Helper()
	var done atomic.Int64
	var wg sync.WaitGroup
	usedBefore, started := cpuTime(b), time.Now()
	for range callers {
		wg.Go(func() {
			for time.Since(started) < d {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	n := max(done.Load(), 1)
	return float64(n) / time.Since(started).Seconds(), (cpuTime(b) - usedBefore) / time.Duration(n)
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sampleArgs is the payload as JSON, for a bare client.
func sampleArgs(b *testing.B) json.RawMessage {
	b.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}
