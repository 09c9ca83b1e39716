package interop_test

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

// anyID finds the random part of a queue's name.
var anyID = regexp.MustCompile(`_[0-9a-f]{32}$`)

// A topology is what a vhost holds, in an order of its own and with random names made equal.
type topology struct {
	Queues    []brokertest.Queue
	Exchanges []brokertest.Exchange
	Bindings  []brokertest.Binding
	Consumers []brokertest.Consumer
}

func topologyOf(t *testing.T, n *brokertest.RabbitNode, vhost string) topology {
	t.Helper()
	name := func(s string) string { return anyID.ReplaceAllString(s, "_<32 hex digits>") }
	o := topology{n.ListQueues(t, vhost), n.ListExchanges(t, vhost), n.ListBindings(t, vhost), n.ListConsumers(t, vhost)}
	for i := range o.Queues {
		o.Queues[i].Name = name(o.Queues[i].Name)
		o.Queues[i].Types = widths(o.Queues[i].Types)
	}
	for i := range o.Bindings {
		o.Bindings[i].Destination = name(o.Bindings[i].Destination)
	}
	for i := range o.Consumers {
		c := &o.Consumers[i]
		c.Queue = name(c.Queue)
		c.Prefetch = 0 // they differ, see checkPrefetch
	}
	slices.SortFunc(o.Queues, func(a, b brokertest.Queue) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Exchanges, func(a, b brokertest.Exchange) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Bindings, func(a, b brokertest.Binding) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Destination, b.Destination), strings.Compare(a.RoutingKey, b.RoutingKey))
	})
	slices.SortFunc(o.Consumers, func(a, b brokertest.Consumer) int { return strings.Compare(a.Queue, b.Queue) })
	return o
}

// widths makes integers of all widths the same type, as the broker does when it compares declarations.
func widths(types map[string]string) map[string]string {
	for k, v := range types {
		if v == "signedint" || v == "long" || v == "short" || v == "byte" {
			types[k] = "integer"
		}
	}
	return types
}

// TestTopologiesAreTheSame has each language serve and call in a vhost of its own, and compares the vhosts.
//
// conforms: RMQ-TOPO-01, RMQ-TOPO-02, RMQ-TOPO-03, RMQ-TOPO-04, RMQ-TOPO-05, RMQ-TOPO-06, RMQ-TOPO-15, RMQ-TOPO-23
// conforms: TGT-09, RPC-SERVER-04, RMQ-CONS-01, RMQ-CONS-04, RMQ-CONN-03, DEB-04, DEB-08
func TestTopologiesAreTheSame(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	var serving, stopped [2]topology
	serving[0], stopped[0] = pythonTopologies(t, n)
	serving[1], stopped[1] = goTopologies(t, n)
	// Ours ask more of the consumers of queues that peers share: see RMQ-TOPO-19.
	for i, c := range serving[0].Consumers {
		if c.Queue == "stock" || c.Queue == "stock.one" {
			serving[0].Consumers[i].Arguments = map[string]any{"x-cancel-on-ha-failover": true}
		}
	}
	if diff := gocmp.Diff(serving[0], serving[1]); diff != "" {
		t.Errorf("while it serves (-Python +Go)\n%s", diff)
	}
	// Python leaves its reply queue to expire; a Go client deletes its own when it closes, which it has not yet.
	if diff := gocmp.Diff(stopped[0], stopped[1]); diff != "" {
		t.Errorf("after the server stopped (-Python +Go)\n%s", diff)
	}
	names := []string{}
	for _, q := range serving[1].Queues {
		names = append(names, q.Name)
	}
	want := []string{"reply_<32 hex digits>", "stock", "stock.one", "stock_fanout_<32 hex digits>"}
	if diff := gocmp.Diff(want, names); diff != "" {
		t.Errorf("queues (-want +got)\n%s", diff)
	}
}

func pythonTopologies(t *testing.T, n *brokertest.RabbitNode) (serving, stopped topology) {
	t.Helper()
	vhost := n.NewVhost(t)
	url := n.URLVhost(vhost)
	client, server := startPython(t, "client.py"), startPython(t, "server.py")
	order := map[string]any{"url": url, "topic": "stock", "server": "one", "method": "whoami"}
	server.Do(t, "start", order, nil)
	var o outcome
	client.Do(t, "call", order, &o)
	if o.Value != `"one"` {
		t.Fatalf("%+v", o)
	}
	awaitConsumers(t, n, vhost)
	checkConnectionNames(t, n, vhost)
	serving = topologyOf(t, n, vhost)
	server.Do(t, "stop", order, nil)
	awaitNoFanout(t, n, vhost)
	return serving, topologyOf(t, n, vhost)
}

