package amqp1_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/amqp1"
)

// proxied is a connection to a broker by a network that can be broken.
func proxied(t *testing.T, addr, query string) (*amqp1.Conn, *brokertest.Proxy) {
	t.Helper()
	proxy := brokertest.NewProxy(t, addr)
	return open(t, "amqp://"+proxy.Addr()+"/"+query), proxy
}

func reconnected(t *testing.T, conn *amqp1.Conn, times uint64) {
	t.Helper()
	brokertest.Await(t, "the connection to be back", func() bool {
		s := conn.Statistics()
		return s.Reconnects >= times && s.Connected == 1
	})
}

// A connection that breaks is made again, listeners hear again, and a caller that knows its former reply address gets its
// answers at the present one.
//
// conforms: AMQP1-15
func TestReconnect(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	server, cut := proxied(t, node.Addr(), "")
	client, cutToo := proxied(t, node.Addr(), "")
	requests := listen(t, server, topic("t", "s"))
	replies := listen(t, client, transport.Address{Kind: transport.Reply})
	for round := range uint64(3) {
		id := fmt.Sprint("call ", round)
		send(t, client, topic("t", ""), &transport.Message{Method: "m", ReplyTo: replies.Addr(), ID: id})
		d := next(t, requests)
		if now := d.Message.ReplyTo; round > 0 && now == replies.Addr() {
			t.Errorf("the reply address %s, which has gone with its connection, is given to servers", now)
		}
		send(t, server, transport.Address{Kind: transport.Reply, Topic: d.Message.ReplyTo}, &transport.Message{ID: id, Ending: true})
		if r := next(t, replies); r.Message.ID != id {
			t.Errorf("got a reply to %s, want to %s", r.Message.ID, id)
		}
		cut.Reset()
		cutToo.Reset()
		reconnected(t, server, round+1)
		reconnected(t, client, round+1)
	}
	for _, l := range []transport.Listener{requests, replies} {
		if err := l.(transport.Readier).Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
	}
}

// What did not leave waits for the broker, and is there afterwards; a deadline is kept meanwhile, and says since when the broker is away.
func TestSendWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus, proxy := proxied(t, node.Addr(), "")
	proxy.Cut()
	brokertest.Await(t, "the connection to be lost", func() bool { return bus.Statistics().Connected == 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := bus.Send(ctx, topic("t", "s"), &transport.Message{Method: "early"})
	outage, ok := errors.AsType[*transport.OutageError](err)
	if !ok || !errors.Is(err, transport.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) || outage.For <= 0 {
		t.Errorf("send while the broker is away: %v", err)
	}
	if _, err := bus.Listen(ctx, topic("t", "s"), transport.ListenOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("listen while the broker is away: %v", err)
	}
	var sending sync.WaitGroup
	for i := range 20 {
		sending.Go(func() {
			if err := bus.Send(testContext(t), topic("t", "s"), &transport.Message{Method: fmt.Sprint("m", i)}); err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
	proxy.Restore()
	sending.Wait()
	l := listen(t, bus, topic("t", "s"))
	got := map[string]bool{}
	for range 20 {
		got[next(t, l).Message.Method] = true
	}
	if len(got) != 20 || got["early"] {
		t.Errorf("got %v, want the 20 that waited, once each", got)
	}
	if away := bus.Statistics().Away; away < outage.For {
		t.Errorf("away for %v in all, and for %v at one time", away, outage.For)
	}
}

// A connection that is cut without a word is noticed by its silence; what was on its way is in doubt, and not sent again.
//
// conforms: AMQP1-18
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus, proxy := proxied(t, node.Addr(), "?idle_timeout=1")
	send(t, bus, topic("t", "s"), &transport.Message{Method: "before"})
	proxy.Forget() // the broker does not hear of it: it ends, now and then, when a connection with an idle-timeout is lost
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := bus.Send(short, topic("t", "s"), &transport.Message{Method: "deadline"}); !errors.Is(err, transport.ErrInDoubt) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the broker does not answer before the deadline: %v", err)
	}
	if err := bus.Send(testContext(t), topic("t", "s"), &transport.Message{Method: "doubt"}); !errors.Is(err, transport.ErrInDoubt) {
		t.Errorf("the connection ends before the broker answers: %v", err)
	}
	send(t, bus, topic("t", "s"), &transport.Message{Method: "after"})
	l := listen(t, bus, topic("t", "s"))
	for _, want := range []string{"before", "after"} {
		if got := next(t, l).Message.Method; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A host that is not there is passed over, at first and after a connection was lost.
//
// conforms: AMQP1-15
func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := unused.Addr().String()
	if err := unused.Close(); err != nil {
		t.Fatal(err)
	}
	one, two := brokertest.NewProxy(t, node.Addr()), brokertest.NewProxy(t, node.Addr())
	for range 4 { // the first host is chosen at random
		bus := open(t, "amqp://"+nobody+","+node.Addr()+","+nobody+"/")
		send(t, bus, topic("t", "s"), &transport.Message{Method: "m"})
	}
	bus := open(t, "amqp://"+one.Addr()+","+two.Addr()+"/")
	l := listen(t, bus, topic("u", "s"))
	for round := range uint64(2) {
		broken := one
		if one.Connections() == 0 {
			broken = two
		}
		broken.Cut()
		reconnected(t, bus, round+1)
		send(t, bus, topic("u", ""), &transport.Message{Method: "m"})
		next(t, l)
		broken.Restore()
	}
	if _, err := amqp1.Open(testContext(t), config(t, "amqp://"+nobody+"/")); err == nil {
		t.Error("nobody is there, and Open says nothing")
	}
}

// A broker that takes no bytes holds nobody beyond its deadline.
func TestBrokerThatReadsNothing(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus := open(t, node.URL()+"?idle_timeout=0")
	l := listen(t, bus, topic("t", "s"))
	node.Pause(t)
	large := make([]byte, 0, 1<<20)
	large = append(append(append(large, `{"a":"`...), make([]byte, 1<<20-8)...), `"}`...)
	for i := range large[6 : len(large)-2] {
		large[6+i] = 'x'
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	started := time.Now()
	var sending sync.WaitGroup
	for range 20 {
		sending.Go(func() {
			err := bus.Send(ctx, topic("t", "s"), &transport.Message{Method: "m", Args: large})
			if !errors.Is(err, transport.ErrInDoubt) && !errors.Is(err, transport.ErrNotSent) {
				t.Errorf("send: %v", err)
			}
		})
	}
	sending.Wait()
	if took := time.Since(started); took > 30*time.Second {
		t.Errorf("the deadline was a second, and they took %v", took)
	}
	node.Resume(t)
	send(t, bus, topic("t", "s"), &transport.Message{Method: "after"})
	for next(t, l).Message.Method != "after" { // those in doubt may come first
		continue
	}
}

// Deadlines that end in the middle of a send cost nobody the connection.
func TestShortDeadlinesDoNotBreakTheConnection(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus := open(t, node.URL())
	send(t, bus, topic("t", "s"), &transport.Message{Method: "first"})
	var sending sync.WaitGroup
	for range 32 {
		sending.Go(func() {
			for range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(2000))*time.Microsecond)
				err := bus.Send(ctx, topic("t", "s"), &transport.Message{Method: "m"})
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("send: %v", err)
				}
			}
		})
	}
	sending.Wait()
	send(t, bus, topic("t", "s"), &transport.Message{Method: "last"})
	if n := bus.Statistics().Reconnects; n > 0 {
		t.Errorf("the connection was lost %d times", n)
	}
}

