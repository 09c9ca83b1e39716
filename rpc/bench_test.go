package rpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

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
	arg := echoArgs{json.RawMessage(`"` + strings.Repeat("x", 198) + `"`)}
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := echo.Call(ctx, client, arg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64callers", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := echo.Call(ctx, client, arg); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
