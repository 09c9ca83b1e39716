package nats_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// stream has the notifications of notified.
const stream = "om~_~notification~openstack~events%2Einfo"

func notified(pool string) transport.Address {
	return transport.Address{Kind: transport.Notification, Topic: "events.info", Pool: pool}
}

func tell(t *testing.T, bus transport.Transport, kind string) {
	t.Helper()
	m := &transport.Message{UniqueID: t.Name() + kind, Event: &transport.Event{Type: kind}}
	if err := bus.Send(testContext(t), notified(""), m); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, l transport.Listener) string {
	t.Helper()
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return d.Message.Event.Type
}

// A stream that is deleted under notifiers is made again, with its consumer. It keeps what a pool, or those without one, have not acknowledged.
func TestNotificationsOutliveTheirStream(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	bus, js := open(t, node.URL()), jetStream(t, node)
	tell(t, bus, "lost")
	if err := js.DeleteStream(testContext(t), stream); err != nil {
		t.Fatal(err)
	}
	tell(t, bus, "kept")
	pools := []string{"meter", "a pool. of > odd * names", strings.Repeat("p", 300)}
	var all []transport.Listener
	for _, pool := range pools {
		all = append(all, listen(t, bus, notified(pool)))
	}
	tell(t, bus, "all")
	for i, l := range all {
		if got := hear(t, l); got != "all" {
			t.Errorf("pool %q got %s first, want what was told after its first listener", pools[i], got)
		}
	}
	s, err := bus.Inspect(testContext(t), notified(""))
	if err != nil || !s.Exists || s.Waiting != 2 {
		t.Errorf("without a pool: %+v, %v; want 2 waiting", s, err)
	}
	if s, err := bus.Inspect(testContext(t), notified("nobody's")); err != nil || s.Exists {
		t.Errorf("a pool that there is not: %+v, %v", s, err)
	}
	common := listen(t, bus, notified(""))
	for _, want := range []string{"kept", "all"} {
		if got := hear(t, common); got != want {
			t.Errorf("without a pool: got %s, want %s", got, want)
		}
	}
	brokertest.Await(t, "an empty stream", func() bool {
		info, err := js.Stream(testContext(t), stream)
		return err == nil && info.CachedInfo().State.Msgs == 0
	})
}

// A stream that is deleted under its listeners is made again when the server is through with deleting it, and stores again.
func TestStreamDeletedUnderListeners(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	notifier, bus, js := open(t, node.URL()), open(t, node.URL()), jetStream(t, node)
	all := []transport.Listener{listen(t, bus, notified("")), listen(t, bus, notified("meter")), listen(t, open(t, node.URL()), notified("audit"))}
	tell(t, notifier, "before")
	for i := range 3 {
		want := "before"
		if i > 0 {
			if err := js.DeleteStream(testContext(t), stream); err != nil {
				t.Fatal(err)
			}
			want = fmt.Sprint("after deletion ", i)
			tell(t, notifier, want)
		}
		for _, l := range all {
			if got := hear(t, l); got != want {
				t.Fatalf("%s: got %s, want %s", l.Addr(), got, want)
			}
		}
	}
}

// A temporary pool leaves no consumer. The stream that was made for it stays, empty: who tells at that moment relies on it.
func TestTemporaryPoolLeavesNothing(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	bus, js := open(t, node.URL()), jetStream(t, node)
	temporary := func() transport.Listener {
		t.Helper()
		l, err := bus.Listen(testContext(t), notified("look"), transport.ListenOptions{Temporary: true})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := temporary()
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	empty, err := js.Stream(testContext(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	if state := empty.CachedInfo().State; state.Consumers != 0 || state.Msgs != 0 {
		t.Errorf("left are %d consumers and %d notifications, want none", state.Consumers, state.Msgs)
	}
	l = temporary()
	tell(t, bus, "heard")
	if got := hear(t, l); got != "heard" {
		t.Errorf("heard %s", got)
	}
	c, err := js.Consumer(testContext(t), stream, "pool-look")
	if err != nil || c.CachedInfo().Config.InactiveThreshold == 0 {
		t.Errorf("the consumer lasts for ever (%v)", err)
	}
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(testContext(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	if state := s.CachedInfo().State; state.Consumers != 1 || state.Msgs != 1 {
		t.Errorf("left are %d consumers and %d notifications, want those of listeners without a pool", state.Consumers, state.Msgs)
	}
}

// What is told, for the first time on a topic, just as a temporary pool ends is confirmed, and kept.
func TestToldAsTemporaryPoolEnds(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	bus, proxy := open(t, node.URL()), brokertest.NewProxy(t, node.Addr())
	var once sync.Once
	say := func() { once.Do(func() { tell(t, bus, "kept") }) }
	proxy.Tap(func(_ int, toBroker bool, piece []byte) {
		if toBroker && bytes.Contains(piece, []byte("JS.API.STREAM.DELETE")) {
			say()
		}
	})
	l, err := open(t, "nats://"+proxy.Addr()).Listen(testContext(t), notified("look"), transport.ListenOptions{Temporary: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	say()
	if got := hear(t, listen(t, bus, notified(""))); got != "kept" {
		t.Errorf("heard %s", got)
	}
}
