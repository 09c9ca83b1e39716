package cloudtest_test

import (
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/cloudtest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// TestCloud is about the state that others' tests rely on, and about changes of it being seen.
func TestCloud(t *testing.T) {
	t.Parallel()
	c := cloudtest.Start(t, brokertest.Rabbit(t))
	s := c.Snapshot(t)

	consumers := map[string]int{
		"compute": 2, "compute.cmp-1": 1, "compute.cmp-2": 1, "conductor": 2, "conductor.ctl-1": 1, "conductor.ctl-2": 1,
		"cinder-volume": 1, "cinder-volume.vol-1.example": 1, "cinder-volume.vol-2.example": 0, cloudtest.Notifications: 0,
		c.ReplyQueue(t, cloudtest.API): 1, c.ReplyQueue(t, cloudtest.Conductor1): 1,
	}
	for name, want := range consumers {
		q, ok := s.Queues[name]
		if !ok || q.Consumers != want {
			t.Errorf("queue %s: %+v, want %d consumers", name, q, want)
		}
		if durable := strings.HasPrefix(name, "cinder-volume"); q.Durable != durable {
			t.Errorf("queue %s: durable is %v", name, q.Durable)
		}
	}
	orphans := 0
	for name, q := range s.Queues {
		if q.Consumers == 0 && (strings.HasPrefix(name, "reply_") || strings.Contains(name, "_fanout_")) {
			orphans++
		}
	}
	if orphans != 2 {
		t.Errorf("%d orphans, want the reply queue and the fanout queue of %s", orphans, cloudtest.Volume2)
	}
	if got := s.Queues[cloudtest.Notifications].Messages; got != cloudtest.Unread {
		t.Errorf("%d notifications wait, want %d", got, cloudtest.Unread)
	}
	if log := c.Log(t, cloudtest.Conductor1); !strings.Contains(log, "Basic.cancel") {
		t.Errorf("the process whose reply queue was deleted logged nothing of it:\n%s", log)
	}
	c.Build(t, "cmp-1", 0, nil)
	c.Unchanged(t, func() {})

	// The comparison is worth as much as it finds.
	changes := map[string]func(){
		"a message": func() {
			c.Cast(t, cloudtest.API, cloudtest.Request{Topic: cloudtest.ComputeTopic, Server: "cmp-2", Method: "echo"})
		},
		"a binding":    func() { c.Node.DeleteBinding(t, c.Vhost, "nova", "conductor.ctl-2", "conductor.ctl-2") },
		"a queue":      func() { c.Node.DeleteQueue(t, c.Vhost, cloudtest.Notifications) },
		"an exchange":  func() { c.Node.DeleteExchange(t, c.Vhost, "compute_fanout") },
		"the firehose": func() { c.Node.Eval(t, `rabbit_trace:start(<<"`+c.Vhost+`">>)`) },
		"a log": func() {
			c.Cast(t, cloudtest.API, cloudtest.Request{Topic: cloudtest.ComputeTopic, Server: "cmp-1", Version: "9.0", Method: "ping_it"})
			brokertest.Await(t, "the error is logged", func() bool { return strings.Contains(c.Log(t, cloudtest.Compute1), "ping_it") })
		},
	}
	for name, change := range changes {
		before := c.Snapshot(t)
		change()
		if before.Diff(c.Snapshot(t)) == "" {
			t.Errorf("%s has changed, and the comparison did not see it", name)
		}
	}
}
