package amqp1_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport/amqp1"
)

const (
	callLimit = 8 * time.Second  // deadline of each call of the load
	castLimit = 30 * time.Second // of each cast
	grace     = 10 * time.Second // what a busy machine may add
)

// A traffic is a client that calls and casts at a steady rate, and the one server that it does so to. Every request has a
// key of its own.
type traffic struct {
	client *rpc.Client
	call   rpc.Call[keyArgs, string]
	cast   rpc.Cast[keyArgs]
	halt   chan struct{}
	work   sync.WaitGroup

	mu       sync.Mutex
	executed map[string]int
	accepted []string // casts that returned nil
	answered int      // calls that did
	failed   map[string]int
	late     []string      // requests that ended after their deadline
	success  chan struct{} // closed at the next call that is answered
}

type keyArgs struct {
	Key string `json:"key"`
}

// newTraffic starts server and client, each on a connection of its own.
func newTraffic(t *testing.T, serverURL, clientURL string) *traffic {
	t.Helper()
	target := rpc.Target{Topic: "load", Version: "1.0"}
	f := &traffic{
		call: rpc.NewCall[keyArgs, string](target, "work"), cast: rpc.NewCast[keyArgs](target, "note"),
		halt: make(chan struct{}), executed: map[string]int{}, failed: map[string]int{}, success: make(chan struct{}),
	}
	end := f.serve(t, serverURL)
	f.client = rpc.NewClient(quiet(t, clientURL), rpc.ClientConfig{})
	t.Cleanup(func() {
		soon, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := f.client.Close(soon); err != nil {
			t.Error(err)
		}
		end()
	})
	return f
}

