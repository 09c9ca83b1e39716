package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A bus that answers questions about itself in its own way.
type inspected struct {
	*memory.Transport

	inspect func(context.Context) (transport.AddressState, error)
}

func (i inspected) Inspect(ctx context.Context, _ transport.Address) (transport.AddressState, error) {
	return i.inspect(ctx)
}

func (c *cloud) inspectedClient(config rpc.ClientConfig, inspect func(context.Context) (transport.AddressState, error)) *rpc.Client {
	bus := c.bus.Open(memory.Config{})
	client := rpc.NewClient(inspected{bus, inspect}, config)
	c.t.Cleanup(func() {
		if err := errors.Join(client.Close(context.Background()), bus.Close(context.Background())); err != nil {
			c.t.Error(err)
		}
	})
	return client
}

// A reply that comes in time counts, even if the caller is busy asking the bus what became of its request.
func TestReplyDuringALookAtTheBus(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "slow"})
		hangs := func(ctx context.Context) (transport.AddressState, error) {
			<-ctx.Done()
			return transport.AddressState{}, ctx.Err()
		}
		client := c.inspectedClient(rpc.ClientConfig{Timeout: 10 * time.Second}, hangs)
		monitored := c.inspectedClient(rpc.ClientConfig{Timeout: time.Minute, Monitor: 10 * time.Second}, hangs)
		for range 20 {
			for client, after := range map[*rpc.Client]time.Duration{
				client:    9900 * time.Millisecond,
				monitored: 10100 * time.Millisecond, // late, but there
			} {
				ended := make(chan error, 1)
				go func() {
					_, err := echo.Call(t.Context(), client, echoArgs{})
					ended <- err
				}()
				d := p.next()
				<-time.After(after)
				p.send(transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{ID: d.Message.ID, Ending: true})
				if err := <-ended; err != nil {
					t.Fatalf("a reply after %s: %v", after, err)
				}
			}
		}
	})
}

// What a timed-out call says of where it had come to is what the bus knows, and no more.
func TestPhaseIsWhatTheBusKnows(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "silent"})
		for _, test := range []struct {
			state  transport.AddressState
			phase  rpc.Phase
			detail string // "" = none
		}{
			{transport.AddressState{}, rpc.Delivered, "queue is gone"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: -1}, rpc.Delivered, ""},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: -1}, rpc.Delivered, ""},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: -1}, rpc.Delivered, "nobody listens there now"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: 3}, rpc.Queued, "3 messages wait"},
			{transport.AddressState{Exists: true, Listeners: -1, Waiting: 0}, rpc.Taken, "no message waits"},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: 3}, rpc.Queued, "start the service"},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: 3}, rpc.Queued, "2 listen"},
			{transport.AddressState{Exists: true, Listeners: 0, Waiting: 0}, rpc.Taken, "died"},
			{transport.AddressState{Exists: true, Listeners: 2, Waiting: 0}, rpc.Taken, "2 listen"},
		} {
			client := c.inspectedClient(rpc.ClientConfig{Timeout: time.Second}, func(context.Context) (transport.AddressState, error) {
				return test.state, nil
			})
			_, err := echo.Call(t.Context(), client, echoArgs{})
			var e *rpc.TimeoutError
			if !errors.As(err, &e) || e.Phase != test.phase {
				t.Errorf("%+v: %v, want the phase %q", test.state, err, test.phase)
				continue
			}
			if !strings.Contains(e.Detail, test.detail) || (test.detail == "") != (e.Detail == "") || strings.Contains(e.Detail, "-1") {
				t.Errorf("%+v: %q, want %q", test.state, e.Detail, test.detail)
			}
		}
	})
}

// A bus some of whose deliveries cannot be acknowledged, or not be given back.
type unsettled struct {
	*memory.Transport

	ack, requeue func(d *transport.Delivery) error
}

func (u unsettled) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := u.Transport.Listen(ctx, from, o)
	return unsettledListener{l, u}, err
}

type unsettledListener struct {
	transport.Listener

	bus unsettled
}

func (l unsettledListener) Next(ctx context.Context) (*transport.Delivery, error) {
	d, err := l.Listener.Next(ctx)
	if err != nil {
		return nil, err
	}
	wrapped := *d
	wrapped.Settler = unsettledSettler{d, l.bus}
	return &wrapped, nil
}

type unsettledSettler struct {
	d   *transport.Delivery
	bus unsettled
}

func (s unsettledSettler) Ack(ctx context.Context) error {
	if s.bus.ack != nil {
		if err := s.bus.ack(s.d); err != nil {
			return err
		}
	}
	return s.d.Ack(ctx)
}

