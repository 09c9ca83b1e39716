package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A cloud is a bus with servers on it, in a synctest bubble: time is virtual, and what is left running at the end
// of a test fails it.
type cloud struct {
	t      *testing.T
	bus    *memory.Bus
	client *rpc.Client
	log    *lockedBuffer
}

func inCloud(t *testing.T, f func(c *cloud)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{t: t, bus: memory.NewBus(), log: &lockedBuffer{}}
		c.client = c.newClient(rpc.ClientConfig{})
		f(c)
	})
}

func (c *cloud) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (c *cloud) newClient(config rpc.ClientConfig) *rpc.Client {
	bus := c.bus.Open(memory.Config{})
	config.Logger = c.logger()
	client := rpc.NewClient(bus, config)
	c.t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			c.t.Errorf("close client: %v", err)
		}
		if err := bus.Close(context.Background()); err != nil {
			c.t.Errorf("close bus: %v", err)
		}
	})
	return client
}

// serve starts a server and returns how to stop it; the test's end stops it too.
func (c *cloud) serve(config rpc.ServerConfig, e ...rpc.Endpoint) (stop func() error) {
	c.t.Helper()
	if config.Target.Topic == "" {
		config.Target.Topic = "compute"
	}
	if config.Server == "" {
		config.Server = "h1"
	}
	config.Logger = c.logger()
	bus := c.bus.Open(memory.Config{})
	server := rpc.NewServer(bus, config, e...)
	if err := server.Listen(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		return errors.Join(err, bus.Close(context.Background()))
	})
	c.t.Cleanup(func() { _ = stop() })
	return stop
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var (
	target = rpc.Target{Topic: "compute"}
	echo   = rpc.NewCall[echoArgs, json.RawMessage](target, "echo")
	sleep  = rpc.NewCall[sleepArgs, string](target, "sleep")
	whoami = rpc.NewCall[struct{}, string](target, "whoami")
	note   = rpc.NewCast[echoArgs](target, "note")
)

type echoArgs struct {
	Arg json.RawMessage `json:"arg"`
}

type sleepArgs struct {
	Seconds float64 `json:"seconds"`
}

func handleEcho(_ context.Context, a echoArgs) (json.RawMessage, error) { return a.Arg, nil }

func handleSleep(ctx context.Context, a sleepArgs) (string, error) {
	select {
	case <-time.After(time.Duration(a.Seconds * float64(time.Second))):
		return "slept", nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// conforms: RPC-CLIENT-03, RPC-CLIENT-04, RPC-SERVER-10, RPC-SERVER-24, TGT-10
func TestCallCastFanout(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		heard := make(chan string, 10)
		for _, host := range []string{"h1", "h2"} {
			c.serve(rpc.ServerConfig{Server: host},
				whoami.Handle(func(ctx context.Context, _ struct{}) (string, error) {
					return rpc.RequestFrom(ctx).Server, nil
				}),
				note.Handle(func(ctx context.Context, a echoArgs) error {
					r := rpc.RequestFrom(ctx)
					heard <- fmt.Sprint(host, " ", r.Mode, " ", string(a.Arg))
					return nil
				}))
		}
		ctx := t.Context()
		if got, err := whoami.Call(ctx, c.client.To("h2"), struct{}{}); err != nil || got != "h2" {
			t.Errorf("call to h2 was answered by %q, %v", got, err)
		}
		seen := map[string]bool{}
		for range 10 {
			got, err := whoami.Call(ctx, c.client, struct{}{})
			if err != nil {
				t.Fatal(err)
			}
			seen[got] = true
		}
		if len(seen) != 2 {
			t.Errorf("10 calls to the topic were answered by %v alone", seen)
		}
		if err := note.Cast(ctx, c.client.To("h1"), echoArgs{json.RawMessage("1")}); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != "h1 cast 1" {
			t.Errorf("heard %q", got)
		}
		if err := note.Cast(ctx, c.client.Fanout(), echoArgs{json.RawMessage("2")}); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{<-heard: true, <-heard: true}
		if !got["h1 fanout 2"] || !got["h2 fanout 2"] {
			t.Errorf("fanout was heard as %v", got)
		}
		if err := whoami.Cast(ctx, c.client, struct{}{}); err != nil {
			t.Errorf("cast of a method that answers: %v", err)
		}
		synctest.Wait()
		if len(heard) != 0 {
			t.Errorf("heard %d more", len(heard))
		}
	})
}

