package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A topic that is deleted and made anew goes on: who tells is not held up for ever, and who listens gets all that is in the new one, also where the
// last acknowledgements of the old one are noted as its own, as by brokers that know topics by name there.
func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	for name, o := range map[string][]kfake.Opt{"by id": nil, "by name": {kfake.MaxVersions(kversion.V3_9_0())}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGlass(t, o...)
			bus := open(t, g.url())
			tell(t, bus, info, "0", "1", "2")
			l := listen(t, bus, info)
			hear(t, l, "0", "1")
			last := take(t, l, "2")
			client, err := kgo.NewClient(kgo.SeedBrokers(g.ListenAddrs()...))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			admin := kadm.NewClient(client)
			if _, err := admin.DeleteTopics(testContext(t), info.Topic); err != nil {
				t.Fatal(err)
			}
			if _, err := admin.CreateTopics(testContext(t), 1, 1, nil, info.Topic); err != nil {
				t.Fatal(err)
			}
			ack(t, last)
			tell(t, bus, info, "new 0", "new 1", "new 2", "new 3")
			hear(t, l, "new 0", "new 1", "new 2", "new 3")
		})
	}
}