func (s unsettledSettler) Requeue(ctx context.Context) error {
	if s.bus.requeue != nil {
		return errors.Join(s.d.Ack(ctx), s.bus.requeue(s.d))
	}
	return s.d.Requeue(ctx)
}

// run runs a server over a bus of its own until the returned function is called.
func (c *cloud) run(bus transport.Transport, config rpc.ServerConfig, e ...rpc.Endpoint) (stop func() error) {
	c.t.Helper()
	config.Target.Topic, config.Server, config.Logger = "compute", "h1", c.logger()
	server := rpc.NewServer(bus, config, e...)
	if err := server.Listen(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, bus.Close(context.Background()))
	})
	c.t.Cleanup(func() { _ = stop() })
	return stop
}

// A request whose acknowledgement fails does not run; it runs when it comes again, even when it does so
// before the first acknowledgement has failed.
// conforms: RPC-SERVER-08, DUP-08, DUP-09
func TestNotAcknowledgedNotRun(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var acks, runs, given atomic.Int32
		lost := errors.New("the connection is lost")
		c.run(unsettled{
			Transport: c.bus.Open(memory.Config{}),
			ack: func(d *transport.Delivery) error {
				if acks.Add(1) > 1 {
					return nil
				}
				if err := d.Requeue(t.Context()); err != nil { // the bus notices first
					t.Error(err)
				}
				<-time.After(time.Second)
				return lost
			},
			requeue: func(*transport.Delivery) error { given.Add(1); return nil },
		}, rpc.ServerConfig{}, note.Handle(func(ctx context.Context, _ echoArgs) error {
			if !rpc.RequestFrom(ctx).Redelivered {
				t.Error("the first delivery ran, although its acknowledgement failed")
			}
			runs.Add(1)
			return nil
		}))
		if err := note.Cast(t.Context(), c.client, echoArgs{}); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Second)
		if runs.Load() != 1 || acks.Load() != 2 || given.Load() != 0 {
			t.Errorf("%d runs, %d acknowledgements, %d given back; want 1, 2, 0", runs.Load(), acks.Load(), given.Load())
		}
		if log := c.log.String(); !strings.Contains(log, "could not be acknowledged") {
			t.Errorf("the log says %s", log)
		}
	})
}

// The memory for duplicates is bounded, belongs to one server, and holds more than upstream's 16.
// conforms: DUP-01, DUP-02, ODD-27
func TestMemoryForDuplicates(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var ran atomic.Int32
		handler := note.Handle(func(context.Context, echoArgs) error { ran.Add(1); return nil })
		c.serve(rpc.ServerConfig{Server: "h1"}, handler)
		c.serve(rpc.ServerConfig{Server: "h2"}, handler)
		p := c.peer(replyAddress)
		send := func(server string, id int) {
			at := topicAddress
			at.Server = server
			p.send(at, &transport.Message{Method: "note", Version: "1.0", UniqueID: strconv.Itoa(id), Args: json.RawMessage(`{}`)})
		}
		expect := func(why string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := ran.Swap(0); got != want {
				t.Errorf("%s: %d ran, want %d", why, got, want)
			}
		}
		for id := range 10_000 {
			send("h1", id)
		}
		expect("all new", 10_000)
		for id := 9_000; id < 10_000; id++ {
			send("h1", id)
		}
		expect("the last thousand again", 0)
		send("h2", 9_999)
		expect("another server's", 1)
		send("h1", 0)
		expect("one long ago", 1)
	})
}

// A process may have a thousand servers, as a test of a cloud does.
func TestIdleServerIsSmall(t *testing.T) { //nolint:paralleltest // It measures the heap.
	bus := memory.NewBus().Open(memory.Config{})
	const n = 100
	servers := make([]*rpc.Server, n)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range servers {
		servers[i] = rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: strconv.Itoa(i)}, echo.Handle(handleEcho))
	}
	after := heap()
	if each := (int64(after) - int64(before)) / n; each > 16<<10 { //nolint:gosec // heaps are smaller than that
		t.Errorf("an idle server takes %d bytes", each)
	}
	runtime.KeepAlive(servers)
}

