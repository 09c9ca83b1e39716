package rabbit_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport/rabbit"
)

// twoHosts returns the URL of a vhost that can be reached by two ways.
func twoHosts(t *testing.T, node *brokertest.RabbitNode) (url, vhost string, a, b *brokertest.Proxy) {
	t.Helper()
	a, b = brokertest.NewProxy(t, node.Addr()), brokertest.NewProxy(t, node.Addr())
	vhost = node.NewVhost(t)
	return "rabbit://guest:guest@" + a.Addr() + ",guest:guest@" + b.Addr() + "/" + vhost, vhost, a, b
}

// When one host goes its connections move to the other, and back.
//
// conforms: RMQ-CONN-10, CFG-27
func TestFailover(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for _, strategy := range []string{"round-robin", "shuffle"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			url, vhost, a, b := twoHosts(t, node)
			b.Cut()
			s := newStation(t, url+"?kombu_failover_strategy="+strategy)
			peer := openURL(t, node.URLVhost(vhost), rabbit.Config{})
			s.hears(t, peer)
			for range 2 {
				b.Restore()
				a.Cut()
				start := time.Now()
				brokertest.Await(t, "the other host to be used", func() bool { return b.Connections() >= 2 })
				took := s.hears(t, peer)
				t.Logf("heard at the other host after %v", time.Since(start))
				if took > 10*time.Second {
					t.Errorf("heard after %v", took)
				}
				a, b = b, a
			}
		})
	}
}

// Every process begins with some host: not all with the first.
//
// conforms: RMQ-CONN-10
func TestHostsAreShuffled(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url, _, a, b := twoHosts(t, node)
	for range 20 {
		openURL(t, url, rabbit.Config{})
	}
	if a.Connections() == 0 || b.Connections() == 0 {
		t.Errorf("%d connections to one host, %d to the other", a.Connections(), b.Connections())
	}
}

// A host that takes connections and says nothing does not keep others from being tried.
func TestMuteHostIsTriedBesideOthers(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	for range 5 { // one of them begins with it, most likely
		start := time.Now()
		openURL(t, "rabbit://"+mute.Addr().String()+","+node.Addr()+"/"+node.NewVhost(t), rabbit.Config{})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("connected after %v", took)
		}
	}
}

// A host that refuses us is asked ever more rarely, the one beside it, which nobody answers at, every half second all the same.
//
// conforms: RMQ-CONN-11, RMQ-CONN-12
func TestBackOffIsPerHost(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	good := brokertest.NewProxy(t, node.Addr())
	user := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	refusals := func() int { return strings.Count(node.Log(t), "user '"+user+"'") }
	before := refusals()
	var log lines
	openURL(t, "rabbit://"+user+":wrong@"+node.Addr()+","+good.Addr()+"/"+node.NewVhost(t)+
		"?rabbit_retry_interval=1&rabbit_retry_backoff=30", rabbit.Config{Logger: log.logger()})
	good.Cut()
	brokertest.Await(t, "the loss", func() bool { return log.count("connection lost") == 1 })
	end := time.Now().Add(7 * time.Second)
	brokertest.Await(t, "some time to pass", func() bool { return time.Now().After(end) })
	// At most once by Open, at once after the loss, and after 0.5 to 1 s; the next would be after 15 to 31 s.
	if n := refusals() - before; n < 1 || n > 3 {
		t.Errorf("a host that refuses was tried %d times in 7 s, want 2 or 3:\n%s", n, log.String())
	}
	good.Restore()
	start := time.Now()
	brokertest.Await(t, "the connection", func() bool { return log.count("msg=connected") == 1 })
	t.Logf("connected %v after the host was back", time.Since(start))
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("connected %v after the host was back", took)
	}
}
