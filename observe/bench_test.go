package observe_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/observe/otlp"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport/memory"
)

// What observing adds to a call on the bus that costs least.
func BenchmarkCall(b *testing.B) {
	spans := func(s sdk.Sampler) *sdk.TracerProvider {
		return sdk.NewTracerProvider(sdk.WithSampler(s), sdk.WithIDGenerator(otlp.IDs{}))
	}
	for _, c := range []struct {
		name     string
		config   observe.Config
		measured bool
	}{
		{"off", observe.Config{}, false},
		{"metrics", observe.Config{}, true},
		{"traces not sampled", observe.Config{Traces: spans(sdk.NeverSample())}, false},
		{"traces", observe.Config{Traces: spans(sdk.AlwaysSample())}, false},
		{"all", observe.Config{Traces: spans(sdk.AlwaysSample())}, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			if c.measured {
				c.config.Metrics = prometheus.NewRegistry()
			}
			o, err := observe.New(c.config)
			if err != nil {
				b.Fatal(err)
			}
			benchmarkCall(b, o)
		})
	}
}

func benchmarkCall(b *testing.B, o *observe.Observer) {
	bus := memory.NewBus()
	ctx, cancel := context.WithCancel(b.Context())
	server := rpc.NewServer(bus.Open(memory.Config{}), o.Server(rpc.ServerConfig{Target: target, Server: "h1"}),
		boot.Handle(func(context.Context, rpc.Args) (string, error) { return "", nil }))
	if err := server.Listen(ctx); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	client := rpc.NewClient(bus.Open(memory.Config{}), o.Client(rpc.ClientConfig{}))
	defer func() {
		_ = client.Close(context.WithoutCancel(ctx))
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := boot.Call(ctx, client, nil); err != nil {
			b.Fatal(err)
		}
	}
}