// A handler whose own call was refused, by another server or by its pin, does not refuse its caller's.
func TestRefusalsOfOthersAreFailures(t *testing.T) {
	t.Parallel()
	inner := rpc.Local(getConsole.Handle(getConsoleOutput))
	nosuch := rpc.NewCall[rpc.Args, any](compute, "nosuch")
	for why, test := range map[string]struct {
		client *rpc.Client
		method rpc.Call[rpc.Args, any]
		class  string
	}{
		"no such method": {inner, rpc.NewCall[rpc.Args, any](compute.Since("6.1"), "nosuch"), "RemoteError"},
		"a version":      {inner, rpc.NewCall[rpc.Args, any](compute.Since("7.0"), "nosuch"), "RemoteError"},
		"a pin":          {inner.Pin("5.0"), nosuch, "RPCVersionCapError"},
	} {
		outer := rpc.Local(whoami.Handle(func(ctx context.Context, _ struct{}) (string, error) {
			_, err := test.method.Call(ctx, test.client, nil)
			return "", err
		}))
		_, err := whoami.Call(t.Context(), outer, struct{}{})
		var (
			remote   *rpc.RemoteError
			noMethod *rpc.NoSuchMethodError
			version  *rpc.VersionError
		)
		if errors.As(err, &noMethod) || errors.As(err, &version) || !errors.As(err, &remote) {
			t.Errorf("%s: the caller got %v, want a failure of the method it called", why, err)
			continue
		}
		if remote.Class != (rpc.ErrorClass{Module: "oslo_messaging.rpc.client", Name: test.class}) || !strings.Contains(remote.Message, "nosuch") {
			t.Errorf("%s: %+v", why, remote)
		}
	}
}

// Only a probe of a method that does not exist is quiet; a method of such a name fails as others do.
// conforms: RPC-SERVER-15
func TestProbes(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		probe := rpc.NewCall[struct{}, any](target, "probe_ignore_errors")
		c.serve(rpc.ServerConfig{Server: "without"}, echo.Handle(handleEcho))
		c.serve(rpc.ServerConfig{Server: "with"}, probe.Handle(func(context.Context, struct{}) (any, error) {
			return nil, errors.New("broken")
		}))
		for _, test := range []struct {
			server string
			errors int
		}{{"without", 0}, {"with", 1}} {
			if _, err := probe.Call(t.Context(), c.client.To(test.server), struct{}{}); err == nil {
				t.Errorf("%s: no error", test.server)
			}
			if n := strings.Count(c.log.String(), "level=ERROR"); n != test.errors {
				t.Errorf("%s: %d errors in the log: %s", test.server, n, c.log)
			}
		}
	})
}

// conforms: VER-06
func TestUnreadableVersions(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.bus.Open(memory.Config{})
		defer func() { _ = bus.Close(context.Background()) }()
		for why, s := range map[string]*rpc.Server{
			"of the server": rpc.NewServer(bus, rpc.ServerConfig{Target: target.Since("6"), Server: "h"}),
			"of a method": rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h"},
				rpc.NewCall[rpc.Args, any](target.Since("1.x"), "m").Handle(func(context.Context, rpc.Args) (any, error) { return nil, nil })),
			"of an endpoint": rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h"}, rpc.NewEndpoint(rpc.Target{Version: "two"})),
		} {
			if err := s.Listen(t.Context()); err == nil {
				t.Errorf("%s: Listen took it", why)
			}
		}
		c.serve(rpc.ServerConfig{}, echo.Handle(handleEcho))
		p := c.peer(replyAddress)
		for _, version := range []string{"1", "x", "1.x", "1.0.x"} {
			p.send(topicAddress, &transport.Message{Method: "echo", Version: version, Args: json.RawMessage(`{}`), ID: "1", ReplyTo: p.in.Addr()})
			m := p.next().Message
			if !m.Ending || !strings.Contains(string(m.Failure), `"ValueError"`) {
				t.Errorf("the version %q asked for: %s %s", version, m.Result, m.Failure)
			}
		}
	})
}

func TestServerRunsOnce(t *testing.T) {
	inCloud(t, func(c *cloud) {
		bus := c.bus.Open(memory.Config{})
		defer func() { _ = bus.Close(context.Background()) }()
		server := rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h"})
		ctx, cancel := context.WithCancel(c.t.Context())
		if err := server.Listen(ctx); err != nil {
			c.t.Fatal(err)
		}
		cancel()
		if err := server.Run(ctx); err != nil {
			c.t.Errorf("the first Run: %v", err)
		}
		if err := server.Run(c.t.Context()); err == nil || !strings.Contains(err.Error(), "has run already") {
			c.t.Errorf("the second Run: %v", err)
		}
	})
}

// A stop does not wait twice: closing the subscription and waiting for handlers share Drain.
// conforms: RPC-SERVER-20
func TestDrainIsOneTime(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		stop := c.run(stuck{c.bus.Open(memory.Config{})}, rpc.ServerConfig{Drain: 10 * time.Second}, sleep.Handle(handleSleep))
		if err := sleep.Cast(t.Context(), c.client, sleepArgs{100}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		var drain *rpc.DrainError
		if err := stop(); !errors.As(err, &drain) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stop: %v", err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the drain took %s", took)
		}
	})
}

