package cloudtest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
)

// Log is what a process has logged, from level INFO on.
func (c *Cloud) Log(t testing.TB, process string) string {
	t.Helper()
	b, err := os.ReadFile(c.log(process))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ReplyQueue is the queue from which a process takes replies.
func (c *Cloud) ReplyQueue(t testing.TB, process string) string {
	t.Helper()
	return c.queueOf(t, process, "reply_")
}

// FanoutQueue is the queue from which a process takes what goes to all servers of its topic.
func (c *Cloud) FanoutQueue(t testing.TB, process string) string {
	t.Helper()
	for _, s := range services {
		if s.name == process {
			return c.queueOf(t, process, s.topic+"_fanout_")
		}
	}
	t.Fatalf("cloudtest: no process %s", process)
	return ""
}

// queueOf finds the queue with a prefix from which a process consumes, by its process id in the name of the connection.
func (c *Cloud) queueOf(t testing.TB, process, prefix string) string {
	t.Helper()
	program, _, _ := strings.Cut(process, "@")
	var found []string
	for _, line := range strings.Fields(c.Node.Eval(t, fmt.Sprintf(`
		Name = fun(Channel) ->
			I = rabbit_channel:info(Channel, [connection]),
			[{client_properties, P}] = rabbit_networking:connection_info(proplists:get_value(connection, I), [client_properties]),
			{_, _, N} = lists:keyfind(<<"connection_name">>, 1, P), N
		end,
		Lines = [[Name(element(1, C)), <<"=">>, element(4, element(2, Q)), <<"\n">>] ||
			Q <- rabbit_amqqueue:list(<<"%s">>), C <- rabbit_amqqueue:consumers(Q)],
		iolist_to_binary(Lines)`, c.Vhost))) {
		name, queue, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, fmt.Sprintf("%s:%d:", program, c.pids[process])) && strings.HasPrefix(queue, prefix) {
			found = append(found, queue)
		}
	}
	if len(found) != 1 {
		t.Fatalf("cloudtest: %s consumes from the queues %s, want one that begins with %s", process, found, prefix)
	}
	return found[0]
}

// A Snapshot is all of a cloud that looking at it must not change.
type Snapshot struct {
	Queues      map[string]brokertest.Queue // with how many messages there are, and how many consumers
	Exchanges   map[string]brokertest.Exchange
	Bindings    []string
	Consumers   []string
	Connections int            // of the virtual host
	Tracing     string         // whether the firehose is on
	Logs        map[string]int // bytes of each process's log
}

// Snapshot is the cloud as it stands.
func (c *Cloud) Snapshot(t testing.TB) Snapshot {
	t.Helper()
	s := Snapshot{
		Queues: make(map[string]brokertest.Queue), Exchanges: make(map[string]brokertest.Exchange), Logs: make(map[string]int),
		Tracing: c.Node.Eval(t, fmt.Sprintf(`rabbit_trace:enabled(<<"%s">>)`, c.Vhost)),
	}
	for _, q := range c.Node.ListQueues(t, c.Vhost) {
		s.Queues[q.Name] = q
	}
	for _, x := range c.Node.ListExchanges(t, c.Vhost) {
		s.Exchanges[x.Name] = x
	}
	for _, b := range c.Node.ListBindings(t, c.Vhost) {
		s.Bindings = append(s.Bindings, fmt.Sprintf("%s -%s-> %s %s %v", b.Source, b.RoutingKey, b.Kind, b.Destination, b.Arguments))
	}
	for _, r := range c.Node.ListConsumers(t, c.Vhost) {
		s.Consumers = append(s.Consumers, fmt.Sprintf("%s %s", r.Queue, r.Tag))
	}
	for _, n := range c.Node.ListConnections(t) {
		if n.Vhost == c.Vhost {
			s.Connections++
		}
	}
	slices.Sort(s.Bindings)
	slices.Sort(s.Consumers)
	for name := range maps.Keys(c.pids) {
		s.Logs[name] = len(c.Log(t, name))
	}
	return s
}

// Diff says how a later snapshot differs; "" = not at all.
func (s Snapshot) Diff(later Snapshot) string { return cmp.Diff(s, later) }

// Unchanged lets one test in at a time: it runs f, and fails the test where the cloud is not the same afterwards: nothing declared, bound, sent, taken, logged or switched on.
// Connections of f's have a while to be gone.
// On a shared cloud all that declares something, taps and probes included, belongs into such an f.
func (c *Cloud) Unchanged(t testing.TB, f func()) {
	t.Helper()
	c.one.Lock()
	defer c.one.Unlock()
	var before Snapshot
	brokertest.Await(t, "nobody but "+Compute2+" holds messages", func() bool {
		before = c.Snapshot(t)
		for name, q := range before.Queues {
			if q.Unacked > 0 && name != ComputeTopic+".cmp-2" {
				return false
			}
		}
		return true
	})
	f()
	var diff string
	for range patience {
		if diff = before.Diff(c.Snapshot(t)); diff == "" {
			return
		}
	}
	t.Errorf("the cloud has changed (-before +after):\n%s", diff)
}

// patience is how many snapshots what was closed has to be gone from the broker's books; one takes some ten milliseconds.
const patience = 100
