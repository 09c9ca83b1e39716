package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Partitions that come and go while nobody takes what they bring leave nothing of it in memory.
func TestPartitionsThatComeAndGoUnread(t *testing.T) {
	t.Parallel()
	l := newListener(nil, membership{topic: "t", prefetch: 3})
	for range 100 {
		if _, err := l.begin(t.Context(), map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset()}}); err != nil {
			t.Fatal(err)
		}
		records := []*kgo.Record{{Topic: "t", Offset: 5}, {Topic: "t", Offset: 6}, {Topic: "t", Offset: 7}}
		fetched := kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "t", Partitions: []kgo.FetchPartition{{Records: records}}}}}}
		if err := l.take(t.Context(), fetched); err != nil {
			t.Fatal(err)
		}
		if n := l.account.held; n != 3 {
			t.Fatalf("%d are held, want 3", n)
		}
		l.give([]int32{0})
	}
	if l.account.held != 0 || len(l.account.queue) > 0 {
		t.Errorf("%d are held, and %d are in the queue, want none", l.account.held, len(l.account.queue))
	}
}
