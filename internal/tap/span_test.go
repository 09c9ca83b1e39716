package tap_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/tap"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// start is when the stories of these tests begin.
var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// A story is events of the firehose, as it would tell them, taken in by a collector.
type story struct {
	t         *testing.T
	collector tap.Collector
}

// tell makes an event: at so many milliseconds m was published (with its exchange and key, into queues), or delivered from a queue, on a connection.
func (s *story) tell(at int, key, connection, exchange, routed string, m *transport.Message) *tap.Span {
	s.t.Helper()
	body, err := wire.AppendEnvelope(nil, m)
	if err != nil {
		s.t.Fatal(err)
	}
	var queues []any
	for _, q := range strings.Fields(routed) {
		queues = append(queues, q)
	}
	routing := routed
	if len(queues) > 0 {
		routing, _ = queues[0].(string)
	}
	d := amqp.Delivery{RoutingKey: key, Body: body, Headers: amqp.Table{
		"exchange_name": exchange, "routing_keys": []any{routing}, "connection": connection, "routed_queues": queues, "redelivered": int32(0),
		"properties": amqp.Table{"expiration": "2000", "headers": amqp.Table{}},
	}}
	e, ok := tap.EventOf(tap.Message{Delivery: d, Time: start.Add(time.Duration(at) * time.Millisecond)})
	if !ok {
		s.t.Fatalf("no event: %s", body)
	}
	return s.collector.Add(e)
}

func request(id, method, replyTo string) *transport.Message {
	m := &transport.Message{Method: method, UniqueID: "u" + id, Context: []byte(`{"request_id":"req-1"}`)}
	if replyTo != "" {
		m.ID, m.ReplyTo = id, replyTo
	}
	return m
}

func reply(id string, failure string) *transport.Message {
	m := &transport.Message{ID: id, UniqueID: "r" + id, Ending: true}
	if failure != "" {
		m.Failure = []byte(failure)
	}
	return m
}

func TestSpanOfACall(t *testing.T) {
	t.Parallel()
	s := story{t: t}
	m := request("1", "boot", "reply_a")
	span := s.tell(0, "publish.nova", "c1", "nova", "compute goslo.tap.1.x", m)
	if wait, taken := span.Wait(start.Add(time.Second)); taken || wait != time.Second || span.Done() {
		t.Errorf("in its queue: %s, %t, %t", wait, taken, span.Done())
	}
	s.tell(10, "deliver.compute", "s1", "nova", "", m)
	if run, answered := span.Run(start.Add(time.Second)); answered || run != 990*time.Millisecond {
		t.Errorf("while it runs: %s, %t", run, answered)
	}
	s.tell(2500, "publish.", "s2", "", "reply_a", reply("1", `{"class":"NotFound","module":"nova.exception","message":"no vm"}`))
	if span.Done() {
		t.Error("it is over before the reply was delivered")
	}
	s.tell(2503, "deliver.reply_a", "c2", "", "", reply("1", ""))
	wait, _ := span.Wait(start)
	run, _ := span.Run(start)
	back, _ := span.Return()
	if wait != 10*time.Millisecond || run != 2490*time.Millisecond || back != 3*time.Millisecond || span.Took(start) != 2503*time.Millisecond || !span.Done() {
		t.Errorf("wait %s, run %s, return %s, all %s, done %t", wait, run, back, span.Took(start), span.Done())
	}
	if !span.Late() || span.Reply.Failure.Class != "NotFound" || span.Kind != tap.Call || span.Target.String() != "compute" || span.Origin.RequestID != "req-1" {
		t.Errorf("got %+v, reply %+v", span.Request, span.Reply)
	}
	if diff := cmp.Diff([]string{"compute"}, span.Queues); diff != "" {
		t.Errorf("queues (-want +got):\n%s", diff)
	}
}

