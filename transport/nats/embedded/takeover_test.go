package embedded_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats/embedded"
)

// A caller makes calls to topic compute, one at a time.
type caller struct {
	t       testing.TB
	bus     *embedded.Bus
	replies transport.Listener
	last    int
}

func newCaller(t testing.TB, bus *embedded.Bus) *caller {
	t.Helper()
	replies, err := bus.Listen(testContext(t), transport.Address{Kind: transport.Reply}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &caller{t: t, bus: bus, replies: replies}
}

// call returns who answered. It waits for two seconds.
func (c *caller) call(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c.last++
	id := strconv.Itoa(c.last)
	m := &transport.Message{Method: "who", ID: id, UniqueID: "u" + id, ReplyTo: c.replies.Addr()}
	if err := c.bus.Send(ctx, transport.Address{Kind: transport.Topic, Topic: "compute"}, m); err != nil {
		return "", err
	}
	for {
		d, err := c.replies.Next(ctx)
		switch {
		case err != nil:
			return "", err
		case d.Message.ID != id:
			continue
		case d.Undelivered != nil:
			return "", d.Undelivered
		}
		var who string
		return who, json.Unmarshal(d.Message.Result, &who)
	}
}

// until calls until n calls in a row were answered, and says how many were not.
func (c *caller) until(ctx context.Context, n int) (failed int) {
	c.t.Helper()
	for row := 0; row < n; {
		if _, err := c.call(ctx); err == nil {
			row++
			continue
		} else if ctx.Err() != nil {
			c.t.Fatalf("no %d calls in a row were answered, %d failed, the last: %v", n, failed, err)
		}
		row = 0
		failed++
	}
	return failed
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"memory", "files"} {
		t.Run(kept, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			cfg := testConfig(t)
			if kept == "files" {
				cfg.StoreDir = t.TempDir()
			}
			var members []*process
			for i := range 4 {
				members = append(members, spawn(t, child{Config: cfg, Server: fmt.Sprint("s", i)}).ready())
			}
			c := newCaller(t, open(t, cfg))
			c.until(ctx, 20)
			topic := transport.Address{Kind: transport.Topic, Topic: "compute"}
			for round := range 3 {
				host := -1
				for i, p := range members {
					if p.hosting() {
						host = i
					}
				}
				if host < 0 {
					break // this process took over, and cannot be killed
				}
				members[host].kill()
				members = append(members[:host], members[host+1:]...)
				start := time.Now()
				failed := c.until(ctx, 20)
				t.Logf("round %d: %d calls failed, answered again after %v", round, failed, time.Since(start))
				if failed > 2 {
					t.Errorf("round %d: %d calls failed, want at most the ones under way", round, failed)
				}
				if err := c.bus.Send(ctx, topic, &transport.Message{Method: "note", UniqueID: fmt.Sprint("note", round)}); err != nil {
					t.Errorf("round %d: cast: %v", round, err)
				}
			}
			hosts := 0
			for _, p := range members {
				if p.hosting() {
					hosts++
				}
			}
			if c.bus.Hosting() {
				hosts++
			}
			if hosts != 1 {
				t.Errorf("%d processes host the bus, want 1", hosts)
			}
		})
	}
}

func TestManyStartAtOnce(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	cfg := testConfig(t)
	var members []*process
	for i := range 6 {
		members = append(members, spawn(t, child{Config: cfg, Server: fmt.Sprint("s", i)}))
	}
	hosts := 0
	for _, p := range members {
		if p.ready().hosting() {
			hosts++
		}
	}
	if hosts != 1 {
		t.Errorf("%d processes host the bus, want 1", hosts)
	}
	c := newCaller(t, open(t, cfg))
	seen := map[string]bool{}
	for len(seen) < len(members) {
		who, err := c.call(ctx)
		if err != nil {
			t.Fatalf("after hearing of %v: %v", seen, err)
		}
		seen[who] = true
	}
}

// TestStoreSurvivesItsHost casts to a server that has been there, ends the host, and starts a new one.
func TestStoreSurvivesItsHost(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"memory", "files"} {
		t.Run(kept, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			cfg := testConfig(t)
			if kept == "files" {
				cfg.StoreDir = t.TempDir()
			}
			host := spawn(t, child{Config: cfg}).ready()
			server := transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"}
			client, err := embedded.Open(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			l, err := client.Listen(ctx, server, transport.ListenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(ctx); err != nil {
				t.Fatal(err)
			}
			for _, to := range []transport.Address{server, {Kind: transport.Topic, Topic: "compute"}} {
				if err := client.Send(ctx, to, &transport.Message{Method: "note to " + to.String()}); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.Close(ctx); err != nil {
				t.Fatal(err)
			}
			host.kill()
			again := open(t, cfg)
			if !again.Hosting() {
				t.Fatal("the bus runs elsewhere, though its host was killed")
			}
			err = again.Send(ctx, server, &transport.Message{Method: "late"})
			if kept == "memory" {
				if !errors.Is(err, transport.ErrNoListener) {
					t.Errorf("cast on a new bus: %v, want ErrNoListener", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if l, err = again.Listen(ctx, server, transport.ListenOptions{}); err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for range 3 {
				d, err := l.Next(ctx)
				if err != nil {
					t.Fatalf("after %v: %v", got, err)
				}
				got[d.Message.Method] = true
				if err := d.Ack(ctx); err != nil {
					t.Error(err)
				}
			}
			if len(got) != 3 {
				t.Errorf("got %v, want three casts", got)
			}
		})
	}
}

// TestTakeOverFromABrokerOpenToOthers: the sockets of a server on all addresses are IPv6's, and it is this user's
// all the same.
func TestTakeOverFromABrokerOpenToOthers(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	cfg := testConfig(t)
	b, err := embedded.NewBroker(embedded.BrokerConfig{Listen: fmt.Sprintf("0.0.0.0:%d", cfg.Port), RuntimeDir: cfg.RuntimeDir})
	if err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- b.Run(life) }()
	bus := open(t, cfg)
	if bus.Hosting() {
		t.Error("the client hosts the bus, though a broker does")
	}
	end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	topic := transport.Address{Kind: transport.Topic, Topic: "compute"}
	for !bus.Hosting() {
		if _, err := bus.Inspect(ctx, topic); ctx.Err() != nil {
			t.Fatalf("nobody took over: %v", err)
		}
	}
	soon, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := bus.Inspect(soon, topic); err != nil {
		t.Errorf("the bus that took over: %v", err)
	}
}
