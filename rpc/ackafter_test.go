package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
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

// A forgetful bus loses sight of what it has handed over, as a broker does when a connection breaks, and delivers it again.
type forgetful struct {
	*memory.Transport

	again *transport.Redelivery // in place of the memory bus's

	mu    sync.Mutex
	out   map[*transport.Delivery]bool // handed over and not settled; true = lost sight of
	acks  int
	fails int         // acknowledgements to fail, the message being lost sight of by then
	taken func() bool // whether given-back messages are taken; nil = they are
}

var errConnectionLost = errors.New("the connection is lost")

func (f *forgetful) Redelivery() transport.Redelivery {
	if f.again != nil {
		return *f.again
	}
	return f.Transport.Redelivery()
}

func (f *forgetful) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	l, err := f.Transport.Listen(ctx, from, o)
	return forgetfulListener{l, f}, err
}

type forgetfulListener struct {
	transport.Listener

	bus *forgetful
}

func (l forgetfulListener) Next(ctx context.Context) (*transport.Delivery, error) {
	d, err := l.Listener.Next(ctx)
	if err != nil {
		return nil, err
	}
	wrapped := *d
	wrapped.Settler = forgetfulSettler{d, l.bus}
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	l.bus.out[d] = false
	return &wrapped, nil
}

// forget has everything that is out delivered again. Settling it fails from now on.
func (f *forgetful) forget(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for d, lost := range f.out {
		if !lost {
			if err := d.Requeue(t.Context()); err != nil {
				t.Error(err)
			}
			f.out[d] = true
		}
	}
}

type forgetfulSettler struct {
	d   *transport.Delivery
	bus *forgetful
}

func (s forgetfulSettler) settle(ctx context.Context, how func(context.Context) error, fails *int) error {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	lost := s.bus.out[s.d]
	delete(s.bus.out, s.d)
	if !lost && fails != nil && *fails > 0 {
		*fails--
		lost = true
		if err := s.d.Requeue(ctx); err != nil {
			return err
		}
	}
	if lost {
		return errConnectionLost
	}
	return how(ctx)
}

func (s forgetfulSettler) Ack(ctx context.Context) error {
	err := s.settle(ctx, s.d.Ack, &s.bus.fails)
	if err == nil {
		s.bus.mu.Lock()
		defer s.bus.mu.Unlock()
		s.bus.acks++
	}
	return err
}

func (s forgetfulSettler) Requeue(ctx context.Context) error {
	if s.bus.taken != nil && !s.bus.taken() {
		return errors.Join(s.settle(ctx, s.d.Ack, nil), errors.ErrUnsupported)
	}
	return s.settle(ctx, s.d.Requeue, nil)
}

// counts is how many deliveries were acknowledged, and how many are out.
func (f *forgetful) counts() (acks, out int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acks, len(f.out)
}

func (c *cloud) forgetful() *forgetful {
	return &forgetful{Transport: c.bus.Open(memory.Config{}), out: map[*transport.Delivery]bool{}}
}

// left is how many requests the bus still has for the topic, handed over or not: those that another server would get.
func (c *cloud) left() int {
	c.t.Helper()
	var n atomic.Int32
	count := func(context.Context, rpc.Args) (any, error) { n.Add(1); return nil, nil }
	var methods []rpc.Endpoint
	for _, name := range []string{"echo", "sleep", "whoami", "note"} {
		methods = append(methods, rpc.NewCall[rpc.Args, any](target, name).Handle(count))
	}
	stop := c.serve(rpc.ServerConfig{Server: "h1"}, methods...)
	synctest.Wait()
	if err := stop(); err != nil {
		c.t.Error(err)
	}
	return int(n.Load())
}

