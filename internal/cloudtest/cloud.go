// Package cloudtest runs a small all-Python cloud for tests of what operators use, and says whether it was changed.
//
// [Start] starts processes on the real oslo.messaging, under the names of OpenStack's own services, and has happen to them what
// happens: see [Cloud]. [Cloud.Snapshot] is what there is at one moment, and [Snapshot.Diff] what has changed since.
// The processes end with the test, and with the test binary, however it ends.
//
// It starts no goroutines but those of package interop's programs.
package cloudtest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/interop"
)

// The processes of a cloud, as program and host; those of servers serve their topic as their host.
const (
	API        = "nova-api@ctl-1"              // calls, and serves nothing
	Conductor1 = "nova-conductor@ctl-1"        // its reply queue was deleted under it, and it has made it again
	Conductor2 = "nova-conductor@ctl-2"        // well
	Compute1   = "nova-compute@cmp-1"          // well
	Compute2   = "nova-compute@cmp-2"          // deaf: stopped by SIGSTOP, holding casts, with its connections open
	Volume1    = "cinder-volume@vol-1.example" // well
	Volume2    = "cinder-volume@vol-2.example" // killed, having left its queues behind
)

// Topics, servers and what came of them.
const (
	ConductorTopic = "conductor"     // servers ctl-1 and ctl-2, version 3.0, exchange nova
	ComputeTopic   = "compute"       // servers cmp-1 and cmp-2, version 6.0, exchange nova
	VolumeTopic    = "cinder-volume" // servers vol-1.example and vol-2.example, version 3.16, exchange cinder, durable queues

	Notifications = "notifications.info" // the queue that nobody reads, and where Unread notifications wait
	Unread        = 3
	HeldCasts     = 4 // casts that Compute2 has taken and will not run
)

// services are the processes that serve, with exchange, topic and version.
var services = []struct{ name, exchange, topic, version string }{
	{API, "nova", "", ""},
	{Conductor1, "nova", ConductorTopic, "3.0"},
	{Conductor2, "nova", ConductorTopic, "3.0"},
	{Compute1, "nova", ComputeTopic, "6.0"},
	{Compute2, "nova", ComputeTopic, "6.0"},
	{Volume1, "cinder", VolumeTopic, "3.16"},
	{Volume2, "cinder", VolumeTopic, "3.16"},
}

// A Cloud is three services of two servers each, and an API, in one virtual host. Its state is what the comments at its processes
// say, plus: the API and the conductors, and Volume2 when it lived, have made calls; Unread notifications wait for nobody.
type Cloud struct {
	Node  *brokertest.RabbitNode // [brokertest.RabbitNode.ManagementURL] is where its management API is
	Vhost string
	URL   string // for a service, as guest

	python *interop.Python
	pids   map[string]int
	logs   string // folder
	one    sync.Mutex
}

// Start starts a cloud in a new virtual host of the node, which ends with the test. Tests of one binary that only look at it should share
// one, see [Shared].
func Start(t testing.TB, node *brokertest.RabbitNode) *Cloud {
	t.Helper()
	c := newCloud(t, node, node.NewVhost(t), t.TempDir())
	t.Cleanup(c.python.Stop)
	c.befall(t)
	return c
}

// Shared is a cloud that all tests of this binary share, on [brokertest.RabbitManaged]: they look at it, and change nothing.
func Shared(t testing.TB) *Cloud {
	t.Helper()
	shared.once.Do(func() {
		node := brokertest.RabbitManaged(t)
		logs, err := os.MkdirTemp("", "goslo-cloud-") //nolint:usetesting // it outlives this test
		if err != nil {
			t.Fatal(err)
		}
		brokertest.AtEnd(func() error { return os.RemoveAll(logs) })
		node.AddVhost(t, "cloud")
		c := newCloud(t, node, "cloud", logs)
		brokertest.AtEnd(func() error {
			c.python.Stop()
			return nil
		})
		c.befall(t)
		shared.cloud = c
	})
	if shared.cloud == nil {
		t.Fatal("cloudtest: the shared cloud did not start; see the first failure")
	}
	return shared.cloud
}

var shared struct {
	once  sync.Once
	cloud *Cloud
}

func newCloud(t testing.TB, node *brokertest.RabbitNode, vhost, logs string) *Cloud {
	t.Helper()
	c := &Cloud{Node: node, Vhost: vhost, URL: node.URLVhost(vhost), logs: logs}
	processes := make([]map[string]any, len(services))
	for i, s := range services {
		program, host, _ := strings.Cut(s.name, "@")
		processes[i] = map[string]any{
			"name": s.name, "program": program, "log": c.log(s.name), "url": c.URL, "exchange": s.exchange, "durable": s.exchange == "cinder",
		}
		if s.topic != "" {
			processes[i]["topic"], processes[i]["server"], processes[i]["version"] = s.topic, host, s.version
		}
	}
	var err error
	if c.python, err = interop.Start("cloud.py"); err != nil {
		t.Fatal(err)
	}
	c.python.Do(t, "cloud", map[string]any{"processes": processes}, &c.pids)
	return c
}

