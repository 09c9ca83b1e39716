package bench_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/bench"
	"github.com/goslo/goslo/internal/load"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "lab"

// A lab is servers and a client on a bus in memory.
type lab struct {
	bus    transport.Transport
	client *rpc.Client
	server *bench.Server
}

func newLab(t *testing.T, c bench.ServerConfig) *lab {
	t.Helper()
	bus, err := goslo.Open(t.Context(), "memory:///"+rand.Text()) // a bus of its own
	if err != nil {
		t.Fatal(err)
	}
	c.Topic, c.Name = topic, "h"
	server, err := bench.NewServer(bus, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	l := &lab{bus: bus, client: rpc.NewClient(bus, rpc.ClientConfig{}), server: server}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the servers ended with %v", err)
		}
		if err := errors.Join(l.client.Close(context.Background()), bus.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return l
}

// config is of 100-byte messages to all servers of the lab.
func (l *lab) config(t *testing.T, kind bench.Kind) bench.Config {
	t.Helper()
	cargo, err := bench.NewCargo(100)
	if err != nil {
		t.Fatal(err)
	}
	rc, err := bench.Context(10)
	if err != nil {
		t.Fatal(err)
	}
	return bench.Config{Kind: kind, Bus: l.bus, Topic: topic, Cargo: cargo, Context: rc, Report: bench.Ask(l.client, topic, l.server.Names())}
}

func start(t *testing.T, c bench.Config, client *rpc.Client, p load.Plan) *bench.Run {
	t.Helper()
	if p.Interval == 0 {
		p.Interval = time.Minute // samples take their time with the race detector
	}
	r, err := c.Start(t.Context(), client, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestServersReceiveWhatIsSent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind    bench.Kind
		reaches int64
		direct  bool
	}{{bench.Call, 1, false}, {bench.Call, 1, true}, {bench.Cast, 1, false}, {bench.Fanout, 3, false}, {bench.Notify, 1, false}} {
		t.Run(fmt.Sprint(test.kind, " direct ", test.direct), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, bench.ServerConfig{Servers: 3, Notifications: test.kind == bench.Notify})
			c := l.config(t, test.kind)
			c.Receivers = int(test.reaches)
			if test.direct {
				c.Servers = l.server.Names()
			}
			r := start(t, c, l.client, load.Plan{Callers: 3, Count: 90, Warmup: 20 * time.Millisecond})
			if r.Operations != 90 || r.Failed != 0 || r.Lost != nil {
				t.Fatalf("%d operations, errors %v, lost %v", r.Operations, r.Errors, r.Lost)
			}
			if want := 90 * test.reaches; r.Expected != want || r.Received != want || r.Delay.TotalCount() != want {
				t.Errorf("received %d of %d, %d delays; want %d", r.Received, r.Expected, r.Delay.TotalCount(), want)
			}
			if r.Took <= 0 || r.Took > 20*time.Second || time.Duration(r.Delay.Max()) > 20*time.Second {
				t.Errorf("it took %v, with delays up to %v", r.Took, time.Duration(r.Delay.Max()))
			}
			if !r.Same || r.Servers == nil || r.Servers.Untold == nil {
				t.Errorf("one process: %v, servers %+v", r.Same, r.Servers)
			}
			reports, err := l.server.Report(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, report := range reports {
				names = append(names, report.Server)
			}
			if diff := cmp.Diff([]string{"h", "h-2", "h-3"}, names); diff != "" {
				t.Error(diff)
			}
			if total := l.server.Total(); total <= 90*test.reaches {
				t.Errorf("%d received in all: the warm-up was not sent", total)
			}
		})
	}
}

