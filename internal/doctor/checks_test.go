package doctor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/doctor"
	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

const hex = "0123456789abcdef0123456789abcdef"

var at = time.Date(2026, 11, 21, 3, 12, 7, 0, time.UTC)

func connection(name, program, host string) management.Connection {
	return management.Connection{
		Name: name, PeerHost: host, State: "running", Heartbeat: 60, ConnectedAt: at.Add(-time.Hour).UnixMilli(),
		Client: management.Product{ConnectionName: program + ":2214:" + hex, Product: "py-amqp", Version: "5.1.1"},
	}
}

// healthy is a topic with one server on it, its client, and nothing wrong with either.
func healthy() *doctor.Facts {
	server, client := connection("c1", "nova-compute", "10.0.0.42"), connection("c2", "nova-api", "10.0.0.5")
	reader := []operator.Reader{{Owner: operator.OwnerOf(server), Ack: true, Active: true}}
	queue := func(q operator.Queue, readers []operator.Reader) operator.Queue {
		q.Declared.Type, q.Declared.Durable = "classic", true
		q.Consumers, q.Readers = operator.Count(len(readers)), readers
		return q
	}
	v := &operator.View{
		At: at, Vhost: "/nova", Full: true, Everybody: true,
		Broker: operator.Broker{Product: "RabbitMQ", Version: "4.2.5", Nodes: []management.Node{{Name: "rabbit@ctl-1", Running: true}}},
		Queues: []operator.Queue{
			queue(operator.Queue{Name: "compute", Kind: operator.KindTopic, Topic: "compute", Exchange: "nova"}, reader),
			queue(operator.Queue{Name: "compute.cmp-042", Kind: operator.KindServer, Topic: "compute", Server: "cmp-042", Exchange: "nova"}, reader),
			queue(operator.Queue{Name: "compute_fanout_" + hex, Kind: operator.KindFanout, Topic: "compute", Exchange: "compute_fanout"}, reader),
			queue(operator.Queue{Name: "notifications.info", Kind: operator.KindNotification, Topic: "notifications", Priority: "info", Exchange: "nova"}, nil),
			queue(operator.Queue{Name: "reply_" + hex, Kind: operator.KindReply}, []operator.Reader{{Owner: operator.OwnerOf(client), Ack: true}}),
		},
		Exchanges: []management.Exchange{{Name: "compute_fanout", Type: "fanout", Durable: true}, {Name: "nova", Type: "topic", Durable: true}},
		Bindings: []management.Binding{
			{Source: "nova", Destination: "compute", Kind: "queue", RoutingKey: "compute"},
			{Source: "nova", Destination: "compute.cmp-042", Kind: "queue", RoutingKey: "compute.cmp-042"},
			{Source: "compute_fanout", Destination: "compute_fanout_" + hex, Kind: "queue"},
		},
		Connections: []management.Connection{server, client},
	}
	v.Topics = []operator.Topic{{
		Name: "compute", Exchange: "nova", Queue: &v.Queues[0],
		Servers: []operator.Server{{Name: "cmp-042", Queue: &v.Queues[1], Fanouts: []*operator.Queue{&v.Queues[2]}}},
		Fanouts: []*operator.Queue{&v.Queues[2]},
	}}
	channel := func(connection string) (c management.Channel) {
		c.Connection.Name, c.Consumers, c.Stats.DeliverGet = connection, 1, 100
		return c
	}
	return &doctor.Facts{
		View: v, Channels: []management.Channel{channel("c1"), channel("c2")}, Policies: []management.Policy{}, Waited: 3 * time.Second,
		Probes:   []probe.Answer{{Server: probe.Server{Exchange: "nova", Topic: "compute", Name: "cmp-042"}, State: probe.OK, Consumers: 1}},
		Clock:    &doctor.Clock{Ahead: time.Second, Error: time.Second},
		Settings: options{"transport_url": "rabbit://ctl-1:5671//nova", "ssl": "true", "ssl_ca_file": "/ca.pem", "ssl_enforce_hostname_verification": "true", "control_exchange": "nova", "rabbit_quorum_queue": "true"},
	}
}

// options are those of a configuration file, whatever their group.
type options map[string]string

