package rabbit_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport/rabbit"
)

// Servers are replaced under load, each by the next: no call is lost, each cast runs once, and nothing begins at a server whose Run has
// returned. What runs calls its own server back, which serves that while it drains.
func TestRollingReplacementUnderLoad(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	type args struct {
		Home string `json:"home"`
		N    int    `json:"n"`
	}
	var (
		work = rpc.NewCall[args, string](rpc.Target{Topic: "stock"}, "work")
		back = rpc.NewCall[args, string](rpc.Target{Topic: "stock"}, "back")
		note = rpc.NewCast[args](rpc.Target{Topic: "stock"}, "note")

		inner = rpc.NewClient(openURL(t, url, rabbit.Config{}), rpc.ClientConfig{Timeout: 30 * time.Second})
		mu    sync.Mutex
		over  = map[string]bool{}
		notes = map[int]int{}
	)
	begin := func(server string) {
		mu.Lock()
		defer mu.Unlock()
		if over[server] {
			t.Errorf("a request began at %s, which had ended", server)
		}
	}
	type running struct {
		stop  context.CancelFunc
		ended chan error
	}
	serve := func(name string) running {
		server := rpc.NewServer(openURL(t, url, rabbit.Config{}), rpc.ServerConfig{Target: rpc.Target{Topic: "stock"}, Server: name, Workers: 4, Drain: 20 * time.Second},
			work.Handle(func(ctx context.Context, a args) (string, error) {
				begin(name)
				pause := time.NewTimer(time.Duration(a.N%20) * time.Millisecond)
				defer pause.Stop()
				<-pause.C
				return back.Call(ctx, inner.To(name), a)
			}),
			back.Handle(func(_ context.Context, a args) (string, error) {
				begin(name)
				return fmt.Sprint(name, " ", a.N), nil
			}),
			note.Handle(func(_ context.Context, a args) error {
				begin(name)
				mu.Lock()
				defer mu.Unlock()
				notes[a.N]++
				return nil
			}))
		if err := server.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		r := running{stop, make(chan error, 1)}
		go func() { r.ended <- server.Run(ctx) }()
		return r
	}

	now := serve("h0")
	client := rpc.NewClient(openURL(t, url, rabbit.Config{}), rpc.ClientConfig{Timeout: 30 * time.Second})
	load, enough := context.WithCancel(t.Context())
	var loaders sync.WaitGroup
	var calls, casts atomic.Int64
	for i := range 3 {
		loaders.Go(func() {
			for n := i; load.Err() == nil; n += 3 {
				if _, err := work.Call(t.Context(), client, args{N: n}); err != nil {
					t.Errorf("a call was lost: %v", err)
				}
				calls.Add(1)
			}
		})
	}
	loaders.Go(func() {
		for n := 0; load.Err() == nil; n++ {
			if err := note.Cast(t.Context(), client, args{N: n}); err != nil {
				t.Errorf("cast: %v", err)
			}
			casts.Add(1)
		}
	})
	var longest time.Duration
	for i := 1; i <= 6; i++ {
		next := serve(fmt.Sprintf("h%d", i))
		made := calls.Load()
		brokertest.Await(t, "more calls", func() bool { return calls.Load() > made+20 || t.Failed() })
		start := time.Now()
		now.stop()
		if err := <-now.ended; err != nil {
			t.Errorf("the drain of h%d: %v", i-1, err)
		}
		longest = max(longest, time.Since(start))
		mu.Lock()
		over[fmt.Sprintf("h%d", i-1)] = true
		mu.Unlock()
		now = next
	}
	enough()
	loaders.Wait()
	brokertest.Await(t, "all casts", func() bool { mu.Lock(); defer mu.Unlock(); return len(notes) == int(casts.Load()) })
	mu.Lock()
	for n, times := range notes {
		if times != 1 {
			t.Errorf("cast %d ran %d times", n, times)
		}
	}
	mu.Unlock()
	now.stop()
	if err := <-now.ended; err != nil {
		t.Error(err)
	}
	t.Logf("%d calls and %d casts, the longest drain took %s", calls.Load(), casts.Load(), longest)
}
