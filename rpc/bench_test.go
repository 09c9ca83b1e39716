package rpc_test

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

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport/memory"
)

// benchContext is a request context of the usual size: ten keys.
func benchContext(b *testing.B) context.Context {
	b.Helper()
	keys := map[string]string{"request_id": "req-5f0c2c1e-7a55-4d9a-9d4f-3a3b2d1c0e9f"}
	for i := range 9 {
		keys[fmt.Sprintf("context_key_%d", i)] = strings.Repeat("v", 20)
	}
	rc, err := rpc.NewRequestContext(keys)
	if err != nil {
		b.Fatal(err)
	}
	return rpc.WithContext(context.Background(), rc)
}

func BenchmarkCallOverMemory(b *testing.B) {
	bus := memory.NewBus().Open(memory.Config{})
	server := rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h"}, echo.Handle(handleEcho))
	ctx, cancel := context.WithCancel(benchContext(b))
	ended := make(chan error, 1)
	if err := server.Listen(ctx); err != nil {
		b.Fatal(err)
	}
	go func() { ended <- server.Run(ctx) }()
	client := rpc.NewClient(bus, rpc.ClientConfig{})
	b.Cleanup(func() {
		_ = client.Close(context.Background())
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	call := func(b *testing.B, callers, size int) {
		b.Helper()
		arg := echoArgs{json.RawMessage(`"` + strings.Repeat("x", size-2) + `"`)}
		b.ReportAllocs()
		began := cpuTime(b)
		var left atomic.Int64
		left.Store(int64(b.N))
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					if _, err := echo.Call(ctx, client, arg); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
	}
	for _, callers := range []int{1, 16, 64, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { call(b, callers, 200) })
	}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"64KiB", 64 << 10}, {"1MiB", 1 << 20}, {"8MiB", 8 << 20}} {
		b.Run("size="+size.name, func(b *testing.B) { call(b, 1, size.bytes) })
	}
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
