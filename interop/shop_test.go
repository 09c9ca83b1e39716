package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// The classes of python/shop.
var (
	outOfStock   = rpc.ErrorClass{Module: "shop.errors", Name: "OutOfStock"}
	noSpace      = rpc.ErrorClass{Module: "shop.errors", Name: "NoSpace"}
	ledgerBroken = rpc.ErrorClass{Module: "shop.internal", Name: "LedgerBroken"}
	valueError   = rpc.ErrorClass{Module: "builtins", Name: "ValueError"}
	keyError     = rpc.ErrorClass{Module: "builtins", Name: "KeyError"}
)

// raw is a list of JSON values.
func raw(texts ...string) []json.RawMessage {
	out := []json.RawMessage{}
	for _, t := range texts {
		out = append(out, json.RawMessage(t))
	}
	return out
}

// A shop is the service of python/server.py, in Go.
type shop struct {
	name   string
	caller *rpc.Client
	mu     sync.Mutex
	notes  map[string]int
}

type (
	none    = struct{}
	echoArg struct {
		Arg json.RawMessage `json:"arg"`
	}
	addArgs struct {
		Left  json.Number `json:"left"`
		Right json.Number `json:"right"`
	}
	slowArgs struct {
		Seconds float64 `json:"seconds"`
		Tag     string  `json:"tag"` // noted at the start
	}
	noteArgs struct {
		Tag string `json:"tag"`
	}
	failArgs struct {
		Kind string `json:"kind"`
	}
	relayArgs struct {
		Topic string `json:"topic"`
		Kind  string `json:"kind"`
	}
)

// newShop returns a server with the endpoints of python/server.py.
func newShop(bus transport.Transport, log *records, topic, name string) *rpc.Server {
	s := &shop{name: name, caller: rpc.NewClient(bus, rpc.ClientConfig{}), notes: map[string]int{}}
	which := func(v string) rpc.Endpoint {
		return rpc.NewCall[none, string](rpc.Target{}, "which").
			Handle(func(context.Context, none) (string, error) { return v, nil })
	}
	return rpc.NewServer(bus, rpc.ServerConfig{
		Target: rpc.Target{Topic: topic}, Server: name, Ping: true, Logger: slog.New(log.handler()), Drain: 10 * time.Second,
	},
		rpc.NewEndpoint(rpc.Target{Version: "1.5"}, s.endpoints()...),
		rpc.NewEndpoint(rpc.Target{Namespace: "control", Version: "2.0"}, which("control 2.0")),
		rpc.NewEndpoint(rpc.Target{Namespace: "stock", Version: "3.1"}, which("stock 3.1")).Accept("inventory", ""),
		rpc.NewEndpoint(rpc.Target{Namespace: "twice", Version: "1.0"}, which("first")),
		rpc.NewEndpoint(rpc.Target{Namespace: "twice", Version: "1.1"}, which("second"),
			rpc.NewCall[none, string](rpc.Target{}, "only").
				Handle(func(context.Context, none) (string, error) { return "second only", nil })),
	)
}

func (s *shop) endpoints() []rpc.Endpoint {
	t := rpc.Target{}
	return []rpc.Endpoint{
		rpc.NewCall[echoArg, json.RawMessage](t, "echo").Handle(func(_ context.Context, a echoArg) (json.RawMessage, error) { return a.Arg, nil }),
		rpc.NewCall[json.RawMessage, json.RawMessage](t, "mirror").Handle(func(_ context.Context, a json.RawMessage) (json.RawMessage, error) { return a, nil }),
		rpc.NewCall[none, any](t, "nothing").Handle(func(context.Context, none) (any, error) { return nil, nil }),
		rpc.NewCall[addArgs, float64](t, "add").Handle(s.add),
		rpc.NewCall[none, json.RawMessage](t, "context").Handle(s.context),
		rpc.NewCall[none, string](t, "whoami").Handle(func(context.Context, none) (string, error) { return s.name, nil }),
		rpc.NewCall[slowArgs, float64](t, "slow").Handle(s.slow),
		rpc.NewCall[noteArgs, int](t, "note").Handle(s.note),
		rpc.NewCall[noteArgs, int](t, "noted").Handle(s.noted),
		rpc.NewCall[failArgs, any](t, "fail").Handle(s.fail),
		rpc.NewCall[none, any](t, "expected").Handle(s.expected).Expect(outOfStock),
		rpc.NewCall[relayArgs, json.RawMessage](t, "relay").Handle(s.relay),
		rpc.NewCall[relayArgs, json.RawMessage](t, "relay_context").Handle(s.relayContext),
		rpc.NewCall[none, string](t, "_secret").Handle(func(context.Context, none) (string, error) { return "secret", nil }),
	}
}

func (s *shop) add(_ context.Context, a addArgs) (float64, error) {
	left, err := a.Left.Float64()
	if err != nil {
		return 0, err
	}
	right, err := a.Right.Float64()
	return left + right, err
}

func (s *shop) context(ctx context.Context, _ none) (json.RawMessage, error) {
	return rpc.ContextFrom(ctx).JSON(), nil
}

func (s *shop) slow(ctx context.Context, a slowArgs) (float64, error) {
	if a.Tag != "" {
		if _, err := s.note(ctx, noteArgs{a.Tag}); err != nil {
			return 0, err
		}
	}
	timer := time.NewTimer(time.Duration(a.Seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return a.Seconds, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *shop) note(_ context.Context, a noteArgs) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[a.Tag]++
	return s.notes[a.Tag], nil
}

func (s *shop) noted(_ context.Context, a noteArgs) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes[a.Tag], nil
}

func (s *shop) fail(_ context.Context, a failArgs) (any, error) {
	switch a.Kind {
	case "several":
		e := valueError.Errorf("('bad quantity', 7)")
		e.Args = raw(`"bad quantity"`, `7`)
		return nil, e
	case "no_args":
		e := valueError.Errorf("")
		e.Args = raw()
		return nil, e
	case "lookup":
		e := keyError.Errorf("'sku'")
		e.Args = raw(`"sku"`)
		return nil, e
	case "allowed":
		return nil, outOfStock.Errorf("none left")
	case "unicode":
		return nil, outOfStock.Errorf("nichts mehr übrig: 櫛 \U0001f4e6")
	case "kwargs":
		e := noSpace.Errorf("no space for 7 on b2")
		e.Kwargs = json.RawMessage(`{"sku": 7, "shelf": "b2"}`)
		return nil, e
	case "foreign":
		return nil, fmt.Errorf("close the month: %w", ledgerBroken.Errorf("page missing"))
	case "newlines":
		return nil, outOfStock.Errorf("one\ntwo")
	}
	return nil, fmt.Errorf("no such kind of failure: %s", a.Kind)
}

func (s *shop) expected(context.Context, none) (any, error) {
	return nil, outOfStock.Errorf("as usual")
}

func (s *shop) relay(ctx context.Context, a relayArgs) (json.RawMessage, error) {
	fail := rpc.NewCall[rpc.Args, json.RawMessage](rpc.Target{Topic: a.Topic}, "fail")
	return fail.Call(ctx, s.caller, rpc.Args{"kind": a.Kind})
}

func (s *shop) relayContext(ctx context.Context, a relayArgs) (json.RawMessage, error) {
	return rpc.NewCall[none, json.RawMessage](rpc.Target{Topic: a.Topic}, "context").Call(ctx, s.caller, none{})
}

// records keeps what the Go servers log.
type records struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *records) handler() slog.Handler {
	return slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelError})
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

// contains reports whether something of that text was logged as an error.
func (r *records) contains(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(r.buf.String(), text)
}
