package brokertest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Queue is a queue as the broker describes it.
type Queue struct {
	Name       string
	Type       string // "classic", "quorum" or "stream"
	Durable    bool
	AutoDelete bool `json:"auto_delete"`
	Exclusive  bool
	Arguments  map[string]any
	Types      map[string]string // AMQP types of the Arguments, as the broker calls them
	Messages   int               // ready and unacknowledged
	Unacked    int
	Consumers  int
}

// An Exchange is an exchange as the broker describes it.
type Exchange struct {
	Name       string
	Type       string
	Durable    bool
	AutoDelete bool `json:"auto_delete"`
	Internal   bool
	Arguments  map[string]any
}

// A Binding leads from an exchange to a queue or exchange.
type Binding struct {
	Source      string
	Destination string
	Kind        string // "queue" or "exchange"
	RoutingKey  string `json:"routing_key"`
	Arguments   map[string]any
}

// A Consumer is a subscription to a queue as the broker describes it.
type Consumer struct {
	Queue     string
	Tag       string
	Ack       bool // the broker waits for acknowledgements
	Prefetch  int
	Arguments map[string]any
}

// A Connection is a client's connection as the broker describes it.
type Connection struct {
	PID              string
	Vhost            string
	User             string
	State            string
	Channels         int
	ClientProperties map[string]any `json:"client_properties"`
}

// eval evaluates Erlang in the node, or fails the test.
func (n *RabbitNode) eval(t testing.TB, format string, args ...any) string {
	t.Helper()
	out, err := n.control.eval(fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatalf("brokertest: %s: %v", n.name, err)
	}
	return out
}

// Eval evaluates Erlang expressions inside the node, as `rabbitmqctl eval` does, and returns the value of
// the last: a binary as it is, all else as Erlang text.
func (n *RabbitNode) Eval(t testing.TB, expressions string) string {
	t.Helper()
	return n.eval(t, "%s", strings.TrimSuffix(strings.TrimSpace(expressions), ".")+".")
}

// Ctl runs rabbitmqctl on the node and returns its output. It takes a second or two; prefer the methods.
func (n *RabbitNode) Ctl(t testing.TB, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, rabbitCtl, append([]string{"--quiet", "--longnames=false", "--node", n.name}, args...)...)
	cmd.Env = n.environment()
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("brokertest: rabbitmqctl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// bin is a Go text as an Erlang binary.
func bin(s string) string {
	var b strings.Builder
	b.WriteString("<<")
	for i := range len(s) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(s[i])))
	}
	b.WriteString(">>")
	return b.String()
}

// resource is a queue's or exchange's name as the broker's functions take it.
func resource(vhost, kind, name string) string {
	return fmt.Sprintf("rabbit_misc:r(%s, %s, %s)", bin(vhost), kind, bin(name))
}

// NewVhost makes a vhost in which guest may do everything, removes it after the test, and returns its name.
func (n *RabbitNode) NewVhost(t testing.TB) string {
	t.Helper()
	vhost := "test-" + strings.ToLower(rand.Text()[:12])
	n.AddVhost(t, vhost)
	t.Cleanup(func() {
		// A test may have ended its node, vhosts and all.
		_, _ = n.control.eval(fmt.Sprintf(`rabbit_vhost:delete(%s, <<"brokertest">>).`, bin(vhost)))
	})
	return vhost
}

// AddVhost makes a vhost in which guest may do everything.
func (n *RabbitNode) AddVhost(t testing.TB, vhost string) {
	t.Helper()
	n.eval(t, `ok = rabbit_vhost:add(%s, <<"brokertest">>).`, bin(vhost))
	n.SetPermissions(t, "guest", vhost, ".*", ".*", ".*")
}

// DeleteVhost removes a vhost with all in it, and the broker closes its connections.
func (n *RabbitNode) DeleteVhost(t testing.TB, vhost string) {
	t.Helper()
	n.eval(t, `rabbit_vhost:delete(%s, <<"brokertest">>).`, bin(vhost))
}

// AddUser adds a user without any permission.
func (n *RabbitNode) AddUser(t testing.TB, user, password string) {
	t.Helper()
	n.eval(t, `ok = rabbit_auth_backend_internal:add_user(%s, %s, <<"brokertest">>).`, bin(user), bin(password))
}

// SetPermissions lets a user configure, write and read what the regular expressions match, in one vhost.
func (n *RabbitNode) SetPermissions(t testing.TB, user, vhost, configure, write, read string) {
	t.Helper()
	n.eval(t, `ok = rabbit_auth_backend_internal:set_permissions(%s, %s, %s, %s, %s, <<"brokertest">>).`,
		bin(user), bin(vhost), bin(configure), bin(write), bin(read))
}