// conforms: SIM-08
func TestServersInTurn(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Servers: 2})
	c := l.config(t, bench.Call)
	c.Servers = l.server.Names()
	received := map[string]int64{}
	ask := c.Report
	c.Report = func(ctx context.Context, run string, done bool) ([]bench.Report, error) {
		all, err := ask(ctx, run, done)
		for _, r := range all {
			received[r.Server] = r.Received
		}
		return all, err
	}
	start(t, c, l.client, load.Plan{Callers: 4, Rate: 1000, Count: 200})
	if received["h"] == 0 || received["h-2"] == 0 || received["h"]+received["h-2"] != 200 {
		t.Errorf("received %v", received)
	}
}

// TestAStallOfAServerShows has all workers of the server busy: at a rate, that is in the latencies of what was due meanwhile.
func TestAStallOfAServerShows(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Workers: 1, Wait: 20 * time.Millisecond}) // 50 a second
	c := l.config(t, bench.Call)
	r := start(t, c, l.client, load.Plan{Callers: 2, Rate: 100, Count: 50})
	// The last was due after half a second, and had its turn after a second at the least.
	if p := time.Duration(r.Latency.ValueAtPercentile(90)); r.Operations != 50 || p < 400*time.Millisecond {
		t.Errorf("%d operations, p90 %v", r.Operations, p)
	}
	closed := start(t, c, l.client, load.Plan{Callers: 2, Count: 20})
	if p := time.Duration(closed.Latency.ValueAtPercentile(50)); p > 400*time.Millisecond {
		t.Errorf("p50 %v in a closed loop", p)
	}
}

func TestCastsThatAreNotReceivedAreMissed(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Workers: 1, Wait: 500 * time.Millisecond})
	c := l.config(t, bench.Cast)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Settle = time.Millisecond
	r, err := c.Start(ctx, l.client, load.Plan{Callers: 1, Count: 20, Interval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if r.Expected != 20 || r.Received >= 20 {
		t.Errorf("received %d of %d at once, from a server that takes half a second for each", r.Received, r.Expected)
	}
}

// What is on its way when a run is interrupted is waited for.
func TestInterruptedCastsAreReceived(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Workers: 1, Wait: 20 * time.Millisecond})
	ctx, interrupt := context.WithCancel(t.Context())
	r, err := l.config(t, bench.Cast).Start(ctx, l.client, load.Plan{
		Callers: 2, Rate: 500, Interval: 200 * time.Millisecond, Duration: time.Minute,
		Progress: func(load.Sample) { interrupt() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Operations < 20 {
		t.Fatalf("interrupted: %v, after %d casts", r.Interrupted, r.Operations)
	}
	if r.Received != r.Expected || r.Lost != nil {
		t.Errorf("received %d of %d, lost %v", r.Received, r.Expected, r.Lost)
	}
}

func TestErrorsHaveClasses(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Wait: time.Minute})
	c := l.config(t, bench.Call)
	c.Report = nil
	r := start(t, c, l.client, load.Plan{Count: 2, Timeout: 20 * time.Millisecond})
	if r.Failed != 2 || !strings.HasPrefix(r.Errors[0].Class, "timeout: ") {
		t.Errorf("errors %+v of a server that takes a minute", r.Errors)
	}
	if r.Servers != nil || r.Received != -1 {
		t.Errorf("nobody was asked, and servers are %+v, and received %d", r.Servers, r.Received)
	}
	c.Topic = "nobody"
	if r = start(t, c, l.client, load.Plan{Count: 1}); len(r.Errors) != 1 || r.Errors[0].Class != "no server" {
		t.Errorf("errors %+v of a topic that nobody serves", r.Errors)
	}
	c.Topic = topic
	c.Request = &bench.Request{Method: "nosuch", Args: []byte("{}")}
	if r = start(t, c, l.client, load.Plan{Count: 1}); len(r.Errors) != 1 || r.Errors[0].Class != "version" {
		t.Errorf("errors %+v of a method in no namespace", r.Errors)
	}
	for class, err := range map[string]error{
		"failed: nova.exception.NotFound": rpc.ErrorClass{Module: "nova.exception", Name: "NotFound"}.Errorf("x"),
		"no such method":                  &rpc.NoSuchMethodError{Method: "x"},
		"no server":                       fmt.Errorf("x: %w", transport.ErrNoListener),
		"bus: not sent":                   &rpc.DeliveryError{Cause: transport.ErrNotSent},
		"bus: in doubt":                   fmt.Errorf("x: %w", transport.ErrInDoubt),
		"bus: rejected":                   transport.ErrRejected,
		"bus: closed":                     transport.ErrClosed,
		"timeout":                         context.DeadlineExceeded,
		"timeout: not started":            load.ErrNotStarted,
		"other":                           errors.New("x"),
	} {
		if got := bench.Class(err); got != class {
			t.Errorf("%v is of class %q, want %q", err, got, class)
		}
	}
}

