package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A drainer is a server that can be looked into, and stopped in stages.
type drainer struct {
	*rpc.Server
	stop  context.CancelFunc
	ended chan error
}

func (c *cloud) drainer(bus transport.Transport, config rpc.ServerConfig, e ...rpc.Endpoint) *drainer {
	c.t.Helper()
	config.Target.Topic, config.Logger = "compute", c.logger()
	ctx, stop := context.WithCancel(context.Background())
	d := &drainer{rpc.NewServer(bus, config, e...), stop, make(chan error, 1)}
	if err := d.Listen(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	go func() { d.ended <- d.Run(ctx) }()
	c.t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			c.t.Error(err)
		}
	})
	return d
}

// While a server drains the topic is others', and what is sent to the server itself is served: the work that it waits for
// may need that.
func TestDrainServesFollowUps(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		migrate := rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "compute"}, "migrate")
		commit := rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "compute"}, "commit")
		stale := rpc.NewCast[rpc.Args](rpc.Target{Topic: "compute"}, "stale")
		inner := c.newClient(rpc.ClientConfig{})
		heard := make(chan string, 10)
		endpoints := func(server string) []rpc.Endpoint {
			return []rpc.Endpoint{
				migrate.Handle(func(ctx context.Context, _ rpc.Args) (string, error) {
					<-time.After(5 * time.Second)
					return commit.Call(ctx, inner.To("h1"), nil)
				}),
				commit.Handle(func(context.Context, rpc.Args) (string, error) { return "committed at " + server, nil }),
				stale.Handle(func(context.Context, rpc.Args) error { heard <- server; return nil }),
			}
		}
		h1 := c.drainer(c.bus.Open(memory.Config{}), rpc.ServerConfig{Server: "h1", Workers: 2}, endpoints("h1")...)
		var result string
		ended := make(chan error, 1)
		go func() {
			var err error
			result, err = migrate.Call(t.Context(), c.client, nil)
			ended <- err
		}()
		synctest.Wait()
		c.serve(rpc.ServerConfig{Server: "h2"}, endpoints("h2")...)
		h1.stop()
		synctest.Wait()
		if err := h1.Ready(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("while it drains the server is ready: %v", err)
		}
		for range 10 {
			if got, err := commit.Call(t.Context(), c.client, nil); err != nil || got != "committed at h2" {
				t.Errorf("a call to the topic: %q, %v, want the other server's answer", got, err)
			}
		}
		if err := stale.Cast(t.Context(), c.client.Fanout(), nil); err != nil {
			t.Error(err)
		}
		if a, b := <-heard, <-heard; a == b {
			t.Errorf("a fanout was heard by %s twice", a)
		}
		start := time.Now()
		if err := <-h1.ended; err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("the drain: %v after %s, want the end of what ran", err, time.Since(start))
		}
		if err := <-ended; err != nil || result != "committed at h1" {
			t.Errorf("what ran: %q, %v, want the answer of the follow-up", result, err)
		}
		if got, err := commit.Call(t.Context(), c.client, nil); err != nil || got != "committed at h2" {
			t.Errorf("after the drain: %q, %v", got, err)
		}
	})
}

// Two servers take turns in being replaced under load. No call is lost, and none begins after its server's Run has returned.
func TestDrainsUnderLoadLoseNothing(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var mu sync.Mutex
		over := map[string]bool{}
		serve := func(name string) *drainer {
			return c.drainer(c.bus.Open(memory.Config{}), rpc.ServerConfig{Server: name, Workers: 3}, sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
				mu.Lock()
				if over[name] {
					t.Errorf("a request began at %s, which had ended", name)
				}
				mu.Unlock()
				return handleSleep(ctx, a)
			}))
		}
		ctx, stop := context.WithCancel(t.Context())
		var load sync.WaitGroup
		made := 0
		running := serve("h0")
		for i := range 8 { // more than there are workers
			load.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					if _, err := sleep.Call(t.Context(), c.client, sleepArgs{float64(1+(i+n)%3) / 100}); err != nil {
						t.Errorf("a call was lost: %v", err)
					}
					mu.Lock()
					made++
					mu.Unlock()
				}
			})
		}
		for i := range 20 {
			next := serve(fmt.Sprintf("h%d", i+1))
			<-time.After(100 * time.Millisecond)
			running.stop()
			if err := <-running.ended; err != nil {
				t.Error(err)
			}
			mu.Lock()
			over[fmt.Sprintf("h%d", i)] = true
			mu.Unlock()
			running = next
		}
		stop()
		load.Wait()
		running.stop()
		if err := <-running.ended; err != nil {
			t.Error(err)
		}
		if made < 500 {
			t.Errorf("only %d calls were made", made)
		}
	})
}

