package rabbit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// What becomes of messages is counted once: confirmed, given back, refused, or sent again with a connection that broke.
func TestStatisticsOfMessages(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url, proxy := proxied(t, node)
	direct := node.URL() + url[strings.LastIndexByte(url, '/')+1:] + "?probe_interval=0"
	var log lines
	bus := openURL(t, url+"?probe_interval=0", rabbit.Config{Logger: log.logger()})
	l := listen(t, openURL(t, direct, rabbit.Config{}), server("counted"))
	counted := func(what string, want transport.Statistics) {
		t.Helper()
		got := bus.Statistics()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(transport.Statistics{}, "Away", "Blocked")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	want := transport.Statistics{Connections: 1, Connected: 1}
	counted("at first", want)
	if s := bus.Statistics(); s.Away != 0 || s.Blocked != 0 {
		t.Errorf("away for %v, blocked for %v, and nothing has happened", s.Away, s.Blocked)
	}
	receives(t, bus, l, topic("counted"))
	receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "counted"})
	want.Published, want.Confirmed = 2, 2
	counted("a cast and a fanout", want)
	if err := bus.Send(t.Context(), topic("nobody-counts"), &transport.Message{Method: "m"}); !errors.Is(err, transport.ErrNoListener) {
		t.Fatal(err)
	}
	want.Published, want.Returned = 3, 1
	counted("a cast to nobody", want)

	answers := listen(t, openURL(t, direct, rabbit.Config{}), transport.Address{Kind: transport.Reply})
	receives(t, bus, answers, transport.Address{Kind: transport.Reply, Topic: answers.Addr()})
	want.Published, want.Confirmed = 4, 3
	brokertest.Await(t, "the reply to be settled", func() bool { return bus.Statistics().Confirmed == 3 })
	counted("a reply", want)

	proxy.Cut()
	brokertest.Await(t, "the loss", func() bool { return log.count("connection lost") == 1 })
	brokertest.Await(t, "some time", func() bool { return bus.Statistics().Away > 200*time.Millisecond })
	want.Connected = 0
	counted("without the broker", want)
	proxy.Restore()
	receives(t, bus, l, topic("counted"))
	want.Connected, want.Published, want.Confirmed, want.Reconnects = 1, 5, 4, 1
	counted("connected again", want)
	away := bus.Statistics().Away
	receives(t, bus, l, topic("counted"))
	if now := bus.Statistics().Away; now != away {
		t.Errorf("away for %v, and %v a moment later, although connected", away, now)
	}
}

func TestStatisticsOfABlockedBroker(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	bus := openURL(t, node.URL(), rabbit.Config{})
	l := listen(t, bus, server("blocked"))
	receives(t, bus, l, topic("blocked"))
	node.SetAlarm(t, true)
	sent := make(chan error, 1)
	go func() { sent <- bus.Send(t.Context(), topic("blocked"), &transport.Message{Method: "m"}) }()
	brokertest.Await(t, "the broker to block for a while", func() bool { return bus.Statistics().Blocked > 200*time.Millisecond })
	node.SetAlarm(t, false)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	receives(t, bus, l, topic("blocked"))
	blocked := bus.Statistics().Blocked
	receives(t, bus, l, topic("blocked"))
	if s := bus.Statistics(); s.Blocked != blocked || s.Away != 0 {
		t.Errorf("blocked for %v, then %v; away for %v", blocked, s.Blocked, s.Away)
	}
}

// Probes measure the way to the broker and back, and a listener that misses one counts as deaf once for each check.
func TestStatisticsOfProbes(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	s := newStation(t, node.URLVhost(vhost)+"?probe_interval=0.5")
	brokertest.Await(t, "a round trip", func() bool { return s.bus.Statistics().Loopback > 0 })
	if n := s.bus.Statistics(); n.Loopback > 10*time.Second || n.Deaf != 0 || n.Connections != 2 || n.Connected != 2 {
		t.Errorf("all is well: %+v", n)
	}
	node.DeleteExchange(t, vhost, "openstack")
	brokertest.Await(t, "the check", func() bool { return s.log.count("listener rebuilt") > 0 })
	if n := s.bus.Statistics().Deaf; n != 1 {
		t.Errorf("deaf %d times, want once", n)
	}
}