// SetPolicy sets a policy on the queues and exchanges whose names match pattern. The definition is a JSON object.
func (n *RabbitNode) SetPolicy(t testing.TB, vhost, name, pattern, definition string) {
	t.Helper()
	n.eval(t, `ok = rabbit_policy:parse_set(%s, %s, %s, %s, 0, <<"all">>, <<"brokertest">>).`,
		bin(vhost), bin(name), bin(pattern), bin(definition))
}

// DeletePolicy removes a policy.
func (n *RabbitNode) DeletePolicy(t testing.TB, vhost, name string) {
	t.Helper()
	n.eval(t, `ok = rabbit_policy:delete(%s, %s, <<"brokertest">>).`, bin(vhost), bin(name))
}

// DeleteQueue deletes a queue under its consumers, as an operator would.
func (n *RabbitNode) DeleteQueue(t testing.TB, vhost, name string) {
	t.Helper()
	n.eval(t, `{ok, Q} = rabbit_amqqueue:lookup(%s), {ok, _} = rabbit_amqqueue:delete(Q, false, false, <<"brokertest">>), ok.`,
		resource(vhost, "queue", name))
}

// RemakeQueue deletes a classic queue and makes it again, bound by its name, before the channels that consume from it have heard of that.
func (n *RabbitNode) RemakeQueue(t testing.TB, vhost, exchange, name string) {
	t.Helper()
	n.eval(t, `{ok, Q} = rabbit_amqqueue:lookup(%[1]s),
		Channels = [element(1, C) || C <- rabbit_amqqueue:consumers(Q)],
		[ok = sys:suspend(C) || C <- Channels],
		{ok, _} = rabbit_amqqueue:delete(Q, false, false, <<"brokertest">>),
		{new, _} = rabbit_amqqueue:declare(%[1]s, false, false, [], none, <<"brokertest">>),
		ok = rabbit_binding:add({binding, %[2]s, %[3]s, %[1]s, []}, <<"brokertest">>),
		[ok = sys:resume(C) || C <- Channels], ok.`,
		resource(vhost, "queue", name), resource(vhost, "exchange", exchange), bin(name))
}

// PurgeQueue drops the messages of a queue that no consumer holds.
func (n *RabbitNode) PurgeQueue(t testing.TB, vhost, name string) {
	t.Helper()
	n.eval(t, `{ok, Q} = rabbit_amqqueue:lookup(%s), {ok, _} = rabbit_amqqueue:purge(Q), ok.`, resource(vhost, "queue", name))
}

// DeleteExchange deletes an exchange with its bindings.
func (n *RabbitNode) DeleteExchange(t testing.TB, vhost, name string) {
	t.Helper()
	n.eval(t, `ok = rabbit_exchange:delete(%s, false, <<"brokertest">>).`, resource(vhost, "exchange", name))
}

// DeleteBinding removes the binding by which an exchange leads to a queue.
func (n *RabbitNode) DeleteBinding(t testing.TB, vhost, exchange, key, queue string) {
	t.Helper()
	n.eval(t, `ok = rabbit_binding:remove({binding, %s, %s, %s, []}, <<"brokertest">>).`,
		resource(vhost, "exchange", exchange), bin(key), resource(vhost, "queue", queue))
}

// CloseConnection closes a client's connection from the broker's side, with AMQP's connection.close.
func (n *RabbitNode) CloseConnection(t testing.TB, c Connection, reason string) {
	t.Helper()
	n.eval(t, `ok = rabbit_networking:close_connection(list_to_pid(%q), %s).`, c.PID, bin(reason))
}

// SetAlarm has the broker believe that it runs out of memory, which blocks all who publish, or that it no longer does.
func (n *RabbitNode) SetAlarm(t testing.TB, on bool) {
	t.Helper()
	if on {
		n.eval(t, `rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}), ok.`)
		return
	}
	n.eval(t, `rabbit_alarm:clear_alarm({resource_limit, memory, node()}), ok.`)
}

// list asks for a JSON array and decodes it.
func list[T any](t testing.TB, n *RabbitNode, format string, args ...any) []T {
	t.Helper()
	text := n.eval(t, format, args...)
	var all []T
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("brokertest: %s: decode %q: %v", n.name, text, err)
	}
	return all
}