func (o options) Option(_, name string) (value, from string, err error) {
	if value, ok := o[name]; ok {
		return value, "/etc/nova/nova.conf:7", nil
	}
	return "", "", nil
}

func all(doctor.Check) bool { return true }

func TestHealthHasNoFindings(t *testing.T) {
	t.Parallel()
	r := doctor.Examine(healthy(), all)
	if len(r.Findings) > 0 || len(r.Unchecked) > 0 || len(r.Checked) != len(doctor.Checks()) {
		t.Errorf("%+v\nwant all checks made, and nothing found", r)
	}
}

// TestChecks breaks one thing at a time in what is healthy.
func TestChecks(t *testing.T) {
	t.Parallel()
	queue := func(f *doctor.Facts, name string) *operator.Queue { return f.View.Queue(name) }
	set := func(name, value string) func(*doctor.Facts) {
		return func(f *doctor.Facts) { f.Settings.(options)[name] = value }
	}
	stranger := operator.OwnerOf(connection("c9", "nova-compute", "10.0.0.43"))
	for _, test := range []struct {
		name     string
		breaks   func(*doctor.Facts)
		id       string
		severity doctor.Severity
		subject  string
		says     string // in the text, the evidence or the advice
	}{
		{"deaf", func(f *doctor.Facts) { f.Probes[0].State = probe.Deaf }, "B01", doctor.Bad, "compute.cmp-042", "1 consumer, and no answer to a probe within 3s"},
		{"deaf: who", func(f *doctor.Facts) { f.Probes[0].State = probe.Deaf }, "B01", doctor.Bad, "compute.cmp-042", "restart nova-compute:2214 @ 10.0.0.42"},
		{"busy, not deaf", func(f *doctor.Facts) { f.Probes[0].State = probe.Deaf; queue(f, "compute.cmp-042").Rates.Acked = 3 }, "B01", doctor.Warn, "compute.cmp-042", "3.0 messages a second"},
		{"deaf, and it shows", func(f *doctor.Facts) {
			f.Probes[0].State, f.Probes[0].Stuck = probe.Deaf, true
			queue(f, "compute.cmp-042").Unacked = 4
		}, "B01", doctor.Bad, "compute.cmp-042", "it holds 4 messages"},
		{"slow", func(f *doctor.Facts) { f.Probes[0].State, f.Probes[0].RTT = probe.Slow, 2*time.Second }, "B01", doctor.Warn, "compute.cmp-042", "after 2s"},
		{
			"the reply queue is gone", func(f *doctor.Facts) { f.Channels[1].Consumers = 0; f.View.Queues = f.View.Queues[:4] },
			"B02", doctor.Bad, "nova-api:2214 @ 10.0.0.5", "100 messages were delivered on it",
		},
		{
			"a consumer is gone, of a process that hears replies", func(f *doctor.Facts) {
				f.Channels[1].Consumers = 0
				queue(f, "reply_"+hex).Readers[0].Owner.Connection = "another"
			},
			"B02", doctor.Warn, "nova-api:2214 @ 10.0.0.5", "it reads reply_" + hex,
		},
		{"transient queues on a durable exchange", func(f *doctor.Facts) { queue(f, "compute.cmp-042").Declared.Durable = false }, "B03", doctor.Bad, "exchange nova", "durable, and 1 of its 2 queues are transient"},
		{
			"durable queues on a transient exchange", func(f *doctor.Facts) {
				f.View.Exchanges[1].Durable = false
				queue(f, "compute").Declared.Durable = false
			},
			"B03", doctor.Bad, "exchange nova", "durable: compute.cmp-042",
		},
		{"types of one topic", func(f *doctor.Facts) { queue(f, "compute.cmp-042").Declared.Type = "quorum" }, "B03", doctor.Bad, "topic compute", "quorum: compute.cmp-042"},
		{"exchanges that differ", func(f *doctor.Facts) {
			f.View.Exchanges = append(f.View.Exchanges, management.Exchange{Name: "cinder", Type: "topic"})
			f.View.Queues = append(f.View.Queues, operator.Queue{Name: "cinder-volume", Kind: operator.KindTopic, Topic: "cinder-volume", Exchange: "cinder"})
		}, "B03", doctor.Info, "exchanges", "transient: cinder"},
		{"transient queues on an old broker", func(f *doctor.Facts) { f.View.Broker.Version = "3.10.8"; f.View.Queues[4].Declared.Durable = false }, "B04", doctor.Info, "1 queue", "goslo plan quorum"},
		{"transient queues before the last broker", func(f *doctor.Facts) { f.View.Queues[4].Declared.Durable = false }, "B04", doctor.Warn, "1 queue", "reply: 1"},
		{
			"transient queues on a broker that may refuse them", func(f *doctor.Facts) { f.View.Broker.Version = "4.3.0"; f.View.Queues[4].Declared.Durable = false },
			"B04", doctor.Bad, "1 queue", "unless its configuration permits them",
		},
		{
			"transient queues on a broker that refuses them", func(f *doctor.Facts) {
				f.View.Broker.Version = "4.3.0"
				f.View.Queues[4].Declared.Durable = false
				f.Deprecated = []management.DeprecatedFeature{{Name: "transient_nonexcl_queues", Phase: "denied_by_default", State: "denied"}}
			}, "B04", doctor.Bad, "1 queue", "541",
		},
		{
			"orphans", func(f *doctor.Facts) {
				q := queue(f, "reply_"+hex)
				q.Consumers, q.Readers, q.Bytes, q.IdleSince = 0, nil, 3<<20, at.Add(-6*24*time.Hour)
			}, "B05", doctor.Warn, "1 queue", "3.0 MiB",
		},
		{"orphans: age", func(f *doctor.Facts) {
			q := queue(f, "reply_"+hex)
			q.Consumers, q.Readers, q.IdleSince = 0, nil, at.Add(-6*24*time.Hour)
		}, "B05", doctor.Warn, "1 queue", "idle for 6d"},
		{"a server that is away", func(f *doctor.Facts) { q := queue(f, "compute.cmp-042"); q.Consumers, q.Readers, q.Ready = 0, nil, 14 }, "B06", doctor.Warn, "compute.cmp-042", "14 requests wait"},
		{"a topic that is away", func(f *doctor.Facts) { q := queue(f, "compute"); q.Consumers, q.Readers, q.Ready = 0, nil, 1 }, "B06", doctor.Bad, "compute", "1 request waits for any server"},
		{"notifications", func(f *doctor.Facts) { queue(f, "notifications.info").Ready = 812 }, "B07", doctor.Warn, "notifications.info", "812 notifications"},
		{"many notifications", func(f *doctor.Facts) { queue(f, "notifications.info").Ready = 812_000 }, "B07", doctor.Bad, "notifications.info", "memory and disk"},
		{"blocked", func(f *doctor.Facts) { f.View.Connections[1].State = "blocked" }, "B08", doctor.Bad, "1 connection", "takes no messages"},
		{"memory", func(f *doctor.Facts) { f.View.Broker.Nodes[0].MemoryAlarm = true }, "B09", doctor.Bad, "rabbit@ctl-1", "memory alarm"},
		{"disk", func(f *doctor.Facts) { f.View.Broker.Nodes[0].DiskAlarm = true }, "B09", doctor.Bad, "rabbit@ctl-1", "disk alarm"},
		{"a node is down", func(f *doctor.Facts) { f.View.Broker.Nodes[0].Running = false }, "B09", doctor.Bad, "rabbit@ctl-1", "not running"},
		{"a partition", func(f *doctor.Facts) { f.View.Broker.Nodes[0].Partitions = []string{"rabbit@ctl-2"} }, "B09", doctor.Bad, "rabbit@ctl-1", "cut off from rabbit@ctl-2"},
		{"files", func(f *doctor.Facts) { f.View.Broker.Nodes[0].FilesUsed, f.View.Broker.Nodes[0].FilesTotal = 950, 1000 }, "B09", doctor.Warn, "rabbit@ctl-1", "950 of 1000"},
		{"processes", func(f *doctor.Facts) {
			f.View.Broker.Nodes[0].ProcessesUsed, f.View.Broker.Nodes[0].ProcessesTotal = 950, 1000
		}, "B09", doctor.Warn, "rabbit@ctl-1", "950 of 1000"},
		{"prefetch", func(f *doctor.Facts) { queue(f, "compute").Unacked = 5000 }, "B10", doctor.Warn, "compute", "rabbit_qos_prefetch_count"},
		{"churn", func(f *doctor.Facts) { f.View.Broker.Churn.ConnectionsCreatedPer.Rate = 12.5 }, "B11", doctor.Warn, "connections opened", "12.5 a second"},
		{"churn of queues", func(f *doctor.Facts) { f.View.Broker.Churn.QueuesCreatedPer.Rate = 5 }, "B11", doctor.Warn, "queues created", "5.0 a second"},
		{"a clock ahead", func(f *doctor.Facts) { f.Clock.Ahead = 5 * time.Second }, "B12", doctor.Warn, "the broker's clock", "5s ahead"},
		{"a clock far behind", func(f *doctor.Facts) { f.Clock.Ahead = -2 * time.Minute }, "B12", doctor.Bad, "the broker's clock", "2m behind"},
		{"an old broker", func(f *doctor.Facts) { f.View.Broker.Version = "3.10.8" }, "B13", doctor.Warn, "RabbitMQ 3.10.8", "July 2023"},
		{"a very old broker", func(f *doctor.Facts) { f.View.Broker.Version = "3.7.28" }, "B13", doctor.Warn, "RabbitMQ 3.7.28", "no quorum queues"},
		{"another broker", func(f *doctor.Facts) { f.View.Broker.Product = "LavinMQ" }, "B13", doctor.Info, "LavinMQ 4.2.5", "not RabbitMQ"},
		{"libraries", func(f *doctor.Facts) { f.View.Connections[1].Client.Version = "2.6.1" }, "B14", doctor.Info, "py-amqp", "py-amqp 2.6.1: 1 connection"},
		{"no encryption", set("ssl", "false"), "B15", doctor.Info, "[oslo_messaging_rabbit] ssl (/etc/nova/nova.conf:7)", "not encrypted"},
		{"no authority", set("ssl_ca_file", ""), "B15", doctor.Warn, "[oslo_messaging_rabbit] ssl (/etc/nova/nova.conf:7)", "do not check the broker's certificate"},
		{
			"no host name", set("ssl_enforce_hostname_verification", "false"), "B15", doctor.Warn,
			"[oslo_messaging_rabbit] ssl_enforce_hostname_verification (/etc/nova/nova.conf:7)", "host name",
		},
		{"host names perhaps", set("ssl_enforce_hostname_verification", ""), "B15", doctor.Info, "[oslo_messaging_rabbit] ssl (/etc/nova/nova.conf:7)", "since May 2026"},
		{"a binding of a server", func(f *doctor.Facts) { f.View.Bindings = f.View.Bindings[2:] }, "B16", doctor.Bad, "compute.cmp-042", "bound to no exchange"},
		{"a binding of a fanout", func(f *doctor.Facts) { f.View.Bindings = f.View.Bindings[:2] }, "B16", doctor.Bad, "compute_fanout_" + hex, "bound to no exchange"},
		{"twins", func(f *doctor.Facts) {
			q := queue(f, "compute.cmp-042")
			q.Readers = append(q.Readers, operator.Reader{Owner: stranger})
		}, "B17", doctor.Warn, "compute.cmp-042", "10.0.0.42, 10.0.0.43"},
		{"firehose", func(f *doctor.Facts) { f.View.Broker.Tracing = true }, "B18", doctor.Warn, "tracing of /nova", "rabbitmqctl trace_off -p /nova"},
		{"mirrors that are none", func(f *doctor.Facts) {
			f.Policies = []management.Policy{{Name: "ha", Pattern: ".*", Definition: map[string]any{"ha-mode": "all"}}}
		}, "B19", doctor.Warn, "policy ha", "clear_policy -p /nova ha"},
		{"heartbeats", func(f *doctor.Facts) { f.View.Connections[0].Heartbeat = 0 }, "B20", doctor.Warn, "1 connection", "nova-compute:2214"},
		{"atoms", func(f *doctor.Facts) { f.View.Queues[4].Declared.Type = "quorum" }, "B21", doctor.Warn, "1 queue", "use_queue_manager"},
		{"settings that do not go with an exchange", set("rabbit_quorum_queue", "false"), "B22", doctor.Bad, "exchange nova", "asks for a transient one"},
		{"settings that exclude each other", set("rabbit_ha_queues", "true"), "B22", doctor.Bad, "[oslo_messaging_rabbit] rabbit_ha_queues", "refuse to start"},
		{"settings that the broker refuses", func(f *doctor.Facts) { f.View.Broker.Version = "4.3.1" }, "B22", doctor.Bad, "[oslo_messaging_rabbit]", "rabbit_transient_quorum_queue is not set"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			facts := healthy()
			test.breaks(facts)
			var said []string
			for _, f := range doctor.Examine(facts, all).Findings {
				text := strings.Join(append([]string{f.Text, f.Next}, f.Evidence...), "\n")
				said = append(said, string(f.Severity)+" "+f.ID+" "+f.Subject+": "+text)
				if f.Next == "" {
					t.Errorf("%s %s does not say what to do", f.ID, f.Subject)
				}
				if f.ID == test.id && f.Severity == test.severity && f.Subject == test.subject && strings.Contains(text, test.says) {
					return
				}
			}
			t.Errorf("no %s %s about %q that says %q, but\n%s", test.severity, test.id, test.subject, test.says, strings.Join(said, "\n"))
		})
	}
}

