package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/management"
)

// View looks at the virtual host. With the management API all of it is seen that its user may see. Without it the queues and
// topics with the given names are asked for one by one over AMQP, and Unseen says why; without names there is nothing to
// ask for then, and the error is an *[AccessError].
//
// Where the API's URL was given, the API not answering is an error.
func (b *Bus) View(ctx context.Context, names ...string) (*View, error) {
	api, err := b.Management(ctx)
	switch {
	case err == nil:
		return b.read(ctx, api)
	case ctx.Err() != nil:
		return nil, err
	case b.config.Management != "" && b.config.Management != NoManagement:
		return nil, err
	case len(names) == 0:
		return nil, &AccessError{Blind: true, Cause: err}
	}
	return b.ask(ctx, names, err)
}

// read makes a view of what the management API tells.
func (b *Bus) read(ctx context.Context, api *management.Client) (*View, error) {
	v := &View{Vhost: api.Vhost(), At: time.Now(), Full: true}
	user, err := api.Whoami(ctx)
	if err != nil {
		return nil, err
	}
	sees := slices.Contains(user.Tags, "monitoring") || slices.Contains(user.Tags, "administrator")
	if err := b.readBroker(ctx, api, v, sees); err != nil {
		return nil, err
	}
	queues, err := api.Queues(ctx)
	if err != nil {
		return nil, err
	}
	if v.Exchanges, err = api.Exchanges(ctx); err != nil {
		return nil, err
	}
	if v.Bindings, err = api.Bindings(ctx); err != nil {
		return nil, err
	}
	consumers, err := api.Consumers(ctx)
	if err != nil {
		return nil, err
	}
	if v.Connections, err = api.Connections(ctx); err != nil {
		return nil, err
	}
	v.Everybody = sees
	if !sees {
		v.unseen("consumers and connections of other users: user %q lacks the tag monitoring; `rabbitmqctl set_user_tags %s monitoring` shows them",
			user.Name, user.Name)
	}
	v.build(queues, consumers)
	return v, nil
}

// readBroker fills in what is known of the broker.
func (b *Bus) readBroker(ctx context.Context, api *management.Client, v *View, sees bool) error {
	o, err := api.Overview(ctx)
	if err != nil {
		return err
	}
	host, err := api.DescribeVhost(ctx)
	if err != nil {
		return err
	}
	v.Broker = Broker{Product: o.Product, Version: cmp.Or(o.Version, o.ManagementVersion), Cluster: o.ClusterName, RatesMode: o.RatesMode, Churn: o.Churn, Tracing: host.Tracing, Unroutable: host.Unroutable}
	if v.Broker.QueueType = host.DefaultQueueType; v.Broker.QueueType == "" || v.Broker.QueueType == "undefined" {
		v.Broker.QueueType = "classic"
	}
	if o.NoStats {
		v.unseen("rates and sizes: the broker gathers no statistics (management_agent.disable_metrics_collector)")
	}
	if !sees {
		v.unseen("nodes and their alarms: user %q lacks the tag monitoring", api.Username())
		return nil
	}
	v.Broker.Nodes, err = api.Nodes(ctx)
	return err
}

// build makes queues and topics of rows.
func (v *View) build(rows []management.Queue, consumers []management.Consumer) {
	readers := v.readers(consumers)
	c := newClassifier(rows, v.Exchanges, v.Bindings)
	v.Queues = make([]Queue, len(rows))
	for i, row := range rows {
		q := Queue{
			Name: row.Name, State: row.State, IdleSince: row.IdleSince.Time,
			Declared: Declared{
				Type: cmp.Or(row.Type, "classic"), Durable: row.Durable, AutoDelete: row.AutoDelete, Exclusive: row.Exclusive,
				Expires: milliseconds(row.Arguments["x-expires"]), Arguments: row.Arguments, Policy: row.Policy,
			},
			Ready: known(row.Ready), Unacked: known(row.Unacked), Bytes: known(row.Bytes), Consumers: known(row.Consumers),
			Readers: readers[row.Name],
			Rates:   Rates{Published: row.Stats.PublishPer.Rate, Delivered: row.Stats.DeliverPer.Rate, Acked: row.Stats.AckPer.Rate},
		}
		// The list of consumers is as of now, and the number is the last statistics'.
		q.Consumers = max(q.Consumers, Count(len(q.Readers)))
		if row.Consumers == nil && len(q.Readers) == 0 {
			q.Consumers = Unknown
		}
		c.classify(&q, row)
		v.Queues[i] = q
	}
	slices.SortFunc(v.Queues, func(a, b Queue) int { return strings.Compare(a.Name, b.Name) })
	v.own()
	v.Topics = topics(v.Queues)
}

