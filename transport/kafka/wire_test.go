package kafka_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// A glass is a broker in this process, which shows what it is asked.
type glass struct {
	*kfake.Cluster

	mu    sync.Mutex
	asked map[int16][]kmsg.Request
}

func newGlass(t *testing.T, o ...kfake.Opt) *glass {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.AllowAutoTopicCreation()}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	g := &glass{Cluster: cluster, asked: map[int16][]kmsg.Request{}}
	cluster.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		g.mu.Lock()
		defer g.mu.Unlock()
		own := kmsg.RequestForKey(r.Key()) // the broker writes into what it was asked
		own.SetVersion(r.GetVersion())
		if err := own.ReadFrom(r.AppendTo(nil)); err != nil {
			t.Errorf("a request that cannot be read: %v", err)
		}
		g.asked[r.Key()] = append(g.asked[r.Key()], own)
		return nil, nil, false
	})
	return g
}

func (g *glass) url() string { return "kafka://" + g.ListenAddrs()[0] + "/" }

// requests are those of a kind so far.
func requests[R kmsg.Request](g *glass) []R {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []R
	for _, list := range g.asked {
		for _, r := range list {
			if one, ok := r.(R); ok {
				all = append(all, one)
			}
		}
	}
	return all
}

// consumer reads a topic as any client of Kafka's would, from its beginning.
func consumer(t *testing.T, g *glass, topic string) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(g.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// What is sent has the topic with the virtual host, no key, the body of package wire and headers that only we look at; one publisher's are in
// one partition.
//
// conforms: KAFKA-02, KAFKA-03, KAFKA-04, ODD-43
func TestRecords(t *testing.T) {
	t.Parallel()
	g := newGlass(t, kfake.DefaultNumPartitions(5))
	bus := open(t, g.url()+"cloud")
	other := open(t, g.url())
	l := listen(t, bus, info)
	none := listen(t, other, info)
	for range 3 {
		for _, who := range []string{"a.host-1", "b.host-2", "c.host-3", ""} {
			m := notification("e")
			m.UniqueID, m.Event.Publisher, m.Headers = "u-"+who, who, map[string]string{"traceparent": "x"}
			if err := bus.Send(testContext(t), info, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	partitions := map[string]int32{}
	read := consumer(t, g, "events.info.cloud")
	for n := 0; n < 12; {
		got := read.PollFetches(testContext(t))
		if err := got.Err(); err != nil {
			t.Fatal(err)
		}
		got.EachRecord(func(r *kgo.Record) {
			n++
			var envelope, inner map[string]any
			if err := json.Unmarshal(r.Value, &envelope); err != nil {
				t.Fatal(err)
			}
			text, _ := envelope["oslo.message"].(string)
			if err := json.Unmarshal([]byte(text), &inner); err != nil {
				t.Fatal(err)
			}
			who, _ := inner["publisher_id"].(string)
			if p, ok := partitions[who]; ok && p != r.Partition {
				t.Errorf("publisher %q is in partitions %d and %d", who, p, r.Partition)
			}
			partitions[who] = r.Partition
			slices.SortFunc(r.Headers, func(a, b kgo.RecordHeader) int { return strings.Compare(a.Key, b.Key) })
			if want := []kgo.RecordHeader{{Key: "traceparent", Value: []byte("x")}, {Key: "x-goslo-unique-id", Value: []byte("u-" + who)}}; r.Key != nil || !cmp.Equal(r.Headers, want) {
				t.Errorf("key %q, headers %q, want none and %q", r.Key, r.Headers, want)
			}
			if _, ok := inner["_unique_id"]; ok || inner["_context"] == nil {
				t.Errorf("body %s", text)
			}
		})
	}
	used := map[int32]bool{}
	for _, p := range partitions {
		used[p] = true
	}
	if len(used) < 2 {
		t.Errorf("all publishers are in one partition: %v", partitions)
	}
	for range 12 {
		hear(t, l, "e")
	}
	silent(t, none)
}

// silent proves that nothing comes.
func silent(t *testing.T, l transport.Listener) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if d, err := l.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: got %+v, %v, want nothing", l.Addr(), d, err)
	}
}

// Who sends waits for all replicas in sync, and retries are stored once.
//
// conforms: KAFKA-06, KAFKA-11, CFG-51, CFG-52, CFG-53
func TestProducer(t *testing.T) {
	t.Parallel()
	for codec, bits := range map[string]int16{"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			g := newGlass(t)
			bus := open(t, g.url()+"?producer_batch_timeout=0.3&producer_batch_size=1&compression_codec="+codec)
			m := notification("e")
			m.Event.Payload = json.RawMessage(`"` + strings.Repeat("text", 1000) + `"`)
			began := time.Now()
			for range 2 { // one at a time, so each waits
				if err := bus.Send(testContext(t), info, m); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(began); took < 500*time.Millisecond {
				t.Errorf("two took %v, and each is to wait 0.3 s for others", took)
			}
			sent := requests[*kmsg.ProduceRequest](g)
			if len(sent) != 2 {
				t.Fatalf("%d requests, want one for each", len(sent))
			}
			for _, r := range sent {
				var batch kmsg.RecordBatch
				if err := batch.ReadFrom(r.Topics[0].Partitions[0].Records); err != nil {
					t.Fatal(err)
				}
				if r.Acks != -1 || batch.ProducerID < 0 || batch.Attributes&7 != bits || batch.NumRecords != 1 {
					t.Errorf("acks %d, producer %d, attributes %d, %d records; want all, one, codec %d, 1", r.Acks, batch.ProducerID, batch.Attributes, batch.NumRecords, bits)
				}
			}
			hear(t, listen(t, bus, info), "e", "e")
		})
	}
}

// conforms: KAFKA-07, KAFKA-16, CFG-48, CFG-49, CFG-50, CFG-55
func TestConsumer(t *testing.T) {
	t.Parallel()
	g := newGlass(t)
	bus := open(t, g.url()+"?consumer_group=meters&kafka_max_fetch_bytes=4096&kafka_consumer_timeout=0.25&max_poll_records=1")
	tell(t, bus, info, "early")
	pooled := info
	pooled.Pool = "billing"
	l, pool := listen(t, bus, info), listen(t, bus, pooled)
	late := notification("late")
	late.Event.Payload = json.RawMessage(`"` + strings.Repeat("x", 100_000) + `"`) // more than is fetched at a time
	if err := bus.Send(testContext(t), info, late); err != nil {
		t.Fatal(err)
	}
	hear(t, l, "early", "late")
	hear(t, pool, "late")
	groups := map[string]bool{}
	for _, r := range requests[*kmsg.JoinGroupRequest](g) {
		groups[r.Group] = true
		var protocols []string
		for _, p := range r.Protocols {
			protocols = append(protocols, p.Name)
		}
		if !cmp.Equal(protocols, []string{"cooperative-sticky", "roundrobin", "range"}) {
			t.Errorf("protocols %q", protocols)
		}
	}
	if !cmp.Equal(groups, map[string]bool{"meters": true, "billing": true}) {
		t.Errorf("groups %v", groups)
	}
	for _, r := range requests[*kmsg.FetchRequest](g) {
		if r.MaxWaitMillis != 250 {
			t.Errorf("fetches wait %d ms, want 250", r.MaxWaitMillis)
		}
		for _, topic := range r.Topics {
			for _, p := range topic.Partitions {
				if p.PartitionMaxBytes != 4096 {
					t.Errorf("fetches of %d bytes, want 4096", p.PartitionMaxBytes)
				}
			}
		}
	}
}

// positions are what the groups have committed, in order.
func positions(g *glass, group string) []int64 {
	var all []int64
	for _, r := range requests[*kmsg.OffsetCommitRequest](g) {
		if r.Group == group {
			all = append(all, r.Topics[0].Partitions[0].Offset)
		}
	}
	return all
}

// An offset is committed when everything before it was acknowledged, and many acknowledgements share a commit.
//
// conforms: KAFKA-08, KAFKA-14, ODD-21, ODD-43
func TestCommitsFollowHandling(t *testing.T) {
	t.Parallel()
	g := newGlass(t)
	bus := open(t, g.url())
	tell(t, bus, info, "0", "1", "2", "3")
	l := listen(t, bus, info)
	var all []*transport.Delivery
	for _, name := range []string{"0", "1", "2", "3"} {
		all = append(all, take(t, l, name))
	}
	ack(t, all[1])
	ack(t, all[3])
	silent(t, l)
	const group = "oslo_messaging_consumer"
	if got := positions(g, group); slices.ContainsFunc(got, func(n int64) bool { return n > 0 }) {
		t.Errorf("commits before the first was acknowledged: %v", got)
	}
	ack(t, all[0])
	brokertest.Await(t, "what is done to be committed", func() bool { return slices.Contains(positions(g, group), 2) })
	ack(t, all[2])
	brokertest.Await(t, "the rest to be committed", func() bool { return slices.Contains(positions(g, group), 4) })
	for range 200 {
		tell(t, bus, info, "more")
	}
	for range 200 {
		ack(t, take(t, l, "more"))
	}
	brokertest.Await(t, "all to be committed", func() bool { return slices.Contains(positions(g, group), 204) })
	if n := len(positions(g, group)); n > 150 {
		t.Errorf("%d commits of 204 acknowledgements", n)
	}
}

// With enable_auto_commit commits are rare; what is not handled is not committed, and the last commit is that of leaving.
//
// conforms: CFG-54
func TestLazyCommits(t *testing.T) {
	t.Parallel()
	g := newGlass(t)
	bus := open(t, g.url()+"?enable_auto_commit=true")
	tell(t, bus, info, "0", "1", "2")
	l := listen(t, bus, info)
	hear(t, l, "0", "1")
	take(t, l, "2")
	if err := bus.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if got := positions(g, "oslo_messaging_consumer"); !slices.Equal(got, []int64{0, 2}) {
		t.Errorf("commits %v, want that of where the group begins, and one of 2", got)
	}
	d := take(t, listen(t, open(t, g.url()), info), "2")
	if !d.Redelivered {
		t.Error("what was handed over before is not marked as redelivered")
	}
}
