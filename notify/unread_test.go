package notify

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
	"github.com/goslo/goslo/transport/rabbit"
)

// What real buses tell of a queue is enough to say that nobody reads it, for how long, and when somebody does.
func TestUnreadOnRealBuses(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (transport.Transport, error){
		"rabbit": func(t *testing.T) (transport.Transport, error) {
			t.Helper()
			node := brokertest.Rabbit(t)
			u, err := transport.ParseURL(node.URLVhost(node.NewVhost(t)))
			if err != nil {
				return nil, err
			}
			return rabbit.Open(t.Context(), rabbit.Config{URL: u})
		},
		"nats": func(t *testing.T) (transport.Transport, error) {
			t.Helper()
			u, err := transport.ParseURL(brokertest.NewNATS(t, brokertest.NATSOptions{}).URL())
			if err != nil {
				return nil, err
			}
			c, err := nats.ConfigFromURL(u)
			if err != nil {
				return nil, err
			}
			return nats.Open(t.Context(), c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := bus.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			tellUnread(t, bus)
		})
	}
}

func tellUnread(t *testing.T, bus transport.Transport) {
	t.Helper()
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	d := NewMessaging(bus, MessagingConfig{})
	now := time.Now()
	at := transport.Address{Kind: transport.Notification, Topic: DefaultTopic + ".info"}
	send := func() {
		t.Helper()
		if err := d.Notify(t.Context(), &Raw{Type: "e", Priority: Info}, Never); err != nil {
			t.Fatal(err)
		}
	}
	// look is what Notify does for so many minutes, and returns how often it told.
	look := func(minutes int) int {
		t.Helper()
		before := strings.Count(text.String(), "nobody reads")
		for range minutes {
			d.unread.look(t.Context(), bus, at, log, now)
			now = now.Add(time.Minute)
		}
		return strings.Count(text.String(), "nobody reads") - before
	}
	state := func(what string, so func(transport.AddressState) bool) {
		t.Helper()
		brokertest.Await(t, what, func() bool {
			s, err := bus.(transport.Inspector).Inspect(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			return so(s)
		})
	}
	send()
	send()
	state("what waits", func(s transport.AddressState) bool { return s.Waiting == 2 })
	if n := look(10); n != 0 {
		t.Errorf("told %d times in less than ten minutes", n)
	}
	if n := look(15); n != 2 || !strings.Contains(text.String(), "topic=notifications.info waiting=2") {
		t.Errorf("told %d times in another quarter of an hour, want 2: %s", n, &text)
	}

	l, err := bus.Listen(t.Context(), at, transport.ListenOptions{Prefetch: 1})
	if err != nil {
		t.Fatal(err)
	}
	held, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send()
	state("what waits for a listener that is busy", func(s transport.AddressState) bool { return s.Waiting > 0 })
	if n := look(60); n != 0 {
		t.Errorf("told %d times although somebody reads", n)
	}
	for range 2 {
		if err := held.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		if held, err = l.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := held.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	send()
	state("that the listener has gone", func(s transport.AddressState) bool { return s.Waiting == 1 && s.Listeners == 0 })
	if n := look(11); n != 1 {
		t.Errorf("told %d times after the listener has gone, want once more", n)
	}
}
