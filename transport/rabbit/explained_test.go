package rabbit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

var (
	stock = rpc.Target{Topic: "stock"}
	count = rpc.NewCall[struct{}, int](stock, "count")
	hang  = rpc.NewCall[struct{}, int](stock, "hang")
)

// A shop is a client, and a service whose method hang does until its caller's deadline has passed.
type shop struct {
	bus    *rabbit.Transport
	client *rpc.Client
	taken  chan struct{} // a token for each call that hangs now
}

// openShop serves on one URL and calls on another, of the same broker.
func openShop(t *testing.T, serverURL, clientURL string, config rpc.ClientConfig) *shop {
	t.Helper()
	s := &shop{bus: openURL(t, clientURL, rabbit.Config{}), taken: make(chan struct{}, 10)}
	s.client = rpc.NewClient(s.bus, config)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = s.client.Close(ctx) // its broker may be away
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	server := rpc.NewServer(openURL(t, serverURL, rabbit.Config{}), rpc.ServerConfig{Target: stock, Server: "h1", Drain: -1},
		count.Handle(func(context.Context, struct{}) (int, error) { return 1, nil }),
		hang.Handle(func(ctx context.Context, _ struct{}) (int, error) {
			s.taken <- struct{}{}
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}))
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		var drain *rpc.DrainError
		if err := <-ended; err != nil && !errors.As(err, &drain) {
			t.Errorf("the server: %v", err)
		}
	})
	return s
}

// timesOut calls hang, does what breaks things once the server has it, and the client knows that the broker has, and
// returns how the call ended.
func (s *shop) timesOut(t *testing.T, within time.Duration, meanwhile func()) *rpc.TimeoutError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ended := make(chan error, 1)
	start := time.Now()
	go func() {
		_, err := hang.Call(ctx, s.client, struct{}{})
		ended <- err
	}()
	select {
	case <-s.taken:
		// The broker may have handed the request on before its confirm is here. The next one's comes after it.
		if _, err := count.Call(t.Context(), s.client, struct{}{}); err != nil {
			t.Fatal(err)
		}
		meanwhile()
	case err := <-ended:
		t.Fatalf("before the server had it: %v", err)
	}
	err := <-ended
	return explained(t, err, start, within)
}

// explained checks what is common to all: the deadline held, and the error says so.
func explained(t *testing.T, err error, start time.Time, within time.Duration) *rpc.TimeoutError {
	t.Helper()
	var e *rpc.TimeoutError
	if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want a TimeoutError", err)
	}
	if took := time.Since(start); took > within+10*time.Second {
		t.Errorf("the deadline of %s passed and %s later came %v", within, took-within, err)
	}
	t.Log(err)
	return e
}

func wantPhase(t *testing.T, e *rpc.TimeoutError, phase rpc.Phase, unattended bool, says string) {
	t.Helper()
	if e.Phase != phase || e.Unattended != unattended || !strings.Contains(e.Error(), says) {
		t.Errorf("phase %q, unattended %t, %q; want %q, %t, and that it says %q", e.Phase, e.Unattended, e, phase, unattended, says)
	}
}

