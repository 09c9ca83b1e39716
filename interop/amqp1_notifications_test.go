package interop_test

import (
	"encoding/json"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/notify"
)

// Either language's notifier, in either format and any priority, is heard by the listener of either language over AMQP 1.0, in the three ways
// to choose addresses. Notifications wait for their first listener.
//
// conforms: NOTIFY-01, NOTIFY-02, NOTIFY-03, NDRV-01, AMQP1-01, AMQP1-05, AMQP1-06, AMQP1-07, AMQP1-09, AMQP1-11, AMQP1-14
func TestNotificationsBetweenLanguagesOverAMQP1(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	for mode, rest := range map[string]string{
		"dynamic":  "dynamic",
		"legacy":   "legacy?addressing_mode=legacy",
		"routable": "routable?addressing_mode=routable&default_notification_exchange=mine",
	} {
		for _, driver := range []string{"messaging", "messagingv2"} {
			for _, listener := range peers {
				t.Run(mode+" "+driver+" to "+string(listener), func(t *testing.T) {
					t.Parallel()
					path, query, _ := strings.Cut(rest, "?")
					p := newPlaza(t, node.URL()+path+"-"+driver+"-"+string(listener)+"?"+query)
					for _, priority := range notify.Priorities() {
						p.pythonTells(t, driver, priority, "item.sold", `{"é": [1, null, "😀"]}`, 1)
						p.goTells(t, driver, priority, "item.sold", map[string]any{"é": []any{1, nil, "😀"}})
					}
					p.pythonTells(t, driver, notify.Info, "item.created", `"last"`, 1)
					if listener == python {
						check(t, "Python", awaitTold(t, p.pythonHears(t, "late", nil), 15), 15, 1)
					} else {
						check(t, "Go", awaitTold(t, p.goHears(t, notify.ListenerConfig{}, unchanged, 0), 15), 15, 1)
					}
				})
			}
		}
	}
}

// The two notifiers' messages and links, and the two listeners' links, are the same on the wire.
//
// conforms: AMQP1-01, AMQP1-05, AMQP1-06, AMQP1-11, AMQP1-12, AMQP1-13, AMQP1-14
func TestAMQP1NotificationsOnTheWire(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	for mode, address := range map[string]string{"legacy": "unicast.wire.openstack.events.info", "routable": "openstack.org/om/notify/anycast/wire/openstack/events.info"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			sniffer := newSniffer(t, node.Addr())
			p := newPlaza(t, "amqp://"+sniffer.Addr()+"/wire?notify_server_credit=100&addressing_mode="+mode)
			heard := []func() []told{
				p.pythonHears(t, "it", map[string]any{"priorities": []string{"info"}}),
				p.goHears(t, notify.ListenerConfig{}, func(h notify.Handler) notify.Handler { return h.On(notify.Info) }, 0),
			}
			for _, driver := range []string{"messaging", "messagingv2"} {
				p.pythonTells(t, driver, notify.Info, "item.sold", `{"é": [1, null, "😀"]}`, 1)
				p.goTells(t, driver, notify.Info, "item.sold", map[string]any{"é": []any{1, nil, "😀"}})
			}
			brokertest.Await(t, "all to be heard", func() bool { return len(heard[0]())+len(heard[1]()) == 4 })
			var seen [2][]sent
			var attached [2]map[string]link
			for i, connection := range []int{2, 1} { // Python connects when it has something to do
				said, _ := sniffer.said(connection)
				checkOpen(t, peers[i], said)
				seen[i] = messages(t, said, "", address)
				for _, m := range seen[i] {
					neutralNotification(t, m.Body)
				}
				attached[i] = links(t, said)
				delete(attached[i], "openstack.org/om/receiver/[rpc-response]/<id>") // Python has one whether it calls or not
			}
			if len(seen[0]) != 2 || len(attached[0]) != 2 {
				t.Errorf("%d messages and %d links, want two of each", len(seen[0]), len(attached[0]))
			}
			if diff := gocmp.Diff(seen[0], seen[1]); diff != "" {
				t.Errorf("messages (-%s +%s)\n%s", peers[0], peers[1], diff)
			}
			if diff := gocmp.Diff(attached[0], attached[1]); diff != "" {
				t.Errorf("links (-%s +%s)\n%s", peers[0], peers[1], diff)
			}
		})
	}
}

// neutralNotification takes out of a body what differs from one notification to the next, and has what an envelope holds decoded.
func neutralNotification(t *testing.T, body any) {
	t.Helper()
	request, _ := body.(map[string]any)["request"].(map[string]any)
	if text, ok := request["oslo.message"].(string); ok {
		var inner map[string]any
		if err := json.Unmarshal([]byte(text), &inner); err != nil {
			t.Fatal(err)
		}
		request["oslo.message"] = inner
		request = inner
	}
	for _, name := range []string{"message_id", "timestamp", "publisher_id"} {
		if text, _ := request[name].(string); text == "" {
			t.Errorf("no %s in %v", name, request)
		}
		delete(request, name)
	}
}
