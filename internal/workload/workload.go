// Package workload is what benchmarks and comparisons measure: a call that returns its argument of 200 bytes, a cast with the same, both with a
// request context of ten keys, and a server and a client for them in one process.
//
// A [Pair] owns its server's goroutine and both connections; all have ended when the test's cleanup has.
package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// The methods, and where they are served.
var (
	target = rpc.Target{Topic: "bench", Version: "1.0"}
	echo   = rpc.NewCall[args, string](target, "echo")
	note   = rpc.NewCast[args](target, "note")
)

type args struct {
	Arg string `json:"arg"`
}

var payload = strings.Repeat("x", 198)

// Payload is the argument of each call and cast, and the result of each call: 200 bytes as JSON.
func Payload() string { return payload }

// Keys are the request context of each call and cast: ten, as services of OpenStack have them.
func Keys() map[string]any {
	keys := map[string]any{"request_id": "req-5f0c2c1e-7a55-4d9a-9d4f-3a3b2d1c0e9f", "is_admin": true, "roles": []string{"admin", "member"}}
	for i := len(keys); i < 10; i++ {
		keys[fmt.Sprintf("context_key_%d", i)] = strings.Repeat("v", 20)
	}
	return keys
}

func requestContext(tb testing.TB) rpc.RequestContext {
	tb.Helper()
	rc, err := rpc.NewRequestContext(Keys())
	if err != nil {
		tb.Fatal(err)
	}
	return rc
}

// Request is the call as a message, for those who send its bytes without Goslo. What is about one call only, as its ID, is theirs to fill in.
func Request(tb testing.TB) *transport.Message {
	tb.Helper()
	return &transport.Message{Method: "echo", Version: target.Version, Args: marshal(tb, args{payload}), Context: requestContext(tb).JSON()}
}

// Reply is the answer as a message.
func Reply(tb testing.TB) *transport.Message {
	tb.Helper()
	return &transport.Message{Result: marshal(tb, payload), Ending: true}
}

func marshal(tb testing.TB, v any) json.RawMessage {
	tb.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// A Pair is a server and a client in this process, each with a connection of its own, as two processes have. Its methods are safe for
// concurrent use.
type Pair struct {
	ctx    context.Context //nolint:containedctx // of the test, with the request context
	client *rpc.Client
	sent   atomic.Int64
	noted  atomic.Int64
}

// NewPair starts a server on the bus that url names, and a client of it. They end with the test.
func NewPair(tb testing.TB, url string) *Pair {
	tb.Helper()
	return NewPairAt(tb, url, url)
}

// NewPairAt is [NewPair] where server and client come to the bus by different URLs.
func NewPairAt(tb testing.TB, serverURL, clientURL string) *Pair {
	tb.Helper()
	p := &Pair{}
	server := rpc.NewServer(Open(tb, serverURL), rpc.ServerConfig{Target: target, Server: "h1"},
		echo.Handle(func(_ context.Context, a args) (string, error) { return a.Arg, nil }),
		note.Handle(func(context.Context, args) error { p.noted.Add(1); return nil }))
	var stop context.CancelFunc
	p.ctx, stop = context.WithCancel(rpc.WithContext(context.Background(), requestContext(tb)))
	if err := server.Listen(p.ctx); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(p.ctx) }()
	p.client = rpc.NewClient(Open(tb, clientURL), rpc.ClientConfig{})
	tb.Cleanup(func() {
		if err := p.client.Close(context.Background()); err != nil {
			tb.Errorf("close the client: %v", err)
		}
		stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return p
}

// Open opens the bus that url names, until the test ends.
func Open(tb testing.TB, url string) transport.Transport {
	tb.Helper()
	bus, err := goslo.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			tb.Errorf("close the bus: %v", err)
		}
	})
	return bus
}

// Call calls, and checks what it gets.
func (p *Pair) Call() error {
	got, err := echo.Call(p.ctx, p.client, args{payload})
	if err == nil && got != payload {
		return fmt.Errorf("echo returned %q", got)
	}
	return err
}

// Cast casts, and returns when the bus has taken it over.
func (p *Pair) Cast() error {
	err := note.Cast(p.ctx, p.client, args{payload})
	if err == nil {
		p.sent.Add(1)
	}
	return err
}

// Settled says whether each cast has run.
func (p *Pair) Settled() bool { return p.noted.Load() >= p.sent.Load() }