// What runs can be listed, and the list tells for whom; Abort does not wait for it.
func TestAbortEndsTheDrain(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		client := c.newClient(rpc.ClientConfig{Timeout: 2 * time.Hour})
		h1 := c.drainer(c.bus.Open(memory.Config{}), rpc.ServerConfig{Server: "h1", Drain: time.Hour}, sleep.Handle(handleSleep))
		who, err := rpc.NewRequestContext(map[string]string{"request_id": "req-1", "user_id": "ann"})
		if err != nil {
			t.Fatal(err)
		}
		for _, ctx := range []context.Context{rpc.WithContext(t.Context(), who), t.Context()} {
			go func() { _, _ = sleep.Call(ctx, client, sleepArgs{3000}) }()
			<-time.After(time.Second)
		}
		running := h1.Running()
		if len(running) != 2 || running[0].Context.RequestID() != "req-1" || running[0].For != 2*time.Second || running[1].Method != "sleep" {
			t.Errorf("running: %v", running)
		}
		h1.stop()
		<-time.After(time.Minute)
		h1.Abort()
		var drain *rpc.DrainError
		if err := <-h1.ended; !errors.As(err, &drain) || len(drain.Running) != 2 || drain.After != time.Minute ||
			!strings.Contains(err.Error(), "sleep (req-1) for 1m2s") {
			t.Errorf("the end: %v", err)
		}
		if running := h1.Running(); len(running) != 0 {
			t.Errorf("still running: %v", running)
		}
	})
}

// A server that is aborted before its drain has none.
func TestAbortBeforeTheDrain(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		h1 := c.drainer(c.bus.Open(memory.Config{}), rpc.ServerConfig{Server: "h1", Drain: time.Hour}, sleep.Handle(handleSleep))
		go func() { _, _ = sleep.Call(t.Context(), c.client, sleepArgs{3000}) }()
		synctest.Wait()
		h1.Abort()
		synctest.Wait()
		if n := len(h1.Running()); n != 1 {
			t.Errorf("%d run although only the drain was aborted, want 1", n)
		}
		start := time.Now()
		h1.stop()
		var drain *rpc.DrainError
		if err := <-h1.ended; !errors.As(err, &drain) || time.Since(start) != 0 {
			t.Errorf("the end: %v after %s", err, time.Since(start))
		}
	})
}

// A requirement of the drain that the bus cannot meet leaves the old way: end the subscription, then wait.
func TestDrainWithoutLeaving(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := doubtfulBus{c.bus.Open(memory.Config{}), nil} // whose listeners are no Leavers
		h1 := c.drainer(bus, rpc.ServerConfig{Server: "h1"}, sleep.Handle(handleSleep))
		ended := make(chan error, 1)
		go func() {
			_, err := sleep.Call(t.Context(), c.client, sleepArgs{5})
			ended <- err
		}()
		synctest.Wait()
		h1.stop()
		synctest.Wait()
		start := time.Now()
		own, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := sleep.Call(own, c.client.To("h1"), sleepArgs{0}); err == nil {
			t.Error("a call to the server was served after its subscription had ended")
		}
		if err := errors.Join(<-h1.ended, <-ended); err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("the drain: %v after %s", err, time.Since(start))
		}
	})
}

// A slowBus has listeners whose end the bus does not confirm.
type slowBus struct{ transport.Transport }

type slowListener struct{ transport.Listener }

func (b slowBus) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := b.Transport.Listen(ctx, from, o)
	return slowListener{l}, err
}

func (l slowListener) Close(ctx context.Context) error {
	<-ctx.Done()
	return errors.Join(context.Cause(ctx), l.Listener.Close(ctx))
}