// What a server dies of has its requests run elsewhere, and their callers answered; without AckAfter it takes them along.
// conforms: ODD-11
func TestAckAfterOutlivesItsServer(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		for _, after := range []bool{true, false} {
			began, dead := make(chan string, 10), make(chan struct{})
			doomed := c.bus.Open(memory.Config{})
			hangs := func(ctx context.Context, _ echoArgs) error {
				began <- rpc.RequestFrom(ctx).Mode.String()
				<-dead
				return nil
			}
			stop := c.run(doomed, rpc.ServerConfig{AckAfter: after, Drain: -1},
				echo.Handle(func(ctx context.Context, a echoArgs) (json.RawMessage, error) { return a.Arg, hangs(ctx, a) }), note.Handle(hangs))
			client := c.newClient(rpc.ClientConfig{Timeout: 5 * time.Second})
			ended := make(chan error, 1)
			go func() {
				_, err := echo.Call(t.Context(), client, echoArgs{json.RawMessage("7")})
				ended <- err
			}()
			if err := note.Cast(t.Context(), client, echoArgs{}); err != nil {
				t.Fatal(err)
			}
			<-began
			<-began
			if err := doomed.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			var casts atomic.Int32
			next := c.serve(rpc.ServerConfig{Server: "h2", AckAfter: after}, echo.Handle(handleEcho), note.Handle(func(ctx context.Context, _ echoArgs) error {
				if !rpc.RequestFrom(ctx).Redelivered {
					t.Error("the second run is not marked as such")
				}
				casts.Add(1)
				return nil
			}))
			err := <-ended
			synctest.Wait()
			if after && (err != nil || casts.Load() != 1) {
				t.Errorf("acknowledged after: %v; the cast ran %d times elsewhere", err, casts.Load())
			}
			if !after && (!errors.Is(err, context.DeadlineExceeded) || casts.Load() != 0) {
				t.Errorf("acknowledged before: %v; the cast ran %d times elsewhere", err, casts.Load())
			}
			close(dead)
			_ = stop()
			if err := next(); err != nil {
				t.Error(err)
			}
			if n := c.left(); n != 0 {
				t.Errorf("%d requests are left", n)
			}
		}
	})
}

