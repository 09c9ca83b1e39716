package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		c.serve(rpc.ServerConfig{Target: rpc.Target{Topic: "computes"}}, echo.Handle(handleEcho))
		start := time.Now()
		for _, client := range []*rpc.Client{c.client.On("compuet"), c.client.To("h9"), c.client.In("other")} {
			_, err := echo.Call(t.Context(), client, echoArgs{})
			var none *rpc.NoServerError
			if !errors.As(err, &none) || !errors.Is(err, transport.ErrNoListener) {
				t.Fatalf("error %v, want a NoServerError", err)
			}
			t.Log(err)
			if want := map[string]string{"compuet": "compute"}[none.Address.Topic]; none.Nearest != want {
				t.Errorf("nearest to %s is %q, want %q", none.Address, none.Nearest, want)
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
		stop := c.serve(rpc.ServerConfig{Server: "busy", Workers: 1}, sleep.Handle(handleSleep))
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

// A call that its caller cancels has not timed out, and nobody says that no server has it, even if the cancellation's cause is
// another call's failure, as it is in an errgroup.
func TestCancelledByAnotherCallsFailure(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		bus := c.bus.Open(memory.Config{})
		defer func() { _ = bus.Close(t.Context()) }()
		away := rpc.NewClient(faulty{bus, func(ctx context.Context, _ transport.Address, _ *transport.Message) error {
			<-ctx.Done()
			return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
		}, nil}, rpc.ClientConfig{})
		defer func() { _ = away.Close(t.Context()) }()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, timeout := sleep.Call(short, c.client, sleepArgs{10})
		_, nobody := sleep.Call(t.Context(), c.client.To("h9"), sleepArgs{})
		for _, cause := range []error{timeout, nobody} {
			for what, client := range map[string]*rpc.Client{"running": c.client, "held back": away} {
				ctx, cancel := context.WithCancelCause(t.Context())
				ended := make(chan error, 1)
				go func() {
					_, err := sleep.Call(ctx, client, sleepArgs{10})
					ended <- err
				}()
				synctest.Wait()
				cancel(cause)
				err := <-ended
				if _, ok := err.(*rpc.DeliveryError); !ok || !errors.Is(err, context.Canceled) || !errors.Is(err, cause) { //nolint:errorlint // the cause has other errors in it
					t.Errorf("a call that was %s, cancelled because of %v: %T: %v", what, cause, err, err)
				}
			}
		}
		if got := c.client.Stats(); got.TimedOut != 1 {
			t.Errorf("%+v, want that one has timed out", got)
		}
	})
}

// A reply wakes its caller, a request its server, a stop both: nothing here looks again every so often.
// conforms: ODD-01, ODD-19
func TestNothingPolls(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		const takes = 123456789 * time.Nanosecond
		stop := c.serve(rpc.ServerConfig{}, sleep.Handle(handleSleep))
		for range 3 {
			<-time.After(7 * time.Millisecond)
			start := time.Now()
			if _, err := sleep.Call(t.Context(), c.client, sleepArgs{takes.Seconds()}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != takes {
				t.Errorf("a call of %s took %s", takes, took)
			}
		}
		start := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("an idle server took %s to stop", took)
		}
	})
}

// conforms: DISP-22, DISP-23, DISP-24, ODD-28
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

// A handler ends with its caller's deadline, and says nothing: the caller shall find that its time is up, not that the
// method failed.
func TestHandlerEndsWithItsCaller(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		took := make(chan time.Duration, 1)
		c.serve(rpc.ServerConfig{}, sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
			start := time.Now()
			defer func() { took <- time.Since(start) }()
			if d, ok := ctx.Deadline(); !ok || d.Sub(start) > 3*time.Second {
				t.Errorf("the handler's deadline is %v, %v", d, ok)
			}
			derived, cancel := context.WithCancel(ctx)
			defer cancel()
			return handleSleep(derived, a)
		}))
		p := c.peer(replyAddress)
		p.send(topicAddress, &transport.Message{
			Method: "sleep", Version: "1.0", Args: json.RawMessage(`{"seconds":60}`), ID: "1", ReplyTo: p.in.Addr(), Expires: 2 * time.Second,
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if d, err := p.in.Next(ctx); err == nil {
			t.Errorf("the caller got %+v", d.Message)
		}
		if d := <-took; d < 2*time.Second || d > 3*time.Second {
			t.Errorf("the handler ended after %s", d)
		}
	})
}
