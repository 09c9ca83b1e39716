package amqp1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

func notified(name string) transport.Address {
	return transport.Address{Kind: transport.Notification, Topic: name}
}

func event(kind string) *transport.Message {
	return &transport.Message{UniqueID: "u-" + kind, Event: &transport.Event{Type: kind, Priority: "INFO"}}
}

// Where notifications go, and listeners listen, as with oslo.messaging; only that ours do not forget the exchange of their target.
//
// conforms: AMQP1-05, AMQP1-06, AMQP1-08, AMQP1-09
func TestAddressesOfNotifications(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	elsewhere := transport.Address{Kind: transport.Notification, Exchange: "e", Topic: "n.info"}
	for query, addresses := range map[string]map[string]transport.Address{
		"": {"unicast.openstack.n.info": notified("n.info"), "unicast.e.n.info": elsewhere},
		"v?addressing_mode=legacy&default_notification_exchange=x&group_request_prefix=any": {"any.v.openstack.n.info": notified("n.info")},
		"?addressing_mode=routable": {
			"openstack.org/om/notify/anycast/openstack/n.info": notified("n.info"), "openstack.org/om/notify/anycast/e/n.info": elsewhere,
		},
		"v?addressing_mode=routable&default_rpc_exchange=y&default_notification_exchange=x&notify_address_prefix=p&anycast_address=a": {
			"p/a/v/x/n.info": notified("n.info"), "p/a/v/e/n.info": elsewhere,
		},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			bus, raw := open(t, node.URL()+query), newPeer(t, node.URL())
			for address, at := range addresses {
				send(t, bus, at, event("out"))
				r := raw.receiver(address)
				if got := raw.take(r); *got.Properties.To != address {
					t.Errorf("%s: to is %q", address, *got.Properties.To)
				}
				if err := r.Close(testContext(t)); err != nil { // or it takes from the listener below
					t.Error(err)
				}
				l := listen(t, bus, at)
				raw.send(address, &amqp.Message{Value: `{"request": {"event_type": "in"}, "context": {}}`})
				if d := next(t, l); d.To != at || d.Message.Event.Type != "in" {
					t.Errorf("%s: arrived as sent to %+v, want %+v", address, d.To, at)
				}
			}
		})
	}
}