// readers are the consumers of each queue, with the processes behind them.
func (v *View) readers(consumers []management.Consumer) map[string][]Reader {
	connections := make(map[string]management.Connection, len(v.Connections))
	for _, c := range v.Connections {
		connections[c.Name] = c
	}
	readers := make(map[string][]Reader)
	for _, c := range consumers {
		owner := Owner{Connection: c.Channel.Connection, Host: c.Channel.PeerHost, User: c.Channel.User}
		if conn, ok := connections[owner.Connection]; ok {
			owner = OwnerOf(conn)
		}
		readers[c.Queue.Name] = append(readers[c.Queue.Name], Reader{Owner: owner, Ack: c.Ack, Prefetch: c.Prefetch, Active: c.Active})
	}
	return readers
}

// OwnerOf is the process behind a connection. oslo.messaging names connections program:pid:uuid (RMQ-CONN-03).
func OwnerOf(c management.Connection) Owner {
	o := Owner{
		Host: c.PeerHost, Name: c.Client.ConnectionName, Connection: c.Name, User: c.User, State: c.State, TLS: c.TLS,
		Client: strings.TrimSpace(c.Client.Product + " " + c.Client.Version),
	}
	if c.ConnectedAt > 0 {
		o.Connected = c.Connected()
	}
	o.Program, o.PID = parseName(o.Name)
	return o
}

// parseName divides the name of a connection; "" and 0 = it has another form.
func parseName(name string) (program string, pid int) {
	last := strings.LastIndexByte(name, ':')
	if last < 0 {
		return "", 0
	}
	first := strings.LastIndexByte(name[:last], ':')
	if first <= 0 {
		return "", 0
	}
	pid, err := strconv.Atoi(name[first+1 : last])
	if err != nil || pid <= 0 {
		return "", 0
	}
	return name[:first], pid
}

// own fills in what each owner's process serves.
func (v *View) own() {
	type process struct {
		program string
		pid     int
		host    string
	}
	of := func(o Owner) process {
		if o.Program == "" {
			return process{program: o.Connection, pid: -1}
		}
		return process{o.Program, o.PID, o.Host}
	}
	serves := make(map[process][]string)
	for _, q := range v.Queues {
		if q.Kind != KindServer {
			continue
		}
		for _, r := range q.Readers {
			if p := of(r.Owner); !slices.Contains(serves[p], q.Name) {
				serves[p] = append(serves[p], q.Name)
			}
		}
	}
	for i := range v.Queues {
		for j := range v.Queues[i].Readers {
			o := &v.Queues[i].Readers[j].Owner
			o.Serves = serves[of(*o)]
		}
	}
}

