package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
)

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

// Nobody to take a request: an error at once, of its own type, that says where; a fanout to nobody is none.
// conforms: RPC-CLIENT-25, RPC-CLIENT-26, RPC-CLIENT-30, TRN-12, ERR-01, ERR-02
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