// Abort cancels handlers also while the bus takes its time to end the subscription.
func TestAbortWhileTheSubscriptionEnds(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		h1 := c.drainer(slowBus{c.bus.Open(memory.Config{})}, rpc.ServerConfig{Server: "h1", Drain: time.Hour}, sleep.Handle(handleSleep))
		go func() { _, _ = sleep.Call(t.Context(), c.client, sleepArgs{3000}) }()
		synctest.Wait()
		h1.stop()
		<-time.After(10 * time.Second)
		start := time.Now()
		h1.Abort()
		var drain *rpc.DrainError
		if err := <-h1.ended; !errors.As(err, &drain) || time.Since(start) > 2*time.Second {
			t.Errorf("the end: %v after %s", err, time.Since(start))
		}
	})
}

// An eagerBus has listeners that return what they have, even when ctx has ended, as that of NATS.
type eagerBus struct{ transport.Transport }

type eagerListener struct{ transport.Listener }

func (b eagerBus) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := b.Transport.Listen(ctx, from, o)
	return eagerListener{l}, err
}

func (l eagerListener) Next(ctx context.Context) (*transport.Delivery, error) {
	now, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Nanosecond)
	defer cancel()
	if d, err := l.Listener.Next(now); err == nil {
		return d, nil
	}
	return l.Listener.Next(ctx)
}

// A server that is to stop begins nothing, whatever its bus still has for it: that is for others.
func TestNothingBeginsAfterTheEnd(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		begun := make(chan string, 100)
		serve := func(server string) rpc.Endpoint {
			return note.Handle(func(context.Context, echoArgs) error { begun <- server; return nil })
		}
		h1 := rpc.NewServer(eagerBus{c.bus.Open(memory.Config{})}, rpc.ServerConfig{Server: "h1", Target: rpc.Target{Topic: "compute"}}, serve("h1"))
		if err := h1.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if err := note.Cast(t.Context(), c.client, echoArgs{}); err != nil {
				t.Fatal(err)
			}
		}
		over, stop := context.WithCancel(t.Context())
		stop()
		if err := h1.Run(over); err != nil {
			t.Error(err)
		}
		h2 := c.drainer(c.bus.Open(memory.Config{}), rpc.ServerConfig{Server: "h2"}, serve("h2"))
		synctest.Wait()
		close(begun)
		n := 0
		for server := range begun {
			n++
			if server != "h2" {
				t.Errorf("begun by %s", server)
			}
		}
		if n != 10 {
			t.Errorf("%d were served, want 10", n)
		}
		h2.stop()
		if err := <-h2.ended; err != nil {
			t.Error(err)
		}
	})
}

// Where what is sent to a server itself never ceases, its drain ends all the same, and what it has begun meanwhile is not cut off.
func TestDrainUnderLoadOfItsOwn(t *testing.T) {
	t.Run("within Drain", func(t *testing.T) { drainUnderLoad(t, time.Minute, 0, 45*time.Second, time.Minute) })
	t.Run("Drain without end", func(t *testing.T) {
		drainUnderLoad(t, math.MaxInt64, time.Hour, time.Hour+50*time.Second, time.Hour+65*time.Second)
	})
}

// drainUnderLoad has a server stop while casts come without end, and one runs for long that came first.
func drainUnderLoad(t *testing.T, drain, ran, least, most time.Duration) {
	inCloud(t, func(c *cloud) {
		t := c.t
		h1 := c.drainer(c.bus.Open(memory.Config{}), rpc.ServerConfig{Server: "h1", Drain: drain}, sleep.Handle(handleSleep))
		ctx, cease := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() {
			if err := sleep.Cast(ctx, c.client.To("h1"), sleepArgs{ran.Seconds()}); err != nil {
				t.Error(err)
			}
			for ctx.Err() == nil {
				if err := sleep.Cast(ctx, c.client.To("h1"), sleepArgs{2}); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				<-time.After(time.Second)
			}
		})
		<-time.After(5 * time.Second)
		start := time.Now()
		h1.stop()
		if err := <-h1.ended; err != nil || time.Since(start) < least || time.Since(start) > most {
			t.Errorf("the drain: %v after %s, want %s to %s", err, time.Since(start), least, most)
		}
		cease()
		callers.Wait()
	})
}
