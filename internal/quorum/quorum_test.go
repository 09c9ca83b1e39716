package quorum_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/quorum"
)

// classic is a compute service on transient classic queues, a client of it, and notifications that wait.
func classic() quorum.Known {
	connection := func(name, program string) management.Connection {
		return management.Connection{Name: name, User: "openstack", PeerHost: "10.0.0.5", Client: management.Product{ConnectionName: program + ":7:x", Product: "py-amqp"}}
	}
	server, client := connection("c1", "nova-compute"), connection("c2", "nova-api")
	readers := []operator.Reader{{Owner: operator.OwnerOf(server)}}
	queue := func(name string, kind operator.Kind, topic string) operator.Queue {
		return operator.Queue{Name: name, Kind: kind, Topic: topic, Exchange: "nova", Declared: operator.Declared{Type: "classic"}, Consumers: 1, Readers: readers}
	}
	v := &operator.View{
		At: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC), Vhost: "/nova", Full: true, Everybody: true,
		Broker:    operator.Broker{Product: "RabbitMQ", Version: "3.13.7", Nodes: []management.Node{{Name: "a", Running: true}, {Name: "b", Running: true}, {Name: "c", Running: true}}},
		Exchanges: []management.Exchange{{Name: "amq.topic", Type: "topic", Durable: true}, {Name: "nova", Type: "topic"}},
		Queues: []operator.Queue{
			queue("compute", operator.KindTopic, "compute"), queue("compute.cmp-1", operator.KindServer, "compute"),
			queue("notifications.info", operator.KindNotification, "notifications"), queue("mine", operator.KindOther, ""),
			{Name: "reply_x", Kind: operator.KindReply, Declared: operator.Declared{Type: "classic"}, Readers: []operator.Reader{{Owner: operator.OwnerOf(client)}}},
		},
		Connections: []management.Connection{server, client, connection("c3", "goslo")},
	}
	v.Queues[2].Ready, v.Queues[2].Readers, v.Queues[2].Consumers = 5, nil, 0
	v.Topics = []operator.Topic{{Name: "compute", Exchange: "nova", Queue: &v.Queues[0], Servers: []operator.Server{{Name: "cmp-1", Queue: &v.Queues[1]}}}}
	return quorum.Known{View: v, Vhosts: []string{"/nova"}, Management: "http://ctl-1:15672"}
}

// text is a plan, an item a line.
func text(p *quorum.Plan) string {
	var b strings.Builder
	for _, step := range p.Steps {
		for _, item := range step.Items {
			b.WriteString(step.Title + ": " + string(item.State) + ": " + item.Text + " $ " + item.Command + "\n")
		}
	}
	return b.String()
}

func wantInOrder(t *testing.T, got string, lines ...string) {
	t.Helper()
	rest := got
	for _, line := range lines {
		i := strings.Index(rest, line)
		if i < 0 {
			t.Fatalf("%q is missing, or out of order, in\n%s", line, got)
		}
		rest = rest[i+len(line):]
	}
}

func TestInPlace(t *testing.T) {
	t.Parallel()
	known := classic()
	known.Policies = []management.Policy{{Name: "ha", Definition: map[string]any{"ha-mode": "all"}}, {Name: "ttl", Definition: map[string]any{"expires": 1}}}
	p := quorum.InPlace(known)
	wantInOrder(t, text(p),
		"the broker: done: RabbitMQ 3.13.7 has quorum queues", "done: 3 nodes, all well",
		"policies: to-do: policy ha mirrors", "$ rabbitmqctl clear_policy -p /nova ha",
		"options: to-do: options of nova-compute on 10.0.0.5 (1 process)", "options of nova-api",
		"what waits: to-do: 5 messages in notifications.info", "$ goslo drain-queue notifications.info --to notifications.info.messages",
		"stop: to-do: nova-compute", "$ systemctl stop nova-compute", "$ systemctl stop nova-api",
		"delete: to-do: queue compute, transient classic", "$ rabbitmqctl delete_queue -p /nova --if-unused compute\n", "compute.cmp-1", "queue notifications.info",
		"1 queues of processes", "exchange nova, transient $ curl -u USER -X DELETE 'http://ctl-1:15672/api/exchanges/%2Fnova/nova?if-unused=true'",
		"start, and see: to-do: nova-compute", "$ goslo ping compute --all",
	)
	for _, absent := range []string{"goslo on", "queue mine", "amq.topic", "policy ttl"} {
		if strings.Contains(text(p), absent) {
			t.Errorf("%q has no place in\n%s", absent, text(p))
		}
	}
	if len(p.Rollback) == 0 || p.Target != "/nova" {
		t.Errorf("target %q, way back %v", p.Target, p.Rollback)
	}
}

