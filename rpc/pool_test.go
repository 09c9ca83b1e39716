package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// An unshared bus has listeners whose Next is for one goroutine at a time, and fails the test when two call it.
type unshared struct {
	transport.Transport
	t *testing.T
}

func (u unshared) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := u.Transport.Listen(ctx, from, o)
	return &unsharedListener{Listener: l, t: u.t}, err
}

func (u unshared) Redelivery() transport.Redelivery {
	return transport.Redelivery{Calls: true, Casts: true}
}

type unsharedListener struct {
	transport.Listener
	t   *testing.T
	one sync.Mutex
}

func (l *unsharedListener) Next(ctx context.Context) (*transport.Delivery, error) {
	if !l.one.TryLock() {
		l.t.Error("two ask a listener that cannot be shared")
	} else {
		defer l.one.Unlock()
	}
	runtime.Gosched()
	return l.Listener.Next(ctx)
}

func (l *unsharedListener) Leave(ctx context.Context) error {
	if leaver, ok := l.Listener.(transport.Leaver); ok {
		return leaver.Leave(ctx)
	}
	return errors.ErrUnsupported
}

// Whatever servers come and go, and however handlers end, each request runs once, and no more at a time than there are workers.
func TestEachRequestRunsOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { runsOnce(t, rand.New(rand.NewPCG(seed, 9))) })
		})
	}
}

type numbered struct {
	N int `json:"n"`
}

func runsOnce(t *testing.T, random *rand.Rand) {
	const requests = 200
	var mu sync.Mutex
	ran := map[int]int{}
	bus := memory.NewBus()
	method := rpc.NewCast[numbered](rpc.Target{Topic: "topic"}, "method")
	handler := func(workers int) rpc.Endpoint {
		running := 0
		return method.Handle(func(_ context.Context, a numbered) error {
			n := a.N
			mu.Lock()
			ran[n]++
			if running++; running > workers {
				t.Errorf("%d run at a time in a server of %d workers", running, workers)
			}
			mu.Unlock()
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				running--
			}()
			<-time.After(time.Duration(n%7) * time.Millisecond)
			switch n % 11 {
			case 3:
				runtime.Goexit()
			case 5:
				panic("handler")
			case 7:
				return errors.New("failed")
			}
			return nil
		})
	}
	serve := func(name string, lives time.Duration, workers int, alone, after bool) {
		own := bus.Open(memory.Config{})
		defer func() { _ = own.Close(context.Background()) }()
		var on transport.Transport = own
		if alone {
			on = unshared{own, t}
		}
		server := rpc.NewServer(on, rpc.ServerConfig{Target: rpc.Target{Topic: "topic"}, Server: name, Workers: workers, AckAfter: after}, handler(workers))
		ctx, cancel := context.WithTimeout(context.Background(), lives)
		defer cancel()
		if err := server.Run(ctx); err != nil {
			t.Error(err)
		}
	}
	var servers sync.WaitGroup
	for i := range 4 {
		lives, workers := time.Duration(1+random.IntN(60))*time.Millisecond, 1+random.IntN(5)
		alone, after := random.IntN(2) == 0, random.IntN(2) == 0
		servers.Go(func() { serve(fmt.Sprint(i), lives, workers, alone, after) })
	}
	alone, after := random.IntN(2) == 0, random.IntN(2) == 0
	servers.Go(func() { serve("last", time.Hour, 2, alone, after) })
	synctest.Wait()
	sender := bus.Open(memory.Config{})
	defer func() { _ = sender.Close(context.Background()) }()
	client := rpc.NewClient(sender, rpc.ClientConfig{})
	defer func() { _ = client.Close(context.Background()) }()
	for n := range requests {
		if err := method.Cast(t.Context(), client, numbered{n}); err != nil {
			t.Error(err)
		}
		<-time.After(time.Duration(random.IntN(1000)) * time.Microsecond)
	}
	servers.Wait()
	for n := range requests {
		if ran[n] != 1 {
			t.Errorf("request %d ran %d times", n, ran[n])
		}
	}
}