// quiet opens a connection whose log is shown when the test fails.
func quiet(t *testing.T, url string) *amqp1.Conn {
	t.Helper()
	c := config(t, url+"?idle_timeout=4&connection_retry_interval_max=2")
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	conn, err := amqp1.Open(testContext(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		soon, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := conn.Close(soon); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func (f *traffic) serve(t *testing.T, url string) (end func()) {
	t.Helper()
	s := rpc.NewServer(quiet(t, url), rpc.ServerConfig{Target: rpc.Target{Topic: "load", Version: "1.0"}, Server: "one", Drain: time.Second},
		f.call.Handle(func(_ context.Context, a keyArgs) (string, error) {
			f.ran(a.Key)
			return a.Key, nil
		}),
		f.cast.Handle(func(_ context.Context, a keyArgs) error {
			f.ran(a.Key)
			return nil
		}))
	if err := s.Listen(testContext(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func (f *traffic) ran(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.executed[key]++
}

// start begins with the load: 100 requests a second, half of them calls, half of them to the server by name.
func (f *traffic) start() {
	f.work.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for number := 0; ; number++ {
			select {
			case <-f.halt:
				return
			case <-tick.C:
			}
			client := f.client
			if number%4 < 2 {
				client = client.To("one")
			}
			f.work.Go(func() { f.request(client, number) })
		}
	})
}

func (f *traffic) request(client *rpc.Client, number int) {
	key, limit := fmt.Sprintf("call %d", number), callLimit
	if number%2 == 1 {
		key, limit = fmt.Sprintf("cast %d", number), castLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	began := time.Now()
	var err error
	if number%2 == 1 {
		err = f.cast.Cast(ctx, client, keyArgs{key})
	} else {
		_, err = f.call.Call(ctx, client, keyArgs{key})
	}
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	if took > limit+grace {
		f.late = append(f.late, fmt.Sprintf("%s after %v", key, took))
	}
	switch {
	case err != nil:
		text, _, _ := strings.Cut(err.Error(), ":")
		f.failed[fmt.Sprintf("%s: %T", text, err)]++
	case number%2 == 1:
		f.accepted = append(f.accepted, key)
	default:
		f.answered++
		close(f.success)
		f.success = make(chan struct{})
	}
}

// awaitSuccess waits for so many calls to be answered from now on.
func (f *traffic) awaitSuccess(t *testing.T, calls int) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for range calls {
		f.mu.Lock()
		success := f.success
		f.mu.Unlock()
		select {
		case <-success:
		case <-limit.C:
			t.Fatal("no call is answered any more")
		}
	}
}

// stop ends the load, and the requests that are under way.
func (f *traffic) stop() {
	close(f.halt)
	f.work.Wait()
}

// missing are the accepted casts that nobody has executed yet.
func (f *traffic) missing() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.accepted), func(key string) bool { return f.executed[key] > 0 })
}

// check holds the accounts against what may happen: no request ran twice, or ended after its deadline, and, where
// nothing may be lost, each cast that was accepted ran.
func (f *traffic) check(t *testing.T, lossless bool) {
	t.Helper()
	if lossless {
		brokertest.Await(t, "all accepted casts to run", func() bool { return len(f.missing()) == 0 })
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(f.executed)) {
		if n := f.executed[key]; n > 1 {
			t.Errorf("%s ran %d times", key, n)
		}
	}
	if len(f.late) > 0 {
		t.Errorf("%d requests ended after their deadline: %v", len(f.late), f.late)
	}
	if f.answered == 0 || len(f.accepted) == 0 {
		t.Errorf("%d calls were answered and %d casts accepted: no load", f.answered, len(f.accepted))
	}
	t.Logf("%d calls answered, %d casts accepted, %d executed, failed: %v", f.answered, len(f.accepted), len(f.executed), f.failed)
}

// A breach is a fault and its repair.
type breach struct {
	name string
	do   func(t *testing.T, client, server *brokertest.Proxy, pause func())
}

// networkBreaches are what a network does, to the client's connection and to the server's.
var networkBreaches = []breach{
	{"the client's connection is cut", func(_ *testing.T, client, _ *brokertest.Proxy, pause func()) {
		client.Cut()
		pause()
		client.Restore()
	}},
	{"the client's connection is reset", func(_ *testing.T, client, _ *brokertest.Proxy, pause func()) {
		client.Reset()
		pause()
		client.Reset()
	}},
	{"the client's connection is half-open", func(_ *testing.T, client, _ *brokertest.Proxy, pause func()) {
		client.Forget()
		pause()
		pause()
	}},
	{"the server's connection is cut", func(_ *testing.T, _, server *brokertest.Proxy, pause func()) {
		server.Cut()
		pause()
		server.Restore()
	}},
	{"the server's connection is half-open", func(_ *testing.T, _, server *brokertest.Proxy, pause func()) {
		server.HalfOpen()
		pause()
		pause()
		server.Restore()
	}},
	{"everything is slow and in pieces", func(_ *testing.T, client, server *brokertest.Proxy, pause func()) {
		for _, p := range []*brokertest.Proxy{client, server} {
			p.SetLatency(50 * time.Millisecond)
			p.Drip(2000, time.Millisecond)
		}
		pause()
		client.Restore()
		server.Restore()
	}},
}

// breaking runs the load through a fault.
func breaking(t *testing.T, address string, url func(address string) string, lossless bool, f func(t *testing.T, client, server *brokertest.Proxy, pause func())) {
	t.Helper()
	client, server := brokertest.NewProxy(t, address), brokertest.NewProxy(t, address)
	load := newTraffic(t, url(server.Addr()), url(client.Addr()))
	load.start()
	load.awaitSuccess(t, 20)
	f(t, client, server, func() {
		hold := time.NewTimer(3 * time.Second) // how long the fault lasts
		<-hold.C
	})
	load.awaitSuccess(t, 20)
	load.stop()
	load.check(t, lossless)
}

// Over RabbitMQ, which keeps messages and takes back what was not settled, nothing is lost and nothing runs twice,
// whatever the network does to either side.
//
// conforms: AMQP1-10, AMQP1-11, AMQP1-15
func TestNetworkFaultsOnRabbitMQ(t *testing.T) {
	t.Parallel()
	for _, b := range networkBreaches {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			node := brokertest.RabbitAMQP1(t)
			vhost := strings.ReplaceAll(strings.ReplaceAll(b.name, " ", "-"), "'", "")
			breaking(t, node.Addr(), func(address string) string { return "amqp://guest:guest@" + address + "/" + vhost }, true, b.do)
		})
	}
}