// A bus that is away when its listeners are closed.
type stuck struct{ *memory.Transport }

type stuckListener struct{ transport.Listener }

func (s stuck) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := s.Transport.Listen(ctx, from, o)
	return stuckListener{l}, err
}

func (s stuckListener) Close(ctx context.Context) error {
	<-ctx.Done()
	return errors.Join(ctx.Err(), s.Listener.Close(ctx))
}

// At a stop, what waits for a worker goes back to the bus, for another server; where it cannot, its caller hears of it at once.
// conforms: RPC-SERVER-21
func TestStopLosesNoRequest(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		for _, takesBack := range []bool{true, false} {
			bus := unsettled{Transport: c.bus.Open(memory.Config{})}
			if !takesBack {
				bus.requeue = func(*transport.Delivery) error { return errors.ErrUnsupported }
			}
			stop := c.run(bus, rpc.ServerConfig{Workers: 1}, sleep.Handle(handleSleep))
			ended := make(chan error, 2)
			for range 2 {
				go func() {
					_, err := sleep.Call(t.Context(), c.client, sleepArgs{5})
					ended <- err
				}()
				synctest.Wait()
			}
			start := time.Now()
			stopped := make(chan error, 1)
			go func() { stopped <- stop() }()
			if takesBack {
				synctest.Wait()
				stop := c.serve(rpc.ServerConfig{Server: "h2"}, sleep.Handle(handleSleep))
				for range 2 {
					if err := <-ended; err != nil {
						t.Errorf("a request that was given back: %v", err)
					}
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			} else {
				err := <-ended
				if !errors.Is(err, rpc.ErrorClass{Module: "oslo_messaging.exceptions", Name: "MessageDeliveryFailure"}) || time.Since(start) != 0 {
					t.Errorf("a request that could not be given back: %v after %s", err, time.Since(start))
				}
				if err := <-ended; err != nil {
					t.Errorf("the running request: %v", err)
				}
			}
			if err := <-stopped; err != nil {
				t.Errorf("stop: %v", err)
			}
		}
	})
}

// conforms: CTX-04
func TestOddContexts(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		who := rpc.NewCall[rpc.Args, json.RawMessage](target, "who")
		c.serve(rpc.ServerConfig{}, who.Handle(func(ctx context.Context, _ rpc.Args) (json.RawMessage, error) {
			return rpc.ContextFrom(ctx).JSON(), nil
		}))
		p := c.peer(replyAddress)
		for raw, want := range map[string]string{
			"":                `{"client_timeout":4}`,
			" ":               `{"client_timeout":4}`,
			"null":            `{"client_timeout":4}`,
			"[1]":             `{"client_timeout":4}`,
			`"x"`:             `{"client_timeout":4}`,
			" { } ":           `{"client_timeout":4}`,
			"{\n}\n":          `{"client_timeout":4}`,
			`{"a":{}}`:        `{"a":{},"client_timeout":4}`,
			"{\"a\": \"{\" }": `{"a": "{","client_timeout":4}`,
		} {
			// A failure logs the request id, which must not break on it either.
			for _, method := range []string{"nosuch", "who"} {
				p.send(topicAddress, &transport.Message{
					Method: method, Version: "1.0", Context: json.RawMessage(raw), ID: "1", ReplyTo: p.in.Addr(), Monitor: 4 * time.Second,
				})
				m := p.next().Message
				if method == "who" && strings.TrimSpace(string(m.Result)) != want {
					t.Errorf("%q arrives as %s %s, want %s", raw, m.Result, m.Failure, want)
				}
			}
		}
	})
}

// A context that ends for a reason of its own is told from others by the usual errors, and by the reason.
func TestEndsWithACause(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
			defer func() { <-time.After(time.Millisecond) }() // virtual time makes the deadlines of both sides one instant
			return handleSleep(ctx, a)
		}))
		reason := errors.New("the user has left")
		var (
			delivery *rpc.DeliveryError
			timeout  *rpc.TimeoutError
		)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		for range 2 { // the second time it has ended before
			if _, err := sleep.Call(ctx, c.client, sleepArgs{9}); !errors.As(err, &delivery) || !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
				t.Errorf("cancelled: %v", err)
			}
		}
		late, done := context.WithTimeoutCause(t.Context(), time.Second, reason)
		defer done()
		for _, phase := range []rpc.Phase{rpc.Taken, rpc.NotSent} {
			if _, err := sleep.Call(late, c.client, sleepArgs{9}); !errors.As(err, &timeout) || timeout.Phase != phase || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("too late: %v, want the phase %q", err, phase)
			}
		}
	})
}