// befall has happen to the cloud what its state is.
func (c *Cloud) befall(t testing.TB) {
	t.Helper()
	for _, from := range []string{API, Conductor1, Conductor2} {
		c.Call(t, from, Request{Topic: ComputeTopic, Server: "cmp-1", Version: "6.0", Method: "echo", Args: map[string]any{"arg": from}}, nil)
	}
	for _, server := range []string{"ctl-1", "ctl-2"} { // which have a connection for answers from now on, as all servers have that were ever called
		c.Call(t, API, Request{Topic: ConductorTopic, Server: server, Version: "3.0", Method: "echo", Args: map[string]any{"arg": server}}, nil)
	}
	c.Call(t, Volume2, Request{Topic: VolumeTopic, Server: "vol-1.example", Version: "3.16", Method: "echo", Args: map[string]any{"arg": 1}}, nil)
	for i := range Unread {
		c.do(t, Conductor2, "notify", map[string]any{
			"priority": "info", "event_type": "compute.instance.create.end", "payload": map[string]any{"instance": i},
		}, nil)
	}
	c.signal(t, Compute2, "stop")
	for range HeldCasts {
		c.Cast(t, API, Request{Topic: ComputeTopic, Server: "cmp-2", Version: "6.0", Method: "sleep", Args: map[string]any{"seconds": 0}})
	}
	lost := c.ReplyQueue(t, Conductor1)
	dead := c.ReplyQueue(t, Volume2)
	c.Node.DeleteQueue(t, c.Vhost, lost)
	c.signal(t, Volume2, "kill")
	consumers := func(name string) int {
		q, ok := c.Node.FindQueue(t, c.Vhost, name)
		if !ok {
			return -1
		}
		return q.Consumers
	}
	brokertest.Await(t, Conductor1+" makes its reply queue again", func() bool { return consumers(lost) == 1 })
	brokertest.Await(t, "the consumers of "+Volume2+" are gone", func() bool { return consumers(dead) == 0 && consumers(VolumeTopic+".vol-2.example") == 0 })
	brokertest.Await(t, Conductor1+" has said so", func() bool { return strings.Contains(c.Log(t, Conductor1), "Reconnected to AMQP server") })
	brokertest.Await(t, Compute2+" holds its casts", func() bool {
		q, _ := c.Node.FindQueue(t, c.Vhost, ComputeTopic+".cmp-2")
		return q.Unacked == HeldCasts
	})
	if c.Node.Eval(t, "lists:member("+brokertest.ManagementPlugin+", rabbit_plugins:active())") == "true" {
		c.awaitStatistics(t, dead)
	}
}

// awaitStatistics returns when the management API, which hears of all this every few seconds, has it too.
func (c *Cloud) awaitStatistics(t testing.TB, dead string) {
	t.Helper()
	api, err := management.New(management.Config{URL: c.Node.ManagementURL(), Vhost: c.Vhost})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	is := func(name string, number func(management.Queue) *int, want int) bool {
		q, err := api.Queue(t.Context(), name)
		return err == nil && number(q) != nil && *number(q) == want
	}
	consumers := func(q management.Queue) *int { return q.Consumers }
	brokertest.Await(t, "the broker finds the queue of "+Compute2+" idle", func() bool {
		q, err := api.Queue(t.Context(), ComputeTopic+".cmp-2")
		return err == nil && !q.IdleSince.IsZero()
	})
	brokertest.Await(t, "the broker's statistics", func() bool {
		return is(dead, consumers, 0) && is(VolumeTopic+".vol-2.example", consumers, 0) && is(c.ReplyQueue(t, Conductor1), consumers, 1) &&
			is(Notifications, func(q management.Queue) *int { return q.Ready }, Unread) &&
			is(ComputeTopic+".cmp-2", func(q management.Queue) *int { return q.Unacked }, HeldCasts)
	})
}

// A Request is one that a process of the cloud is to make.
type Request struct {
	Exchange                          string // "" = that of the process which makes it
	Topic, Server, Namespace, Version string
	Method                            string
	Args                              map[string]any
	Context                           map[string]any // of oslo.context's form
}

func (r Request) order() map[string]any {
	return map[string]any{
		"exchange": r.Exchange, "topic": r.Topic, "server": r.Server, "namespace": r.Namespace, "version": r.Version,
		"method": r.Method, "args": r.Args, "context": r.Context,
	}
}

// Call has a process make a call, and stores the result in result, a pointer or nil.
func (c *Cloud) Call(t testing.TB, from string, r Request, result any) {
	t.Helper()
	c.do(t, from, "call", r.order(), result)
}

// Cast has a process make a cast.
func (c *Cloud) Cast(t testing.TB, from string, r Request) {
	t.Helper()
	c.do(t, from, "cast", r.order(), nil)
}

// Build has the API ask a conductor to have a host sleep: a call of which two services have a part.
func (c *Cloud) Build(t testing.TB, host string, seconds float64, context map[string]any) {
	t.Helper()
	c.Call(t, API, Request{
		Topic: ConductorTopic, Version: "3.0", Method: "build", Context: context,
		Args: map[string]any{"host": host, "seconds": seconds, "admin_pass": "s3cret"},
	}, nil)
}

func (c *Cloud) signal(t testing.TB, process, what string) {
	t.Helper()
	c.do(t, process, what, map[string]any{}, nil)
}

func (c *Cloud) do(t testing.TB, to, op string, order map[string]any, result any) {
	t.Helper()
	order["to"] = to
	c.python.Do(t, op, order, result)
}

// PID is a process's id.
func (c *Cloud) PID(process string) int { return c.pids[process] }

// log is the file of a process's log.
func (c *Cloud) log(process string) string { return filepath.Join(c.logs, process+".log") }
