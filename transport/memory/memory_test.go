package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/transporttest"
)

func config() transporttest.Config {
	bus := memory.NewBus()
	return transporttest.Config{Open: func(testing.TB) transport.Transport { return bus.Open(memory.Config{}) }}
}

// What the contract says of pools, and of what is given back, is not the fake driver's.
//
// conforms: FAKE-04, FAKE-08
func TestContract(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	transporttest.Run(t, config())
}

func at(exchange, topic, server string) transport.Address {
	return transport.Address{Kind: transport.Topic, Exchange: exchange, Topic: topic, Server: server}
}

func listen(t *testing.T, bus *memory.Transport, from transport.Address) transport.Listener {
	t.Helper()
	l, err := bus.Listen(t.Context(), from, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func send(t *testing.T, bus *memory.Transport, to transport.Address, method string) {
	t.Helper()
	if err := bus.Send(t.Context(), to, &transport.Message{Method: method}); err != nil {
		t.Fatal(err)
	}
}

// waiting takes what can be had at once. Nothing here is asynchronous, so a context that ends as soon as
// one waits shows what there is.
func waiting(t *testing.T, l transport.Listener) []string {
	t.Helper()
	var methods []string
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		d, err := l.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return methods
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		methods = append(methods, d.Message.Method)
	}
}

// Two servers, with the same or another exchange, topic and name, and all ways to reach them.
//
// conforms: FAKE-02, FAKE-03
func TestDeliveryMatrix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		one, two     transport.Address
		topic        [2]int // what each gets of two messages to the topic of the first; -1: two in all
		server       [2]int // of one to the first server
		fanout       [2]int
		sharesServer bool
	}{
		{name: "same topic", one: at("e", "t", "a"), two: at("e", "t", "b"), topic: [2]int{-1, -1}, server: [2]int{1, 0}, fanout: [2]int{1, 1}},
		{name: "same server", one: at("e", "t", "a"), two: at("e", "t", "a"), topic: [2]int{-1, -1}, server: [2]int{1, 0}, fanout: [2]int{1, 1}, sharesServer: true},
		{name: "other topic", one: at("e", "t", "a"), two: at("e", "u", "a"), topic: [2]int{2, 0}, server: [2]int{1, 0}, fanout: [2]int{1, 0}},
		{name: "other exchange", one: at("e", "t", "a"), two: at("f", "t", "a"), topic: [2]int{2, 0}, server: [2]int{1, 0}, fanout: [2]int{1, 0}},
		// conforms: TGT-09
		{name: "default exchange by name", one: at("", "t", "a"), two: at("openstack", "t", "b"), topic: [2]int{-1, -1}, server: [2]int{1, 0}, fanout: [2]int{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				bus := memory.NewBus().Open(memory.Config{})
				one, two := listen(t, bus, c.one), listen(t, bus, c.two)
				check := func(to transport.Address, n int, want [2]int) {
					t.Helper()
					for range n {
						send(t, bus, to, "m")
					}
					got := [2]int{len(waiting(t, one)), len(waiting(t, two))}
					if want[0] < 0 || c.sharesServer && to.Server != "" {
						if got[0]+got[1] != n {
							t.Errorf("to %s: got %v, want %d in all", to, got, n)
						}
					} else if got != want {
						t.Errorf("to %s: got %v, want %v", to, got, want)
					}
				}
				check(at(c.one.Exchange, c.one.Topic, ""), 2, c.topic)
				check(c.one, 1, c.server)
				check(transport.Address{Kind: transport.Fanout, Exchange: c.one.Exchange, Topic: c.one.Topic}, 1, c.fanout)
			})
		})
	}
}

// A server that waits for nobody, a caller that waits an hour, an expiry: all in virtual time.
func TestVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := memory.NewBus().Open(memory.Config{})
		l := listen(t, bus, at("", "t", "s"))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := l.Next(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("next: %v after %v, want the deadline after an hour", err, time.Since(start))
		}
		for _, expires := range []time.Duration{time.Minute, 3 * time.Minute, 0} {
			m := &transport.Message{Method: fmt.Sprint(expires), Expires: expires}
			if err := bus.Send(t.Context(), at("", "t", ""), m); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(2 * time.Minute)
		s, err := bus.Inspect(t.Context(), at("", "t", ""))
		if err != nil || s.Waiting != 2 {
			t.Errorf("inspect: %+v, %v; want the 2 messages that are not expired", s, err)
		}
		if got := waiting(t, l); !slices.Equal(got, []string{"3m0s", "0s"}) {
			t.Errorf("got %q, want the two that did not expire", got)
		}
		done := make(chan error)
		go func() {
			_, err := l.Next(t.Context())
			done <- err
		}()
		synctest.Wait() // the bubble sees the Next as waiting, which a lock held across the wait would prevent
		if err := bus.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("next: %v, want ErrClosed", err)
		}
	})
}

func TestListenersTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := memory.NewBus().Open(memory.Config{})
		got := make([]int, 4)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range got {
			l := listen(t, bus, at("", "t", fmt.Sprint(i)))
			go func() {
				for {
					d, err := l.Next(ctx)
					if err != nil {
						return
					}
					got[i]++
					if err := d.Ack(ctx); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		for range 40 {
			synctest.Wait()
			send(t, bus, at("", "t", ""), "m")
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !slices.Equal(got, []int{10, 10, 10, 10}) {
			t.Errorf("got %v, want 10 each", got)
		}
	})
}

// Upstream keeps messages for a first listener too.
//
// conforms: FAKE-07
func TestMessagesWaitFromTheFirstListenerOn(t *testing.T) {
	t.Parallel()
	bus := memory.NewBus().Open(memory.Config{})
	if err := bus.Send(t.Context(), at("", "t", ""), &transport.Message{Method: "early"}); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("send before anyone listened: %v, want ErrNoListener", err)
	}
	l := listen(t, bus, at("", "t", "s"))
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, bus, at("", "t", ""), "topic")
	send(t, bus, at("", "t", "s"), "server")
	got := waiting(t, listen(t, bus, at("", "t", "s")))
	if slices.Sort(got); !slices.Equal(got, []string{"server", "topic"}) {
		t.Errorf("got %q, want the two that were sent while the server was away", got)
	}
}

func TestSettlingTwice(t *testing.T) {
	t.Parallel()
	bus := memory.NewBus().Open(memory.Config{})
	l := listen(t, bus, at("", "t", "s"))
	send(t, bus, at("", "t", "s"), "m")
	d, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Requeue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d.Ack(t.Context()) == nil || d.Requeue(t.Context()) == nil {
		t.Error("a delivery can be settled twice")
	}
	if got := waiting(t, l); len(got) != 1 {
		t.Errorf("got %q, want the message once", got)
	}
}

func TestFanoutGoesWithItsListener(t *testing.T) {
	t.Parallel()
	bus := memory.NewBus().Open(memory.Config{})
	l := listen(t, bus, at("", "t", "s"))
	fanout := transport.Address{Kind: transport.Fanout, Topic: "t"}
	send(t, bus, fanout, "m")
	send(t, bus, fanout, "unread")
	d, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := bus.Inspect(t.Context(), fanout); err != nil || s != (transport.AddressState{Exists: true, Listeners: 1, Waiting: 1}) {
		t.Errorf("inspect: %+v, %v", s, err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Requeue(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("requeue: %v, want ErrUnsupported", err)
	}
	if s, err := bus.Inspect(t.Context(), fanout); err != nil || s != (transport.AddressState{Exists: true}) {
		t.Errorf("inspect: %+v, %v; want nothing left", s, err)
	}
	if got := waiting(t, listen(t, bus, at("", "t", "s"))); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestDefaultExchange(t *testing.T) {
	t.Parallel()
	bus := memory.NewBus()
	nova, neutron := bus.Open(memory.Config{Exchange: "nova"}), bus.Open(memory.Config{Exchange: "neutron"})
	l := listen(t, nova, at("", "t", "s"))
	if err := neutron.Send(t.Context(), at("", "t", ""), &transport.Message{Method: "m"}); !errors.Is(err, transport.ErrNoListener) {
		t.Errorf("send to neutron's t: %v, want ErrNoListener", err)
	}
	send(t, neutron, at("nova", "t", ""), "m")
	d, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.To != at("", "t", "") {
		t.Errorf("addressed to %+v, want nova's own t", d.To)
	}
	for exchange, want := range map[string]int{"": 1, "nova": 1, "neutron": 0} {
		topics, err := nova.Topics(t.Context(), exchange)
		if err != nil || len(topics) != want {
			t.Errorf("topics of exchange %q: %q, %v; want %d", exchange, topics, err, want)
		}
	}
	if _, err := nova.Listen(t.Context(), at("", "t", "s"), transport.ListenOptions{Prefetch: -1}); err == nil {
		t.Error("a negative prefetch is taken")
	}
}

func open(t *testing.T, url string) (*memory.Transport, error) {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return memory.Open(u, memory.Config{})
}

// conforms: FAKE-01, FAKE-10, ODD-48
func TestOpenSharesABusByName(t *testing.T) {
	t.Parallel()
	name := strings.ToLower(t.Name())
	must := func(url string) *memory.Transport {
		t.Helper()
		bus, err := open(t, url)
		if err != nil {
			t.Fatal(err)
		}
		return bus
	}
	reaches := func(bus *memory.Transport) bool {
		t.Helper()
		err := bus.Send(t.Context(), at("", "t", ""), &transport.Message{Method: "m"})
		if err != nil && !errors.Is(err, transport.ErrNoListener) {
			t.Fatal(err)
		}
		return err == nil
	}
	first := must("memory://" + name)
	listen(t, first, at("", "t", "s"))
	second, other, vhost := must("fake://"+name), must("memory://"+name+"2"), must("memory://"+name+"/v")
	if !reaches(second) || reaches(other) || reaches(vhost) {
		t.Error("want that the second transport reaches the server, and those of other buses do not")
	}
	// The bus outlives the first, but not the last.
	for _, bus := range []*memory.Transport{first, other, vhost} {
		if err := bus.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !reaches(second) {
		t.Error("the bus went with the one who opened it")
	}
	if err := second.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := must("memory://" + name)
	if reaches(last) {
		t.Error("the bus is still there after all of its transports were closed")
	}
	if err := last.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"memory://a,b":   "has one name, not 2 hosts",
		"memory://a:1":   "has neither port, user nor password",
		"memory://u:p@a": "has neither port, user nor password",
		// conforms: URL-28
		"fake:///v?size=1": `"size": unknown; the transport has none`,
	} {
		if _, err := open(t, url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