// conforms: RPC-CLIENT-36, RPC-SERVER-26, RPC-SERVER-07
func TestRepliesInAnyOrder(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep), echo.Handle(handleEcho))
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if i%2 == 0 {
					if _, err := sleep.Call(t.Context(), c.client, sleepArgs{float64(20 - i)}); err != nil {
						t.Error(err)
					}
					return
				}
				want := strconv.Itoa(i)
				got, err := echo.Call(t.Context(), c.client, echoArgs{json.RawMessage(want)})
				if err != nil || string(got) != want {
					t.Errorf("caller %d got %s, %v", i, got, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestNobodyListens(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, echo.Handle(handleEcho))
		start := time.Now()
		for _, client := range []*rpc.Client{c.client.On("compuet"), c.client.To("h9"), c.client.In("other")} {
			_, err := echo.Call(t.Context(), client, echoArgs{})
			var none *rpc.NoServerError
			if !errors.As(err, &none) || !errors.Is(err, transport.ErrNoListener) {
				t.Fatalf("error %v, want a NoServerError", err)
			}
			t.Log(err)
			if none.Address.Topic == "compuet" && none.Nearest != "compute" {
				t.Errorf("nearest is %q", none.Nearest)
			}
		}
		if err := note.Cast(t.Context(), c.client.On("nosuch"), echoArgs{}); !errors.Is(err, transport.ErrNoListener) {
			t.Errorf("cast: %v", err)
		}
		if err := note.Cast(t.Context(), c.client.On("nosuch").Fanout(), echoArgs{}); err != nil {
			t.Errorf("a fanout that nobody hears: %v", err)
		}
		if time.Since(start) != 0 {
			t.Errorf("took %s of virtual time", time.Since(start))
		}
	})
}

// Each way to time out has its phase.
// conforms: RPC-CLIENT-10, RPC-CLIENT-12
func TestTimeouts(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		stop := c.serve(rpc.ServerConfig{Server: "busy", Workers: 1}, sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
			defer func() { <-time.After(time.Millisecond) }() // virtual time makes the deadlines of both sides one instant
			return handleSleep(ctx, a)
		}))
		timeout := func(client *rpc.Client, ctx context.Context) *rpc.TimeoutError {
			t.Helper()
			start := time.Now()
			_, err := sleep.Call(ctx, client.To("busy"), sleepArgs{100})
			var e *rpc.TimeoutError
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want a TimeoutError", err)
			}
			if e.Elapsed != time.Since(start) || e.Method != "sleep" || e.Address.Server != "busy" {
				t.Errorf("%+v after %s", e, time.Since(start))
			}
			t.Log(err)
			return e
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		taken := timeout(c.client, ctx)
		if taken.Phase != rpc.Taken || taken.Elapsed != 3*time.Second || !errors.Is(taken, context.DeadlineExceeded) {
			t.Errorf("a hanging method: %+v", taken)
		}
		// The handler's context ends with its caller's deadline; the next one runs.
		if e := timeout(c.newClient(rpc.ClientConfig{Timeout: 5 * time.Second, Monitor: 4 * time.Second}), t.Context()); e.Phase != rpc.Running || e.LastSign == 0 {
			t.Errorf("a monitored method: %+v", e)
		}
		if e := timeout(c.client, t.Context()); e.Elapsed != time.Minute {
			t.Errorf("the default is %s", e.Elapsed)
		}
		_ = stop()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if e := timeout(c.client, ctx); e.Phase != rpc.Queued {
			t.Errorf("a server that has left: %+v", e)
		}
	})
}

// conforms: RPC-CLIENT-22, DISP-21, ENV-10
func TestMonitoredCall(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.bus.Open(memory.Config{})
		l, err := bus.Listen(t.Context(), transport.Address{Kind: transport.Topic, Topic: "compute", Server: "silent"}, transport.ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = bus.Close(context.Background()) }()
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		client := c.client.Monitored(4 * time.Second)

		start := time.Now()
		if got, err := sleep.Call(t.Context(), client.To("h1"), sleepArgs{30}); err != nil || got != "slept" {
			t.Errorf("a slow method that lives: %q, %v", got, err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("it took %s", took)
		}
		start = time.Now()
		_, err = sleep.Call(t.Context(), client.To("silent"), sleepArgs{30})
		var e *rpc.TimeoutError
		if !errors.As(err, &e) || e.Monitor != 4*time.Second || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a silent server: %v", err)
		}
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("its silence was noticed after %s", took)
		}
		d, err := l.Next(t.Context())
		if err != nil || d.Message.Monitor != 4*time.Second {
			t.Fatalf("the request's monitoring period is %v, %v", d.Message.Monitor, err)
		}
		// One sign of life at 3 s puts the end off to 7 s.
		start = time.Now()
		failed := make(chan error, 1)
		go func() {
			_, err := sleep.Call(t.Context(), client.To("silent"), sleepArgs{30})
			failed <- err
		}()
		if d, err = l.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(3 * time.Second)
		reply := transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}
		if err := bus.Send(t.Context(), reply, &transport.Message{ID: d.Message.ID}); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; !errors.As(err, &e) || e.Phase != rpc.Running || e.LastSign != 4*time.Second {
			t.Errorf("after one sign of life: %v", err)
		}
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("after one sign of life the silence was noticed at %s", took)
		}
		if _, err := sleep.Call(t.Context(), c.client.Monitored(time.Second), sleepArgs{}); err == nil {
			t.Error("a period that no server can keep was taken")
		}
	})
}

