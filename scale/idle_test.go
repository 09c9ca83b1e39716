package scale_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// What is called: the servers of one topic, as compute hosts are.
var (
	compute  = rpc.Target{Topic: "compute", Version: "6.3"}
	wait     = rpc.NewCall[waitArgs, string](compute, "wait")
	echo     = rpc.NewCall[echoArgs, string](compute, "echo")
	refresh  = rpc.NewCast[echoArgs](compute, "refresh")
	someArgs = echoArgs{"0123456789"}
)

type waitArgs struct {
	Instance string `json:"instance"`
}

type echoArgs struct {
	Arg string `json:"arg"`
}

// A fleet is many servers of one topic in this process, on one transport.
type fleet struct {
	servers []*rpc.Server
	running sync.WaitGroup
	stop    context.CancelFunc
	failed  atomic.Pointer[error]
}

func serverName(i int) string { return fmt.Sprintf("host-%04d", i) }

// launch starts n servers, all at once, and returns when every one of them listens.
func launch(t *testing.T, on transport.Transport, n int, endpoints ...rpc.Endpoint) *fleet {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	f := &fleet{stop: stop}
	var listening sync.WaitGroup
	for i := range n {
		s := rpc.NewServer(on, rpc.ServerConfig{Target: compute, Server: serverName(i), Drain: time.Minute}, endpoints...)
		f.servers = append(f.servers, s)
		listening.Go(func() {
			if err := s.Listen(ctx); err != nil {
				f.failed.Store(&err)
				return
			}
			f.running.Go(func() {
				if err := s.Run(ctx); err != nil {
					f.failed.Store(&err)
				}
			})
		})
	}
	listening.Wait()
	t.Cleanup(f.end)
	f.check(t)
	return f
}

// end stops the servers, and waits for them.
func (f *fleet) end() {
	f.stop()
	f.running.Wait()
}

func (f *fleet) check(t *testing.T) {
	t.Helper()
	if err := f.failed.Load(); err != nil {
		t.Fatal(*err)
	}
}

// What an idle server may cost: the goal is 64 KiB and 3 goroutines: Run's, the worker that asks for requests and, on RabbitMQ, the listener's.
const idleGoalBytes = 64 << 10

var mostGoroutines = map[string]float64{"memory": 2, "RabbitMQ": 3, "NATS": 2}

// checking is how many goroutines there may be for each server besides, of listeners that check themselves at the moment.
const checking = 0.75

// measureIdle has many servers in one process, on one transport, and then many calls that wait for their answers, in the same process.
func measureIdle(t *testing.T, p *page) {
	servers, calls := size(1000, 40), size(10000, 400)
	p.say("%d servers of one topic on one transport, and %d calls that wait in the same process, client and server.", servers, calls)
	var rows [][]string
	onEveryBus(t, func(t *testing.T, b *bus) {
		r := idleOn(t, b, servers, calls)
		connections, declares := "-", "-"
		if b.broker != nil {
			connections = count(r.held.Connections)
			declares = fmt.Sprintf("%d queues, %.0f/s", r.held.Declared, float64(r.held.Declared)/r.listening.Seconds())
		}
		rows = append(rows, []string{
			b.name, kib(r.idle.memory() / int64(servers)), fmt.Sprintf("%.2f", float64(r.idle.Goroutines)/float64(servers)),
			connections, seconds(r.listening), declares,
			millis(r.listenCPU / time.Duration(servers)), millis(r.listenBroker / time.Duration(servers)),
			kib(r.waiting.memory() / int64(calls)), fmt.Sprintf("%.2f", float64(r.waiting.Goroutines)/float64(calls)), seconds(r.sending), seconds(r.answering),
			kib(r.after.memory() / int64(servers)), fmt.Sprintf("%.2f", float64(r.after.Goroutines)/float64(servers)),
		})
	})
	p.table([]string{
		"bus", "idle server: heap and stacks", "goroutines", "connections", "all listen after", "declared", "our CPU for each", "broker's",
		"waiting call: heap and stacks", "goroutines", "all wait after", "all answered after",
		"a server afterwards: heap and stacks", "goroutines",
	}, rows)
}

// idleFigures are what idleOn measures.
type idleFigures struct {
	idle, waiting, after          usage // of servers that wait; of calls besides; of servers after that
	listening, sending, answering time.Duration
	listenCPU, listenBroker       time.Duration
	held                          holdings // after listening, less what was there before
}

