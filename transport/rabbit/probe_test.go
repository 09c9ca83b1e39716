package rabbit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// What nobody tells a listener, it finds out by itself: each exchange and binding that is deleted is made again, no
// matter whether anybody sends.
func TestChecksMendWhatIsDeleted(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	fanoutQueue := func(t *testing.T, vhost string) string {
		for _, b := range node.ListBindings(t, vhost) {
			if b.Source == "stock_fanout" {
				return b.Destination
			}
		}
		t.Fatal("no fanout queue")
		return ""
	}
	for name, harm := range map[string]func(t *testing.T, vhost string){
		"topic exchange":  func(t *testing.T, vhost string) { node.DeleteExchange(t, vhost, "openstack") },
		"fanout exchange": func(t *testing.T, vhost string) { node.DeleteExchange(t, vhost, "stock_fanout") },
		"topic binding":   func(t *testing.T, vhost string) { node.DeleteBinding(t, vhost, "openstack", "stock", "stock") },
		"server binding":  func(t *testing.T, vhost string) { node.DeleteBinding(t, vhost, "openstack", "stock.one", "stock.one") },
		"fanout binding": func(t *testing.T, vhost string) {
			node.DeleteBinding(t, vhost, "stock_fanout", "stock", fanoutQueue(t, vhost))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			s := newStation(t, node.URLVhost(vhost)+"?probe_interval=1")
			before := len(node.ListBindings(t, vhost))
			harm(t, vhost)
			start := time.Now()
			if n := len(node.ListBindings(t, vhost)); n >= before {
				t.Fatalf("%d bindings, %d before: nothing was deleted", n, before)
			}
			brokertest.Await(t, "the bindings", func() bool { return len(node.ListBindings(t, vhost)) == before })
			t.Logf("healed after %v", time.Since(start))
			s.hears(t, openURL(t, node.URLVhost(vhost), rabbit.Config{}))
			if s.log.count("listener rebuilt") > 0 && s.log.count("connection lost") > 0 {
				t.Errorf("a connection was given up for it:\n%s", s.log.String())
			}
			if strings.Contains(name, "exchange") && s.log.count("listener rebuilt", "exchanges=[") == 0 {
				t.Errorf("the log does not say what was rebuilt:\n%s", s.log.String())
			}
		})
	}
}

// A message that had to be sent straight to the queue has the listener bind again at once, long before the next check.
func TestStrayMessageMends(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	s := newStation(t, node.URLVhost(vhost)+"?probe_interval=3600")
	peer := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	s.hears(t, peer)
	before := len(node.ListBindings(t, vhost))
	node.DeleteBinding(t, vhost, "openstack", "stock.one", "stock.one")
	id, err := s.send(t.Context(), peer, server("stock"))
	if err != nil {
		t.Errorf("a request to a queue whose binding is gone: %v", err)
	}
	brokertest.Await(t, "the message", func() bool { return s.has(id) })
	brokertest.Await(t, "the binding", func() bool { return len(node.ListBindings(t, vhost)) == before })
	brokertest.Await(t, "the log", func() bool {
		return s.log.count("listener rebuilt", "openstack->stock.one", "exchanges=[]", "queues=[]", "straight to the queue") == 1
	})
}

