package tap_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/tap"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// A bus is a virtual host of a test's own.
type bus struct {
	node  *brokertest.RabbitNode
	vhost string
}

func newBus(t *testing.T) bus {
	t.Helper()
	node := brokertest.Rabbit(t)
	return bus{node, node.NewVhost(t)}
}

func (b bus) config(t *testing.T) rabbit.Config {
	t.Helper()
	u, err := transport.ParseURL(b.node.URLVhost(b.vhost))
	if err != nil {
		t.Fatal(err)
	}
	return rabbit.Config{URL: u, Program: "tester", Exchange: "shop"}
}

func (b bus) open(t *testing.T) transport.Transport {
	t.Helper()
	opened, err := rabbit.Open(t.Context(), b.config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, opened) })
	return opened
}

func closeBus(t *testing.T, opened transport.Transport) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if err := opened.Close(ctx); err != nil && !errors.Is(err, transport.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

var greet = rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "desk"}, "greet")

// serve starts a server of topic desk; what it returns ends it.
func (b bus) serve(t *testing.T, name string) (stop func()) {
	t.Helper()
	opened := b.open(t)
	server := rpc.NewServer(opened, rpc.ServerConfig{Target: rpc.Target{Topic: "desk"}, Server: name},
		rpc.NewCall[rpc.Args, string](rpc.Target{Version: "1.0"}, "greet").Handle(func(_ context.Context, args rpc.Args) (string, error) { return name, nil }))
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server %s: %v", name, err)
		}
		closeBus(t, opened)
	}
	t.Cleanup(stop)
	return stop
}

func (b bus) client(t *testing.T) *rpc.Client {
	t.Helper()
	c := rpc.NewClient(b.open(t), rpc.ClientConfig{Timeout: 20 * time.Second})
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

func requestContext(t *testing.T, members map[string]any) rpc.RequestContext {
	t.Helper()
	c, err := rpc.NewRequestContext(members)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tap opens a tap, which notes what it is told.
func (b bus) tap(t *testing.T, c tap.Config) (*tap.Tap, <-chan tap.Notice) {
	t.Helper()
	notices := make(chan tap.Notice, 100)
	c.Dial, c.Notice = b.config(t).Dial, func(n tap.Notice) { notices <- n }
	before := b.taps(t)
	opened, err := tap.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
		if left := b.taps(t); slices.ContainsFunc(left, func(q string) bool { return !slices.Contains(before, q) }) {
			t.Errorf("left on the broker: %v", left)
		}
	})
	return opened, notices
}

// taps are the queues of taps that there are.
func (b bus) taps(t *testing.T) (names []string) {
	t.Helper()
	for _, q := range b.node.ListQueues(t, b.vhost) {
		if strings.HasPrefix(q.Name, tap.QueuePrefix) {
			names = append(names, q.Name)
		}
	}
	return names
}

// next is the next request.
func next(t *testing.T, from *tap.Tap) tap.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	m, err := from.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := from.Request(m)
	if !ok {
		t.Fatalf("no request: %s", m.Body)
	}
	return r
}

func TestRequests(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.serve(t, "d1")
	client := b.client(t)
	opened, _ := b.tap(t, tap.Config{Routes: tap.Named("shop", []string{"desk", "desk.d1", "desk.d2"})})

	ctx := rpc.WithContext(t.Context(), requestContext(t, map[string]any{"request_id": "req-1", "project_id": "p1", "user_id": "u1", "auth_token": "t1"}))
	if _, err := greet.Call(ctx, client, rpc.Args{"name": "ann"}); err != nil {
		t.Fatal(err)
	}
	got := next(t, opened)
	if got.IDs.Message == "" || !strings.HasPrefix(got.IDs.ReplyTo, "reply_") || got.IDs.Unique == "" || got.Size == 0 || time.Since(got.Time) > time.Minute || got.Within > 20*time.Second || got.Within <= 0 {
		t.Errorf("ids %+v, size %d, time %s, within %s", got.IDs, got.Size, got.Time, got.Within)
	}
	want := tap.Request{
		Kind: tap.Call, Target: tap.Target{Exchange: "shop", Topic: "desk"}, Method: tap.Method{Name: "greet", Version: "1.0"},
		Origin: tap.Origin{RequestID: "req-1", Project: "p1", User: "u1"}, Args: json.RawMessage(`{"name":"ann"}`),
	}
	got.IDs, got.Size, got.Time, got.Within = tap.IDs{}, 0, time.Time{}, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	if _, err := greet.Call(ctx, client.To("d1"), rpc.Args{}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, opened); got.Target.String() != "desk/d1" {
		t.Errorf("target %s, want desk/d1", got.Target)
	}
	if err := rpc.NewCast[rpc.Args](rpc.Target{Topic: "desk"}, "greet").Cast(ctx, client, rpc.Args{}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, opened); got.Kind != tap.Cast {
		t.Errorf("kind %s, want cast", got.Kind)
	}
	if err := rpc.NewCast[rpc.Args](rpc.Target{Topic: "desk"}, "greet").Cast(ctx, client.Fanout(), rpc.Args{}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, opened); got.Kind != tap.Fanout || got.Target.Topic != "desk" {
		t.Errorf("%s to %s, want a fanout to desk", got.Kind, got.Target)
	}
}

