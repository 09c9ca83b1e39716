package interop_test

import (
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
)

// onKafka is a plaza on Kafka. Python's listener finds no topics that come into being later.
func onKafka(t *testing.T, partitions int) *plaza {
	t.Helper()
	var topics []string
	for _, p := range notify.Priorities() {
		topics = append(topics, "events."+string(p))
	}
	return newPlaza(t, brokertest.NewKafka(t, brokertest.KafkaOptions{Topics: topics, Partitions: partitions}).URL())
}

// Either language's notifier, in either format and any priority, is heard by either language's listeners.
//
// conforms: URL-23, KAFKA-02, KAFKA-04, KAFKA-05, KAFKA-13, CTX-07, ODD-43
func TestNotificationsBetweenLanguagesOnKafka(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"messaging", "messagingv2"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			p := onKafka(t, 1)
			pools := map[string]func() []told{
				"Go's pool":     p.goHears(t, notify.ListenerConfig{Pool: "pool_go"}, unchanged, 1),
				"Python's pool": p.pythonHears(t, "pool", map[string]any{"pool": "pool_python"}),
			}
			for _, priority := range notify.Priorities() {
				p.pythonTells(t, driver, priority, "item.sold", `{"é": [1, null, "😀"]}`, 1)
				p.goTells(t, driver, priority, "item.sold", map[string]any{"é": []any{1, nil, "😀"}})
			}
			check(t, "Go's pool", awaitTold(t, pools["Go's pool"], 14), 14, 2)
			check(t, "Python's pool", awaitTold(t, pools["Python's pool"], 14), 14, 1)
			// Those without a pool come last, and find everything; Python's would find nothing.
			check(t, "Go", awaitTold(t, p.goHears(t, notify.ListenerConfig{}, unchanged, 0), 14), 14, 1)
		})
	}
}

// Listeners of both languages are members of one group, and share its partitions.
//
// conforms: KAFKA-07, KAFKA-13, CFG-50
func TestGroupOfBothLanguagesOnKafka(t *testing.T) {
	t.Parallel()
	p := onKafka(t, 8)
	only := func(h notify.Handler) notify.Handler { return h.On(notify.Info) }
	ours := p.goHears(t, notify.ListenerConfig{}, only, 0)
	python := p.pythonHears(t, "member", map[string]any{"priorities": []string{"info"}})
	sent := 0
	brokertest.Await(t, "both to have heard some", func() bool {
		p.pythonTells(t, "messagingv2", notify.Info, "x", "1", 8) // to partitions at random
		sent += 8
		return len(ours()) > 0 && len(python()) > 0
	})
	brokertest.Await(t, "all to be heard", func() bool {
		ids := map[string]bool{}
		for _, one := range append(ours(), python()...) {
			ids[one.ID] = true
		}
		return len(ids) == sent
	})
}