// Whatever comes of a handler is an answer: the caller has it, and the bus has the request no more.
// conforms: RPC-SERVER-11
func TestAckAfterAnyOutcome(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.forgetful()
		outcome := rpc.NewCall[echoArgs, json.RawMessage](target, "outcome")
		stop := c.run(bus, rpc.ServerConfig{AckAfter: true, Workers: 1}, outcome.Handle(func(ctx context.Context, a echoArgs) (json.RawMessage, error) {
			switch string(a.Arg) {
			case `"fails"`:
				return nil, instanceNotFound.Errorf("i-1")
			case `"panics"`:
				panic("oh")
			case `"exits"`:
				runtime.Goexit()
			case `"expires"`:
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return a.Arg, nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for i, test := range []struct {
			arg  string
			want error
		}{
			{`"returns"`, nil},
			{`"fails"`, instanceNotFound},
			{`"panics"`, rpc.ErrorClass{Module: "builtins", Name: "RuntimeError"}},
			{`"exits"`, rpc.ErrorClass{Module: "builtins", Name: "RuntimeError"}},
			{`"returns"`, nil}, // the one worker has survived
			{`"expires"`, context.DeadlineExceeded},
		} {
			if _, err := outcome.Call(ctx, c.client, echoArgs{json.RawMessage(test.arg)}); !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.arg, err, test.want)
			}
			<-time.After(time.Second)
			if acks, out := bus.counts(); acks != i+1 || out != 0 {
				t.Errorf("%s: %d acknowledged of %d, %d unsettled", test.arg, acks, i+1, out)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// At a stop, what did not finish in time goes back to the bus and runs elsewhere; what did is answered for.
func TestAckAfterDrain(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		for why, test := range map[string]struct {
			ends  func(context.Context, sleepArgs) (string, error) // of the handler, after it was cancelled
			again bool
		}{
			"cancelled":            {handleSleep, true},
			"fails in its own way": {func(ctx context.Context, _ sleepArgs) (string, error) { <-ctx.Done(); return "", errors.New("no luck") }, true},
			"exits": {func(ctx context.Context, _ sleepArgs) (string, error) {
				<-ctx.Done()
				runtime.Goexit()
				return "", nil
			}, true},
			"finishes": {func(ctx context.Context, _ sleepArgs) (string, error) { <-ctx.Done(); return "done all the same", nil }, false},
		} {
			bus := c.forgetful()
			stop := c.run(bus, rpc.ServerConfig{AckAfter: true, Drain: 2 * time.Second}, sleep.Handle(test.ends))
			type outcome struct {
				result string
				err    error
			}
			ended := make(chan outcome, 1)
			go func() {
				r, err := sleep.Call(t.Context(), c.client, sleepArgs{50})
				ended <- outcome{r, err}
			}()
			synctest.Wait()
			var drain *rpc.DrainError
			if err := stop(); !errors.As(err, &drain) || len(drain.Running) != 1 {
				t.Errorf("%s: stop: %v", why, err)
			}
			var runs atomic.Int32
			next := c.serve(rpc.ServerConfig{Server: "h2", AckAfter: true}, sleep.Handle(func(context.Context, sleepArgs) (string, error) {
				runs.Add(1)
				return "done elsewhere", nil
			}))
			got := <-ended
			if got.err != nil || (got.result == "done elsewhere") != test.again || (runs.Load() == 1) != test.again {
				t.Errorf("%s: %+v, and %d runs elsewhere", why, got, runs.Load())
			}
			if err := next(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Copies of a request that runs are held, whoever sent them and however often the bus loses sight of them, and share its fate.
// conforms: DUP-01
func TestAckAfterCopies(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.forgetful()
		var runs atomic.Int32
		stop := c.run(bus, rpc.ServerConfig{AckAfter: true, Workers: 3}, sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
			runs.Add(1)
			return handleSleep(ctx, a)
		}))
		cast := func(seconds float64) {
			t.Helper()
			if err := sleep.Cast(t.Context(), c.client, sleepArgs{seconds}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		want := func(what string, ran int32, acks int) {
			t.Helper()
			synctest.Wait()
			if got, out := bus.counts(); runs.Load() != ran || got != acks || out != 0 {
				t.Errorf("%s: %d runs, %d acknowledgements, %d out; want %d, %d, 0", what, runs.Load(), got, out, ran, acks)
			}
		}
		cast(5)
		for range 3 { // the first, its copy, and the copy of that
			bus.forget(t)
			synctest.Wait()
		}
		<-time.After(6 * time.Second)
		want("lost three times while it ran", 1, 1)

		bus.mu.Lock()
		bus.fails = 3
		bus.mu.Unlock()
		cast(5)
		<-time.After(6 * time.Second)
		want("not acknowledged three times", 2, 2)
		if n := strings.Count(c.log.String(), "could not be acknowledged"); n != 1 {
			t.Errorf("%d warnings of a failed acknowledgement; the copies' are no news", n)
		}

		for range 3 { // all workers, and all that may be unsettled
			cast(5)
		}
		bus.forget(t)
		synctest.Wait()
		cast(1) // has to wait
		<-time.After(7 * time.Second)
		want("all of them lost", 6, 6)

		cast(5)
		bus.forget(t)
		synctest.Wait()
		go func() { _ = stop() }()
		<-time.After(4 * time.Second)
		if runs.Load() != 7 {
			t.Errorf("%d runs, want 7", runs.Load())
		}
		<-time.After(2 * time.Second)
		if n := c.left(); n != 0 {
			t.Errorf("%d left of what ended during the drain", n)
		}
	})
}

// A request that is given back with its copies runs once more, not once for each.
func TestAckAfterCopiesGivenBack(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.forgetful()
		stop := c.run(bus, rpc.ServerConfig{AckAfter: true, Drain: time.Second}, sleep.Handle(handleSleep))
		if err := sleep.Cast(t.Context(), c.client, sleepArgs{60}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		bus.forget(t)
		synctest.Wait()
		_ = stop()
		if n := c.left(); n != 1 {
			t.Errorf("%d requests came back, want 1", n)
		}
	})
}

// At a stop, what waits for a worker goes back like what runs.
func TestAckAfterStopWithFullWorkers(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.forgetful()
		stop := c.run(bus, rpc.ServerConfig{AckAfter: true, Workers: 1, Drain: -1}, sleep.Handle(handleSleep))
		for range 4 {
			if err := sleep.Cast(t.Context(), c.client, sleepArgs{60}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		_ = stop()
		if n := c.left(); n != 4 {
			t.Errorf("%d requests came back, want 4", n)
		}
	})
}

// An eager bus hands over more than was asked for, as one does that delivers again what a lost connection had.
type eager struct{ *memory.Transport }

func (e eager) Listen(ctx context.Context, from transport.Address, o transport.ListenOptions) (transport.Listener, error) {
	o.Prefetch = 10
	return e.Transport.Listen(ctx, from, o)
}

// What waits in a server's hands when it leaves the topic, and is for this server alone, comes again and runs before the stop.
func TestAckAfterRunsWhatItGaveBack(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var ran atomic.Int64
		stop := c.run(eager{c.bus.Open(memory.Config{})}, rpc.ServerConfig{AckAfter: true, Workers: 1}, sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
			ran.Add(1)
			return handleSleep(ctx, a)
		}))
		for range 3 {
			if err := sleep.Cast(t.Context(), c.client.To("h1"), sleepArgs{2}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := ran.Load(); n != 3 {
			t.Errorf("%d of 3 requests ran", n)
		}
	})
}

// Where the bus gives nothing back, AckAfter is refused; where it does for casts alone the log says so, and a call that the
// stop interrupts is answered for at once.
func TestAckAfterNeedsABusThatRedelivers(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		mute := struct{ transport.Transport }{c.bus.Open(memory.Config{})}
		never := c.forgetful()
		never.again = &transport.Redelivery{}
		for _, bus := range []transport.Transport{mute, never} {
			server := rpc.NewServer(bus, rpc.ServerConfig{Target: target, Server: "h1", AckAfter: true}, echo.Handle(handleEcho))
			if err := server.Listen(t.Context()); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "AckAfter") {
				t.Errorf("Listen: %v, want that AckAfter is not supported", err)
			}
			if err := bus.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		casts := c.forgetful()
		casts.again = &transport.Redelivery{Casts: true}
		casts.taken = func() bool { return false }
		stop := c.run(casts, rpc.ServerConfig{AckAfter: true, Drain: time.Second}, sleep.Handle(handleSleep))
		if n := strings.Count(c.log.String(), "AckAfter has no effect on them"); n != 1 {
			t.Errorf("the log says so %d times", n)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := sleep.Call(t.Context(), c.client, sleepArgs{50})
			ended <- err
		}()
		synctest.Wait()
		start := time.Now()
		_ = stop()
		if err := <-ended; !errors.Is(err, rpc.ErrorClass{Module: "oslo_messaging.exceptions", Name: "MessageDeliveryFailure"}) || time.Since(start) > time.Second {
			t.Errorf("the interrupted call: %v after %s", err, time.Since(start))
		}
	})
}

// A fanout is the server's own copy: nobody else gets it when the server stops, and the log says that it was dropped.
func TestAckAfterFanout(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.forgetful()
		stop := c.run(bus, rpc.ServerConfig{AckAfter: true, Drain: time.Second}, sleep.Handle(handleSleep))
		if err := sleep.Cast(t.Context(), c.client.Fanout(), sleepArgs{50}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		bus.forget(t) // a connection that is back in time gives it again
		synctest.Wait()
		_ = stop()
		if log := c.log.String(); !strings.Contains(log, "request dropped at the stop") || !strings.Contains(log, "own copy") {
			t.Errorf("the log says %s", log)
		}
		if n := c.left(); n != 0 {
			t.Errorf("%d came back", n)
		}
	})
}