// conforms: DISP-16, DISP-18
func TestOddRequests(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		raw := rpc.NewCall[json.RawMessage, json.RawMessage](target, "raw")
		c.serve(rpc.ServerConfig{},
			raw.Handle(func(_ context.Context, a json.RawMessage) (json.RawMessage, error) { return a, nil }),
			sleep.Handle(handleSleep))
		p := c.peer(replyAddress)
		for _, test := range []struct{ why, method, args, result, class string }{
			{"no args", "raw", "", "{}", ""},
			{"null args", "raw", "null", "", "AttributeError"},
			{"an array", "raw", "[1]", "", "AttributeError"},
			{"an argument of the wrong type", "sleep", `{"seconds":"x"}`, "", "TypeError"},
			{"no JSON", "sleep", `{`, "", "TypeError"},
			{"no method", "", "{}", "", "TypeError"},
		} {
			p.send(topicAddress, &transport.Message{
				Method: test.method, Version: "1.0", Args: json.RawMessage(test.args), ID: "1", ReplyTo: p.in.Addr(),
			})
			m := p.next().Message
			if !m.Ending || string(m.Result) != test.result || !strings.Contains(string(m.Failure), test.class) || (test.class == "") != (len(m.Failure) == 0) {
				t.Errorf("%s: %+v, want %s%s", test.why, m, test.result, test.class)
			}
		}
		// A request with half of what an answer needs is a cast.
		p.send(topicAddress, &transport.Message{Method: "raw", Version: "1.0", ReplyTo: p.in.Addr(), Monitor: 2 * time.Second})
		p.send(topicAddress, &transport.Message{Method: "sleep", Version: "1.0", Args: json.RawMessage(`{"seconds":9}`), ReplyTo: p.in.Addr(), Monitor: 2 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if d, err := p.in.Next(ctx); err == nil {
			t.Errorf("a request without an id was answered: %+v", d.Message)
		}
	})
}

// A call that ends before its handler does ends in the same errors without a bus as on one.
func TestLocalDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := rpc.Local(sleep.Handle(handleSleep))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var timeout *rpc.TimeoutError
		if _, err := sleep.Call(ctx, client, sleepArgs{9}); !errors.As(err, &timeout) || timeout.Elapsed != time.Second {
			t.Errorf("a deadline: %v", err)
		}
		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		if _, err := sleep.Call(gone, client, sleepArgs{9}); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancellation: %v", err)
		}
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Targets are values: what is derived differs in what was given alone, and the original stays.
// conforms: TGT-01, TGT-03, TGT-05
func TestTargetsAreValues(t *testing.T) {
	t.Parallel()
	old := rpc.Target{Exchange: "e", Topic: "t", Namespace: "n", Version: "1.0"}
	derived := old.Since("1.1")
	if derived != (rpc.Target{Exchange: "e", Topic: "t", Namespace: "n", Version: "1.1"}) {
		t.Errorf("derived %v", derived)
	}
	if old != (rpc.Target{Exchange: "e", Topic: "t", Namespace: "n", Version: "1.0"}) || old == derived || old.Since("1.1") != derived {
		t.Errorf("%v and %v", old, derived)
	}
	if (rpc.Target{}) != rpc.Target(struct{ Exchange, Topic, Namespace, Version string }{}) {
		t.Error("an empty target has something set")
	}
}