// What is on the wire of a notification: no ids, no expiry, no reply address.
//
// conforms: AMQP1-01, AMQP1-12
func TestNotificationOnTheWire(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus, raw := open(t, node.URL()), newPeer(t, node.URL())
	r := raw.receiver("unicast.openstack.n.info")
	m := event("e")
	m.Headers = map[string]string{"h": "v"}
	for bare, want := range map[bool]string{
		false: `{"request":{"oslo.version":"2.0","oslo.message":"{\"message_id\":null,\"publisher_id\":null,\"event_type\":\"e\",\"priority\":\"INFO\",\"payload\":null,\"timestamp\":null}"},"context":{}}`,
		true:  `{"request":{"message_id":null,"publisher_id":null,"event_type":"e","priority":"INFO","payload":null,"timestamp":null},"context":{}}`,
	} {
		m.Event.Bare = bare
		send(t, bus, notified("n.info"), m)
		got := raw.take(r)
		if diff := cmp.Diff(&amqp.MessageProperties{To: new("unicast.openstack.n.info")}, got.Properties); diff != "" {
			t.Errorf("properties (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]any{"x-goslo-unique-id": "u-e", "h": "v"}, got.ApplicationProperties); diff != "" {
			t.Errorf("application properties (-want +got):\n%s", diff)
		}
		if got.Value != want || got.Header != nil && (got.Header.TTL != 0 || got.Header.Durable) {
			t.Errorf("got %v, header %+v\nwant %s", got.Value, got.Header, want)
		}
	}
}

// What others send: bodies as bytes, and such as are no notification, which are dropped. An expiry is for requests.
func TestForeignNotifications(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus, raw := open(t, node.URL()), newPeer(t, node.URL())
	l := listen(t, bus, notified("n.info"))
	const address, body = "unicast.openstack.n.info", `{"request": {"event_type": "e"}}`
	for _, m := range []*amqp.Message{
		{Value: 42},
		{Value: "{"},
		{Value: amqp.Null{}},
		{Value: `{"response": 1}`},
		{Data: [][]byte{[]byte(body)}},
		{Value: body, Properties: &amqp.MessageProperties{AbsoluteExpiryTime: new(time.Now().Add(-time.Second))}},
	} {
		raw.send(address, m)
	}
	for range 2 {
		if d := next(t, l); d.Message.Event.Type != "e" {
			t.Errorf("got %+v", d.Message.Event)
		}
	}
}

// Notifications wait for the broker's answer, unless the option says that they do not.
//
// conforms: AMQP1-11
func TestPreSettledNotifications(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	for query, want := range map[string]uint64{"": 1, "?pre_settled=notify": 0} {
		bus := open(t, node.URL()+query)
		send(t, bus, notified("n.info"), event("e"))
		if s := bus.Statistics(); s.Published != 1 || s.Confirmed != want {
			t.Errorf("%q: %+v, want %d confirmed", query, s, want)
		}
	}
}

// The option says how many are on their way, before the listener.
//
// conforms: AMQP1-13
func TestNotificationCredit(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus := open(t, node.URL()+"?notify_server_credit=3")
	l, err := bus.Listen(testContext(t), notified("n.info"), transport.ListenOptions{Prefetch: 50})
	if err != nil {
		t.Fatal(err)
	}
	other := listen(t, open(t, node.URL()+"?notify_server_credit=1000"), notified("n.info"))
	const all = 40
	for i := range all {
		send(t, bus, notified("n.info"), event(fmt.Sprint(i)))
	}
	for range all - 3 { // the broker gives turns, and has no credit left for the first
		next(t, other)
	}
	for range 3 {
		next(t, l)
	}
}

// Proton's broker forgets what is given back; so a notification stays with its listener.
func TestNotificationGivenBackToABrokerThatForgets(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus := open(t, node.URL())
	l := listen(t, bus, notified("n.info"))
	send(t, bus, notified("n.info"), event("e"))
	var d *transport.Delivery
	for again := range 3 {
		var err error
		if d, err = l.Next(testContext(t)); err != nil {
			t.Fatal(err)
		}
		if d.Message.Event.Type != "e" || d.Redelivered != (again > 0) {
			t.Errorf("attempt %d: %+v, redelivered: %t", again, d.Message.Event, d.Redelivered)
		}
		if again < 2 {
			if err := d.Requeue(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := d.Requeue(testContext(t)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("given back when nobody listens any more: %v, want ErrUnsupported", err)
	}
}

// conforms: AMQP1-10, NPOOL-05
func TestNoPools(t *testing.T) {
	t.Parallel()
	bus := open(t, brokertest.NewProton(t).URL())
	at := notified("n.info")
	at.Pool = "meter"
	_, err := bus.Listen(testContext(t), at, transport.ListenOptions{})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "listen without a pool") {
		t.Errorf("got %v, want ErrUnsupported that says what to do", err)
	}
}

// On RabbitMQ the first notification makes its queue, which outlives the broker's restart as the notification does.
func TestNotificationOutlivesRabbitMQ(t *testing.T) {
	t.Parallel()
	node := brokertest.BorrowRabbit(t, brokertest.RabbitOptions{Plugins: []string{brokertest.AMQP1Plugin}})
	bus := open(t, node.AMQP1URL())
	if s, err := bus.Inspect(testContext(t), notified("n.info")); err != nil || s.Exists {
		t.Fatalf("before anything was sent: %+v, %v", s, err)
	}
	send(t, bus, notified("n.info"), event("e"))
	if s, err := bus.Inspect(testContext(t), notified("n.info")); err != nil || !s.Exists {
		t.Errorf("afterwards: %+v, %v", s, err)
	}
	node.Eval(t, "mnesia:sync_log()") // declarations are written down seconds later; elsewhere they are older than that
	node.Kill()
	node.Restart(t)
	if d := next(t, listen(t, open(t, node.AMQP1URL()), notified("n.info"))); d.Message.Event.Type != "e" {
		t.Errorf("got %+v", d.Message.Event)
	}
}
