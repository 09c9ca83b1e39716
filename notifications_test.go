package goslo_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/config/messaging"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// A listening bus remembers where something was sent.
type listening struct {
	transport.Transport
	sent []string
}

func (l *listening) Send(_ context.Context, to transport.Address, m *transport.Message) error {
	l.sent = append(l.sent, fmt.Sprintf("%s bare=%t", to, m.Event.Bare))
	return nil
}

// conforms: NOTIFY-05, NOTIFY-06, NOTIFY-09, CFG-06, CFG-08, TRN-01
func TestNotifierOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file  string
		env   map[string]string
		sent  []string
		retry notify.Retry
	}{
		"nothing":                        {"[DEFAULT]\n", nil, nil, notify.Forever},
		"a driver":                       {"[oslo_messaging_notifications]\ndriver = messagingv2\n", nil, []string{"notifications.info bare=false"}, notify.Forever},
		"several":                        {"[oslo_messaging_notifications]\ndriver = messagingv2\ndriver = noop\ndriver = messaging\nretry = 3\n", nil, []string{"notifications.info bare=false", "notifications.info bare=true"}, notify.Times(3)},
		"topics":                         {"[oslo_messaging_notifications]\ndriver = messaging\ntopics = a, b\nretry = 0\n", nil, []string{"a.info bare=true", "b.info bare=true"}, notify.Never},
		"no driver":                      {"[oslo_messaging_notifications]\ndriver =\n", nil, nil, notify.Forever},
		"an empty driver beside another": {"[oslo_messaging_notifications]\ndriver =\ndriver = messaging\n", nil, []string{"notifications.info bare=true"}, notify.Forever},
		"no topics":                      {"[oslo_messaging_notifications]\ndriver = messaging\ntopics =\nretry = -1\n", nil, nil, notify.Forever},
		"old names":                      {"[DEFAULT]\nnotification_driver = messagingv2\nnotification_topics = old\n", nil, []string{"old.info bare=false"}, notify.Forever},
		"the environment": {
			"[oslo_messaging_notifications]\ndriver = noop\n",
			map[string]string{"OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER": "messagingv2"},
			[]string{"notifications.info bare=false"},
			notify.Forever,
		},
	} {
		for form, options := range map[string]goslo.Options{
			"declared":   load(t, c.env, messaging.Options{}, c.file),
			"undeclared": load(t, c.env, struct{}{}, c.file),
		} {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				bus := new(listening)
				n, err := goslo.Config{Options: options}.NotifierConfig(bus)
				if err != nil {
					t.Fatal(err)
				}
				if n.Retry != c.retry {
					t.Errorf("retry %d, want %d", n.Retry, c.retry)
				}
				if err := notify.NewNotifier(n).Notify(t.Context(), notify.Info, "x", nil); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.sent, bus.sent); diff != "" {
					t.Errorf("-want +sent:\n%s", diff)
				}
			})
		}
	}
}

func TestNotifierOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"driver = mesagingv2\n":                      "did you mean messagingv2?",
		"driver = routing\n":                         "set routing_config",
		"driver = routing\nrouting_config = /none\n": "/none",
		"retry = often\n":                            `retry: "often" is not a whole number`,
		"topics = $nowhere\n":                        "topics:",
	} {
		_, err := goslo.Config{Options: files(t, "[oslo_messaging_notifications]\n"+file)}.NotifierConfig(new(listening))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "a.conf") {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
	}
}

// conforms: TRN-02, CFG-07
func TestNotificationsMayHaveABusOfTheirOwn(t *testing.T) {
	t.Parallel()
	const both = "[DEFAULT]\ntransport_url = memory://rpc\n[oslo_messaging_notifications]\ntransport_url = memory://notifications\n"
	for file, want := range map[string]string{
		both: "memory://notifications",
		"[DEFAULT]\ntransport_url = memory://rpc\n":                 "",
		"[DEFAULT]\nnotification_transport_url = memory://others\n": "memory://others",
	} {
		for _, options := range []goslo.Options{files(t, file), load(t, nil, messaging.Options{}, file)} {
			c, err := goslo.Config{Options: options}.Notifications()
			if err != nil || c.URL != want {
				t.Errorf("%q: URL %q, %v; want %q", file, c.URL, err, want)
			}
		}
	}
	if c, err := (goslo.Config{URL: "memory://x"}).Notifications(); err != nil || c.URL != "memory://x" {
		t.Errorf("without options: %q, %v", c.URL, err)
	}
}