// Derived clients override what they are given, inherit the rest, and leave their origin alone.
// conforms: TGT-09, RPC-CLIENT-02, RPC-CLIENT-06, RPC-CLIENT-07, RPC-CLIENT-09
func TestDerivedClients(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var sent rpc.Request
		method := rpc.NewCast[rpc.Args](rpc.Target{Exchange: "own", Topic: "compute", Namespace: "n", Version: "1.4"}, "m")
		call := rpc.NewCall[rpc.Args, any](rpc.Target{Topic: "compute", Version: "1.4"}, "m")
		var left time.Duration
		see := func(rpc.Func) rpc.Func {
			return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
				sent = *r
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return json.RawMessage("null"), nil
			}
		}
		base := c.newClient(rpc.ClientConfig{Pin: "1.4", Timeout: 7 * time.Second, Monitor: 2 * time.Second, Interceptors: []rpc.Interceptor{see}})
		cast := func(client *rpc.Client) rpc.Request {
			t.Helper()
			sent = rpc.Request{}
			if err := method.Cast(t.Context(), client, nil); err != nil {
				t.Error(err)
			}
			return sent
		}
		if got := cast(base); got.Target != (rpc.Target{Exchange: "own", Topic: "compute", Namespace: "n", Version: "1.4"}) || got.Server != "" || got.Mode != rpc.ByCast || got.Monitor != 0 {
			t.Errorf("as the method says: %+v", got)
		}
		derived := base.To("h1").On("other").In("e2")
		if got := cast(derived); got.Target != (rpc.Target{Exchange: "e2", Topic: "other", Namespace: "n", Version: "1.4"}) || got.Server != "h1" {
			t.Errorf("overridden: %+v", got)
		}
		if got := cast(derived.On("third")); got.Target.Topic != "third" || got.Target.Exchange != "e2" || got.Server != "h1" {
			t.Errorf("derived twice: %+v", got)
		}
		if got := cast(derived.Fanout()); got.Mode != rpc.ByFanout || got.Server != "" || got.Target.Topic != "other" {
			t.Errorf("a fanout: %+v", got)
		}
		if got := cast(derived.Fanout().To("h2")); got.Mode != rpc.ByCast || got.Server != "h2" {
			t.Errorf("no fanout any more: %+v", got)
		}
		if got := cast(derived.To("")); got.Server != "" {
			t.Errorf("any server: %+v", got)
		}
		if got := cast(base); got.Target.Topic != "compute" || got.Server != "" {
			t.Errorf("the origin has changed: %+v", got)
		}
		for monitor, client := range map[time.Duration]*rpc.Client{2 * time.Second: base, 8 * time.Second: base.Monitored(8 * time.Second), 0: base.Monitored(0)} {
			if _, err := call.Call(t.Context(), client, nil); err != nil || sent.Monitor != monitor || left != 7*time.Second {
				t.Errorf("monitored for %s with %s left, %v; want %s and 7s", sent.Monitor, left, err, monitor)
			}
		}
		if base.CanSend("1.5") || !base.Pin("1.5").CanSend("1.5") || base.CanSend("1.5") || !base.Pin("").CanSend("9.0") {
			t.Error("Pin did not override, or changed its origin")
		}
	})
}

// The order in which a call is checked shows in its error.
// conforms: RPC-CLIENT-05, RPC-CLIENT-19, RPC-CLIENT-23
func TestOrderOfChecks(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bad := rpc.NewCall[any, any](rpc.Target{Version: "2.0"}, "m") // no topic
		pinned := c.client.Pin("1.0")
		call := func(client *rpc.Client, args any) error {
			_, err := bad.Call(t.Context(), client, args)
			return err
		}
		var (
			target  *rpc.TargetError
			version *rpc.VersionError
		)
		if err := call(pinned.Fanout(), func() {}); !errors.As(err, &target) || !strings.Contains(target.Reason, "fanout") {
			t.Errorf("first the fanout: %v", err)
		}
		if err := call(pinned, func() {}); err == nil || !strings.Contains(err.Error(), "encode arguments") {
			t.Errorf("then the arguments: %v", err)
		}
		if err := call(pinned, nil); !errors.As(err, &version) || version.Cap != "1.0" {
			t.Errorf("then the cap: %v", err)
		}
		if err := call(c.client, nil); !errors.As(err, &target) || !strings.Contains(target.Reason, "topic") {
			t.Errorf("then the topic: %v", err)
		}
		for _, period := range []time.Duration{-time.Second, time.Nanosecond, 2*time.Second - 1} {
			if err := call(c.client.Monitored(period), nil); err == nil || !strings.Contains(err.Error(), "monitoring period") {
				t.Errorf("a period of %s: %v", period, err)
			}
		}
	})
}

// A bus that is away, or refuses: what Send and Listen do instead, when set.
type faulty struct {
	*memory.Transport

	send   func(context.Context, transport.Address, *transport.Message) error
	listen func(context.Context) error
}

func (f faulty) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if f.send != nil {
		if err := f.send(ctx, to, m); err != nil {
			return err
		}
	}
	return f.Transport.Send(ctx, to, m)
}

func (f faulty) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	if f.listen != nil {
		if err := f.listen(ctx); err != nil {
			return nil, err
		}
	}
	return f.Transport.Listen(ctx, from, o)
}