func TestWhatWasNotMeasuredIsNotChecked(t *testing.T) {
	t.Parallel()
	facts := healthy()
	facts.Clock, facts.Why = nil, map[string]string{"clock": "no API"}
	facts.Probes = append(facts.Probes, probe.Answer{Server: probe.Server{Topic: "shop", Name: "s1"}, State: probe.NotAsked})
	r := doctor.Examine(facts, all)
	got := make(map[string]string)
	for _, u := range r.Unchecked {
		got[u.ID] = u.Why
	}
	if len(got) != 2 || got["B12"] != "no API" || !strings.Contains(got["B01"], "servers of shop were not asked") {
		t.Errorf("unchecked: %v; want B12 for want of the clock, and B01 for the servers that were not asked", got)
	}
	if len(r.Checked) != len(doctor.Checks())-1 {
		t.Errorf("%d checks made, want all but one", len(r.Checked))
	}
}

func TestWhoSeesNoConnectionsIsNotToldThatTheyAreWell(t *testing.T) {
	t.Parallel()
	facts := healthy()
	facts.View.Everybody, facts.View.Broker.Nodes, facts.View.Connections = false, nil, nil
	r := doctor.Examine(facts, all)
	var got []string
	for _, u := range r.Unchecked {
		got = append(got, u.ID)
	}
	if strings.Join(got, " ") != "B02 B08 B09 B10 B14 B17 B20" || slices.Contains(r.Checked, "B09") || !strings.Contains(r.Unchecked[0].Why, "tag monitoring") {
		t.Errorf("unchecked %+v, checked %v; want those about connections and nodes unchecked", r.Unchecked, r.Checked)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	choose, err := doctor.Choose([]string{"b01", "clocks", "B08"}, []string{"blocked"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range doctor.Checks() {
		if choose(c) {
			got = append(got, c.ID)
		}
	}
	if strings.Join(got, " ") != "B01 B12" {
		t.Errorf("chosen: %v, want B01 and B12", got)
	}
	if _, err := doctor.Choose(nil, []string{"B99"}); err == nil || !strings.Contains(err.Error(), `"B99"`) {
		t.Errorf("error %v, want one that names B99", err)
	}
}

func TestFindingsAreSortedByTheirSeverity(t *testing.T) {
	t.Parallel()
	facts := healthy()
	facts.View.Broker.Version = "3.10.8"
	facts.View.Connections[1].Client.Version = "2.6.1"
	facts.View.Connections[1].State = "blocked"
	r := doctor.Examine(facts, all)
	var got []string
	for _, f := range r.Findings {
		got = append(got, string(f.Severity))
	}
	if strings.Join(got, " ") != "bad warn info" {
		t.Errorf("severities %v, want bad, warn, info", got)
	}
	if !r.Worse(doctor.Warn) || r.Count(doctor.Bad) != 1 {
		t.Errorf("worse than warn: %t, bad: %d; want true, 1", r.Worse(doctor.Warn), r.Count(doctor.Bad))
	}
}