func TestMethodsOfOthers(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{})
	c := l.config(t, bench.Call)
	c.Report, c.Cargo = nil, nil
	c.Request = &bench.Request{Target: rpc.Target{Namespace: "goslo.bench", Version: "1.0"}, Method: "echo", Args: []byte(`{"cargo": "x"}`)}
	for _, c.Kind = range []bench.Kind{bench.Call, bench.Cast, bench.Fanout} {
		if r := start(t, c, l.client, load.Plan{Count: 10}); r.Operations != 10 {
			t.Errorf("%s: errors %+v", c.Kind, r.Errors)
		}
	}
	c.Kind = bench.Notify
	if _, err := c.Start(t.Context(), l.client, load.Plan{Count: 1}); err == nil {
		t.Error("a notification has a method")
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Servers: 4})
	for _, expected := range []int{0, 4} {
		got, err := bench.Find(t.Context(), l.bus, l.client, topic, expected)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"h", "h-2", "h-3", "h-4"}, got); diff != "" {
			t.Errorf("%d expected: %s", expected, diff)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := bench.Find(ctx, l.bus, l.client, topic, 5); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4 servers answered") {
		t.Errorf("five expected: %v", err)
	}
	var none *rpc.NoServerError
	if _, err := bench.Find(t.Context(), l.bus, l.client, "nobody", 0); !errors.As(err, &none) {
		t.Errorf("a topic that nobody serves: %v", err)
	}
}

// conforms: SIM-09
func TestServersKnowWhenBenchesAreDone(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Servers: 2})
	ask := bench.Ask(l.client, topic, l.server.Names())
	for _, step := range []struct {
		run  string
		done bool
	}{{"", false}, {"one", false}, {"two", false}, {"one", true}} {
		if _, err := ask(t.Context(), step.run, step.done); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-l.server.Done():
		t.Fatal("done, and one is not")
	default:
	}
	if _, err := ask(t.Context(), "two", true); err != nil {
		t.Fatal(err)
	}
	<-l.server.Done()
}

// conforms: SIM-05
func TestNotificationsAreGivenBackOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Notifications: true, Requeue: true})
	r := start(t, l.config(t, bench.Notify), l.client, load.Plan{Count: 5})
	if r.Received != 5 {
		t.Errorf("received %d of 5", r.Received)
	}
	if p := time.Duration(r.Delay.Min()); p < 100*time.Millisecond {
		t.Errorf("delay of %v, and each was given back", p)
	}
	if _, err := bench.NewServer(l.bus, bench.ServerConfig{Requeue: true, Batch: notify.Batch{Size: 2}}); err == nil {
		t.Error("a batch is given back one by one")
	}
}

func TestNotificationsInBatches(t *testing.T) {
	t.Parallel()
	l := newLab(t, bench.ServerConfig{Notifications: true, Silent: true, Batch: notify.Batch{Size: 10, Timeout: 50 * time.Millisecond}})
	c := l.config(t, bench.Notify)
	c.Report = bench.Listening(l.server)
	if r := start(t, c, l.client, load.Plan{Callers: 4, Count: 25}); r.Received != 25 || r.Lost != nil {
		t.Errorf("received %d of 25, lost %v", r.Received, r.Lost)
	}
}
