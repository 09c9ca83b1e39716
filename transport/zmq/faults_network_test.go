//go:build zmq

package zmq_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A ledger is what senders were told of their casts.
type ledger struct {
	mu                       sync.Mutex
	taken, doubtful, refused map[string]bool
	late                     time.Duration // how much later than its deadline a Send has returned at most
}

func newLedger() *ledger {
	return &ledger{taken: map[string]bool{}, doubtful: map[string]bool{}, refused: map[string]bool{}}
}

// cast sends one, within d. Errors other than those allowed beside doubt fail the test.
func (l *ledger) cast(t testing.TB, client transport.Transport, to transport.Address, method string, d time.Duration, allowed ...error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	deadline, _ := ctx.Deadline()
	err := client.Send(ctx, to, cast(method))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = max(l.late, time.Since(deadline))
	switch {
	case err == nil:
		l.taken[method] = true
	case errors.Is(err, transport.ErrInDoubt):
		l.doubtful[method] = true
	default:
		l.refused[method] = true
		for _, a := range allowed {
			if errors.Is(err, a) {
				return
			}
		}
		t.Errorf("cast %s: %v", method, err)
	}
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.taken)
}

// progress waits until so many more casts were taken.
func (l *ledger) progress(t testing.TB, n int) {
	t.Helper()
	start := l.count()
	brokertest.Await(t, "casts to go on", func() bool { return l.count() >= start+n })
}

// settle compares it with what ran.
func (l *ledger) settle(t testing.TB, ran map[string]int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for m, n := range ran {
		if n > 1 {
			t.Errorf("%s ran %d times", m, n)
		}
		if !l.taken[m] && !l.doubtful[m] {
			t.Errorf("%s ran, and its sender was told that it did not", m)
		}
	}
	for m := range l.taken {
		if ran[m] == 0 {
			t.Errorf("%s was acknowledged and did not run", m)
		}
	}
	if l.late > atOnce {
		t.Errorf("a cast ended %v after its deadline", l.late)
	}
	t.Logf("%d casts acknowledged, %d in doubt, %d refused, %d ran; the latest ended %v after its deadline",
		len(l.taken), len(l.doubtful), len(l.refused), len(ran), max(l.late, 0))
}

// senders send casts until they are stopped.
func (l *ledger) senders(t testing.TB, client transport.Transport, d time.Duration, allowed ...error) (stop func()) {
	t.Helper()
	end := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
					l.cast(t, client, topic, fmt.Sprintf("s%d-%d", i, n), d, allowed...)
				}
			}
		})
	}
	var once sync.Once
	stop = func() { once.Do(func() { close(end); wg.Wait() }) }
	t.Cleanup(stop)
	return stop
}

func ranBy(workers ...*worker) map[string]int {
	ran := map[string]int{}
	for _, w := range workers {
		for _, m := range w.ran() {
			ran[m]++
		}
	}
	return ran
}

// Senders give up at about the time when they are answered, beside others that have time: nobody gets what is another's.
func TestGivingUpIsOnesOwn(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	startWorker(t, url, "a")
	client := open(t, url)
	patient := newLedger()
	stop := patient.senders(t, client, time.Minute)
	var hasty sync.WaitGroup
	for range 8 {
		hasty.Go(func() {
			for n := range 2000 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%20)*50*time.Microsecond)
				_ = client.Send(ctx, topic, cast("hasty"))
				cancel()
			}
		})
	}
	hasty.Wait()
	stop()
	if len(patient.doubtful) > 0 {
		t.Errorf("of senders that had time %d were given up, %d were not", len(patient.doubtful), len(patient.taken))
	}
}

// The directory goes away and comes back empty, and servers are killed meanwhile and afterwards.
func TestRedisAwayUnderLoad(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	url := "zmq+redis://" + node.Addr() + "/?rpc_zmq_bind_address=127.0.0.1&rpc_zmq_ipc_dir=" + t.TempDir()
	one, two, three := startWorker(t, url, "one"), startWorker(t, url, "two"), startWorker(t, url, "three")
	client := open(t, url)
	l := newLedger()
	stop := l.senders(t, client, 30*time.Second)
	l.progress(t, 100)
	node.Kill()
	l.progress(t, 100) // by what is known
	one.kill()
	l.progress(t, 100) // by those who are left
	node.Restart(t)    // it knows nobody
	l.progress(t, 100)
	four := startWorker(t, url, "four")
	two.kill()
	three.kill()
	l.progress(t, 100) // by the one that came after the outage
	stop()
	l.settle(t, ranBy(one, two, three, four))
	if len(four.ran()) == 0 {
		t.Error("the server that came after the outage got nothing")
	}
}

// proxied starts a worker behind a proxy, and returns the URL by which clients go through it.
func proxied(t testing.TB) (*worker, *brokertest.Proxy, string) {
	t.Helper()
	port := freeport.One(t)
	const options = "/?rpc_zmq_bind_address=127.0.0.1&zmq_heartbeat_interval=0.2&zmq_heartbeat_timeout=0.6&rpc_zmq_ipc_dir="
	proxy := brokertest.NewProxy(t, fmt.Sprintf("127.0.0.1:%d", port))
	w := startWorker(t, fmt.Sprintf("zmq://127.0.0.1:%d%s%s&rpc_zmq_min_port=%d&rpc_zmq_max_port=%d", port, options, t.TempDir(), port, port+1), "one")
	return w, proxy, "zmq://" + proxy.Addr() + options + t.TempDir()
}

