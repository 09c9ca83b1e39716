package rpc_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// As many handlers run at a time as oslo's executor_thread_pool_size has threads by default; the rest waits.
//
// conforms: CFG-04
func TestDefaultNumberOfWorkers(t *testing.T) {
	inCloud(t, func(c *cloud) {
		var running atomic.Int64
		free := make(chan struct{})
		c.serve(rpc.ServerConfig{}, note.Handle(func(context.Context, echoArgs) error {
			running.Add(1)
			<-free
			return nil
		}))
		for range 70 {
			if err := note.Cast(c.t.Context(), c.client, echoArgs{}); err != nil {
				c.t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := running.Load(); n != 64 {
			c.t.Errorf("%d handlers run, want 64", n)
		}
		close(free)
		synctest.Wait()
		if n := running.Load(); n != 70 {
			c.t.Errorf("%d handlers have run, want all 70", n)
		}
	})
}

// A burst leaves no goroutines behind, whether workers ask the listener one by one or together: those that nobody has needed for a while end,
// and more are made when more comes.
func TestWorkersEndAfterABurst(t *testing.T) {
	t.Parallel()
	for name, bus := range map[string]func(*cloud) transport.Transport{
		"one by one": func(c *cloud) transport.Transport { return alone{closingBus(c)} },
		"together":   closingBus,
	} {
		t.Run(name, func(t *testing.T) { inCloud(t, func(c *cloud) { endAfterABurst(c, bus(c)) }) })
	}
}

func endAfterABurst(c *cloud, bus transport.Transport) {
	free := make(chan struct{})
	server := rpc.NewServer(bus, rpc.ServerConfig{Target: rpc.Target{Topic: "compute"}, Server: "h1", Workers: 20},
		note.Handle(func(context.Context, echoArgs) error {
			<-free
			return nil
		}))
	ctx, stop := context.WithCancel(c.t.Context())
	ended := make(chan error, 1)
	if err := server.Listen(ctx); err != nil {
		c.t.Fatal(err)
	}
	go func() { ended <- server.Run(ctx) }()
	burst := func(n int) {
		c.t.Helper()
		for range n {
			if err := note.Cast(c.t.Context(), c.client, echoArgs{}); err != nil {
				c.t.Fatal(err)
			}
		}
		synctest.Wait()
		if got, want := server.Workers(), min(n+1, 20); got != want {
			c.t.Errorf("%d requests have %d workers, want %d", n, got, want)
		}
		<-time.After(5 * time.Minute) // virtual: what works is not spared
		if got, want := server.Workers(), min(n+1, 20); got != want {
			c.t.Errorf("%d requests have %d workers after a while, want %d", n, got, want)
		}
		for range n {
			free <- struct{}{}
		}
		synctest.Wait()
		<-time.After(5 * time.Minute)
		if got := server.Workers(); got != 1 {
			c.t.Errorf("%d workers are left of %d requests after a while, want 1", got, n)
		}
	}
	burst(12)
	burst(30) // ten wait for a worker
	stop()
	if err := <-ended; err != nil {
		c.t.Error(err)
	}
}

// What comes while workers are told to end has no more of them than there may be, though those get it that were to end.
func TestNoMoreWorkersThanAllowedWhileSomeEnd(t *testing.T) {
	inCloud(t, func(c *cloud) {
		const workers = 10
		life, end := context.WithCancel(c.t.Context())
		defer end()
		var running atomic.Int64
		free := make(chan struct{})
		server := rpc.NewServer(busy{closingBus(c), life}, rpc.ServerConfig{Target: rpc.Target{Topic: "compute"}, Server: "h1", Workers: workers},
			note.Handle(func(context.Context, echoArgs) error {
				running.Add(1)
				defer running.Add(-1)
				<-free
				return nil
			}))
		ctx, stop := context.WithCancel(c.t.Context())
		ended := make(chan error, 1)
		if err := server.Listen(ctx); err != nil {
			c.t.Fatal(err)
		}
		go func() { ended <- server.Run(ctx) }()
		for _, burst := range []int{workers, 3 * workers} {
			for range burst {
				if err := note.Cast(c.t.Context(), c.client, echoArgs{}); err != nil {
					c.t.Fatal(err)
				}
			}
			synctest.Wait()
			if n := running.Load(); n != workers {
				c.t.Errorf("%d handlers run, want %d", n, workers)
			}
			for range burst {
				free <- struct{}{}
			}
			<-time.After(5 * time.Minute)
		}
		stop()
		end()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	})
}

// busy is a bus with something for everybody who asks and is about to be told not to.
type busy struct {
	transport.Transport
	life context.Context //nolint:containedctx // a listener's
}

func (b busy) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := b.Transport.Listen(ctx, from, o)
	return busyListener{l, b.life}, err
}

type busyListener struct {
	transport.Listener
	life context.Context //nolint:containedctx // see above
}

func (busyListener) SharesNext() {}

func (l busyListener) Next(context.Context) (*transport.Delivery, error) {
	return l.Listener.Next(l.life)
}

// One worker is enough for what comes one at a time, and is there when the next comes after a long time.
func TestTheOnlyWorkerStays(t *testing.T) {
	inCloud(t, func(c *cloud) {
		c.serve(rpc.ServerConfig{Workers: 1}, echo.Handle(func(_ context.Context, a echoArgs) (json.RawMessage, error) { return a.Arg, nil }))
		for range 3 {
			if _, err := echo.Call(c.t.Context(), c.client, echoArgs{Arg: json.RawMessage("1")}); err != nil {
				c.t.Fatal(err)
			}
			<-time.After(time.Hour)
		}
	})
}

// alone is a bus whose listeners one goroutine at a time may ask, as those on RabbitMQ.
type alone struct{ transport.Transport }

func (a alone) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := a.Transport.Listen(ctx, from, o)
	return struct{ transport.Listener }{l}, err
}

func closingBus(c *cloud) transport.Transport {
	bus := c.bus.Open(memory.Config{})
	c.t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			c.t.Error(err)
		}
	})
	return bus
}