func idleOn(t *testing.T, b *bus, servers, calls int) idleFigures {
	var r idleFigures
	on := b.open(t)
	client := rpc.NewClient(on, rpc.ClientConfig{Timeout: 10 * time.Minute})
	var held holdings
	if b.broker != nil {
		held = b.broker.holds(t)
	}
	var running atomic.Int64
	release := make(chan struct{})
	endpoint := wait.Handle(func(ctx context.Context, a waitArgs) (string, error) {
		running.Add(1)
		select {
		case <-release:
			return a.Instance, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	before, own, broker, began := used(t), cpuOf(t, os.Getpid()), b.cpu(t), time.Now()
	f := launch(t, on, servers, endpoint)
	r.listening, r.listenCPU, r.listenBroker = time.Since(began), cpuOf(t, os.Getpid())-own, b.cpu(t)-broker
	quiet(t)
	r.idle = used(t).since(before)
	if b.broker != nil {
		r.held = b.broker.holds(t)
		assertHoldings(t, r.held, servers)
		r.held.Declared -= held.Declared
	}
	if got := float64(r.idle.Goroutines) / float64(servers); got > mostGoroutines[b.name]+checking {
		t.Errorf("%s: an idle server has %.1f goroutines; %.0f are enough", b.name, got, mostGoroutines[b.name])
	}
	if *fullFlag && r.idle.memory()/int64(servers) > idleGoalBytes {
		t.Errorf("%s: an idle server takes %s; the goal is %s", b.name, kib(r.idle.memory()/int64(servers)), kib(idleGoalBytes))
	}

	var answered atomic.Int64
	var callers sync.WaitGroup
	began = time.Now()
	for i := range calls {
		callers.Go(func() {
			instance := fmt.Sprint("instance-", i)
			got, err := wait.Call(context.Background(), client.To(serverName(i%servers)), waitArgs{instance})
			if err != nil || got != instance {
				t.Errorf("call %d: answered %q, %v", i, got, err)
				return
			}
			answered.Add(1)
		})
	}
	brokertest.Await(t, "every call runs", func() bool { return running.Load() == int64(calls) || t.Failed() })
	r.sending = time.Since(began)
	r.waiting = used(t).since(before).since(r.idle)
	began = time.Now()
	close(release)
	callers.Wait()
	r.answering = time.Since(began)
	if answered.Load() != int64(calls) {
		t.Errorf("%d of %d calls were answered", answered.Load(), calls)
	}
	if *fullFlag && b.name != "memory" { // whose workers share the listener, and stay
		brokertest.Await(t, "workers that the calls needed have ended", func() bool {
			return runtime.NumGoroutine()-before.Goroutines < servers*int(mostGoroutines[b.name]+2)
		})
	}
	quiet(t)
	r.after = used(t).since(before)

	if err := client.Close(t.Context()); err != nil {
		t.Error(err)
	}
	f.end()
	f.check(t)
	if err := on.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if b.broker != nil {
		b.broker.leftNothing(t)
	}
	if left := used(t).since(before).Goroutines; left > 8 {
		t.Errorf("%s: %d goroutines are left of %d servers and %d calls", b.name, left, servers, calls)
	}
	return r
}

// assertHoldings compares what one process with so many servers has on the broker with what it needs: two connections, a channel for each
// listener, three queues for each server, of which one is everybody's, and their consumers.
func assertHoldings(t *testing.T, h holdings, servers int) {
	t.Helper()
	if h.Connections != 2 {
		t.Errorf("one process has %d connections; two are enough", h.Connections)
	}
	if most := servers + 8; h.Channels > most {
		t.Errorf("%d servers have %d channels; %d are enough", servers, h.Channels, most)
	}
	if want := 2*servers + 1; h.Queues != want {
		t.Errorf("%d servers have %d queues, not %d", servers, h.Queues, want)
	}
	if want := 3 * servers; h.Consumers != want {
		t.Errorf("%d servers have %d consumers, not %d", servers, h.Consumers, want)
	}
}

// quiet waits until goroutines that have just ended are gone. Some come and go all the time: listeners check themselves.
func quiet(t *testing.T) {
	t.Helper()
	last, same := -1, 0
	brokertest.Await(t, "goroutines come to rest", func() bool {
		n := runtime.NumGoroutine()
		if n >= last-last/100-2 && n <= last+last/100+2 {
			same++
		} else {
			last, same = n, 0
		}
		return same >= 10
	})
}
