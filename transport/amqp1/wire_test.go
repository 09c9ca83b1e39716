package amqp1_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/amqp1"
	"github.com/goslo/goslo/wire"
)

// A peer is bare go-amqp, to see what is on the wire, and to put there what oslo.messaging puts.
type peer struct {
	testing.TB
	conn *amqp.Conn
}

func newPeer(t testing.TB, url string) peer {
	t.Helper()
	conn, err := amqp.Dial(testContext(t), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return peer{t, conn}
}

func (p peer) session() *amqp.Session {
	p.Helper()
	s, err := p.conn.NewSession(testContext(p), nil)
	if err != nil {
		p.Fatal(err)
	}
	return s
}

// receiver listens at an address; "" = a dynamic one.
func (p peer) receiver(address string) *amqp.Receiver {
	p.Helper()
	r, err := p.session().NewReceiver(testContext(p), address, &amqp.ReceiverOptions{Credit: 10, DynamicAddress: address == ""})
	if err != nil {
		p.Fatal(err)
	}
	return r
}

func (p peer) take(r *amqp.Receiver) *amqp.Message {
	p.Helper()
	m, err := r.Receive(testContext(p), nil)
	if err != nil {
		p.Fatal(err)
	}
	if err := r.AcceptMessage(testContext(p), m); err != nil {
		p.Fatal(err)
	}
	return m
}

func (p peer) send(address string, m *amqp.Message) {
	p.Helper()
	s, err := p.session().NewSender(testContext(p), address, nil)
	if err != nil {
		p.Fatal(err)
	}
	if err := s.Send(testContext(p), m, nil); err != nil {
		p.Fatal(err)
	}
}

// open opens the URL, and closes the connection with the test.
func open(t testing.TB, url string) *amqp1.Conn {
	t.Helper()
	conn := dial(t, url)
	closeWithTest(t, conn)
	return conn
}

func closeWithTest(t testing.TB, conn *amqp1.Conn) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func listen(t testing.TB, bus transport.Transport, from transport.Address) transport.Listener {
	t.Helper()
	l, err := bus.Listen(testContext(t), from, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func next(t testing.TB, l transport.Listener) *transport.Delivery {
	t.Helper()
	d, err := l.Next(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return d
}

func send(t testing.TB, bus transport.Transport, to transport.Address, m *transport.Message) {
	t.Helper()
	if err := bus.Send(testContext(t), to, m); err != nil {
		t.Fatal(err)
	}
}

func topic(name, server string) transport.Address {
	return transport.Address{Kind: transport.Topic, Topic: name, Server: server}
}

// Each kind of address, made and listened at as oslo.messaging does.
//
// conforms: AMQP1-05, AMQP1-06, AMQP1-07, AMQP1-08, AMQP1-09, AMQP1-14
func TestAddresses(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	all := transport.Address{Kind: transport.Fanout, Topic: "t"}
	elsewhere := transport.Address{Kind: transport.Topic, Topic: "t", Exchange: "e"}
	for name, test := range map[string]struct {
		path      string
		addresses map[string]transport.Address
	}{
		"legacy, as the broker does not say what it is": {"", map[string]transport.Address{
			"exclusive.openstack.t.s": topic("t", "s"), "unicast.openstack.t": topic("t", ""), "broadcast.openstack.t.all": all, "unicast.e.t": elsewhere,
		}},
		"legacy with a vhost and other prefixes": {"v?addressing_mode=legacy&server_request_prefix=one&group_request_prefix=any&broadcast_prefix=all", map[string]transport.Address{
			"one.v.openstack.t.s": topic("t", "s"), "any.v.openstack.t": topic("t", ""), "all.v.openstack.t.all": all,
		}},
		"routable": {"?addressing_mode=routable", map[string]transport.Address{
			"openstack.org/om/rpc/unicast/openstack/t/s": topic("t", "s"), "openstack.org/om/rpc/anycast/openstack/t": topic("t", ""),
			"openstack.org/om/rpc/multicast/openstack/t": all, "openstack.org/om/rpc/anycast/e/t": elsewhere,
		}},
		"routable with a vhost, an exchange and other words": {
			"v?addressing_mode=routable&default_rpc_exchange=x&rpc_address_prefix=p&unicast_address=u&anycast_address=a&multicast_address=m",
			map[string]transport.Address{"p/u/v/x/t/s": topic("t", "s"), "p/a/v/x/t": topic("t", ""), "p/m/v/x/t": all},
		},
		"a vhost that is the broker's": {"v?addressing_mode=legacy&pseudo_vhost=false&server_request_prefix=own&group_request_prefix=a&broadcast_prefix=b", map[string]transport.Address{"own.openstack.t.s": topic("t", "s")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus, raw := open(t, node.URL()+test.path), newPeer(t, node.URL())
			for address, to := range test.addresses { // one way
				send(t, bus, to, &transport.Message{Method: "m"})
				r := raw.receiver(address)
				if got := raw.take(r); *got.Properties.To != address {
					t.Errorf("%s: to is %q", address, *got.Properties.To)
				}
				if err := r.Close(testContext(t)); err != nil { // or it takes from the listener below
					t.Error(err)
				}
			}
			l := listen(t, bus, topic("t", "s"))
			for address, at := range test.addresses { // and the other
				if at.Exchange != "" {
					continue
				}
				raw.send(address, &amqp.Message{Value: `{"request": {"method": "m"}, "context": {}}`})
				if d := next(t, l); d.To != at {
					t.Errorf("%s: arrived as sent to %+v, want %+v", address, d.To, at)
				}
			}
		})
	}
}

// What is on the wire of a call, a cast, a reply and a heartbeat.
//
// conforms: AMQP1-01, AMQP1-02, AMQP1-03, AMQP1-04, AMQP1-12
func TestMessages(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus, raw := open(t, node.URL()), newPeer(t, node.URL())
	requests, replies := raw.receiver("unicast.openstack.t"), raw.receiver("")
	id := wire.NewID()

	send(t, bus, topic("t", ""), &transport.Message{
		Method: "m", Version: "1.1", ReplyTo: replies.Address(), ID: id, UniqueID: "u", Monitor: 4 * time.Second, Expires: time.Minute, Headers: map[string]string{"h": "v"},
	})
	got := raw.take(requests)
	if left := time.Until(*got.Properties.AbsoluteExpiryTime); left < 30*time.Second || left > time.Minute {
		t.Errorf("the call expires in %v", left)
	}
	got.Properties.AbsoluteExpiryTime = nil
	want := &amqp.MessageProperties{MessageID: id, To: new("unicast.openstack.t"), ReplyTo: new(replies.Address())}
	if diff := cmp.Diff(want, got.Properties); diff != "" {
		t.Errorf("properties of a call (-want +got):\n%s", diff)
	}
	if got.Value != `{"request":{"method":"m","args":{},"version":"1.1"},"context":{},"call_monitor_timeout":4}` || got.Header.TTL != time.Minute || got.Header.Durable {
		t.Errorf("a call: %v, header %+v", got.Value, got.Header)
	}
	if diff := cmp.Diff(map[string]any{"x-goslo-unique-id": "u", "h": "v"}, got.ApplicationProperties); diff != "" {
		t.Errorf("application properties (-want +got):\n%s", diff)
	}

	send(t, bus, topic("t", ""), &transport.Message{Method: "m"})
	got = raw.take(requests)
	if diff := cmp.Diff(&amqp.MessageProperties{To: new("unicast.openstack.t")}, got.Properties); diff != "" || got.Header != nil && got.Header.TTL != 0 {
		t.Errorf("properties of a cast (-want +got):\n%s\nheader %+v", diff, got.Header)
	}

	to := transport.Address{Kind: transport.Reply, Topic: replies.Address()}
	send(t, bus, to, &transport.Message{ID: id, Monitor: 4 * time.Second})
	got = raw.take(replies)
	if got.Value != nil || got.Properties.CorrelationID != id || got.Properties.MessageID != nil || got.Header.TTL != 4*time.Second {
		t.Errorf("a heartbeat: %v, %+v, %+v", got.Value, got.Properties, got.Header)
	}
	send(t, bus, to, &transport.Message{ID: id, Ending: true, Result: []byte(`[1]`)})
	got = raw.take(replies)
	if got.Value != `{"response":[1]}` || got.Properties.CorrelationID != id {
		t.Errorf("a reply: %v, %+v", got.Value, got.Properties)
	}
}

// What Python and others send: an expiry in 1970 that is none, one that has passed, a body as bytes, and what is no message.
//
// conforms: AMQP1-12
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	bus, raw := open(t, node.URL()), newPeer(t, node.URL())
	l := listen(t, bus, topic("t", "s"))
	body := func(method string) string { return `{"request": {"method": "` + method + `"}, "context": {}}` }
	const address = "exclusive.openstack.t.s"
	raw.send(address, &amqp.Message{Value: body("python"), Properties: &amqp.MessageProperties{AbsoluteExpiryTime: new(time.Unix(40_000, 0))}})
	raw.send(address, &amqp.Message{Value: body("late"), Properties: &amqp.MessageProperties{AbsoluteExpiryTime: new(time.Now().Add(-time.Second))}})
	raw.send(address, &amqp.Message{Value: 42})
	raw.send(address, &amqp.Message{Value: "{"})
	raw.send(address, &amqp.Message{Data: [][]byte{[]byte(body("bytes"))}})
	raw.send(address, &amqp.Message{Value: body("uuid"), Properties: &amqp.MessageProperties{MessageID: amqp.UUID{15: 1}, ReplyTo: new("r")}})
	for _, want := range []string{"python", "bytes", "uuid"} {
		d := next(t, l)
		if d.Message.Method != want {
			t.Fatalf("got %s, want %s", d.Message.Method, want)
		}
		if want == "uuid" && d.Message.ID != strings.Repeat("0", 31)+"1" {
			t.Errorf("id %q", d.Message.ID)
		}
	}
}

// Upstream's casts are sent settled; ours are, where the option says so.
//
// conforms: AMQP1-11
func TestPreSettled(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	for query, want := range map[string]uint64{"": 1, "?pre_settled=rpc-cast": 0} {
		bus := open(t, node.URL()+query)
		send(t, bus, topic("t", "s"), &transport.Message{Method: "m"})
		if s := bus.Statistics(); s.Published != 1 || s.Confirmed != want || s.Connected != 1 {
			t.Errorf("%q: %+v, want %d confirmed", query, s, want)
		}
	}
}
