package chaos_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// A setting is where a fault happens.
type setting string

const (
	broker  setting = "one broker, durable queues"
	network setting = "one broker behind a network, durable queues"
	cluster setting = "three brokers, quorum queues"
)

// A fault is something that breaks. Strike breaks it and, unless it stays broken, repairs it. It says when the broker
// could be reached again; mend, if there is one, is called when the peers have recovered.
type fault struct {
	name    string // for the flag chaos.faults
	title   string
	setting setting
	rounds  int
	brief   int // rounds in the short version
	strike  func(t *testing.T, w *world, round int, hold time.Duration) (m moment, mend func())

	// probed says that nothing tells a listener of its loss but its own probe, so that fanouts, which nobody can send
	// to it directly, come back with that.
	probed bool
	// ghosts says that the broker believes for two heartbeats in dead consumers, and keeps messages for them.
	ghosts bool
}

var faults = []fault{
	{
		name: "kill", title: "broker killed (SIGKILL) and restarted", setting: broker, rounds: 10, brief: 1,
		strike: func(t *testing.T, w *world, _ int, _ time.Duration) (moment, func()) {
			w.node.Eval(t, "mnesia:sync_log()") // declarations are written down seconds later; here they are older than that
			struck := time.Now()
			w.node.Kill()
			reached := make(chan time.Time, 1)
			go func() { reached <- reachable(t, w.node.Addr()) }()
			w.node.Restart(t)
			return moment{struck: struck, healed: <-reached}, nil
		},
	},
	{
		name: "server-queues", title: "server queues deleted", setting: broker, rounds: 3, brief: 1,
		strike: deleteQueues(func(name string) bool {
			return strings.HasPrefix(name, topicPrefix) && !strings.Contains(name, "_fanout_")
		}),
	},
	{
		name: "fanout-queues", title: "fanout queues deleted", setting: broker, rounds: 3, brief: 1,
		strike: deleteQueues(func(name string) bool { return strings.Contains(name, "_fanout_") }),
	},
	{
		name: "reply-queues", title: "reply queues deleted", setting: broker, rounds: 3, brief: 1,
		strike: deleteQueues(func(name string) bool { return strings.HasPrefix(name, "reply_") }),
	},
	{
		name: "bindings", title: "all bindings deleted", setting: broker, rounds: 3, brief: 1, probed: true,
		strike: func(t *testing.T, w *world, _ int, _ time.Duration) (moment, func()) {
			all := w.node.ListBindings(t, vhost)
			m := moment{struck: time.Now(), reachable: true}
			for _, b := range all {
				w.node.DeleteBinding(t, vhost, b.Source, b.RoutingKey, b.Destination)
			}
			m.healed = time.Now()
			return m, nil
		},
	},
	{
		name: "exchanges", title: "all exchanges deleted", setting: broker, rounds: 3, brief: 1, probed: true,
		strike: func(t *testing.T, w *world, _ int, _ time.Duration) (moment, func()) {
			all := w.node.ListExchanges(t, vhost)
			m := moment{struck: time.Now(), reachable: true}
			for _, x := range all {
				w.node.DeleteExchange(t, vhost, x.Name)
			}
			m.healed = time.Now()
			return m, nil
		},
	},
	{
		name: "pause", title: "broker paused (SIGSTOP)", setting: broker, rounds: 3, brief: 1,
		strike: func(t *testing.T, w *world, _ int, hold time.Duration) (moment, func()) {
			struck := time.Now()
			w.node.Pause(t)
			wait(hold)
			healed := time.Now()
			w.node.Resume(t)
			return moment{struck: struck, healed: healed}, nil
		},
	},
	{
		name: "alarm", title: "broker blocked (memory alarm)", setting: broker, rounds: 3, brief: 1,
		strike: func(t *testing.T, w *world, _ int, hold time.Duration) (moment, func()) {
			struck := time.Now()
			w.node.SetAlarm(t, true)
			wait(hold)
			healed := time.Now()
			w.node.SetAlarm(t, false)
			return moment{struck: struck, healed: healed}, nil
		},
	},
	{
		name: "cut", title: "network cut, connections closed", setting: network, rounds: 3, brief: 1,
		strike: func(_ *testing.T, w *world, _ int, hold time.Duration) (moment, func()) {
			struck := time.Now()
			w.proxy.Cut()
			wait(hold)
			healed := time.Now()
			w.proxy.Restore()
			return moment{struck: struck, healed: healed}, nil
		},
	},
	{
		name: "half-open", title: "network drops everything, then forgets the connections", setting: network, rounds: 2, brief: 1, ghosts: true,
		strike: func(_ *testing.T, w *world, _ int, hold time.Duration) (moment, func()) {
			struck := time.Now()
			w.proxy.HalfOpen()
			wait(hold)
			healed := time.Now()
			w.proxy.Forget()
			return moment{struck: struck, healed: healed}, nil
		},
	},
	{
		name: "node", title: "each node killed in turn", setting: cluster, rounds: 3, brief: 1,
		strike: func(t *testing.T, w *world, round int, _ time.Duration) (moment, func()) {
			n := w.cluster.Nodes[round%len(w.cluster.Nodes)]
			m := moment{struck: time.Now(), reachable: true}
			n.Kill()
			m.healed = time.Now()
			return m, func() {
				n.Restart(t)
				brokertest.Await(t, "the node in the cluster again", func() bool { return n.Running(t) == len(w.cluster.Nodes) })
			}
		},
	},
}

func deleteQueues(which func(name string) bool) func(*testing.T, *world, int, time.Duration) (moment, func()) {
	return func(t *testing.T, w *world, _ int, _ time.Duration) (moment, func()) {
		all := w.node.ListQueues(t, vhost)
		m := moment{struck: time.Now(), reachable: true}
		for _, q := range all {
			if which(q.Name) {
				w.node.DeleteQueue(t, vhost, q.Name)
				m.emptied = m.emptied || q.Durable
			}
		}
		m.healed = time.Now()
		return m, nil
	}
}

// reachable returns the moment at which a connection was accepted.
func reachable(t *testing.T, addr string) time.Time {
	for t.Context().Err() == nil {
		c, err := net.Dial("tcp4", addr)
		if err == nil {
			_ = c.Close()
			break
		}
		wait(2 * time.Millisecond)
	}
	return time.Now()
}

// wait lets time pass: for how long a fault lasts, and for load to pile up. It is never for something to happen.
func wait(d time.Duration) { <-time.After(d) }
