package operator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// looker opens a virtual host for looking at, as a user whose password is their name.
func looker(t *testing.T, node *brokertest.RabbitNode, user, vhost, api string) *operator.Bus {
	t.Helper()
	u, err := transport.ParseURL(fmt.Sprintf("rabbit://%s:%s@%s/%s", user, user, node.Addr(), vhost))
	if err != nil {
		t.Fatal(err)
	}
	b, err := operator.Open(operator.Config{Rabbit: rabbit.Config{URL: u}, Management: api})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func view(t *testing.T, b *operator.Bus, names ...string) *operator.View {
	t.Helper()
	v, err := b.View(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// listen has a transport with these options listen as a server until the test ends.
func listen(t *testing.T, node *brokertest.RabbitNode, vhost, options, topic, server string) {
	t.Helper()
	u, err := transport.ParseURL(node.URLVhost(vhost) + "?" + options)
	if err != nil {
		t.Fatal(err)
	}
	bus, err := rabbit.Open(t.Context(), rabbit.Config{URL: u, Program: topic + "-server"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	if _, err := bus.Listen(t.Context(), transport.Address{Kind: transport.Topic, Topic: topic, Server: server}, transport.ListenOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestKindsOfRealListeners is about what listeners with all of the driver's options make of a virtual host.
func TestKindsOfRealListeners(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	for _, test := range []struct{ options, kinds, storage string }{
		{"", "cell:topic:classic cell.s.1:server:classic cell_fanout_*:fanout:classic", "transient"},
		{"amqp_durable_queues=true", "cell:topic:classic cell.s.1:server:classic cell_fanout_*:fanout:classic", "durable"},
		{"rabbit_quorum_queue=true", "cell:topic:quorum cell.s.1:server:quorum cell_fanout_*:fanout:classic", "quorum"},
		{"rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true", "cell:topic:quorum cell.s.1:server:quorum cell_fanout_*:fanout:quorum", "quorum"},
		{"rabbit_stream_fanout=true&rabbit_transient_quorum_queue=true&rabbit_qos_prefetch_count=10", "cell:topic:classic cell.s.1:server:classic cell_fanout:fanout:stream", "transient"},
		{"use_queue_manager=true&hostname=h-1&processname=cells", "cell:topic:classic cell.s.1:server:classic cell_fanout_*:fanout:classic", "transient"},
	} {
		t.Run(test.options, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			listen(t, node, vhost, test.options, "cell", "s.1")
			b := looker(t, node, "guest", vhost, node.ManagementURL())
			var v *operator.View
			brokertest.Await(t, "the broker's statistics", func() bool {
				v = view(t, b)
				return !slices.ContainsFunc(v.Queues, func(q operator.Queue) bool { return len(q.Readers) == 0 || q.Readers[0].Owner.Program == "" })
			})
			var kinds []string
			for _, q := range v.Queues {
				name := q.Name
				if i := strings.Index(name, "_fanout_"); i > 0 {
					name = name[:i] + "_fanout_*"
				}
				kinds = append(kinds, name+":"+string(q.Kind)+":"+q.Declared.Type)
				if len(q.Readers) != 1 || q.Readers[0].Owner.Program != "cell-server" || q.Readers[0].Owner.PID == 0 || len(q.Readers[0].Owner.Serves) != 1 {
					t.Errorf("%s: readers %+v", q.Name, q.Readers)
				}
			}
			if got := strings.Join(kinds, " "); got != test.kinds {
				t.Errorf("got %s\nwant %s", got, test.kinds)
			}
			topic := v.Topic("cell")
			if topic == nil || len(topic.Servers) != 1 || topic.Servers[0].Name != "s.1" || len(topic.Servers[0].Fanouts) != 1 || len(v.Topics) != 1 {
				t.Fatalf("topics: %+v", v.Topics)
			}
			for _, g := range v.Guarantees(topic) {
				if g.About == "storage" && !strings.HasPrefix(g.Says, test.storage) {
					t.Errorf("storage: %s", g.Says)
				}
			}
			if host, process, ok := topic.Fanouts[0].ManagerName(); ok != strings.Contains(test.options, "hostname") || ok && (host != "h-1" || process != "cells") {
				t.Errorf("the queue manager's name is %q, %q, %v", host, process, ok)
			}
			if orphans := v.Orphans(0, true); len(orphans) != 0 {
				t.Errorf("orphans: %+v", orphans)
			}
		})
	}
}

// TestWhatUsersSee is about users with different rights, and what is said of what they do not see.
func TestWhatUsersSee(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	listen(t, node, vhost, "", "compute", "cmp-1")
	listen(t, node, vhost, "", "compute", "cmp-2")
	brokertest.Await(t, "the broker's statistics", func() bool {
		q := view(t, looker(t, node, "guest", vhost, node.ManagementURL())).Queue("compute.cmp-1")
		return q != nil && q.Consumers == 1 && len(q.Readers) == 1
	})
	for user, tags := range map[string]string{"plain-view": "", "manager-view": "management", "seer-view": "monitoring"} {
		node.AddUser(t, user, user)
		node.Eval(t, fmt.Sprintf(`rabbit_auth_backend_internal:set_tags(<<"%s">>, [%s], <<"brokertest">>)`, user, tags))
		node.SetPermissions(t, user, vhost, "^$", "^$", "^$")
	}
	seer := view(t, looker(t, node, "seer-view", vhost, node.ManagementURL()))
	if len(seer.Unseen) != 0 || !seer.Everybody || len(seer.Topics) != 1 || len(seer.Connections) == 0 || len(seer.Broker.Nodes) != 1 {
		t.Errorf("monitoring sees %d topics, %d connections, %d nodes, and not %q", len(seer.Topics), len(seer.Connections), len(seer.Broker.Nodes), seer.Unseen)
	}
	manager := view(t, looker(t, node, "manager-view", vhost, node.ManagementURL()))
	if q := manager.Queue("compute.cmp-1"); q == nil || manager.Everybody || q.Consumers != 1 || len(q.Readers) != 0 || q.Kind != operator.KindServer {
		t.Errorf("management sees %+v", q)
	}
	if unseen := strings.Join(manager.Unseen, "\n"); !strings.Contains(unseen, "set_user_tags manager-view monitoring") || !strings.Contains(unseen, "nodes") {
		t.Errorf("management is told that it does not see %q", unseen)
	}
	var problem *management.Error
	if _, err := looker(t, node, "plain-view", vhost, node.ManagementURL()).View(t.Context(), "compute"); !errors.As(err, &problem) || problem.Problem != management.Forbidden {
		t.Errorf("a user without tags gets %v", err)
	}
	v := view(t, looker(t, node, "plain-view", vhost, operator.NoManagement), "compute", "compute.cmp-1", "nonesuch")
	if topic := v.Topic("compute"); topic == nil || topic.Queue.Consumers != 2 || len(topic.Servers) != 1 || v.Full || len(v.Queues) != 2 || len(v.Unseen) != 1 {
		t.Errorf("over AMQP a user without permissions sees %+v", v)
	}
}

// TestOrphanIsUsedAgain is about queues whose processes come back between the list and the deletion.
func TestOrphanIsUsedAgain(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	conn, err := amqp.Dial(strings.Replace(node.URLVhost(vhost), "rabbit:", "amqp:", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	var queues []*operator.Queue
	for _, q := range []struct {
		name, kind         string
		exclusive, consume bool
		messages           int
	}{
		{"empty", "classic", false, false, 0},
		{"full", "classic", false, false, 2},
		{"used", "classic", false, true, 0},
		{"theirs", "classic", true, false, 0},
		{"quorum", "quorum", false, false, 0},
		{"quorum-full", "quorum", false, false, 1},
		{"quorum-used", "quorum", false, true, 0},
	} {
		if _, err := ch.QueueDeclare(q.name, q.kind == "quorum", false, q.exclusive, false, amqp.Table{"x-queue-type": q.kind}); err != nil {
			t.Fatal(err)
		}
		if q.consume {
			if _, err := ch.Consume(q.name, "", false, false, false, false, nil); err != nil {
				t.Fatal(err)
			}
		}
		for range q.messages {
			if err := ch.PublishWithContext(t.Context(), "", q.name, true, false, amqp.Publishing{Body: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		brokertest.Await(t, "messages in "+q.name, func() bool {
			state, _ := node.FindQueue(t, vhost, q.name)
			return state.Messages == q.messages
		})
		queues = append(queues, &operator.Queue{Name: q.name, Declared: operator.Declared{Type: q.kind}})
	}
	queues = append(queues, &operator.Queue{Name: "gone", Declared: operator.Declared{Type: "classic"}})
	b := looker(t, node, "guest", vhost, operator.NoManagement)
	fates := func(withMessages bool) map[string]operator.Fate {
		all := make(map[string]operator.Fate)
		if err := b.Delete(t.Context(), queues, withMessages, func(q *operator.Queue, f operator.Fate) error {
			all[q.Name] = f
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := map[string]operator.Fate{
		"empty": operator.Deleted, "full": operator.NotEmpty, "used": operator.InUse, "theirs": operator.InUse,
		"quorum": operator.Deleted, "quorum-full": operator.NotEmpty, "quorum-used": operator.InUse, "gone": operator.Gone,
	}
	if diff := cmp.Diff(want, fates(false)); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	want = map[string]operator.Fate{
		"empty": operator.Gone, "full": operator.Deleted, "used": operator.InUse, "theirs": operator.InUse,
		"quorum": operator.Gone, "quorum-full": operator.Deleted, "quorum-used": operator.InUse, "gone": operator.Gone,
	}
	if diff := cmp.Diff(want, fates(true)); diff != "" {
		t.Errorf("fates with messages (-want +got):\n%s", diff)
	}
}

// TestDrainKeepsOrder is about what is taken, in what order, and what is left when keeping fails.
func TestDrainKeepsOrder(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	conn, err := amqp.Dial(strings.Replace(node.URLVhost(vhost), "rabbit:", "amqp:", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare("q", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	const all = 5
	for n := range all {
		if err := ch.PublishWithContext(t.Context(), "", "q", true, false, amqp.Publishing{Body: fmt.Append(nil, n), Headers: amqp.Table{"n": int32(n)}}); err != nil {
			t.Fatal(err)
		}
	}
	brokertest.Await(t, "the messages", func() bool {
		q, _ := node.FindQueue(t, vhost, "q")
		return q.Messages == all
	})
	b := looker(t, node, "guest", vhost, operator.NoManagement)
	var got []string
	full := errors.New("no space left")
	n, err := b.Drain(t.Context(), "q", 0, func(m *operator.Message) error {
		if len(got) == 2 {
			return full
		}
		got = append(got, string(m.Body))
		return nil
	})
	if n != 2 || !errors.Is(err, full) {
		t.Errorf("got %d messages, %v", n, err)
	}
	n, err = b.Drain(t.Context(), "q", 2, func(m *operator.Message) error {
		got = append(got, string(m.Body))
		if m.Redelivered != (len(got) == 3) || m.RoutingKey != "q" || m.Headers["n"] == nil {
			t.Errorf("message %d: %+v", len(got), m)
		}
		return nil
	})
	if n != 2 || err != nil {
		t.Errorf("got %d messages, %v", n, err)
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "3"}, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if q, _ := node.FindQueue(t, vhost, "q"); q.Messages != 1 {
		t.Errorf("%d messages are left, want 1", q.Messages)
	}
	if _, err := b.Drain(t.Context(), "nonesuch", 1, nil); err == nil || !strings.Contains(err.Error(), "there is no such queue") {
		t.Errorf("got %v", err)
	}
	if n, err := b.Purge(t.Context(), "q"); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}

// TestOrphansAreChosen is about which queues are orphans.
func TestOrphansAreChosen(t *testing.T) {
	t.Parallel()
	now := time.Now()
	v := &operator.View{At: now, Queues: []operator.Queue{
		{Name: "reply", Kind: operator.KindReply, IdleSince: now.Add(-time.Hour)},
		{Name: "reply-with-messages", Kind: operator.KindReply, Ready: 9, IdleSince: now.Add(-time.Minute)},
		{Name: "reply-unknown", Kind: operator.KindReply, Consumers: operator.Unknown},
		{Name: "reply-used", Kind: operator.KindReply, Consumers: 1},
		{Name: "reply-held", Kind: operator.KindReply, Unacked: 1},
		{Name: "reply-exclusive", Kind: operator.KindReply, Declared: operator.Declared{Exclusive: true}},
		{Name: "fanout", Kind: operator.KindFanout, IdleSince: now.Add(-2 * time.Hour)},
		{Name: "fanout-stream", Kind: operator.KindFanout, Declared: operator.Declared{Type: "stream"}},
		{Name: "server", Kind: operator.KindServer, IdleSince: now.Add(-time.Second)},
		{Name: "topic", Kind: operator.KindTopic},
		{Name: "notifications.info", Kind: operator.KindNotification},
		{Name: "other", Kind: operator.KindOther},
	}}
	for _, test := range []struct {
		older   time.Duration
		servers bool
		want    string
	}{
		{0, false, "fanout reply reply-with-messages"},
		{0, true, "fanout reply reply-with-messages server"},
		{10 * time.Minute, true, "fanout reply"},
		{3 * time.Hour, true, ""},
	} {
		var names []string
		for _, o := range v.Orphans(test.older, test.servers) {
			names = append(names, o.Queue.Name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("older than %s, servers %v: got %q, want %q", test.older, test.servers, got, test.want)
		}
	}
}