// TestWhatIsDoneIsCheckedOff makes the queues and the exchange what they are to be, one after another.
func TestWhatIsDoneIsCheckedOff(t *testing.T) {
	t.Parallel()
	known := classic()
	known.View.Exchanges[1].Durable = true
	for _, i := range []int{0, 1} {
		known.View.Queues[i].Declared = operator.Declared{Type: "quorum", Durable: true}
	}
	wantInOrder(t, text(quorum.InPlace(known)),
		"options: done: options of nova-compute", "options: to-do: options of nova-api",
		"delete: done: queue compute is quorum", "done: queue compute.cmp-1 is quorum", "to-do: queue notifications.info", "done: exchange nova is durable")
	known.View.Queues[2].Declared = operator.Declared{Type: "quorum", Durable: true}
	p := quorum.InPlace(known)
	wantInOrder(t, text(p), "what services share: done: queue compute is quorum", "what is each process's own: to-do: 1 queues for replies and fanouts are classic")
	if strings.Contains(text(p), "systemctl") {
		t.Errorf("nobody needs to stop any more:\n%s", text(p))
	}
	known.View.Queues[4].Declared = operator.Declared{Type: "quorum", Durable: true}
	if p := quorum.InPlace(known); p.Count(quorum.ToDo) > 0 || p.Count(quorum.Done) == 0 {
		t.Errorf("all is done, and the plan is\n%s", text(p))
	}
}

func TestFreshVhost(t *testing.T) {
	t.Parallel()
	p := quorum.Fresh(classic(), "")
	wantInOrder(t, text(p),
		"the new virtual host: to-do: virtual host \"nova-quorum\" $ rabbitmqctl add_vhost nova-quorum", `$ rabbitmqctl set_permissions -p nova-quorum openstack ".*" ".*" ".*"`,
		"options: to-do: options of nova-compute", "transport_url = rabbit://.../nova-quorum", "what waits: to-do: 5 messages", "stop: to-do: nova-compute", "start, and see: to-do",
		"the old virtual host: to-do: nobody is connected to it any more; 3 connections are now", "$ rabbitmqctl delete_vhost /nova")
	if strings.Contains(text(p), "delete_queue") {
		t.Errorf("the old virtual host is to stay as it is:\n%s", text(p))
	}
	known := classic()
	known.Vhosts = []string{"/nova", "new one"}
	wantInOrder(t, text(quorum.Fresh(known, "new one")), `done: virtual host "new one" $ rabbitmqctl add_vhost 'new one'`)
}

// TestWhoSeesNoConnectionsIsNotToldThatNobodyIsConnected is about a user without the tag monitoring, who would stop nobody and delete queues.
func TestWhoSeesNoConnectionsIsNotToldThatNobodyIsConnected(t *testing.T) {
	t.Parallel()
	known := classic()
	known.View.Everybody, known.View.Connections = false, nil
	wantInOrder(t, text(quorum.InPlace(known)), "stop: to-do: who is connected as another user cannot be seen", "$ rabbitmqctl list_connections")
	wantInOrder(t, text(quorum.Fresh(known, "")), "stop: to-do: who", "the old virtual host: to-do: nobody is connected to it any more, which cannot be seen")
	known.View.Everybody = true
	wantInOrder(t, text(quorum.InPlace(known)), "stop: done: nobody is connected")
}

func TestWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		breaks func(*operator.View)
		state  quorum.State
		says   string
	}{
		"an old broker":   {func(v *operator.View) { v.Broker.Version = "3.7.28" }, quorum.Blocked, "came with 3.8"},
		"a node is down":  {func(v *operator.View) { v.Broker.Nodes[1].Running = false }, quorum.Blocked, "b is down"},
		"an alarm":        {func(v *operator.View) { v.Broker.Nodes[1].DiskAlarm = true }, quorum.Blocked, "b has an alarm"},
		"two nodes":       {func(v *operator.View) { v.Broker.Nodes = v.Broker.Nodes[:2] }, quorum.ToDo, "add a third"},
		"a waiting cast":  {func(v *operator.View) { v.Queues[1].Ready = 2 }, quorum.ToDo, "2 requests in compute.cmp-1"},
		"odd characters":  {func(v *operator.View) { v.Vhost = "it's" }, quorum.ToDo, `-p 'it'\''s'`},
		"a nameless peer": {func(v *operator.View) { v.Connections[0].Client.ConnectionName = "" }, quorum.ToDo, "unnamed (py-amqp) on 10.0.0.5 (1 process) $ \n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := classic()
			test.breaks(known.View)
			p := quorum.InPlace(known)
			if !strings.Contains(text(p), test.says) || p.Count(test.state) == 0 {
				t.Errorf("%q is not said, or nothing is %s\n%s", test.says, test.state, text(p))
			}
		})
	}
}