// A handler that outlives what the bus allows is told of by the name that operators know.
func TestAckAfterWarnsOfTheLimit(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		bus := c.forgetful()
		bus.again = &transport.Redelivery{Casts: true, Calls: true, Within: 30 * time.Minute, WithinName: "RabbitMQ's consumer_timeout"}
		c.run(bus, rpc.ServerConfig{AckAfter: true}, sleep.Handle(handleSleep))
		warnings := func() int { return strings.Count(c.log.String(), "level=WARN") }
		client := c.newClient(rpc.ClientConfig{Timeout: 3 * time.Hour})
		if _, err := sleep.Call(t.Context(), client, sleepArgs{29 * 60}); err != nil || warnings() != 0 {
			t.Errorf("within the limit: %v: %s", err, c.log)
		}
		start := time.Now()
		ended := make(chan error, 1)
		go func() {
			_, err := sleep.Call(t.Context(), client, sleepArgs{100 * 60})
			ended <- err
		}()
		<-time.After(30*time.Minute - time.Second)
		if warnings() != 0 {
			t.Errorf("after %s: %s", time.Since(start), c.log)
		}
		<-time.After(2 * time.Second)
		if log := c.log.String(); warnings() != 1 || !strings.Contains(log, "RabbitMQ's consumer_timeout") || !strings.Contains(log, "method=sleep") || !strings.Contains(log, "limit_by_default=30m0s") {
			t.Errorf("past the limit: %s", log)
		}
		if err := <-ended; err != nil || warnings() != 1 {
			t.Errorf("at the end: %v: %s", err, c.log)
		}
	})
}

