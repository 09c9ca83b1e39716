//go:build zmq

package zmq_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq"
)

// listed opens a member of the bus whose servers are at the endpoints, and which itself listens on the port; 0 = any.
func listed(t testing.TB, port int, endpoints string) *zmq.Conn {
	t.Helper()
	ports := ""
	if port != 0 {
		ports = fmt.Sprintf("&rpc_zmq_min_port=%d&rpc_zmq_max_port=%d", port, port+1)
	}
	return open(t, "zmq://"+endpoints+"/?rpc_zmq_bind_address=127.0.0.1&zmq_heartbeat_interval=0.1&zmq_heartbeat_timeout=0.3&rpc_zmq_ipc_dir="+t.TempDir()+ports)
}

func at1(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// A host that is there and answers nothing, as one behind a broken network, does not keep requests from the others.
func TestSilentHostIsPassedOver(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	port := freeport.One(t)
	endpoints := silent.Addr().String() + "," + at1(port)
	server, client := listed(t, port, endpoints), listed(t, 0, endpoints)
	l, err := server.Listen(testContext(t), at("one"), transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		start := time.Now()
		if err := client.Send(testContext(t), topic, cast(fmt.Sprint("m", i))); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > atOnce {
			t.Errorf("that took %s", took)
		}
		if _, err := l.Next(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := client.Send(ctx, transport.Address{Kind: transport.Topic, Topic: "other"}, cast("m")); !errors.Is(err, transport.ErrNotSent) {
		t.Errorf("cast to a topic that the silent host may serve: %v, want ErrNotSent", err)
	}
}

func TestNetworkBreaksAndHeals(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(p *brokertest.Proxy, wait func(n int)){
		"reset": func(p *brokertest.Proxy, wait func(n int)) {
			for range 5 {
				p.Reset()
				wait(20)
			}
		},
		"half-open": func(p *brokertest.Proxy, _ func(n int)) {
			p.HalfOpen()
			p.Forget()
		},
		"cut": func(p *brokertest.Proxy, _ func(n int)) {
			p.Cut()
			p.Restore()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freeport.One(t)
			proxy := brokertest.NewProxy(t, at1(port))
			server, client := listed(t, port, proxy.Addr()), listed(t, 0, proxy.Addr())
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			l, err := server.Listen(ctx, at("one"), transport.ListenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			ran, taken, doubtful := map[string]int{}, map[string]bool{}, map[string]bool{}
			var loops, senders sync.WaitGroup
			loops.Go(func() {
				for {
					d, err := l.Next(ctx)
					if err != nil {
						return
					}
					mu.Lock()
					ran[d.Message.Method]++
					mu.Unlock()
					_ = d.Ack(ctx)
				}
			})
			sending, stop := context.WithCancel(ctx)
			for i := range 8 {
				senders.Go(func() {
					for n := 0; sending.Err() == nil; n++ {
						m := fmt.Sprintf("s%d-%d", i, n)
						err := client.Send(ctx, topic, cast(m))
						mu.Lock()
						switch {
						case err == nil:
							taken[m] = true
						case errors.Is(err, transport.ErrInDoubt):
							doubtful[m] = true
						case !errors.Is(err, transport.ErrNoListener) && !errors.Is(err, transport.ErrNotSent):
							t.Errorf("cast: %v", err)
						}
						mu.Unlock()
					}
				})
			}
			wait := func(n int) {
				t.Helper()
				mu.Lock()
				start := len(taken)
				mu.Unlock()
				brokertest.Await(t, "casts to go on", func() bool {
					mu.Lock()
					defer mu.Unlock()
					return len(taken) >= start+n
				})
			}
			wait(200)
			interrupt(proxy, wait)
			wait(200)
			stop()
			senders.Wait()
			cancel()
			loops.Wait()
			for m, n := range ran {
				if n > 1 || !taken[m] && !doubtful[m] {
					t.Errorf("%s ran %d times (acknowledged %t, in doubt %t)", m, n, taken[m], doubtful[m])
				}
			}
			for m := range taken {
				if ran[m] != 1 {
					t.Errorf("%s was acknowledged and ran %d times", m, ran[m])
				}
			}
			if name != "cut" && len(doubtful) > 0 {
				t.Errorf("%d casts are in doubt, although both ends live", len(doubtful))
			}
			t.Logf("%d casts acknowledged, %d in doubt, %d ran", len(taken), len(doubtful), len(ran))
		})
	}
}

// A timerless context leaves its deadline to a timer of whoever waits, as those of package rpc do.
type timerless struct {
	context.Context //nolint:containedctx // It is one.
	deadline        time.Time
}

func (c timerless) Deadline() (time.Time, bool) { return c.deadline, true }
func (c timerless) Unarmed() <-chan struct{}    { return c.Done() }
func (c timerless) Err() error {
	if time.Now().Before(c.deadline) {
		return c.Context.Err()
	}
	return context.DeadlineExceeded
}

// No call outlives its context, whatever the network does.
func TestDeadlineHolds(t *testing.T) {
	t.Parallel()
	port := freeport.One(t)
	proxy := brokertest.NewProxy(t, at1(port))
	server, client := listed(t, port, proxy.Addr()), listed(t, 0, proxy.Addr())
	if _, err := server.Listen(testContext(t), at("one"), transport.ListenOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := client.Send(timerless{t.Context(), time.Now().Add(time.Minute)}, topic, cast("first")); err != nil {
			t.Fatal(err)
		}
	}
	proxy.HalfOpen()
	for i := range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if i%2 == 0 {
			ctx = timerless{t.Context(), time.Now().Add(300 * time.Millisecond)}
		}
		start := time.Now()
		err := client.Send(ctx, topic, cast("late"))
		if !errors.Is(err, transport.ErrInDoubt) && !errors.Is(err, transport.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cast into a network that swallows everything: %v", err)
		}
		if took := time.Since(start); took > atOnce {
			t.Errorf("it took %s", took)
		}
		cancel()
	}
}

// A list may have two names for one server, and the name of whoever reads it: it is one server.
func TestTwoNamesAreOneServer(t *testing.T) {
	t.Parallel()
	port := freeport.One(t)
	proxy := brokertest.NewProxy(t, at1(port)) // a name by which a server does not know itself
	endpoints := at1(port) + "," + proxy.Addr()
	server, client := listed(t, port, endpoints), listed(t, 0, endpoints)
	l, err := server.Listen(testContext(t), at("one"), transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	everybody := transport.Address{Kind: transport.Fanout, Topic: topic.Topic}
	for i, sender := range []transport.Transport{client, client, server, server, client} {
		if err := sender.Send(testContext(t), everybody, cast(fmt.Sprint("all-", i))); err != nil {
			t.Error(err)
		}
		done := make(chan error, 1)
		go func() { done <- sender.Send(testContext(t), topic, cast(fmt.Sprint("last-", i))) }()
		for _, want := range []string{"all-", "last-"} {
			d, err := l.Next(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Ack(testContext(t)); err != nil {
				t.Error(err)
			}
			if d.Message.Method != fmt.Sprint(want, i) {
				t.Fatalf("%s came, want %s%d", d.Message.Method, want, i)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if s := client.Statistics(); s.Connections != 1 || s.Reconnects != 0 {
		t.Errorf("%d connections, %d reconnects", s.Connections, s.Reconnects)
	}
}
