package nats_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

func TestStatistics(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{})
	sender, receiver := open(t, node.URL()), open(t, node.URL())
	l := listen(t, receiver, server)
	answers := listen(t, sender, transport.Address{Kind: transport.Reply})
	counted := func(what string, want transport.Statistics) {
		t.Helper()
		got := sender.Statistics()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(transport.Statistics{}, "Loopback", "Away")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	want := transport.Statistics{Connections: 1, Connected: 1}
	counted("at first", want)
	send(t, sender, topic, "cast")
	next(t, l)
	want.Published, want.Confirmed = 1, 1
	counted("a cast", want)
	nobody := transport.Address{Kind: transport.Topic, Topic: "nobody"}
	if err := sender.Send(testContext(t), nobody, &transport.Message{Method: "call", ID: "1", ReplyTo: answers.Addr()}); err != nil {
		t.Fatal(err)
	}
	if d, err := answers.Next(testContext(t)); err != nil || d.Undelivered == nil {
		t.Fatalf("%+v, %v", d, err)
	}
	if err := sender.Send(testContext(t), nobody, &transport.Message{Method: "cast"}); err == nil {
		t.Fatal("a cast to nobody was sent")
	}
	want.Published, want.Returned = 3, 2
	counted("two to nobody", want)
	brokertest.Await(t, "a round trip", func() bool { return sender.Statistics().Loopback > 0 })
	if s := sender.Statistics(); s.Loopback > 10*time.Second || s.Away != 0 {
		t.Errorf("round trip in %v, away for %v", s.Loopback, s.Away)
	}

	node.Kill()
	brokertest.Await(t, "the loss", func() bool { return sender.Statistics().Connected == 0 })
	brokertest.Await(t, "some time", func() bool { return sender.Statistics().Away > 200*time.Millisecond })
	node.Restart(t)
	brokertest.Await(t, "the return", func() bool { return sender.Statistics().Connected == 1 })
	want.Reconnects = 1
	brokertest.Await(t, "the count", func() bool { return sender.Statistics().Reconnects == 1 })
	away := sender.Statistics().Away
	counted("connected again", want)
	if away < 200*time.Millisecond || sender.Statistics().Away != away {
		t.Errorf("away for %v, then %v", away, sender.Statistics().Away)
	}
}