func TestNoSuchTopic(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	_, err := tap.Open(t.Context(), tap.Config{Dial: b.config(t).Dial, Routes: tap.Named("shop", []string{"desk"})})
	if !errors.Is(err, tap.ErrNoRoutes) {
		t.Errorf("got %v, want ErrNoRoutes", err)
	}
	if q := b.taps(t); len(q) > 0 {
		t.Errorf("left on the broker: %v", q)
	}
}

// A server whose queue goes while a tap listens beside it is no server for its callers, as without the tap: but for the moment until the tap has
// noticed, of which it tells.
func TestFailFastBesideATap(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.serve(t, "d1")
	b.serve(t, "d2")
	client := b.client(t)
	opened, notices := b.tap(t, tap.Config{Routes: tap.Named("shop", []string{"desk", "desk.d1", "desk.d2"})})

	// Never there: the tap is not bound for it.
	var nobody *rpc.NoServerError
	if _, err := greet.Call(t.Context(), client.To("d3"), rpc.Args{}); !errors.As(err, &nobody) {
		t.Errorf("a server that was never there: %v, want a NoServerError", err)
	}

	// Gone: what comes before the tap has noticed reaches the tap alone.
	stop := b.serve(t, "d4")
	other, others := b.tap(t, tap.Config{Routes: tap.Named("shop", []string{"desk.d4"})})
	stop()
	b.node.DeleteQueue(t, b.vhost, "desk.d4")
	cast := rpc.NewCast[rpc.Args](rpc.Target{Topic: "desk"}, "greet")
	early := cast.Cast(rpc.WithContext(t.Context(), requestContext(t, map[string]any{"request_id": "req-early"})), client.To("d4"), rpc.Args{})
	notice := <-others
	if notice.Route.Queue != "desk.d4" {
		t.Errorf("notice %+v, want one of desk.d4", notice)
	}
	if early == nil { // it was swallowed, and the tap owns up to it
		told := notice.Unanswered == 1 && strings.Contains(notice.Text, "req-early greet")
		if got := next(t, other); !told && !got.Unanswered {
			t.Errorf("neither the notice %+v nor the request %+v tells of it", notice, got)
		}
	}
	if _, err := greet.Call(t.Context(), client.To("d4"), rpc.Args{}); !errors.As(err, &nobody) {
		t.Errorf("after the notice: %v, want a NoServerError", err)
	}

	// The others are still heard.
	if _, err := greet.Call(t.Context(), client.To("d2"), rpc.Args{}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, opened); got.Target.String() != "desk/d2" {
		t.Errorf("target %s, want desk/d2", got.Target)
	}
	select {
	case n := <-notices:
		t.Errorf("a notice of queues that are there: %+v", n)
	default:
	}
}

// A queue that comes back is listened to again.
func TestQueueComesBack(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	stop := b.serve(t, "d1")
	opened, notices := b.tap(t, tap.Config{Routes: tap.Named("shop", []string{"desk", "desk.d1"}), FindEvery: time.Second})
	stop()
	b.node.DeleteQueue(t, b.vhost, "desk.d1")
	<-notices
	b.serve(t, "d1")
	brokertest.Await(t, "the tap is bound again", func() bool {
		return slices.ContainsFunc(b.node.ListBindings(t, b.vhost), func(x brokertest.Binding) bool {
			return x.RoutingKey == "desk.d1" && strings.HasPrefix(x.Destination, tap.QueuePrefix)
		})
	})
	if _, err := greet.Call(t.Context(), b.client(t).To("d1"), rpc.Args{}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, opened); got.Target.String() != "desk/d1" || got.Unanswered {
		t.Errorf("got %+v, want a request to desk/d1", got)
	}
}

// A tap holds what it may, and says how much that was too little for.
func TestBounded(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.serve(t, "d1")
	client := b.client(t)
	opened, _ := b.tap(t, tap.Config{Routes: tap.Named("shop", []string{"desk"}), Messages: 10_000})
	small, _ := b.tap(t, tap.Config{Routes: tap.Named("shop", []string{"desk"}), Messages: 100})
	const sent = 1000 // less than 100 waiting, and 512 on their way
	for range sent {
		if _, err := greet.Call(t.Context(), client, rpc.Args{}); err != nil {
			t.Fatal(err)
		}
	}
	for range sent {
		next(t, opened)
	}
	brokertest.Await(t, "all that was too much is counted", func() bool {
		lost, exact := small.Lost()
		return lost == sent-512-100 && exact
	})
	if lost, _ := opened.Lost(); lost != 0 {
		t.Errorf("%d lost of a tap with enough room", lost)
	}
}