// With the bus away a deadline is a deadline, at the first connection too, and nothing was sent.
// conforms: RPC-CLIENT-11, RPC-CLIENT-13, RPC-CLIENT-14, RPC-CLIENT-15, RPC-CLIENT-16, RPC-CLIENT-32, ODD-22, ODD-23, ODD-25
func TestBusAway(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		away := func(ctx context.Context) error {
			<-ctx.Done()
			return errors.Join(transport.ErrNotSent, ctx.Err())
		}
		sending := func(ctx context.Context, _ transport.Address, _ *transport.Message) error { return away(ctx) }
		unconfirmed := func(ctx context.Context, _ transport.Address, _ *transport.Message) error {
			<-ctx.Done()
			return errors.Join(transport.ErrInDoubt, ctx.Err())
		}
		bus := c.bus.Open(memory.Config{})
		defer func() { _ = bus.Close(context.Background()) }()
		c.serve(rpc.ServerConfig{}, echo.Handle(handleEcho), note.Handle(func(context.Context, echoArgs) error { return nil }))
		for why, test := range map[string]struct {
			bus   transport.Transport
			phase rpc.Phase
		}{
			"no reply queue": {faulty{bus, sending, away}, rpc.NotSent},
			"nothing leaves": {faulty{bus, sending, nil}, rpc.NotSent},
			"in doubt":       {faulty{bus, unconfirmed, nil}, rpc.Unconfirmed},
		} {
			client := rpc.NewClient(test.bus, rpc.ClientConfig{Timeout: 3 * time.Second})
			for _, within := range []time.Duration{0, 2 * time.Second, 3 * time.Second} {
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if within != 3*time.Second { // the client's own
					ctx, cancel = context.WithTimeout(ctx, within)
				}
				for _, send := range []func() error{
					func() error { _, err := echo.Call(ctx, client, echoArgs{}); return err },
					func() error { return note.Cast(ctx, client, echoArgs{}) },
				} {
					start := time.Now()
					var timeout *rpc.TimeoutError
					if err := send(); !errors.As(err, &timeout) || timeout.Phase != test.phase && within > 0 || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s, %s: %v, want the phase %q", why, within, err, test.phase)
					}
					if took := time.Since(start); took > within {
						t.Errorf("%s: %s took %s", why, within, took)
					}
				}
				cancel()
			}
			if err := client.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		refused := errors.New("no access")
		client := rpc.NewClient(faulty{bus, func(context.Context, transport.Address, *transport.Message) error { return refused }, func(context.Context) error { return refused }}, rpc.ClientConfig{})
		var delivery *rpc.DeliveryError
		if _, err := echo.Call(t.Context(), client, echoArgs{}); !errors.As(err, &delivery) || !errors.Is(err, refused) {
			t.Errorf("refused: %v", err)
		}
		if err := note.Cast(t.Context(), client, echoArgs{}); !errors.As(err, &delivery) || !errors.Is(err, refused) {
			t.Errorf("refused: %v", err)
		}
		server := rpc.NewServer(faulty{bus, nil, func(context.Context) error { return refused }}, rpc.ServerConfig{Target: target, Server: "h9"})
		// conforms: RPC-SERVER-06, ODD-50
		if err := server.Run(t.Context()); !errors.Is(err, refused) || !strings.Contains(err.Error(), "compute") || !strings.Contains(err.Error(), "h9") {
			t.Errorf("Run: %v", err)
		}
	})
}