// ListQueues lists the queues of a vhost.
func (n *RabbitNode) ListQueues(t testing.TB, vhost string) []Queue {
	t.Helper()
	return list[Queue](t, n, `
		Describe = fun(Q) ->
			I = maps:from_list(rabbit_amqqueue:info(Q, [name, type, durable, auto_delete, exclusive, arguments, messages, messages_unacknowledged, consumers])),
			#{name := {resource, _, _, Name}, arguments := Args} = I,
			I#{name := Name, arguments := rabbit_misc:amqp_table(Args), types => maps:from_list([{K, T} || {K, T, _} <- Args]), unacked => maps:get(messages_unacknowledged, I), exclusive := maps:get(exclusive, I) =:= true,
				type := case maps:get(type, I) of rabbit_classic_queue -> classic; rabbit_quorum_queue -> quorum; rabbit_stream_queue -> stream; Other -> Other end}
		end,
		%% A queue may end between the list and the question.
		Ask = fun(Q) -> try [Describe(Q)] catch exit:_ -> [] end end,
		rabbit_json:encode(lists:flatmap(Ask, rabbit_amqqueue:list(%s))).`, bin(vhost))
}

// ListExchanges lists the exchanges of a vhost that somebody declared: not the default one, nor amq.*.
func (n *RabbitNode) ListExchanges(t testing.TB, vhost string) []Exchange {
	t.Helper()
	all := list[Exchange](t, n, `
		Describe = fun(X) ->
			I = maps:from_list(rabbit_exchange:info(X, [name, type, durable, auto_delete, internal, arguments])),
			#{name := {resource, _, _, Name}, arguments := Args} = I,
			I#{name := Name, arguments := rabbit_misc:amqp_table(Args)}
		end,
		rabbit_json:encode([Describe(X) || X <- rabbit_exchange:list(%s)]).`, bin(vhost))
	var declared []Exchange
	for _, x := range all {
		if x.Name != "" && !strings.HasPrefix(x.Name, "amq.") {
			declared = append(declared, x)
		}
	}
	return declared
}

// ListBindings lists the bindings of a vhost, without those of the default exchange.
func (n *RabbitNode) ListBindings(t testing.TB, vhost string) []Binding {
	t.Helper()
	return list[Binding](t, n, `
		rabbit_json:encode([#{source => Source, destination => Name, kind => Kind, routing_key => Key, arguments => rabbit_misc:amqp_table(Args)} ||
			{binding, {resource, _, exchange, Source}, Key, {resource, _, Kind, Name}, Args} <- rabbit_binding:list(%s), Source =/= <<>>]).`, bin(vhost))
}

// ListConsumers lists the consumers of a vhost.
func (n *RabbitNode) ListConsumers(t testing.TB, vhost string) []Consumer {
	t.Helper()
	return list[Consumer](t, n, `
		rabbit_json:encode([#{queue => Name, tag => proplists:get_value(consumer_tag, I), ack => proplists:get_value(ack_required, I),
				prefetch => proplists:get_value(prefetch_count, I), arguments => rabbit_misc:amqp_table(proplists:get_value(arguments, I))} ||
			I <- rabbit_amqqueue:consumers_all(%s), {resource, _, queue, Name} <- [proplists:get_value(queue_name, I)]]).`, bin(vhost))
}

// ListConnections lists the connections of all clients that have introduced themselves.
func (n *RabbitNode) ListConnections(t testing.TB) []Connection {
	t.Helper()
	return list[Connection](t, n, `
		rabbit_json:encode([#{pid => list_to_binary(pid_to_list(Pid)), vhost => proplists:get_value(vhost, I), user => proplists:get_value(user, I),
				state => proplists:get_value(state, I), channels => proplists:get_value(channels, I),
				client_properties => rabbit_misc:amqp_table(Properties)} ||
			I <- rabbit_networking:connection_info_all([pid, vhost, user, state, channels, client_properties]),
			Pid <- [proplists:get_value(pid, I)], is_pid(Pid), Properties <- [proplists:get_value(client_properties, I)], is_list(Properties)]).`)
}

// FindQueue returns the queue of that name, and whether there is one.
func (n *RabbitNode) FindQueue(t testing.TB, vhost, name string) (Queue, bool) {
	t.Helper()
	for _, q := range n.ListQueues(t, vhost) {
		if q.Name == name {
			return q, true
		}
	}
	return Queue{}, false
}

// Await returns when condition holds, asked again and again, and fails the test when it does not within
// three minutes. It is for the broker's state, which nothing tells a test of.
func Await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	limit := time.NewTimer(evalLimit)
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("brokertest: %s: not within %v", what, evalLimit)
		}
	}
}
