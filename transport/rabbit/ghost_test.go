package rabbit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// A consumer whose connection is half-open gets nothing while there is a later one of the same listener: the broker
// believes in both.
func TestGhostsOfConsumersGetNothing(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url, proxy := proxied(t, node)
	vhost := url[strings.LastIndex(url, "/")+1:]
	var log lines
	bus := openURL(t, url, rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	replies := listen(t, bus, transport.Address{Kind: transport.Reply})
	peer := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	proxy.Forget()
	brokertest.Await(t, "both listeners", func() bool { return log.count("listener rebuilt") == 2 })

	priorities := map[string][]any{}
	for _, c := range node.ListConsumers(t, vhost) {
		priorities[c.Queue] = append(priorities[c.Queue], c.Arguments["x-priority"])
	}
	for _, queue := range []string{"stock.one", replies.Addr()} {
		if got := priorities[queue]; len(got) != 2 || (got[0] == nil) == (got[1] == nil) {
			t.Errorf("priorities of the consumers of %s: %v, want one and none", queue, got)
		}
	}
	if got := priorities["stock"]; len(got) != 2 || got[0] != nil || got[1] != nil {
		t.Errorf("priorities on the queue that servers share: %v, want none", got)
	}
	began := time.Now()
	for range 10 {
		receives(t, peer, l, server("stock"))
		receives(t, peer, l, transport.Address{Kind: transport.Fanout, Topic: "stock"})
		receives(t, peer, replies, transport.Address{Kind: transport.Reply, Topic: replies.Addr()})
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("messages arrived after %v: when their ghost was given up", took)
	}
}