// A peer is a hand-made caller or server, for what a Go one never sends.
type peer struct {
	c   *cloud
	bus transport.Transport
	in  transport.Listener
}

func (c *cloud) peer(from transport.Address) *peer {
	c.t.Helper()
	bus := c.bus.Open(memory.Config{})
	c.t.Cleanup(func() { _ = bus.Close(context.Background()) })
	l, err := bus.Listen(c.t.Context(), from, transport.ListenOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return &peer{c, bus, l}
}

func (p *peer) send(to transport.Address, m *transport.Message) {
	p.c.t.Helper()
	if err := p.bus.Send(p.c.t.Context(), to, m); err != nil {
		p.c.t.Fatal(err)
	}
}

func (p *peer) next() *transport.Delivery {
	p.c.t.Helper()
	d, err := p.in.Next(p.c.t.Context())
	if err != nil {
		p.c.t.Fatal(err)
	}
	return d
}

var (
	replyAddress = transport.Address{Kind: transport.Reply}
	topicAddress = transport.Address{Kind: transport.Topic, Topic: "compute"}
)

// conforms: DISP-22, DISP-23, DISP-24
func TestSignsOfLife(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		p := c.peer(replyAddress)
		call := func(method, args string, monitor time.Duration) {
			p.send(topicAddress, &transport.Message{
				Method: method, Version: "1.0", Args: json.RawMessage(args), ID: "1", ReplyTo: p.in.Addr(), Monitor: monitor,
			})
		}
		start := time.Now()
		call("sleep", `{"seconds":7}`, 5500*time.Millisecond) // every int(5.5)/2 s
		for _, want := range []time.Duration{2500 * time.Millisecond, 5 * time.Second} {
			m := p.next().Message
			if m.Ending || m.ID != "1" || len(m.Result) != 0 || len(m.Failure) != 0 || time.Since(start) != want {
				t.Errorf("at %s: %+v, want a sign of life at %s", time.Since(start), m, want)
			}
		}
		if m := p.next().Message; !m.Ending || string(m.Result) != `"slept"` {
			t.Errorf("the reply is %+v", m)
		}
		call("sleep", `{"seconds":7}`, 1900*time.Millisecond)
		if m := p.next().Message; !m.Ending {
			t.Errorf("a period below 2 s got %+v, want the reply alone", m)
		}
		// A refused request ends its signs of life (upstream's go on).
		call("nosuch", `{}`, 2*time.Second)
		if m := p.next().Message; !m.Ending || len(m.Failure) == 0 {
			t.Errorf("the refusal is %+v", m)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if d, err := p.in.Next(ctx); err == nil {
			t.Errorf("after the refusal came %+v", d.Message)
		}
	})
}

// conforms: DUP-01, DUP-03, DUP-06
func TestDuplicatesRunOnce(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var mu sync.Mutex
		ran := map[string]int{}
		c.serve(rpc.ServerConfig{}, note.Handle(func(_ context.Context, a echoArgs) error {
			mu.Lock()
			defer mu.Unlock()
			ran[string(a.Arg)]++
			return nil
		}))
		p := c.peer(replyAddress)
		for _, m := range []struct{ id, arg string }{
			{"a", "1"}, {"b", "2"}, {"a", "1"}, {"a", "1"}, {"b", "2"}, {"", "3"}, {"", "3"},
		} {
			p.send(topicAddress, &transport.Message{Method: "note", Version: "1.0", Args: json.RawMessage(`{"arg":` + m.arg + `}`), UniqueID: m.id})
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if ran["1"] != 1 || ran["2"] != 1 || ran["3"] != 2 {
			t.Errorf("ran %v; want each unique id once, and both without one", ran)
		}
	})
}

