package operator

import (
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/management"
)

const hex = "0123456789abcdef0123456789abcdef"

// TestQueuesAreToldApart is about what queues are for, by what oslo.messaging makes and what operators make beside it.
func TestQueuesAreToldApart(t *testing.T) {
	t.Parallel()
	const dead = `x-dead-letter-exchange`
	tests := []struct {
		name    string
		queues  string // name[=key@exchange][!argument], separated by blanks
		fanouts string // topics that have a fanout exchange
		want    string // name=kind:topic[:server or priority]
	}{
		{"a topic and its server", "compute=compute@nova compute.c1=compute.c1@nova", "compute", "compute=topic:compute compute.c1=server:compute:c1"},
		{
			"a server with dots in its name", "compute=compute@nova compute.c1.example.org=compute.c1.example.org@nova", "compute",
			"compute=topic:compute compute.c1.example.org=server:compute:c1.example.org",
		},
		{"a topic with dots in its name", "a.b=a.b@x a.b.c=a.b.c@x", "a.b", "a.b=topic:a.b a.b.c=server:a.b:c"},
		{"topics of which one begins with the other", "a=a@x a.b=a.b@x a.b.c=a.b.c@x", "a a.b", "a=topic:a a.b=topic:a.b a.b.c=server:a.b:c"},
		{"a topic all of whose servers are long gone", "compute=compute@nova compute.c1=compute.c1@nova", "", "compute=topic:compute compute.c1=server:compute:c1"},
		{"a server that is called as a priority is", "lab=lab@x lab.info=lab.info@x", "lab", "lab=topic:lab lab.info=server:lab:info"},
		{"a server's own fanout", "compute_fanout_" + hex + "=@compute_fanout", "compute", "compute_fanout_" + hex + "=fanout:compute"},
		{"a fanout of the queue manager's name", "compute_fanout_c1:nova-compute:2=@compute_fanout", "compute", "compute_fanout_c1:nova-compute:2=fanout:compute"},
		{"a fanout whose exchange was deleted", "compute_fanout_" + hex, "", "compute_fanout_" + hex + "=fanout:compute"},
		{"a fanout stream", "compute_fanout=@compute_fanout", "compute", "compute_fanout=fanout:compute"},
		{
			"a topic that is called as a fanout is", "x_fanout_y=x_fanout_y@nova x_fanout_y_fanout_" + hex + "=@x_fanout_y_fanout", "x_fanout_y",
			"x_fanout_y=topic:x_fanout_y x_fanout_y_fanout_" + hex + "=fanout:x_fanout_y",
		},
		{"replies", "reply_" + hex + " reply_c1:nova-compute:1", "", "reply_" + hex + "=reply reply_c1:nova-compute:1=reply"},
		{"notifications", "notifications.info=notifications.info@nova", "", "notifications.info=notification:notifications:info"},
		{"a pool of listeners", "audit-pool=notifications.info@nova", "", "audit-pool=notification:notifications"},
		{"queues that are called as if", "reply_me reply_" + hex[1:] + " fanout_x compute_fanout_x", "", "reply_me=other reply_" + hex[1:] + "=other fanout_x=other compute_fanout_x=other"},
		{
			"an operator's own on the exchange of a topic", "compute=compute@nova compute.c1=compute.c1@nova tap=compute@nova all=#@nova", "compute",
			"compute=topic:compute compute.c1=server:compute:c1 tap=other all=other",
		},
		{"an operator's own by its own name", "shop=shop@shop", "", "shop=other"},
		{"a topic without servers, beside one with", "a=a@nova a.s=a.s@nova b=b@nova", "a", "a=topic:a a.s=server:a:s b=topic:b"},
		{"an operator's own with a dead letter exchange", "shop=shop@shop!" + dead + " shop.new=shop.new@shop!" + dead, "", "shop=other shop.new=other"},
		{"one that is bound to nothing", "jobs", "", "jobs=other"},
		{"a tap on notifications", "tap=notifications.*@nova", "", "tap=other"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rows, v := vhost(test.queues, test.fanouts)
			v.build(rows, nil)
			var got []string
			for _, row := range rows {
				q := v.Queue(row.Name)
				text := q.Name + "=" + string(q.Kind)
				for _, part := range []string{q.Topic, q.Server, q.Priority} {
					if part != "" {
						text += ":" + part
					}
				}
				got = append(got, text)
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

// vhost makes rows as the table above writes them.
func vhost(queues, fanouts string) ([]management.Queue, *View) {
	v := &View{}
	types := map[string]string{}
	for _, topic := range strings.Fields(fanouts) {
		types[topic+"_fanout"] = "fanout"
	}
	var rows []management.Queue
	for _, text := range strings.Fields(queues) {
		text, argument, _ := strings.Cut(text, "!")
		name, bound, isBound := strings.Cut(text, "=")
		row := management.Queue{Name: name}
		if argument != "" {
			row.Arguments = map[string]any{argument: "x"}
		}
		rows = append(rows, row)
		if !isBound {
			continue
		}
		key, exchange, _ := strings.Cut(bound, "@")
		if types[exchange] == "" {
			types[exchange] = "topic"
		}
		v.Bindings = append(v.Bindings, management.Binding{Source: exchange, Destination: name, Kind: "queue", RoutingKey: key})
	}
	for name, kind := range types {
		v.Exchanges = append(v.Exchanges, management.Exchange{Name: name, Type: kind})
	}
	return rows, v
}

// FuzzClassify looks for names that make telling queues apart go on forever, or past their end.
func FuzzClassify(f *testing.F) {
	f.Add("compute=compute@nova compute.c1=compute.c1@nova compute_fanout_"+hex+"=@compute_fanout", "compute")
	f.Add(".=.@x ..a=..a@x a.=a.@x _fanout_="+hex+"@_fanout", ". _fanout")
	f.Fuzz(func(t *testing.T, queues, fanouts string) {
		rows, v := vhost(queues, fanouts)
		v.build(rows, nil)
		for _, q := range v.Queues {
			if q.Kind == KindServer && q.Topic+"."+q.Server != q.Name {
				t.Errorf("queue %q is of topic %q and server %q", q.Name, q.Topic, q.Server)
			}
		}
	})
}

// TestConnectionsAreNamedByOslo is about the names of connections.
func TestConnectionsAreNamedByOslo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, program string
		pid           int
	}{
		{"nova-compute:22:bf84d9a2-1bd0-47c1-9a9d-64c73ed5f05a", "nova-compute", 22},
		{"a:b:22:x", "a:b", 22},
		{"127.0.0.1:1 -> 127.0.0.1:2", "", 0},
		{"shovel", "", 0},
		{":1:x", "", 0},
		{"x:-1:y", "", 0},
		{"", "", 0},
	}
	for _, test := range tests {
		if program, pid := parseName(test.name); program != test.program || pid != test.pid {
			t.Errorf("%q: got %q and %d, want %q and %d", test.name, program, pid, test.program, test.pid)
		}
	}
}