// What became of a call that was not answered in time is in its error: found out with passive declarations, by a user who may
// do no more than send.
//
// conforms: ODD-30, ODD-40, RPC-CLIENT-10
func TestTimeoutsAreExplained(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	const within = 6 * time.Second

	t.Run("nobody ever listened", func(t *testing.T) {
		t.Parallel()
		client := rpc.NewClient(openURL(t, node.URLVhost(node.NewVhost(t)), rabbit.Config{}), rpc.ClientConfig{Timeout: time.Minute})
		start := time.Now()
		_, err := count.Call(t.Context(), client, struct{}{})
		var none *rpc.NoServerError
		if !errors.As(err, &none) || time.Since(start) > 20*time.Second {
			t.Errorf("got %v after %s, want a NoServerError at once", err, time.Since(start))
		}
	})
	t.Run("a queue without a consumer", func(t *testing.T) {
		t.Parallel()
		url := node.URLVhost(node.NewVhost(t))
		away := openURL(t, url, rabbit.Config{})
		if err := listen(t, away, server("stock")).Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		client := rpc.NewClient(openURL(t, url, rabbit.Config{}), rpc.ClientConfig{Timeout: within})
		for range 3 {
			if err := count.Cast(t.Context(), client, struct{}{}); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		_, err := count.Call(t.Context(), client, struct{}{})
		wantPhase(t, explained(t, err, start, within), rpc.Queued, true, "nobody listens there now, and 4 messages wait")
	})
	t.Run("a consumer that takes nothing", func(t *testing.T) {
		t.Parallel()
		url := node.URLVhost(node.NewVhost(t))
		stuck, err := openURL(t, url, rabbit.Config{}).Listen(t.Context(), server("stock"), transport.ListenOptions{Prefetch: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = stuck.Close(context.WithoutCancel(t.Context())) }()
		client := rpc.NewClient(openURL(t, url, rabbit.Config{}), rpc.ClientConfig{Timeout: within})
		if err := count.Cast(t.Context(), client, struct{}{}); err != nil { // fills its prefetch
			t.Fatal(err)
		}
		start := time.Now()
		_, err = count.Call(t.Context(), client, struct{}{})
		wantPhase(t, explained(t, err, start, within), rpc.Queued, false, "1 listens, and 1 message waits")
	})
	t.Run("a consumer that hangs", func(t *testing.T) {
		t.Parallel()
		url := node.URLVhost(node.NewVhost(t))
		s := openShop(t, url, url, rpc.ClientConfig{})
		wantPhase(t, s.timesOut(t, within, func() {}), rpc.Taken, false, "1 listens and no message waits")
	})
	t.Run("a consumer that hangs and gives signs of life", func(t *testing.T) {
		t.Parallel()
		url := node.URLVhost(node.NewVhost(t))
		s := openShop(t, url, url, rpc.ClientConfig{Monitor: 3 * time.Second})
		e := s.timesOut(t, within, func() {})
		wantPhase(t, e, rpc.Running, false, "last sign of life")
		if e.LastSign <= 0 || e.LastSign > within {
			t.Errorf("the last sign was %s ago", e.LastSign)
		}
	})
	t.Run("a queue that is deleted", func(t *testing.T) {
		t.Parallel()
		vhost := node.NewVhost(t)
		url := node.URLVhost(vhost)
		l := listen(t, openURL(t, url, rabbit.Config{}), server("stock"))
		client := rpc.NewClient(openURL(t, url, rabbit.Config{}), rpc.ClientConfig{Timeout: within})
		ended := make(chan error, 1)
		start := time.Now()
		go func() {
			_, err := count.Call(t.Context(), client, struct{}{})
			ended <- err
		}()
		d, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Ack(t.Context()), l.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		node.DeleteQueue(t, vhost, "stock")
		wantPhase(t, explained(t, <-ended, start, within), rpc.Unroutable, true, "queue is gone")
	})
	t.Run("the reply queue is deleted for good", func(t *testing.T) {
		t.Parallel()
		vhost := node.NewVhost(t)
		url := node.URLVhost(vhost)
		s := openShop(t, url, url, rpc.ClientConfig{})
		e := s.timesOut(t, within, func() { deleteForGood(t, node, vhost, replyQueue(t, node, vhost)) })
		wantPhase(t, e, rpc.ReplyLost, false, "this process's queue for replies, reply_")
	})
	t.Run("the reply queue is deleted", func(t *testing.T) {
		t.Parallel()
		vhost := node.NewVhost(t)
		url := node.URLVhost(vhost)
		s := openShop(t, url, url, rpc.ClientConfig{})
		e := s.timesOut(t, within, func() {
			node.DeleteQueue(t, vhost, replyQueue(t, node, vhost))
		})
		wantPhase(t, e, rpc.ReplyLost, false, "was lost and made anew")
		if _, err := count.Call(t.Context(), s.client, struct{}{}); err != nil {
			t.Errorf("with the queue made anew: %v", err)
		}
		e = s.timesOut(t, within, func() {})
		wantPhase(t, e, rpc.Taken, false, "no message waits") // since this call began
	})
	t.Run("the broker is down", func(t *testing.T) {
		t.Parallel()
		url, proxy := proxied(t, node)
		client := rpc.NewClient(openURL(t, url, rabbit.Config{}), rpc.ClientConfig{})
		proxy.Cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := count.Call(ctx, client, struct{}{})
		e := explained(t, err, start, time.Second)
		wantPhase(t, e, rpc.NotSent, false, "the broker has been away for")
		var outage *transport.OutageError
		if !errors.As(err, &outage) || outage.Blocked != "" || outage.For <= 0 || outage.Cause == nil {
			t.Errorf("the outage is %+v", outage)
		}
	})
	t.Run("the broker goes down meanwhile", func(t *testing.T) {
		t.Parallel()
		url, proxy := proxied(t, node)
		s := openShop(t, node.URLVhost(url[strings.LastIndex(url, "/")+1:]), url, rpc.ClientConfig{})
		wantPhase(t, s.timesOut(t, within, proxy.Cut), rpc.BusAway, false, "the broker has been away for")
	})
	t.Run("the broker does not answer", func(t *testing.T) {
		t.Parallel()
		url, proxy := proxied(t, node)
		s := openShop(t, node.URLVhost(url[strings.LastIndex(url, "/")+1:]), url, rpc.ClientConfig{})
		wantPhase(t, s.timesOut(t, 2*time.Second, proxy.HalfOpen), rpc.Delivered, false, "the bus did not answer when it was asked why")
		proxy.Cut()
	})
}

// A call whose bus is blocked when its deadline passes is told so, and so is one that could not even be sent. The broker
// tells of its alarm when the next message comes; on a slow machine that, or the answer to the question why, may be too late for a call, and one with more time tells.
//
// conforms: ODD-41
func TestTimeoutsNameTheAlarm(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	s := openShop(t, node.URL(), node.URL(), rpc.ClientConfig{})
	for within := 4 * time.Second; ; within *= 3 {
		inTime := false
		start := time.Now()
		e := s.timesOut(t, within, func() {
			node.SetAlarm(t, true)
			for !inTime && time.Since(start) < within-time.Second {
				inTime = s.namesTheAlarm(t)
			}
		})
		if inTime && (e.Phase == rpc.BusBlocked || within > time.Minute) {
			wantPhase(t, e, rpc.BusBlocked, false, "low on memory")
			break
		}
		if within > time.Minute {
			t.Fatalf("no call was told of the alarm within %s", within)
		}
		node.SetAlarm(t, false)
	}
	node.SetAlarm(t, false)
}

// namesTheAlarm calls, and says whether that failed because of the alarm. A call that could still leave times out otherwise.
func (s *shop) namesTheAlarm(t *testing.T) bool {
	t.Helper()
	const within = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	start := time.Now()
	_, err := count.Call(ctx, s.client, struct{}{})
	if err == nil {
		return false
	}
	e := explained(t, err, start, within)
	var outage *transport.OutageError
	if e.Phase != rpc.NotSent || !errors.As(err, &outage) || !strings.Contains(outage.Blocked, "memory") {
		return false
	}
	wantPhase(t, e, rpc.NotSent, false, "low on memory")
	return true
}

// proxied returns the URL of a virtual host of its own through a proxy.
func proxied(t *testing.T, node *brokertest.RabbitNode) (url string, proxy *brokertest.Proxy) {
	t.Helper()
	proxy = brokertest.NewProxy(t, node.Addr())
	return "rabbit://guest:guest@" + proxy.Addr() + "/" + node.NewVhost(t), proxy
}

func replyQueue(t *testing.T, node *brokertest.RabbitNode, vhost string) string {
	t.Helper()
	for _, q := range node.ListQueues(t, vhost) {
		if strings.HasPrefix(q.Name, "reply_") {
			return q.Name
		}
	}
	t.Fatal("there is no reply queue")
	return ""
}

// deleteForGood deletes a queue, and lets nobody make it again.
func deleteForGood(t *testing.T, node *brokertest.RabbitNode, vhost, name string) {
	t.Helper()
	node.Eval(t, fmt.Sprintf(`rabbit_vhost_limit:parse_set(<<"%s">>, <<"{\"max-queues\": 0}">>, <<"brokertest">>)`, vhost))
	node.DeleteQueue(t, vhost, name)
}