// conforms: ENV-12, ENV-14, RPC-CLIENT-24, RPC-CLIENT-35
func TestOddReplies(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "odd"})
		answer := func(replies ...transport.Message) (json.RawMessage, error) {
			go func() {
				d := p.next()
				for _, m := range replies {
					if m.ID == "" {
						m.ID = d.Message.ID
					}
					p.send(transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &m)
				}
			}()
			return echo.Call(t.Context(), c.client, echoArgs{})
		}
		five, null := json.RawMessage("5"), json.RawMessage("null")
		for why, replies := range map[string][]transport.Message{
			"one reply":                             {{Result: five, Ending: true}},
			"an old peer's two parts":               {{Result: five}, {Result: null, Ending: true}},
			"a sign of life nobody asked for":       {{}, {Result: five, Ending: true}},
			"somebody else's reply first":           {{ID: "unknown", Result: null, Ending: true}, {Result: five, Ending: true}},
			"the reply twice":                       {{Result: five, Ending: true}, {Result: null, Ending: true}},
			"two parts, the last with the result":   {{Result: null}, {Result: five, Ending: true}},
			"a sign of life between the two halves": {{Result: five}, {}, {Ending: true}},
		} {
			if got, err := answer(replies...); err != nil || string(got) != "5" {
				t.Errorf("%s: %s, %v", why, got, err)
			}
		}
		if _, err := answer(transport.Message{Failure: json.RawMessage(`not json`), Ending: true}); err == nil {
			t.Error("an unreadable failure was taken for success")
		}
		// conforms: EXC-07
		_, err := answer(transport.Message{Failure: json.RawMessage(`{"class":"ValueError","module":"exceptions","message":"m"}`), Ending: true})
		if !errors.Is(err, rpc.ErrorClass{Module: "builtins", Name: "ValueError"}) {
			t.Errorf("Python 2's ValueError is %v", err)
		}
	})
}

func TestLateReplyIsLogged(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		p := c.peer(transport.Address{Kind: transport.Topic, Topic: "compute", Server: "late"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			_, err := echo.Call(ctx, c.client, echoArgs{})
			ended <- err
		}()
		d := p.next()
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		<-time.After(4 * time.Second)
		p.send(transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{ID: d.Message.ID, Ending: true})
		synctest.Wait()
		if log := c.log.String(); !strings.Contains(log, "late reply") || !strings.Contains(log, "method=echo") || !strings.Contains(log, "after_giving_up=4s") {
			t.Errorf("the log says %s", log)
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
		if err := stop(); !errors.As(err, &drain) || len(drain.Running) != 1 || drain.Running[0] != "sleep for 2s" {
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

// conforms: DISP-25, DISP-26
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

func TestInterceptors(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var mu sync.Mutex
		var order []string
		trace := func(name string) rpc.Interceptor {
			return func(next rpc.Func) rpc.Func {
				return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
					mu.Lock()
					order = append(order, name+" "+r.Method+" "+r.Mode.String())
					mu.Unlock()
					return next(ctx, r)
				}
			}
		}
		c.serve(rpc.ServerConfig{Interceptors: []rpc.Interceptor{trace("s1"), trace("s2")}}, echo.Handle(handleEcho))
		client := c.newClient(rpc.ClientConfig{Interceptors: []rpc.Interceptor{trace("c1"), trace("c2")}})
		if _, err := echo.Call(t.Context(), client, echoArgs{}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(order, ", "); got != "c1 echo call, c2 echo call, s1 echo call, s2 echo call" {
			t.Error(got)
		}
		c.serve(rpc.ServerConfig{Server: "p", Interceptors: []rpc.Interceptor{
			func(rpc.Func) rpc.Func {
				return func(context.Context, *rpc.Request) (json.RawMessage, error) { panic("in an interceptor") }
			},
		}}, echo.Handle(handleEcho))
		var remote *rpc.RemoteError
		if _, err := echo.Call(t.Context(), c.client.To("p"), echoArgs{}); !errors.As(err, &remote) {
			t.Errorf("a panic in an interceptor: %v", err)
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

// conforms: RPC-CLIENT-33, TRN-13
func TestCloseEndsWaitingCalls(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		bus := c.bus.Open(memory.Config{})
		client := rpc.NewClient(bus, rpc.ClientConfig{})
		ended := make(chan error, 1)
		go func() {
			_, err := sleep.Call(t.Context(), client, sleepArgs{10})
			ended <- err
		}()
		synctest.Wait()
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
		var delivery *rpc.DeliveryError
		if err := <-ended; !errors.As(err, &delivery) || !errors.Is(err, transport.ErrClosed) {
			t.Errorf("the waiting call ended in %v", err)
		}
		if _, err := sleep.Call(t.Context(), client, sleepArgs{}); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("a call after Close: %v", err)
		}
		if err := client.Close(t.Context()); err != nil {
			t.Errorf("a second Close: %v", err)
		}
		_ = bus.Close(t.Context())
		if err := note.Cast(t.Context(), rpc.NewClient(bus, rpc.ClientConfig{}), echoArgs{}); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("a cast over a closed bus: %v", err)
		}
	})
}

func TestCancelledCall(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := sleep.Call(ctx, c.client, sleepArgs{10})
			ended <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled call ended in %v", err)
		}
	})
}
