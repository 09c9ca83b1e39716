package scale_test

import (
	"fmt"
	"testing"
	"time"
)

// measureRest counts what hosts cost that do nothing: heartbeats, signs of life, checks. What the broker takes without them is taken off.
func measureRest(t *testing.T, p *page) {
	hosts, span := size(200, 4), size(40*time.Second, 500*time.Millisecond)
	p.say("Hosts that do nothing, each of ours with a transport of its own, watched for %s. For each host, in a second:", span)
	var rows [][]string
	for _, c := range []cloud{
		{ours, hosts, 2, false, false, ""},
		{ours, hosts, 2, false, false, "?probe_interval=0"},
		{theirs, size(40, 1), 1, true, false, ""},
	} {
		t.Run(c.Name+c.Options, func(t *testing.T) {
			b := openRabbit(t)
			newPlane(t, b)
			without := effortOf(t, b, nil, span/2)
			agents := startAgents(t, b, c)
			pass(size(15*time.Second, 0)) // as long as a check may be away
			e := effortOf(t, b, agents, span)
			if e.reads == 0 {
				t.Error("hosts that are never asked whether they are there")
			}
			each := func(with, without float64) string { return fmt.Sprintf("%.1f", (with-without)/float64(c.Hosts)) }
			fine := func(with, without float64) string { return fmt.Sprintf("%.2f ms", (with-without)/float64(c.Hosts)) }
			rows = append(rows, []string{
				c.Name, count(c.Hosts), c.Options, each(e.reductions, without.reductions), each(e.reads, without.reads), each(e.read, without.read),
				each(e.writes, without.writes), each(e.written, without.written), fine(e.broker, without.broker), fine(e.hosts, 0),
			})
			agents.order(t, order{Do: "stop"})
			agents.end(t)
		})
	}
	p.table([]string{"hosts", "", "options", "broker's reductions", "it reads", "bytes", "it writes", "bytes", "broker's CPU", "hosts' CPU"}, rows)
}

// An effort is what a broker and hosts do in a second: Erlang's reductions, what goes through the broker's sockets, and CPU in milliseconds.
type effort struct{ reductions, reads, read, writes, written, broker, hosts float64 }

// effortOf watches for a while, without connections coming or going.
func effortOf(t *testing.T, b *bus, a *agents, span time.Duration) effort {
	t.Helper()
	if a == nil {
		a = &agents{}
	}
	before, own, broker, began := b.broker.done(t), a.cpu(t), b.cpu(t), time.Now()
	pass(span)
	took := time.Since(began).Seconds()
	own, broker = a.cpu(t)-own, b.cpu(t)-broker
	after := b.broker.done(t)
	rate := func(i int) float64 { return float64(after[i]-before[i]) / took }
	return effort{rate(0), rate(1), rate(2), rate(3), rate(4), 1000 * broker.Seconds() / took, 1000 * own.Seconds() / took}
}

// done is what a broker has done since it started, with the connections that there are now.
func (b *rabbitBroker) done(t *testing.T) (all [5]int) {
	t.Helper()
	text := b.node.Eval(t, `
		{R, _} = erlang:statistics(reductions),
		Sum = fun(K) -> lists:sum([N || [{_, N}] <- rabbit_networking:connection_info_all([K])]) end,
		iolist_to_binary(lists:join(" ", [integer_to_list(N) || N <- [R, Sum(recv_cnt), Sum(recv_oct), Sum(send_cnt), Sum(send_oct)]]))`)
	if _, err := fmt.Sscan(text, &all[0], &all[1], &all[2], &all[3], &all[4]); err != nil {
		t.Fatalf("what the broker has done: %q: %v", text, err)
	}
	return all
}