func TestSpanThatNobodyGets(t *testing.T) {
	t.Parallel()
	s := story{t: t}
	if span := s.tell(0, "publish.nova", "c1", "nova", "", request("1", "boot", "reply_a")); !span.Done() || len(span.Queues) > 0 {
		t.Errorf("without a queue: %+v", span)
	}
	span := s.tell(0, "publish.nova", "c1", "nova", "compute", request("2", "boot", "reply_b"))
	s.tell(5, "deliver.compute", "s1", "nova", "", request("2", "boot", "reply_b"))
	s.tell(6, "publish.", "s1", "", "", reply("2", ""))
	if !span.Done() || !span.Reply.Lost || span.Took(start) != 6*time.Millisecond {
		t.Errorf("with the caller's queue gone: %+v", span)
	}
	if s.tell(7, "publish.", "s1", "", "reply_b", reply("2", "")); span.Reply.Lost || span.Done() {
		t.Errorf("sent again, with the queue there: %+v", span.Reply)
	}
}

func TestSpanOfAFanout(t *testing.T) {
	t.Parallel()
	s := story{t: t}
	m := request("1", "stop", "")
	span := s.tell(0, "publish.compute_fanout", "c1", "compute_fanout", "compute_fanout_1 compute_fanout_2", m)
	s.tell(1, "deliver.compute_fanout_1", "s1", "compute_fanout", "", m)
	if span.Kind != tap.Fanout || span.Target.Topic != "compute" || span.Done() {
		t.Errorf("got %+v, done %t", span.Request, span.Done())
	}
	if s.tell(2, "deliver.compute_fanout_2", "s2", "compute_fanout", "", m); !span.Done() || len(span.Taken) != 2 {
		t.Errorf("taken by both: %+v", span.Taken)
	}
}

// What was sent before the collector listened, and what nobody wants, is no span.
func TestCollectorWants(t *testing.T) {
	t.Parallel()
	s := story{t: t, collector: tap.Collector{Want: func(r tap.Request) bool { return r.Method.Name == "boot" }}}
	for what, span := range map[string]*tap.Span{
		"a delivery": s.tell(0, "deliver.compute", "s1", "nova", "", request("1", "boot", "")),
		"a reply":    s.tell(0, "publish.", "s1", "", "reply_a", reply("1", "")),
		"another":    s.tell(0, "publish.nova", "c1", "nova", "compute", request("2", "stop", "")),
	} {
		if span != nil {
			t.Errorf("%s: %+v", what, span)
		}
	}
	first := s.tell(0, "publish.nova", "c1", "nova", "compute", request("3", "boot", ""))
	for i := range tap.DefaultOpen {
		s.tell(i, "publish.nova", "c1", "nova", "compute", request(strings.Repeat("x", 1+i%50)+time.Duration(i).String(), "boot", ""))
	}
	if all := s.collector.Spans(); len(all) != tap.DefaultOpen || all[0] == first || s.collector.Dropped != 1 {
		t.Errorf("%d spans, %d dropped", len(all), s.collector.Dropped)
	}
}

// A process is known by who answers what: the connections on which it is told and answers, asks and is answered.
func TestTree(t *testing.T) {
	t.Parallel()
	s := story{t: t}
	build, choose, boot := request("1", "build", "reply_a"), request("2", "select", "reply_b"), request("3", "boot", "")
	s.tell(0, "publish.nova", "api", "nova", "conductor", build)
	s.tell(1, "deliver.conductor", "conductor-in", "nova", "", build)
	s.tell(2, "publish.nova", "conductor-out", "nova", "scheduler", choose)
	s.tell(3, "deliver.scheduler", "scheduler", "nova", "", choose)
	s.tell(4, "publish.", "scheduler", "", "reply_b", reply("2", ""))
	s.tell(5, "deliver.reply_b", "conductor-replies", "", "", reply("2", ""))
	s.tell(6, "publish.nova", "conductor-replies", "nova", "compute", boot)
	s.tell(7, "publish.", "conductor-out", "", "reply_a", reply("1", ""))
	s.tell(8, "deliver.reply_a", "api", "", "", reply("1", ""))
	s.tell(9, "publish.nova", "conductor-out", "nova", "compute", request("4", "after", ""))
	people := tap.NewDirectory(nil)
	for _, span := range s.collector.Spans() {
		people.Learn(span)
	}
	var lines []string
	var walk func(nodes []*tap.Node, indent string)
	walk = func(nodes []*tap.Node, indent string) {
		for _, n := range nodes {
			lines = append(lines, indent+n.Method.Name)
			walk(n.Children, indent+" ")
		}
	}
	walk(tap.Tree(s.collector.Spans(), people.Same), "")
	if diff := cmp.Diff([]string{"build", " select", " boot", "after"}, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
