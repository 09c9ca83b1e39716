//go:build zmq

package zmq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq"
)

// notified is where notifications go; the pool is for who listens.
func notified(pool string) transport.Address {
	return transport.Address{Kind: transport.Notification, Topic: "n.info", Pool: pool}
}

func event(name string) *transport.Message {
	return &transport.Message{UniqueID: name, Event: &transport.Event{Type: name, Priority: "INFO"}}
}

func hear(t testing.TB, bus transport.Transport, pool string, prefetch int) transport.Listener {
	t.Helper()
	l, err := bus.Listen(testContext(t), notified(pool), transport.ListenOptions{Prefetch: prefetch})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func tell(t testing.TB, bus transport.Transport, name string) {
	t.Helper()
	if err := bus.Send(testContext(t), notified(""), event(name)); err != nil {
		t.Fatal(err)
	}
}

// told takes and acknowledges so many, and returns their names in order of the alphabet.
func told(t testing.TB, l transport.Listener, n int) (names []string) {
	t.Helper()
	for range n {
		d, err := l.Next(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, d.Message.Event.Type)
		if err := d.Ack(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	return names
}

// Pools are found in each directory, as soon as Listen has returned.
func TestPoolsInEachDirectory(t *testing.T) {
	t.Parallel()
	one, two := freeport.One(t), freeport.One(t)
	endpoints := at1(one) + "," + at1(two)
	redis := redisBus(t, brokertest.NewRedis(t, brokertest.RedisOptions{}).Addr(), "")
	folder := busURL(t)
	for name, buses := range map[string][3]*zmq.Conn{
		"folder": {open(t, folder), open(t, folder), open(t, folder)},
		"Redis":  {open(t, redis), open(t, redis), open(t, redis)},
		"list":   {listed(t, one, endpoints), listed(t, two, endpoints), listed(t, 0, endpoints)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := buses[2]
			if err := client.Send(testContext(t), notified(""), event("early")); !errors.Is(err, transport.ErrNoListener) || !strings.Contains(err.Error(), "does not keep") {
				t.Errorf("to nobody: %v, want ErrNoListener, and why", err)
			}
			var listeners []transport.Listener
			for i, pool := range []string{"", "meter", "audit", "\x00", "meter.x"} {
				listeners = append(listeners, hear(t, buses[i%2], pool, 0))
				tell(t, client, fmt.Sprint(i))
				for _, l := range listeners {
					if got := told(t, l, 1); got[0] != fmt.Sprint(i) {
						t.Errorf("%s got %s, want %d", l.Addr(), got[0], i)
					}
				}
			}
		})
	}
}

// Requests and notifications of one name do not meet.
func TestNotificationsAreNoRequests(t *testing.T) {
	t.Parallel()
	bus := open(t, busURL(t))
	at := transport.Address{Kind: transport.Topic, Topic: "n.info", Server: "pool:"}
	server, err := bus.Listen(testContext(t), at, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Send(testContext(t), notified(""), event("e")); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("a notification where a server listens: %v, want ErrNoListener", err)
	}
	if err := server.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	l := hear(t, bus, "", 0)
	if err := bus.Send(testContext(t), at, cast("m")); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("a request where notifications are heard: %v, want ErrNoListener", err)
	}
	if names, err := bus.Topics(testContext(t), ""); err != nil || len(names) != 0 {
		t.Errorf("topics %q, %v, want none: they are for requests", names, err)
	}
	for pool, want := range map[string]int{"": 1, "other": 0} {
		if s, err := bus.Inspect(testContext(t), notified(pool)); err != nil || s.Listeners != want {
			t.Errorf("pool %q: %+v, %v, want %d listeners", pool, s, err, want)
		}
	}
	if err := l.(transport.Leaver).Leave(testContext(t)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("leave: %v, want ErrUnsupported", err)
	}
}

// What a peer sends to where something else is expected, a request to who hears notifications or a notification to a server, is dropped.
func TestMisdirected(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	bus, peer := open(t, url), open(t, url)
	at := transport.Address{Kind: transport.Topic, Topic: "n.info", Server: "s"}
	server, err := bus.Listen(testContext(t), at, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		l     transport.Listener
		to    transport.Address
		wrong *transport.Message
		right *transport.Message
	}{{hear(t, bus, "", 0), notified(""), cast("wrong"), event("right")}, {server, at, event("wrong"), cast("right")}} {
		sent := make(chan error, 1)
		go func() { // awaited below
			_ = peer.Misdirect(testContext(t), c.to, c.wrong) // which may be told that it was taken
			sent <- peer.Send(testContext(t), c.to, c.right)
		}()
		d, err := c.l.Next(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if (d.Message.Event != nil) != (c.right.Event != nil) {
			t.Errorf("%s got %+v", c.l.Addr(), d.Message)
		}
		if err := d.Ack(testContext(t)); err != nil {
			t.Fatal(err)
		}
		if err := <-sent; err != nil {
			t.Errorf("send to %s: %v", c.to, err)
		}
	}
}

// Who tells does not wait for who handles, as long as there is room; nor for Next.
func TestNotifierDoesNotWaitForHandlers(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	l, client := hear(t, open(t, url), "", 64), open(t, url)
	tell(t, client, "first") // connects
	const runs, more = 3, 16
	fastest := time.Hour
	for range runs { // the machine may stall once
		start := time.Now()
		for range more {
			tell(t, client, "e")
		}
		fastest = min(fastest, time.Since(start))
	}
	if fastest > more*10*time.Millisecond { // a request waits 40 ms for a server that does not take it
		t.Errorf("%d notifications took %s", more, fastest)
	}
	told(t, l, 1+runs*more)
}

// What a listener has and has not handled goes to others of its pool when it is closed.
func TestClosedListenerHandsOver(t *testing.T) {
	t.Parallel()
	url := busURL(t)
	leaving, client := open(t, url), open(t, url)
	l := hear(t, leaving, "p", 0)
	for i := range 5 {
		tell(t, client, fmt.Sprint(i))
	}
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	other, stranger := hear(t, open(t, url), "p", 0), hear(t, open(t, url), "q", 0)
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := d.Requeue(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if got := told(t, other, 5); !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("the other one of the pool got %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if d, err := stranger.Next(ctx); err == nil {
		t.Errorf("another pool got %+v", d.Message.Event)
	}
}

// A pool that cannot be reached holds nobody else up, and is named.
func TestUnreachablePoolIsNamed(t *testing.T) {
	t.Parallel()
	port := freeport.One(t)
	proxy := brokertest.NewProxy(t, at1(port))
	slow, client := listed(t, port, at1(port)), listed(t, 0, proxy.Addr())
	l := hear(t, slow, "slow", 0)
	own := hear(t, client, "", 0)
	tell(t, client, "first")
	told(t, l, 1)
	told(t, own, 1)
	proxy.HalfOpen()
	brokertest.Await(t, "the silence to be noticed", func() bool { return client.Down() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err := client.Send(ctx, notified(""), event("second"))
	if !errors.Is(err, transport.ErrNotSent) || !strings.Contains(err.Error(), "pool:slow") {
		t.Errorf("got %v, want ErrNotSent that names the pool", err)
	}
	if got := told(t, own, 1); got[0] != "second" {
		t.Errorf("the other pool got %q", got)
	}
}