func goTopologies(t *testing.T, n *brokertest.RabbitNode) (serving, stopped topology) {
	t.Helper()
	vhost := n.NewVhost(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	bus, err := goslo.Config{URL: n.URLVhost(vhost), Program: "interop"}.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bus.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	client := rpc.NewClient(bus, rpc.ClientConfig{})
	whoami := rpc.NewCall[none, string](rpc.Target{Topic: "stock"}, "whoami")
	server := rpc.NewServer(bus, rpc.ServerConfig{Target: rpc.Target{Topic: "stock"}, Server: "one", Workers: 7, Drain: time.Second},
		whoami.Handle(func(context.Context, none) (string, error) { return "one", nil }))
	if err := server.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	if names := len(n.ListQueues(t, vhost)); names != 3 {
		t.Errorf("%d queues once Listen has returned, want 3", names)
	}
	end := run(server)
	if got, err := whoami.Call(ctx, client.To("one"), none{}); err != nil || got != "one" {
		t.Errorf("call: %q, %v", got, err)
	}
	awaitConsumers(t, n, vhost)
	checkConnectionNames(t, n, vhost)
	checkPrefetch(t, n, vhost)
	checkConnections(t, n, vhost)
	serving = topologyOf(t, n, vhost)
	if err := end(); err != nil {
		t.Error(err)
	}
	awaitNoFanout(t, n, vhost)
	return serving, topologyOf(t, n, vhost)
}

// awaitConsumers returns when the four queues of a server and a client have their consumers, and what was in them is acknowledged.
//
// conforms: RMQ-REPLY-06
func awaitConsumers(t *testing.T, n *brokertest.RabbitNode, vhost string) {
	t.Helper()
	brokertest.Await(t, "four consumers", func() bool { return len(n.ListConsumers(t, vhost)) == 4 })
	brokertest.Await(t, "acknowledgements of the requests and the reply", func() bool {
		return !slices.ContainsFunc(n.ListQueues(t, vhost), func(q brokertest.Queue) bool { return q.Messages > 0 })
	})
	for _, c := range n.ListConsumers(t, vhost) {
		if !c.Ack {
			t.Errorf("consumer of %s without acknowledgements", c.Queue)
		}
	}
}

// awaitNoFanout returns when a stopped server's fanout queue, and with it the exchange, are gone, and its consumers.
func awaitNoFanout(t *testing.T, n *brokertest.RabbitNode, vhost string) {
	t.Helper()
	brokertest.Await(t, "the end of the fanout queue", func() bool {
		return len(n.ListExchanges(t, vhost)) == 1 && len(n.ListConsumers(t, vhost)) == 1
	})
}

// checkPrefetch checks that the broker hands a server no more than its workers can take on.
//
// conforms: RMQ-CONS-02, ODD-10
func checkPrefetch(t *testing.T, n *brokertest.RabbitNode, vhost string) {
	t.Helper()
	for _, c := range n.ListConsumers(t, vhost) {
		if strings.HasPrefix(c.Queue, "stock") && c.Prefetch != 7 {
			t.Errorf("prefetch of %s is %d, want that of the 7 workers", c.Queue, c.Prefetch)
		}
	}
}

// checkConnections checks that a program that calls and serves has two connections, and channels on them.
//
// conforms: RMQ-CONN-01, RMQ-POOL-01, ODD-04
func checkConnections(t *testing.T, n *brokertest.RabbitNode, vhost string) {
	t.Helper()
	open := 0
	for _, c := range n.ListConnections(t) {
		if c.Vhost != vhost {
			continue
		}
		open++
		if c.Channels < 2 {
			t.Errorf("a connection with %d channels, want several", c.Channels)
		}
	}
	if open != 2 {
		t.Errorf("%d connections, want one to send and one to listen", open)
	}
}

var connectionName = regexp.MustCompile(`^[^:]+:[0-9]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func checkConnectionNames(t *testing.T, n *brokertest.RabbitNode, vhost string) {
	t.Helper()
	found := false
	for _, c := range n.ListConnections(t) {
		if c.Vhost != vhost {
			continue
		}
		found = true
		if name, _ := c.ClientProperties["connection_name"].(string); !connectionName.MatchString(name) {
			t.Errorf("connection name %q, want program:pid:uuid", name)
		}
		capabilities, _ := c.ClientProperties["capabilities"].(map[string]any)
		for _, name := range []string{"authentication_failure_close", "connection.blocked", "consumer_cancel_notify"} {
			if capabilities[name] != true {
				t.Errorf("capability %s is %v, want true", name, capabilities[name])
			}
		}
		if c.ClientProperties["product"] == nil {
			t.Errorf("client property product is missing: %v", c.ClientProperties)
		}
	}
	if !found {
		t.Error("no connection to the vhost")
	}
}