// A handler that ends its goroutine, as FailNow of a test does, has failed; its server goes on with all of its workers.
func TestGoexitInAHandler(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		exit := rpc.NewCall[struct{}, any](target, "exit")
		stop := c.serve(rpc.ServerConfig{Workers: 2},
			exit.Handle(func(context.Context, struct{}) (any, error) { runtime.Goexit(); return nil, nil }), echo.Handle(handleEcho))
		client := c.client.Monitored(2 * time.Second)
		for range 5 {
			start := time.Now()
			_, err := exit.Call(t.Context(), client, struct{}{})
			var remote *rpc.RemoteError
			if !errors.As(err, &remote) || !strings.Contains(remote.Message, "Goexit") || time.Since(start) != 0 {
				t.Errorf("%v after %s, want a failure at once", err, time.Since(start))
			}
		}
		if err := exit.Cast(t.Context(), client, struct{}{}); err != nil {
			t.Error(err)
		}
		if got, err := echo.Call(t.Context(), client, echoArgs{json.RawMessage("1")}); err != nil || string(got) != "1" {
			t.Errorf("after them: %s, %v", got, err)
		}
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
}

// An interceptor can tell what its method's endpoint declared as normal.
func TestIsExpected(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var got []bool
		watch := func(next rpc.Func) rpc.Func {
			return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
				result, err := next(ctx, r)
				got = append(got, rpc.IsExpected(err))
				return result, err
			}
		}
		fail := getConsole.Handle(getConsoleOutput)
		c.serve(rpc.ServerConfig{Server: "declared", Interceptors: []rpc.Interceptor{watch}}, fail.Expect(instanceNotFound))
		c.serve(rpc.ServerConfig{Server: "undeclared", Interceptors: []rpc.Interceptor{watch}}, fail)
		for i, server := range []string{"declared", "undeclared"} {
			_, err := getConsole.Call(t.Context(), c.client.To(server), consoleArgs{Instance: "gone"})
			if !errors.Is(err, instanceNotFound) || rpc.IsExpected(err) {
				t.Errorf("%s: the caller has %v, expected: %t", server, err, rpc.IsExpected(err))
			}
			if len(got) != i+1 || got[i] != (server == "declared") {
				t.Errorf("%s: the interceptor saw %v", server, got)
			}
		}
		if rpc.IsExpected(nil) {
			t.Error("no error is none that was declared")
		}
	})
}
