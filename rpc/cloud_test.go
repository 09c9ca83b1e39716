package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A cloud is a bus with servers on it, in a synctest bubble: time is virtual, and what is left running at the end
// of a test fails it.
type cloud struct {
	t      *testing.T
	bus    *memory.Bus
	client *rpc.Client
	log    *lockedBuffer
}

func inCloud(t *testing.T, f func(c *cloud)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{t: t, bus: memory.NewBus(), log: &lockedBuffer{}}
		c.client = c.newClient(rpc.ClientConfig{})
		f(c)
	})
}

func (c *cloud) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (c *cloud) newClient(config rpc.ClientConfig) *rpc.Client {
	bus := c.bus.Open(memory.Config{})
	config.Logger = c.logger()
	client := rpc.NewClient(bus, config)
	c.t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			c.t.Errorf("close client: %v", err)
		}
		if err := bus.Close(context.Background()); err != nil {
			c.t.Errorf("close bus: %v", err)
		}
	})
	return client
}

// serve starts a server and returns how to stop it; the test's end stops it too.
func (c *cloud) serve(config rpc.ServerConfig, e ...rpc.Endpoint) (stop func() error) {
	c.t.Helper()
	if config.Target.Topic == "" {
		config.Target.Topic = "compute"
	}
	if config.Server == "" {
		config.Server = "h1"
	}
	config.Logger = c.logger()
	bus := c.bus.Open(memory.Config{})
	server := rpc.NewServer(bus, config, e...)
	if err := server.Listen(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		return errors.Join(err, bus.Close(context.Background()))
	})
	c.t.Cleanup(func() { _ = stop() })
	return stop
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var (
	target = rpc.Target{Topic: "compute"}
	echo   = rpc.NewCall[echoArgs, json.RawMessage](target, "echo")
	sleep  = rpc.NewCall[sleepArgs, string](target, "sleep")
	whoami = rpc.NewCall[struct{}, string](target, "whoami")
	note   = rpc.NewCast[echoArgs](target, "note")
)

type echoArgs struct {
	Arg json.RawMessage `json:"arg"`
}

type sleepArgs struct {
	Seconds float64 `json:"seconds"`
}

func handleEcho(_ context.Context, a echoArgs) (json.RawMessage, error) { return a.Arg, nil }

func handleSleep(ctx context.Context, a sleepArgs) (string, error) {
	select {
	case <-time.After(time.Duration(a.Seconds * float64(time.Second))):
		return "slept", nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// A peer is a hand-made caller or server, for what a Go one never sends.
type peer struct {
	c   *cloud
	bus transport.Transport
	in  transport.Listener
}

func (c *cloud) peer(from transport.Address) *peer {
	c.t.Helper()
	bus := c.bus.Open(memory.Config{})
	c.t.Cleanup(func() { _ = bus.Close(context.Background()) })
	l, err := bus.Listen(c.t.Context(), from, transport.ListenOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return &peer{c, bus, l}
}

func (p *peer) send(to transport.Address, m *transport.Message) {
	p.c.t.Helper()
	if err := p.bus.Send(p.c.t.Context(), to, m); err != nil {
		p.c.t.Fatal(err)
	}
}

func (p *peer) next() *transport.Delivery {
	p.c.t.Helper()
	d, err := p.in.Next(p.c.t.Context())
	if err != nil {
		p.c.t.Fatal(err)
	}
	return d
}

var (
	replyAddress = transport.Address{Kind: transport.Reply}
	topicAddress = transport.Address{Kind: transport.Topic, Topic: "compute"}
)
