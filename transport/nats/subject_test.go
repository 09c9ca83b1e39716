package nats_test

import (
	"errors"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// What others write into messages does not have the server end our connection, which it does where a subject is none, or too long.
func TestNoSubjectEndsTheConnection(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	bus := open(t, node.URL())
	l := listen(t, bus, server)
	nc, err := natsgo.Connect(node.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fanout := topic
	fanout.Kind = transport.Fanout
	probe := natsgo.NewMsg("om._.fanout.openstack." + topic.Topic) // with nowhere to answer to
	probe.Header.Set("Goslo-Probe", "1")
	if err := nc.PublishMsg(probe); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 5000)
	for _, m := range []struct {
		to      transport.Address
		message transport.Message
	}{
		{transport.Address{Kind: transport.Reply, Topic: long}, transport.Message{ID: "1", Ending: true}},
		{transport.Address{Kind: transport.Reply, Topic: "r"}, transport.Message{ID: long, Ending: true}},
		{topic, transport.Message{Method: "call", ID: "1", ReplyTo: long}},
		{transport.Address{Kind: transport.Topic, Topic: long}, transport.Message{Method: "cast"}},
	} {
		if err := bus.Send(testContext(t), m.to, &m.message); !errors.Is(err, transport.ErrRejected) {
			t.Errorf("send to %.10s: %.200v, want ErrRejected", m.to.Topic, err)
		}
	}
	if _, err := bus.Listen(testContext(t), transport.Address{Kind: transport.Topic, Topic: long, Server: "one"}, transport.ListenOptions{}); !errors.Is(err, transport.ErrRejected) {
		t.Errorf("listen: %.200v, want ErrRejected", err)
	}
	send(t, bus, fanout, "goes on")
	if got := next(t, l); got != "goes on" {
		t.Errorf("got %s", got)
	}
	if n := bus.Statistics().Reconnects; n != 0 {
		t.Errorf("%d reconnections, want none", n)
	}
}
