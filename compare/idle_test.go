package compare_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/workload"
	"github.com/goslo/goslo/rpc"
)

// idleServers starts servers that nobody calls in one process, on one RabbitMQ, and returns what one costs.
func idleServers(t *testing.T, m *machine) map[string]float64 {
	t.Helper()
	node, count := brokertest.RabbitAMQP1, 10
	if *fullFlag {
		node, count = func(t testing.TB) *brokertest.RabbitNode { return brokertest.NewRabbit(t, brokertest.RabbitOptions{}) }, 1000
	}
	broker := node(t)
	noteRabbit(t, m, broker)
	vhost := broker.NewVhost(t)
	bus := workload.Open(t, broker.URLVhost(vhost))
	method := rpc.NewCall[struct{}, struct{}](rpc.Target{Topic: "compute", Version: "1.0"}, "nothing")

	memory, goroutines := inUse(t)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	var starting errgroup.Group
	starting.SetLimit(16)
	for i := range count {
		starting.Go(func() error {
			s := rpc.NewServer(bus, rpc.ServerConfig{Target: rpc.Target{Topic: "compute", Version: "1.0"}, Server: fmt.Sprintf("h%d", i)},
				method.Handle(func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }))
			if err := s.Listen(ctx); err != nil {
				return err
			}
			running.Go(func() {
				if err := s.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			return nil
		})
	}
	if err := starting.Wait(); err != nil {
		t.Fatal(err)
	}
	memoryAfter, goroutinesAfter := inUse(t)
	connections := 0
	for _, c := range broker.ListConnections(t) {
		if c.Vhost == vhost {
			connections++
		}
	}
	return map[string]float64{
		"servers":     float64(count),
		"bytes":       significant(float64(memoryAfter-memory) / float64(count)),
		"goroutines":  significant(float64(goroutinesAfter-goroutines) / float64(count)),
		"connections": float64(connections),
	}
}

// inUse is the memory of what lives, stacks included, in bytes, and the number of goroutines, once that does not change any more.
func inUse(t *testing.T) (memory int64, goroutines int) {
	t.Helper()
	brokertest.Await(t, "goroutines have started", func() bool {
		before := goroutines
		goroutines = runtime.NumGoroutine()
		return goroutines == before
	})
	runtime.GC()
	runtime.GC() // what the first has finalized
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse), goroutines
}
