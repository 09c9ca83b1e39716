package benchmarks_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/workload"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

var buses = []struct {
	name string
	url  func(testing.TB) string
}{
	{"memory", func(testing.TB) string { return "memory://benchmarks/" }},
	{"nats", func(tb testing.TB) string { return brokertest.NewNATS(tb, brokertest.NATSOptions{}).URL() }},
	{"rabbit", func(tb testing.TB) string { return brokertest.Rabbit(tb).URL() }},
}

// BenchmarkCall is one call: ns/op is the time between two calls that end, with so many callers at work.
func BenchmarkCall(b *testing.B) { overBuses(b, (*workload.Pair).Call) }

// BenchmarkCast is one cast, until the bus owns it.
func BenchmarkCast(b *testing.B) { overBuses(b, (*workload.Pair).Cast) }

func overBuses(b *testing.B, op func(*workload.Pair) error) {
	b.Helper()
	for _, bus := range buses {
		b.Run(bus.name, func(b *testing.B) {
			url := bus.url(b)
			for _, callers := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
					p := workload.NewPair(b, url)
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
