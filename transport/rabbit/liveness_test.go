package rabbit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// A connection that a firewall has forgotten looks whole from both ends. It is found out, and another takes its place,
// long before heartbeats miss it.
func TestHalfOpenConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url, proxy := proxied(t, node)
	s := newStation(t, url)
	peer := openURL(t, node.URLVhost(url[strings.LastIndex(url, "/")+1:]), rabbit.Config{})
	s.hears(t, peer)
	proxy.Forget()
	took := s.hears(t, peer)
	t.Logf("heard again after %v", took)
	if took > 20*time.Second {
		t.Errorf("replaced after %v, by heartbeats", took)
	}
	// What it sends itself arrives, too.
	s.hears(t, s.bus)
	if s.log.count("connection lost", "did not answer", "on another connection") != 2 {
		t.Errorf("the log does not say why:\n%s", s.log.String())
	}
}

// A network that passes nothing on is waited for, and within a moment of its return both connections are there again.
func TestNetworkReturns(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for name, fault := range map[string]func(*brokertest.Proxy){
		"cut":        (*brokertest.Proxy).Cut,
		"half-open":  (*brokertest.Proxy).HalfOpen,
		"reset once": (*brokertest.Proxy).Reset,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, proxy := proxied(t, node)
			s := newStation(t, url)
			peer := openURL(t, node.URLVhost(url[strings.LastIndex(url, "/")+1:]), rabbit.Config{})
			s.hears(t, peer)
			fault(proxy)
			brokertest.Await(t, "both links to notice", func() bool {
				return s.log.count("connection lost")+s.log.count("does not answer, looking") >= 2
			})
			end := time.Now().Add(3 * time.Second)
			brokertest.Await(t, "some time to pass", func() bool { return time.Now().After(end) })
			proxy.Restore()
			start := time.Now()
			brokertest.Await(t, "both listeners to be rebuilt", func() bool { return s.log.count("listener rebuilt") >= 2 })
			took := time.Since(start)
			s.hears(t, peer)
			t.Logf("rebuilt %v after the network was back, heard after %v", took, time.Since(start))
			if took > 10*time.Second {
				t.Errorf("rebuilt %v after the network was back", took)
			}
			// All was still there: nothing but consumers was rebuilt, and the log says so.
			if s.log.count("listener rebuilt", "exchanges=[]", "queues=[]", "bindings=[]") != s.log.count("listener rebuilt") {
				t.Errorf("the log:\n%s", s.log.String())
			}
			state, err := s.bus.Inspect(t.Context(), s.replyAddress())
			if err != nil || !state.Rebuilt.IsZero() {
				t.Errorf("the reply queue was made anew: %+v, %v", state, err)
			}
		})
	}
}

// A broker that is frozen for longer than it takes to suspect it keeps its connections.
func TestPausedBrokerIsNotLeft(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	s := newStation(t, node.URL())
	peer := openURL(t, node.URL(), rabbit.Config{})
	s.hears(t, peer)
	node.Pause(t)
	brokertest.Await(t, "both links to notice", func() bool { return s.log.count("does not answer, looking") == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := s.bus.Send(ctx, topic("stock"), &transport.Message{Method: "m"})
	var outage *transport.OutageError
	if !errors.As(err, &outage) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("send to a broker that is frozen: %v; want that it does not answer", err)
	}
	end := time.Now().Add(8 * time.Second)
	brokertest.Await(t, "some time to pass", func() bool { return time.Now().After(end) })
	node.Resume(t)
	t.Logf("heard after %v", s.hears(t, peer, s.replyAddress()))
	brokertest.Await(t, "both links to be at ease", func() bool { return s.log.count("answers again") == 2 })
	if s.log.count("connection lost")+s.log.count("listener rebuilt") > 0 {
		t.Errorf("something was given up:\n%s", s.log.String())
	}
}

// A broker that blocks publishers reads nothing from them. It is not left, however much it has still to read.
//
// conforms: RMQ-CONN-15
func TestBlockedBrokerIsNotLeft(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	var log lines
	bus := openURL(t, node.URL()+"?heartbeat_timeout_threshold=4", rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	receives(t, bus, l, server("stock"))
	node.SetAlarm(t, true)
	args := []byte(`{"text":"` + strings.Repeat("x", 4<<20) + `"}`)
	sent := make(chan error, 8)
	for range cap(sent) {
		go func() { sent <- bus.Send(t.Context(), server("stock"), &transport.Message{Method: "m", Args: args}) }()
	}
	brokertest.Await(t, "the alarm", func() bool { return log.count("the broker takes no messages") == 1 })
	end := time.Now().Add(10 * time.Second)
	brokertest.Await(t, "some time to pass", func() bool { return time.Now().After(end) })
	node.SetAlarm(t, false)
	for range cap(sent) {
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
	brokertest.Await(t, "the end of the alarm", func() bool { return log.count("the broker takes messages again") == 1 })
	if log.count("connection lost") > 0 {
		t.Errorf("the connection was given up:\n%s", log.String())
	}
}

// A broker that has sent nothing, not even heartbeats, for two intervals is dead.
//
// conforms: RMQ-CONN-07
func TestHeartbeatsMissed(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{})
	var log lines
	bus := openURL(t, node.URL()+"?heartbeat_timeout_threshold=4", rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	node.Pause(t)
	start := time.Now()
	brokertest.Await(t, "both connections to be given up", func() bool { return log.count("connection lost") == 2 })
	if took := time.Since(start); took < 4*time.Second {
		t.Errorf("given up after %v", took)
	}
	node.Resume(t)
	receives(t, bus, l, topic("stock"))
}

// A transport that is closed amid a fault, with searches, attempts and checks under way, leaves no goroutine behind.
func TestNothingIsLeftBehind(t *testing.T) { //nolint:paralleltest // It counts goroutines.
	node := brokertest.Rabbit(t)
	before := goleak.IgnoreCurrent()
	for name, fault := range map[string]func(*testing.T, *station, *brokertest.Proxy){
		"half-open": func(t *testing.T, s *station, p *brokertest.Proxy) {
			p.HalfOpen()
			brokertest.Await(t, "both links to search", func() bool { return s.log.count("does not answer, looking") == 2 })
		},
		"cut": func(t *testing.T, s *station, p *brokertest.Proxy) {
			p.Cut()
			brokertest.Await(t, "both links to try again", func() bool { return s.log.count("cannot connect") == 2 })
		},
		"replaced": func(t *testing.T, s *station, p *brokertest.Proxy) {
			p.Forget()
			brokertest.Await(t, "both listeners to be rebuilt", func() bool { return s.log.count("listener rebuilt") == 2 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, proxy := proxied(t, node)
			fault(t, newStation(t, url+"?probe_interval=0.1"), proxy)
		})
		goleak.VerifyNone(t, before)
	}
}
