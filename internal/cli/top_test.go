package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

func sampleOf(topics ...topTopic) *topSample {
	return &topSample{
		At: time.Date(2026, 11, 21, 14, 3, 5, 0, time.Local), Broker: "RabbitMQ 4.3.1", Vhost: "nova", Connections: 500, Queues: 2000, Topics: topics, Rated: true,
	}
}

func loaded() *topSample {
	return sampleOf(
		topTopic{
			Load: operator.Load{Topic: "compute", In: 123.4, Out: 120, Fanout: 1234567, Ready: 14, Unacked: 3, Servers: 416, Listening: 415}, rtt: 4100 * time.Microsecond,
			State: map[probe.State]int{probe.OK: 9, probe.Deaf: 1},
		},
		topTopic{Load: operator.Load{Topic: "conductor", In: 12345, Out: 0.25, Ready: operator.Unknown, Servers: 3, Listening: 3}, State: map[probe.State]int{probe.OK: 3}},
		topTopic{Load: operator.Load{Topic: "a-topic-with-a-long-name", Servers: 1, Listening: 1}, State: map[probe.State]int{probe.Slow: 1}, rtt: 2 * time.Second},
	)
}

func TestTopShows(t *testing.T) {
	t.Parallel()
	alarmed := sampleOf()
	alarmed.Alarms, alarmed.Blocked, alarmed.Dropped, alarmed.Rated = []string{"memory of rabbit@a"}, 12, 0.5, false
	traced := loaded()
	traced.Traced, traced.Unseen = true, []string{"connections of others"}
	traced.Topics[1].Calls = topDuration{p50: 40 * time.Millisecond, p95: 1500 * time.Millisecond, FailedPerSecond: 0.5}
	tests := []struct {
		name   string
		view   topView
		screen screen
		height int
		want   string
	}{
		{"a sample", topView{sample: loaded(), order: topOrder{by: "in"}}, screen{width: 110}, 10, `
14:03:05  RabbitMQ 4.3.1, vhost nova: 500 connections, 2000 queues
TOPIC                      IN/s↓   OUT/s   FAN/s   READY   UNACK   SERVERS      RTT  STATE
conductor                  12.3k     0.2       0       ?       0         3        -
compute                      123     120    1.2M      14       3   415/416    4.1ms  1 deaf
a-topic-with-a-long-name       0       0       0       0       0         1       2s  1 slow
q quits   sort: i)n o)ut f)anout r)eady u)nacked s)ervers l)atency p)95 e)rrors t)opic   space: now`},
		{"the other way round, on a small screen", topView{sample: loaded(), order: topOrder{by: "topic", reverse: true}, first: 7}, screen{width: 60}, 5, `
14:03:05  RabbitMQ 4.3.1, vhost nova: 500 connections, 2000
TOPIC↑   IN/s   OUT/s   FAN/s   READY   UNACK   SERVERS
comp~     123     120    1.2M      14       3   415/416    4
a-to~       0       0       0       0       0         1
topics 2 to 3 of 3   q quits   sort: i)n o)ut f)anout r)eady`},
		{"with the firehose, and without something else", topView{sample: traced, order: topOrder{by: "p95"}}, screen{width: 120}, 9, `
not seen: connections of others
14:03:05  RabbitMQ 4.3.1, vhost nova: 500 connections, 2000 queues
TOPIC                       IN/s   OUT/s   FAN/s   READY   UNACK   SERVERS      RTT      P50     P95↓   ERR/s  STATE
conductor                  12.3k     0.2       0       ?       0         3        -     40ms     1.5s     0.5
a-topic-with-a-long-name       0       0       0       0       0         1       2s        -        -       0  1 slow
compute                      123     120    1.2M      14       3   415/416    4.1ms        -        -       0  1 deaf
q quits   sort: i)n o)ut f)anout r)eady u)nacked s)ervers l)atency p)95 e)rrors t)opic   space: now`},
		{"with the firehose, on a terminal of the usual width", topView{sample: traced, order: topOrder{by: "p95"}}, screen{width: 80}, 9, `
not seen: connections of others
14:03:05  RabbitMQ 4.3.1, vhost nova: 500 connections, 2000 queues
TOPIC          IN/s   READY   UNACK   SERVERS      P50     P95↓   ERR/s  STATE
conductor     12.3k       ?       0         3     40ms     1.5s     0.5
a-topic-wi~       0       0       0         1        -        -       0  1 slow
compute         123      14       3   415/416        -        -       0  1 deaf
q quits   sort: i)n o)ut f)anout r)eady u)nacked s)ervers l)atency p)95 e)rrors`},
		{"a broker in trouble, and one that cannot be asked", topView{sample: alarmed, order: topOrder{by: "latency"}, notice: "no answer"}, screen{width: 80}, 10, `
14:03:05  RabbitMQ 4.3.1, vhost nova: 500 connections, 2000 queues
ALARM: memory of rabbit@a; 12 connections blocked
no queue takes 0/s, which their senders are told, and 0.5/s, which are lost
TOPIC    IN/s   OUT/s   FAN/s   READY   UNACK   SERVERS     RTT↓  STATE
no answer`},
		{"nothing yet", topView{}, screen{width: 20}, 5, "\nasking the broker an\nq quits   sort: i)n"},
	}
	for _, test := range tests {
		var got strings.Builder
		for _, line := range test.view.render(test.screen, test.height) {
			got.WriteString("\n" + strings.TrimRight(line, " "))
		}
		if diff := cmp.Diff(test.want, got.String()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
	v := topView{sample: loaded(), order: topOrder{by: "topic"}}
	if lines := v.render(screen{width: 100, colour: true}, 10); !strings.HasPrefix(lines[3], "\x1b[31mcompute") || !strings.HasPrefix(lines[2], "\x1b[33ma-topic") {
		t.Errorf("colours: %q", lines)
	}
}

func TestTopKeys(t *testing.T) {
	t.Parallel()
	v := topView{order: topOrder{by: "in"}}
	for _, step := range []struct {
		key  string
		want topOrder
		at   int
	}{
		{"j", topOrder{by: "in"}, 1},
		{"\x1b[6~", topOrder{by: "in"}, 6},
		{"\x1b[A", topOrder{by: "in"}, 5},
		{"i", topOrder{by: "in", reverse: true}, 0},
		{"i", topOrder{by: "in"}, 0},
		{"k", topOrder{by: "in"}, 0},
		{"l", topOrder{by: "latency"}, 0},
		{"x", topOrder{by: "latency"}, 0},
		{"\x1bOB", topOrder{by: "latency"}, 1},
	} {
		v.press(step.key, 10)
		if v.order != step.want || v.first != step.at {
			t.Fatalf("after %q: %+v at %d, want %+v at %d", step.key, v.order, v.first, step.want, step.at)
		}
	}
	if got := splitKeys("j\x1b[6~q\x1bOB\x1b"); !cmp.Equal(got, []string{"j", "\x1b[6~", "q", "\x1bOB", "\x1b"}) {
		t.Errorf("keys: %q", got)
	}
}
