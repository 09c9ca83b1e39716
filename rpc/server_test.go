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

// The memory for duplicates is bounded, belongs to one server, and holds more than upstream's 16.
// conforms: DUP-01, DUP-02, ODD-27
func TestMemoryForDuplicates(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var ran atomic.Int32
		handler := note.Handle(func(context.Context, echoArgs) error { ran.Add(1); return nil })
		c.serve(rpc.ServerConfig{Server: "h1", Workers: 1}, handler)
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
	if each := (int64(after) - int64(before)) / n; each > 16<<10 {
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

// conforms: RPC-SERVER-21, RPC-SERVER-22
func TestDrain(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		helper := rpc.NewCall[sleepArgs, string](rpc.Target{Topic: "helper"}, "sleep")
		c.serve(rpc.ServerConfig{Target: rpc.Target{Topic: "helper"}}, helper.Handle(handleSleep))
		inner := c.newClient(rpc.ClientConfig{})
		relay := sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
			<-time.After(5 * time.Second)
			return helper.Call(ctx, inner, a) // a follow-up call of work that was running at the stop
		})
		stop := c.serve(rpc.ServerConfig{Drain: 20 * time.Second}, relay)
		answered := make(chan error, 1)
		go func() {
			_, err := sleep.Call(t.Context(), c.client, sleepArgs{5})
			answered <- err
		}()
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the drain took %s, want the handler's 10 s", took)
		}
		if err := <-answered; err != nil {
			t.Errorf("the running call: %v", err)
		}

		stop = c.serve(rpc.ServerConfig{Drain: 2 * time.Second}, sleep.Handle(handleSleep))
		go func() {
			_, err := sleep.Call(t.Context(), c.client, sleepArgs{50})
			answered <- err
		}()
		synctest.Wait()
		var drain *rpc.DrainError
		if err := stop(); !errors.As(err, &drain) || len(drain.Running) != 1 || drain.Running[0].String() != "sleep for 2s" {
			t.Errorf("a handler longer than the drain: %v", err)
		}
		var remote *rpc.RemoteError
		if err := <-answered; !errors.As(err, &remote) || !strings.Contains(remote.Message, "stopping") {
			t.Errorf("its caller got %v, want the reason", err)
		}
	})
}

// At most Workers handlers run; the rest waits on the bus, for any server.
// conforms: RPC-SERVER-03
func TestBackPressure(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var mu sync.Mutex
		running, most := 0, 0
		count := func(d int) {
			mu.Lock()
			defer mu.Unlock()
			running += d
			most = max(most, running)
		}
		c.serve(rpc.ServerConfig{Workers: 3}, sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
			count(1)
			defer count(-1)
			return handleSleep(ctx, a)
		}))
		for range 30 {
			if err := sleep.Cast(t.Context(), c.client, sleepArgs{1}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		state, err := c.bus.Open(memory.Config{}).Inspect(t.Context(), topicAddress)
		if err != nil || state.Waiting < 30-3-1 {
			t.Errorf("%+v wait on the bus, %v; want all but what runs and one in hand", state, err)
		}
		start := time.Now()
		if _, err := sleep.Call(t.Context(), c.client, sleepArgs{1}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 11*time.Second {
			t.Errorf("31 seconds of work for 3 workers took %s", took)
		}
		if most != 3 {
			t.Errorf("%d handlers ran at a time", most)
		}
	})
}

// conforms: DISP-19, EXC-17, RPC-SERVER-15
func TestExpectedFailuresAreNotErrorsInTheLog(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		fail := getConsole.Handle(getConsoleOutput)
		c.serve(rpc.ServerConfig{Server: "declared"}, fail.Expect(instanceNotFound))
		c.serve(rpc.ServerConfig{Server: "undeclared"}, fail)
		for _, s := range []struct {
			server string
			errors int
		}{{"declared", 0}, {"undeclared", 1}} {
			_, err := getConsole.Call(t.Context(), c.client.To(s.server), consoleArgs{Instance: "gone"})
			if !errors.Is(err, instanceNotFound) {
				t.Errorf("%s: %v", s.server, err)
			}
			if n := strings.Count(c.log.String(), "level=ERROR"); n != s.errors {
				t.Errorf("%s: %d errors in the log: %s", s.server, n, c.log)
			}
		}
		probe := rpc.NewCall[struct{}, any](compute.Since("6.1"), "probe_ignore_errors")
		var none *rpc.NoSuchMethodError
		if _, err := probe.Call(t.Context(), c.client, struct{}{}); !errors.As(err, &none) {
			t.Errorf("probe: %v", err)
		}
		if n := strings.Count(c.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("the probe left an error in the log: %s", c.log)
		}
	})
}

// conforms: DISP-25, DISP-26, CFG-05
func TestPing(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{Server: "on", Ping: true}, echo.Handle(handleEcho))
		c.serve(rpc.ServerConfig{Server: "off"}, echo.Handle(handleEcho))
		own := rpc.NewCall[struct{}, string](target, "oslo_rpc_server_ping")
		c.serve(rpc.ServerConfig{Server: "own", Ping: true}, own.Handle(func(context.Context, struct{}) (string, error) { return "mine", nil }))
		client := c.client.On("compute")
		if got, err := rpc.Ping.Call(t.Context(), client.To("on"), struct{}{}); err != nil || got != "pong" {
			t.Errorf("ping = %q, %v", got, err)
		}
		if got, err := rpc.Ping.Call(t.Context(), client.To("own"), struct{}{}); err != nil || got != "mine" {
			t.Errorf("the user's own ping = %q, %v", got, err)
		}
		var none *rpc.NoSuchMethodError
		if _, err := rpc.Ping.Call(t.Context(), client.To("off"), struct{}{}); !errors.As(err, &none) {
			t.Errorf("ping that is not enabled: %v", err)
		}
	})
}

// conforms: TRN-07, RPC-SERVER-05, RPC-SERVER-16
func TestServerConfig(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.bus.Open(memory.Config{})
		defer func() { _ = bus.Close(context.Background()) }()
		twice := []rpc.Endpoint{echo.Handle(handleEcho), echo.Handle(handleEcho)}
		for why, s := range map[string]*rpc.Server{
			"no topic":        rpc.NewServer(bus, rpc.ServerConfig{Server: "h"}),
			"no server":       rpc.NewServer(bus, rpc.ServerConfig{Target: target}),
			"negative worker": rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h", Workers: -1}),
			"two handlers":    rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h"}, twice...),
			"two in one":      rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h"}, rpc.NewEndpoint(target, twice...)),
		} {
			if err := s.Run(t.Context()); err == nil {
				t.Errorf("%s: Run took it", why)
			}
		}
		ok := rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h"}, twice[0])
		for range 2 {
			if err := ok.Listen(t.Context()); err != nil {
				t.Errorf("Listen: %v", err)
			}
		}
		state, err := bus.Inspect(t.Context(), transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h"})
		if err != nil || state.Listeners != 1 {
			t.Errorf("after two Listens: %+v, %v", state, err)
		}
	})
}

// A result that cannot be encoded is a failure, where upstream leaves its caller waiting (RPC-SERVER-12).
func TestResultThatCannotBeEncoded(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bad := rpc.NewCall[struct{}, any](target, "bad")
		c.serve(rpc.ServerConfig{}, bad.Handle(func(context.Context, struct{}) (any, error) { return func() {}, nil }))
		var remote *rpc.RemoteError
		if _, err := bad.Call(t.Context(), c.client, struct{}{}); !errors.As(err, &remote) || !strings.Contains(remote.Message, "encode result") {
			t.Errorf("error %v", err)
		}
	})
}