// Nobody to take a request: an error at once, of its own type, that says where; a fanout to nobody is none.
// conforms: RPC-CLIENT-25, RPC-CLIENT-26, RPC-CLIENT-30, ERR-01, ERR-02
func TestNobodyIsToldApart(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, echo.Handle(handleEcho))
		start := time.Now()
		for want, client := range map[string]*rpc.Client{
			`topic "nosuch"`: c.client.On("nosuch"), `server "h9"`: c.client.To("h9"), `exchange "other"`: c.client.In("other"),
		} {
			_, err := echo.Call(t.Context(), client, echoArgs{})
			var (
				none     *rpc.NoServerError
				timeout  *rpc.TimeoutError
				delivery *rpc.DeliveryError
				target   *rpc.TargetError
				remote   *rpc.RemoteError
				version  *rpc.VersionError
			)
			if !errors.As(err, &none) || errors.As(err, &timeout) || errors.As(err, &delivery) || errors.As(err, &target) || errors.As(err, &remote) || errors.As(err, &version) {
				t.Errorf("error %v, want a NoServerError and nothing else", err)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %s", err, want)
			}
		}
		if err := note.Cast(t.Context(), c.client.On("nosuch").Fanout(), echoArgs{}); err != nil {
			t.Errorf("a fanout to nobody: %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}

// What is sent once Listen has returned is served, in the order in which it was sent, by the servers of that name together.
// conforms: RPC-SERVER-01, RPC-SERVER-04, RPC-SERVER-25, RPC-SERVER-27, RPC-CLIENT-29
func TestOneQueuePerServerName(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var (
			mu     sync.Mutex
			orders [2][]int
			runs   = map[string]int{}
		)
		var servers [2]*rpc.Server
		for i := range servers {
			bus := c.bus.Open(memory.Config{})
			defer func() { _ = bus.Close(context.Background()) }()
			servers[i] = rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "twin", Workers: 1}, note.Handle(func(_ context.Context, a echoArgs) error {
				n, err := strconv.Atoi(string(a.Arg))
				mu.Lock()
				defer mu.Unlock()
				orders[i] = append(orders[i], n)
				runs[string(a.Arg)]++
				return err
			}))
			if err := servers[i].Listen(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for n := range 100 {
			if err := note.Cast(t.Context(), c.client.To("twin"), echoArgs{json.RawMessage(strconv.Itoa(n))}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(runs) != 0 {
			t.Error("served before Run")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, s := range servers {
			wg.Go(func() {
				if err := s.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if len(runs) != 100 || len(orders[0])+len(orders[1]) != 100 {
			t.Errorf("%d of 100 ran, %d and %d times", len(runs), len(orders[0]), len(orders[1]))
		}
		for i, order := range orders {
			for n := 1; n < len(order); n++ {
				if order[n] < order[n-1] {
					t.Errorf("server %d ran %d after %d", i, order[n], order[n-1])
				}
			}
		}
	})
}

// A reply that the bus refuses becomes a failure that says so; one that cannot be sent at all is logged.
// conforms: RPC-SERVER-12, RPC-SERVER-14, ODD-31
func TestReplyRefused(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var mu sync.Mutex
		refuse := func(m *transport.Message) bool { return len(m.Failure) == 0 }
		c.run(faulty{Transport: c.bus.Open(memory.Config{}), send: func(_ context.Context, _ transport.Address, m *transport.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if refuse(m) {
				return transport.ErrRejected
			}
			return nil
		}}, rpc.ServerConfig{}, echo.Handle(handleEcho))
		var remote *rpc.RemoteError
		if _, err := echo.Call(t.Context(), c.client, echoArgs{}); !errors.As(err, &remote) || !strings.Contains(remote.Message, "cannot be sent") {
			t.Errorf("a refused result: %v", err)
		}
		mu.Lock()
		refuse = func(*transport.Message) bool { return true }
		mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := echo.Call(ctx, c.client, echoArgs{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("everything refused: %v", err)
		}
		if log := c.log.String(); strings.Count(log, "reply not sent") != 1 {
			t.Errorf("the log says %s", log)
		}
	})
}

// A failure takes its wire form on every bus: what arrives is a copy, never the handler's own value.
// conforms: EXC-16, FAKE-09, DISP-11
func TestFailuresAreCopies(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		own := instanceNotFound.Errorf("i-1")
		fail := rpc.NewCall[struct{}, any](target, "fail")
		c.serve(rpc.ServerConfig{}, fail.Handle(func(context.Context, struct{}) (any, error) { return nil, own }))
		for _, client := range []*rpc.Client{c.client, rpc.Local(fail.Handle(func(context.Context, struct{}) (any, error) { return nil, own }))} {
			_, err := fail.Call(t.Context(), client, struct{}{})
			var remote *rpc.RemoteError
			if !errors.As(err, &remote) || remote == own || errors.Is(err, own) || !errors.Is(err, instanceNotFound) || remote.Message != "i-1" {
				t.Errorf("%#v", err)
			}
			var none *rpc.NoSuchMethodError
			if _, err := whoami.Call(t.Context(), client, struct{}{}); !errors.As(err, &none) {
				t.Errorf("a method that was not given to the server: %v", err)
			}
		}
	})
}

// A call ends with its first reply; one that comes again is nobody's.
// conforms: DUP-07
func TestSecondReply(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "twice"})
		for n := range 3 {
			want := strconv.Itoa(n)
			go func() {
				d := p.next()
				for _, result := range []string{want, `"again"`} {
					p.send(transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo},
						&transport.Message{ID: d.Message.ID, UniqueID: "same", Result: json.RawMessage(result), Ending: true})
				}
			}()
			if got, err := echo.Call(t.Context(), c.client, echoArgs{}); err != nil || string(got) != want {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
		}
	})
}

// A ping of the user's own stays, wherever it stands among the endpoints.
// conforms: DISP-26, ODD-52
func TestOwnPingAmongOthers(t *testing.T) {
	inCloud(t, func(c *cloud) {
		own := rpc.NewCall[struct{}, string](target, "oslo_rpc_server_ping")
		mine := own.Handle(func(context.Context, struct{}) (string, error) { return "mine", nil })
		c.serve(rpc.ServerConfig{Server: "first", Ping: true}, mine, echo.Handle(handleEcho))
		c.serve(rpc.ServerConfig{Server: "last", Ping: true}, echo.Handle(handleEcho), mine)
		for _, server := range []string{"first", "last"} {
			if got, err := rpc.Ping.Call(c.t.Context(), c.client.On("compute").To(server), struct{}{}); err != nil || got != "mine" {
				c.t.Errorf("%s: %q, %v", server, got, err)
			}
		}
	})
}