// topics gathers queues that are sorted by name.
func topics(queues []Queue) []Topic {
	byName := make(map[string]*Topic)
	fanouts := make(map[string][]*Queue) // by connection
	for i := range queues {
		q := &queues[i]
		if q.Kind != KindTopic && q.Kind != KindServer && q.Kind != KindFanout {
			continue
		}
		t := byName[q.Topic]
		if t == nil {
			t = &Topic{Name: q.Topic}
			byName[q.Topic] = t
		}
		switch q.Kind {
		case KindTopic:
			t.Queue, t.Exchange = q, q.Exchange
		case KindServer:
			t.Servers = append(t.Servers, Server{Name: q.Server, Queue: q})
			t.Exchange = cmp.Or(t.Exchange, q.Exchange)
		default:
			t.Fanouts = append(t.Fanouts, q)
			for _, r := range q.Readers {
				fanouts[r.Owner.Connection] = append(fanouts[r.Owner.Connection], q)
			}
		}
	}
	all := make([]Topic, 0, len(byName))
	for _, t := range byName {
		for i := range t.Servers {
			s := &t.Servers[i]
			for _, r := range s.Queue.Readers {
				for _, q := range fanouts[r.Owner.Connection] {
					if q.Topic == t.Name && !slices.Contains(s.Fanouts, q) {
						s.Fanouts = append(s.Fanouts, q)
					}
				}
			}
		}
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func known[T int | int64](n *T) Count {
	if n == nil {
		return Unknown
	}
	return Count(*n)
}

// milliseconds reads a number as JSON or AMQP has it.
func milliseconds(value any) time.Duration {
	var n int64
	switch v := value.(type) {
	case float64:
		n = int64(v)
	case int32:
		n = int64(v)
	case int64:
		n = v
	}
	return time.Duration(n) * time.Millisecond
}

// ask makes a view of passive declarations: of each name as a queue, and as a topic with a fanout.
func (b *Bus) ask(ctx context.Context, names []string, why error) (*View, error) {
	conn, err := b.AMQP(ctx)
	if err != nil {
		return nil, err
	}
	v := &View{Vhost: b.site.VirtualHost, At: time.Now()}
	v.Broker.Product, v.Broker.Version = property(conn, "product"), property(conn, "version")
	v.unseen("other queues than those asked for, owners, types and bindings: %v", why)
	var rows []management.Queue
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		row, found, err := askQueue(conn, name)
		if err != nil {
			return nil, err
		}
		if found {
			rows = append(rows, row)
		}
		for _, topic := range prefixes(name) {
			if found, err = askExchange(conn, topic+fanoutSuffix, "fanout"); err != nil {
				return nil, err
			}
			if found {
				v.Exchanges = append(v.Exchanges, management.Exchange{Name: topic + fanoutSuffix, Type: "fanout"})
			}
		}
	}
	// Which exchange leads to a queue cannot be asked for; that its name is its key there is how topics and servers are made.
	v.Exchanges = append(v.Exchanges, management.Exchange{Type: "topic"})
	for _, row := range rows {
		if _, fanout := fanoutTopic(row.Name); !fanout && !strings.HasPrefix(row.Name, replyPrefix) {
			v.Bindings = append(v.Bindings, management.Binding{Destination: row.Name, Kind: "queue", RoutingKey: row.Name})
		}
	}
	v.build(rows, nil)
	v.Exchanges, v.Bindings = nil, nil
	for i := range v.Queues {
		v.Queues[i].Declared.Type = ""
	}
	return v, nil
}

// prefixes are the topics that a name may stand for: itself, and what comes before each of its dots.
func prefixes(name string) []string {
	all := []string{name}
	for i, c := range name {
		if c == '.' && i > 0 {
			all = append(all, name[:i])
		}
	}
	return all
}

func property(conn *amqp.Connection, name string) string {
	text, _ := conn.Properties[name].(string)
	return text
}

// askQueue asks by passive declaration how many messages wait in a queue and how many consumers it has.
func askQueue(conn *amqp.Connection, name string) (row management.Queue, found bool, err error) {
	ch, err := conn.Channel()
	if err != nil {
		return row, false, fmt.Errorf("operator: ask about queue %s: %w", name, err)
	}
	defer func() { _ = ch.Close() }()
	row.Name = name
	q, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
	var refusal *amqp.Error
	switch {
	case err == nil:
		row.Ready, row.Consumers = &q.Messages, &q.Consumers
		return row, true, nil
	case !errors.As(err, &refusal):
	case refusal.Code == amqp.NotFound:
		return row, false, nil
	case refusal.Code == amqp.ResourceLocked:
		row.Exclusive = true // another connection's own
		return row, true, nil
	}
	return row, false, fmt.Errorf("operator: ask about queue %s: %w", name, err)
}

// askExchange asks by passive declaration whether there is an exchange.
func askExchange(conn *amqp.Connection, name, kind string) (found bool, err error) {
	ch, err := conn.Channel()
	if err != nil {
		return false, fmt.Errorf("operator: ask about exchange %s: %w", name, err)
	}
	defer func() { _ = ch.Close() }()
	err = ch.ExchangeDeclarePassive(name, kind, false, false, false, false, nil)
	var refusal *amqp.Error
	if errors.As(err, &refusal) && refusal.Code == amqp.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("operator: ask about exchange %s: %w", name, err)
	}
	return true, nil
}