// The network between a client and its only server breaks in every way that it can, and comes back.
func TestNetworkBreaksUnderLoad(t *testing.T) {
	t.Parallel()
	w, proxy, url := proxied(t)
	client := open(t, url)
	l := newLedger()
	stop := l.senders(t, client, 2*time.Second, transport.ErrNotSent)
	l.progress(t, 100)
	for range 3 {
		proxy.Reset()
		l.progress(t, 100)
	}
	proxy.Cut()
	brokertest.Await(t, "the cut to be noticed", func() bool { return client.Down() == 1 })
	proxy.Restore()
	l.progress(t, 100)
	proxy.HalfOpen()
	brokertest.Await(t, "the silence to be noticed", func() bool { return client.Down() == 1 })
	proxy.Forget()
	l.progress(t, 100)
	proxy.Drip(100, time.Millisecond)
	l.progress(t, 20)
	proxy.Drip(0, 0)
	l.progress(t, 100)
	stop()
	l.settle(t, ranBy(w))
}

// The network is away for longer than calls wait: each ends at its deadline, and none runs twice.
func TestCallsEndAtTheirDeadlines(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	const options = "/?rpc_zmq_bind_address=127.0.0.1&zmq_heartbeat_interval=0.2&zmq_heartbeat_timeout=0.6&rpc_zmq_ipc_dir="
	proxy := brokertest.NewProxy(t, addr.String())
	bus := open(t, fmt.Sprintf("zmq://%s%s%s&rpc_zmq_min_port=%d&rpc_zmq_max_port=%d", addr, options, t.TempDir(), addr.Port, addr.Port+1))
	client := rpc.NewClient(open(t, "zmq://"+proxy.Addr()+options+t.TempDir()), rpc.ClientConfig{})

	type args struct{ N int64 }
	target := rpc.Target{Topic: "work", Version: "1.0"}
	method := rpc.NewCall[args, int64](target, "count")
	var ran sync.Map
	server := rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "one"}, method.Handle(func(_ context.Context, a args) (int64, error) {
		n, _ := ran.LoadOrStore(a.N, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		return a.N, nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	if err := server.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server: %v", err)
		}
		_ = client.Close(context.Background())
	}()

	var next, answered, late, wrong atomic.Int64
	end := make(chan struct{})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				n := next.Add(1)
				limited, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
				deadline, _ := limited.Deadline()
				got, err := method.Call(limited, client, args{n})
				cancel()
				if time.Since(deadline) > atOnce {
					late.Add(1)
				}
				count, _ := ran.Load(n)
				switch {
				case err == nil && (got != n || count == nil):
					wrong.Add(1)
				case err == nil:
					answered.Add(1)
				case strings.Contains(err.Error(), "nobody"):
					t.Errorf("a server that lives is nobody: %v", err)
				}
			}
		})
	}
	progress := func() {
		t.Helper()
		start := answered.Load()
		brokertest.Await(t, "calls to go on", func() bool { return answered.Load() > start+50 })
	}
	calls := func(n int64) { // that are begun, and so have ended but for the last eight
		t.Helper()
		start := next.Load()
		brokertest.Await(t, "calls to end", func() bool { return next.Load() > start+n })
	}
	progress()
	proxy.HalfOpen()
	calls(16)
	proxy.Restore()
	progress()
	proxy.Cut()
	calls(16)
	proxy.Restore()
	progress()
	close(end)
	callers.Wait()
	if late.Load() > 0 || wrong.Load() > 0 {
		t.Errorf("of %d calls %d ended late, %d had an answer without having run", next.Load(), late.Load(), wrong.Load())
	}
	ran.Range(func(id, n any) bool {
		if n := n.(*atomic.Int64).Load(); n != 1 {
			t.Errorf("call %v ran %d times", id, n)
		}
		return true
	})
	t.Logf("%d calls, %d answered", next.Load(), answered.Load())
}

// What waits for a connection uses up its time, and is dropped when its sender has given up.
func TestWaitingUsesUpTime(t *testing.T) {
	t.Parallel()
	for name, framed := range map[string]bool{"on its way": true, "not on its way": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freeport.One(t)
			proxy := brokertest.NewProxy(t, at1(port))
			server, client := listed(t, port, proxy.Addr()), listed(t, 0, proxy.Addr())
			l, err := server.Listen(testContext(t), at("one"), transport.ListenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			next := func() *transport.Message {
				d, err := l.Next(testContext(t))
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Ack(testContext(t)); err != nil {
					t.Fatal(err)
				}
				return d.Message
			}
			if err := client.Send(testContext(t), topic, cast("first")); err != nil {
				t.Fatal(err)
			}
			next()
			proxy.HalfOpen()
			if !framed {
				brokertest.Await(t, "the connection to break", func() bool { return client.Down() > 0 })
			}
			send := func(method string, expires, patience time.Duration) <-chan error {
				sent := make(chan error, 1)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				go func() {
					defer cancel()
					m := cast(method)
					m.Expires = expires
					sent <- client.Send(ctx, topic, m)
				}()
				return sent
			}
			start := time.Now()
			kept := send("kept", 30*time.Second, 30*time.Second)
			if err := <-send("given up", 30*time.Second, 3*time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("while the network is away: %v", err)
			}
			proxy.Restore()
			if m := next(); m.Method != "kept" || m.Expires > 27*time.Second {
				t.Errorf("%s came %v after it was sent, and still has %v of 30s", m.Method, time.Since(start), m.Expires)
			}
			if err := <-kept; err != nil {
				t.Error(err)
			}
			if err := <-send("last", 0, 30*time.Second); err != nil {
				t.Error(err)
			}
			if m := next(); m.Method != "last" {
				t.Errorf("%s came, whose sender has given up", m.Method)
			}
		})
	}
}