// Probes come back while nothing is wrong, are not handed out, and leave queues that peers share alone; a listener with
// nothing but probes is never rebuilt, whatever its queues are.
func TestProbesAreInvisible(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for name, query := range map[string]string{
		"transient": "",
		"quorum":    "&rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true",
		"stream":    "&rabbit_transient_quorum_queue=true&rabbit_stream_fanout=true&rabbit_qos_prefetch_count=10",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			s := newStation(t, node.URLVhost(vhost)+"?probe_interval=0.1"+query)
			peer := openURL(t, node.URLVhost(vhost)+"?probe_interval=0"+query, rabbit.Config{})
			s.hears(t, peer)
			end := time.Now().Add(3 * time.Second)
			brokertest.Await(t, "many probes", func() bool { return time.Now().After(end) })
			s.hears(t, peer)
			brokertest.Await(t, "all to be acknowledged", func() bool {
				for _, q := range node.ListQueues(t, vhost) {
					if q.Type != "stream" && q.Messages > 0 {
						return false
					}
				}
				return true
			})
			if s.log.count("rebuilt")+s.log.count("lost") > 0 {
				t.Errorf("the log:\n%s", s.log.String())
			}
			for _, l := range []transport.Listener{s.server, s.replies} {
				if err := l.(transport.Readier).Ready(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A receiver that is busy for long is not deaf: nobody waits for the probes that do not come back.
func TestBusyReceiverIsNotDeaf(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost)+"?probe_interval=0.1&probe_misses=1", rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock")) // and nobody calls Next
	waiting := func() (n int) {
		for _, q := range node.ListQueues(t, vhost) {
			n += q.Messages
		}
		return n
	}
	brokertest.Await(t, "a probe", func() bool { return waiting() == 1 })
	end := time.Now().Add(5 * time.Second)
	brokertest.Await(t, "some checks", func() bool { return time.Now().After(end) })
	if n := waiting(); n != 1 {
		t.Errorf("%d probes wait, want one", n)
	}
	if err := l.(transport.Readier).Ready(); err != nil || log.count("") > 0 {
		t.Errorf("a busy receiver: %v, and the log:\n%s", err, log.String())
	}
	receives(t, bus, l, topic("stock"))
	receives(t, bus, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
	brokertest.Await(t, "the probe to be taken", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if d, err := l.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", d, err)
		}
		return waiting() == 0
	})
}

// suspend has the broker's side of the channel that consumes from a queue do nothing any more: the queue, its bindings
// and its consumer are there, and nothing arrives.
func suspend(t *testing.T, node *brokertest.RabbitNode, vhost, queue string) {
	t.Helper()
	node.Eval(t, `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"`+vhost+`">>, queue, <<"`+queue+`">>)),
		[sys:suspend(element(1, C)) || C <- rabbit_amqqueue:consumers(Q)].`)
}

// A listener that is deaf although all that can be asked about is there turns not ready, is made anew on another
// channel, and is ready again.
func TestDeafListenerIsMadeAnew(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for kind, queue := range map[string]func(*station) string{
		"server": func(*station) string { return "stock.one" },
		"reply":  func(s *station) string { return s.replies.Addr() },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			s := newStation(t, node.URLVhost(vhost)+"?probe_interval=1&probe_misses=1")
			peer := openURL(t, node.URLVhost(vhost), rabbit.Config{})
			s.hears(t, peer)
			l := s.server
			if kind == "reply" {
				l = s.replies
			}
			suspend(t, node, vhost, queue(s))
			start := time.Now()
			var deaf error
			brokertest.Await(t, "not to be ready", func() bool {
				deaf = l.(transport.Readier).Ready()
				return deaf != nil
			})
			t.Logf("not ready after %v: %v", time.Since(start), deaf)
			if !strings.Contains(deaf.Error(), "did not arrive") || !strings.Contains(deaf.Error(), l.Addr()) {
				t.Errorf("%v; want the listener and what it missed", deaf)
			}
			brokertest.Await(t, "to be ready again", func() bool { return l.(transport.Readier).Ready() == nil })
			s.hears(t, peer)
			t.Logf("ready after %v", time.Since(start))
			if s.log.count("listener rebuilt", "did not arrive", "listener="+l.Addr()) == 0 {
				t.Errorf("the log does not say why:\n%s", s.log.String())
			}
		})
	}
}

// A listener that cannot subscribe for long is not ready, and says what keeps it; and is ready when it could.
func TestListenerThatCannotSubscribeIsNotReady(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url, proxy := proxied(t, node)
	s := newStation(t, url+"?probe_interval=0.5&probe_misses=2")
	ready := s.replies.(transport.Readier).Ready
	if err := ready(); err != nil {
		t.Error(err)
	}
	proxy.Cut()
	var deaf error
	brokertest.Await(t, "not to be ready", func() bool {
		deaf = ready()
		return deaf != nil
	})
	var outage *transport.OutageError
	if !errors.As(deaf, &outage) || !strings.Contains(deaf.Error(), "not subscribed for") {
		t.Errorf("%v; want that the broker is away", deaf)
	}
	proxy.Restore()
	brokertest.Await(t, "to be ready again", func() bool { return ready() == nil })
	if err := s.bus.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ready(); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A queue whose process does not answer keeps the listeners of its connection from being visited. They find out by themselves, and say so;
// when it answers again all is well without anything made anew.
func TestQueueThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	s := newStation(t, node.URLVhost(vhost)+"?probe_interval=0.5&probe_misses=1")
	process := func(do string) {
		node.Eval(t, `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"`+vhost+`">>, queue, <<"stock.one">>)), ok = sys:`+do+`(amqqueue:get_pid(Q)).`)
	}
	process("suspend")
	ready := s.server.(transport.Readier).Ready
	var deaf error
	brokertest.Await(t, "not to be ready", func() bool {
		deaf = ready()
		return deaf != nil
	})
	if !strings.Contains(deaf.Error(), "the broker did not answer") {
		t.Errorf("%v; want that the broker did not answer", deaf)
	}
	process("resume")
	brokertest.Await(t, "to be ready again", func() bool { return ready() == nil })
	s.hears(t, openURL(t, node.URLVhost(vhost), rabbit.Config{}))
	if s.log.count("listener rebuilt") > 0 {
		t.Errorf("something was made anew:\n%s", s.log.String())
	}
}