// A question whose context has ended costs nobody the connection.
func TestInspectWithoutTime(t *testing.T) {
	t.Parallel()
	bus := open(t, "amqp://guest:guest@"+brokertest.RabbitAMQP1(t).Addr()+"/inspect")
	listen(t, bus, topic("t", "s"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bus.Inspect(ctx, topic("t", "s")); !errors.Is(err, context.Canceled) {
		t.Errorf("inspect: %v", err)
	}
	send(t, bus, topic("t", "s"), &transport.Message{Method: "m"})
	if n := bus.Statistics().Reconnects; n > 0 {
		t.Errorf("the connection was lost %d times", n)
	}
}

// Close is over when its context is, also where the broker takes no bytes, or does not answer for a link.
func TestCloseWithABrokerThatReadsNothing(t *testing.T) {
	t.Parallel()
	for name, messages := range map[string][]*transport.Message{
		"bytes wait":               {{Method: "m", Args: large(1 << 20)}, {Method: "m", Args: large(10 << 20)}, {Method: "m", Args: large(10 << 20)}},
		"a link is being attached": {{Method: "m"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := brokertest.NewProton(t)
			bus := dial(t, node.URL()+"?idle_timeout=0")
			if len(messages) > 1 {
				send(t, bus, topic("t", "s"), &transport.Message{Method: "attached"})
			}
			node.Pause(t)
			defer node.Resume(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var sending sync.WaitGroup
			for _, m := range messages {
				sending.Go(func() {
					if err := bus.Send(ctx, topic("t", "s"), m); err == nil {
						t.Error("the broker took it")
					}
				})
			}
			sending.Wait()
			began := time.Now()
			soon, end := context.WithTimeout(t.Context(), time.Second)
			defer end()
			_ = bus.Close(soon)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("close had a second, and took %v", took)
			}
		})
	}
}

// large is arguments of about so many bytes.
func large(size int) []byte { return []byte(`{"a":"` + strings.Repeat("x", size) + `"}`) }

// A broker that ends connections as soon as they are open is not asked again at once.
//
// conforms: AMQP1-15
func TestConnectionThatDoesNotLast(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus, proxy := proxied(t, node.Addr(), "?connection_retry_interval=6")
	proxy.Reset()
	began := time.Now()
	reconnected(t, bus, 1)
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("connected again after %v, and half of the interval is 3 s", took)
	}
}

// A broker whose session has no room left holds nobody much beyond the deadline, and what was not written is not in doubt.
func TestSessionWindow(t *testing.T) {
	t.Parallel()
	proxy := brokertest.NewProxy(t, brokertest.RabbitAMQP1(t).Addr())
	bus := open(t, "amqp://guest:guest@"+proxy.Addr()+"/window?idle_timeout=0&pre_settled=rpc-cast")
	listen(t, bus, topic("t", "s"))
	send(t, bus, topic("t", "s"), &transport.Message{Method: "first"})
	proxy.HalfOpen() // its 65535 frames are never answered for
	var err error
	var took time.Duration
	sent := 0
	for ; err == nil; sent++ {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err = bus.Send(ctx, topic("t", "s"), &transport.Message{Method: "m"})
		cancel()
		took = time.Since(began)
	}
	if !errors.Is(err, transport.ErrNotSent) || took > 20*time.Second || sent < 1000 {
		t.Errorf("message %d: after %v: %v", sent, took, err)
	}
	proxy.Restore()
	send(t, bus, topic("t", "s"), &transport.Message{Method: "last"})
}