// Proton's broker gives up what it had sent to a server that goes away, so that of faults on that side it is only
// asked that nothing runs twice and no call outlives its deadline.
func TestNetworkFaultsOnProton(t *testing.T) {
	t.Parallel()
	for _, b := range networkBreaches {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			node := brokertest.NewProton(t)
			lossless := !strings.Contains(b.name, "server's")
			breaking(t, node.Addr(), func(address string) string { return "amqp://" + address + "/" }, lossless, b.do)
		})
	}
}

// conforms: AMQP1-15
func TestRabbitMQIsKilledAndPaused(t *testing.T) { //nolint:tparallel // The subtests share the node that they break.
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{Plugins: []string{brokertest.AMQP1Plugin}})
	url := func(address string) string { return "amqp://guest:guest@" + address + "/" }
	for name, do := range map[string]func(t *testing.T, pause func()){
		"killed": func(t *testing.T, _ func()) {
			t.Helper()
			node.Eval(t, "mnesia:sync_log()") // declarations are written down seconds later; elsewhere they are older than that
			node.Kill()
			node.Restart(t)
		},
		"paused": func(t *testing.T, pause func()) {
			t.Helper()
			node.Pause(t)
			pause()
			node.Resume(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			breaking(t, node.Addr(), url, true, func(t *testing.T, _, _ *brokertest.Proxy, pause func()) {
				t.Helper()
				do(t, pause)
			})
		})
	}
}

// Proton's broker loses with its life what it had accepted; nothing runs twice, no call outlives its deadline, and
// clients and servers find it again.
func TestProtonIsKilled(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	breaking(t, node.Addr(), func(address string) string { return "amqp://" + address + "/" }, false, func(t *testing.T, _, _ *brokertest.Proxy, pause func()) {
		t.Helper()
		node.Kill()
		pause()
		node.Restart(t)
	})
}

// A call to a server that vanishes ends with its deadline, and one that is monitored long before.
//
// conforms: AMQP1-04
func TestServerVanishesInMidCall(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	network := brokertest.NewProxy(t, node.Addr())
	begun := make(chan struct{}, 2)
	target := rpc.Target{Topic: "mortal"}
	slow := rpc.NewCall[struct{}, string](target, "slow")
	s := rpc.NewServer(quiet(t, "amqp://"+network.Addr()+"/"), rpc.ServerConfig{Target: target, Server: "one", Drain: time.Millisecond}, slow.Handle(func(ctx context.Context, _ struct{}) (string, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return "", ctx.Err()
	}))
	if err := s.Listen(testContext(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx) }()
	client := rpc.NewClient(quiet(t, node.URL()), rpc.ClientConfig{})
	t.Cleanup(func() {
		soon, end := context.WithTimeout(context.Background(), 10*time.Second)
		defer end()
		if err := client.Close(soon); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Log(err) // its links are gone with the network
		}
	})
	ended := make(chan error, 2)
	for _, c := range []*rpc.Client{client, client.Monitored(2 * time.Second)} {
		limit := 6 * time.Second
		if c != client {
			limit = time.Minute
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			_, err := slow.Call(ctx, c, struct{}{})
			ended <- err
		}()
	}
	<-begun
	<-begun
	network.Cut()
	cut := time.Now()
	for range 2 {
		if err := <-ended; err == nil || time.Since(cut) > 6*time.Second+grace {
			t.Errorf("after %v: %v", time.Since(cut), err)
		}
	}
}
