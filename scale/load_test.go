package scale_test

import (
	"cmp"
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/rpc"
)

// A pair is a server and a client in this process, each with connections of its own, as two processes have.
type pair struct {
	server *fleet
	client *rpc.Client
	heard  *atomic.Int64 // casts that have run
}

func newPair(t *testing.T, b *bus) *pair {
	t.Helper()
	p := &pair{heard: &atomic.Int64{}}
	p.server = launch(t, b.open(t), 1, echoing(), p.hearing())
	p.client = rpc.NewClient(b.open(t), rpc.ClientConfig{})
	t.Cleanup(func() {
		if err := p.client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func echoing() rpc.Endpoint {
	return echo.Handle(func(_ context.Context, a echoArgs) (string, error) { return a.Arg, nil })
}

func (p *pair) hearing() rpc.Endpoint {
	return refresh.Handle(func(context.Context, echoArgs) error {
		p.heard.Add(1)
		return nil
	})
}

// call is an echo. Its answer has to be right.
func (p *pair) call(t *testing.T, args echoArgs) bool {
	t.Helper()
	got, err := echo.Call(context.Background(), p.client.To(serverName(0)), args)
	if err != nil || got != args.Arg {
		t.Errorf("echo of %d bytes: %d bytes came back, %v", len(args.Arg), len(got), err)
		return false
	}
	return true
}

// A measurement is of one kind of operation, done by so many at a time.
type measurement struct {
	callers   int
	n         int
	took      time.Duration
	cpu, bus  time.Duration   // of this process and of the broker's, per operation
	latencies []time.Duration // sorted
}

func (m measurement) rate() float64 { return float64(m.n) / m.took.Seconds() }

func (m measurement) quantile(q float64) time.Duration {
	if len(m.latencies) == 0 {
		return 0
	}
	return m.latencies[int(q*float64(len(m.latencies)-1))]
}

// work has op done by so many goroutines until limit has passed, each of them once at least.
func work(t *testing.T, b *bus, callers int, limit time.Duration, op func() bool) measurement {
	t.Helper()
	m := measurement{callers: callers}
	var mu sync.Mutex
	var all sync.WaitGroup
	own, theirs, began := cpuOf(t, os.Getpid()), b.cpu(t), time.Now()
	for range callers {
		all.Go(func() {
			var mine []time.Duration
			for first := true; first || time.Since(began) < limit; first = false {
				start := time.Now()
				if !op() {
					return
				}
				mine = append(mine, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			m.latencies = append(m.latencies, mine...)
		})
	}
	all.Wait()
	m.took, m.n = time.Since(began), len(m.latencies)
	slices.Sort(m.latencies)
	if m.n > 0 {
		m.cpu, m.bus = (cpuOf(t, os.Getpid())-own)/time.Duration(m.n), (b.cpu(t)-theirs)/time.Duration(m.n)
	}
	return m
}

// median returns the value in the middle of those that f takes from all.
func median[T any, V cmp.Ordered](all []T, f func(T) V) V {
	values := make([]V, len(all))
	for i, x := range all {
		values[i] = f(x)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
