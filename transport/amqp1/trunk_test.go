package amqp1_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// On RabbitMQ messages to all queues share a link, and fanouts another: each link costs the broker a session and a connection inside,
// and may take messages with it that were sent as soon as it was attached.
func TestOneLinkForAllQueues(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitAMQP1(t)
	vhost := node.NewVhost(t)
	url := "amqp://guest:guest@" + node.Addr() + "/vhost:" + vhost + "?pseudo_vhost=false"
	sessions := func() int {
		n, err := strconv.Atoi(node.Eval(t, fmt.Sprintf(`length([P || P <- rabbit_direct:list(), {_, About} <- ets:lookup(connection_created, P),
			proplists:get_value(vhost, About) =:= <<%q>>]).`, vhost)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	servers, client := open(t, url), open(t, url)
	replies := listen(t, client, transport.Address{Kind: transport.Reply})
	topics := []string{"a", "b", "c/d", "e.f", "%2F", "ü"}
	var listeners []transport.Listener
	for _, name := range topics {
		listeners = append(listeners, listen(t, servers, topic(name, "s")))
	}
	before := 1 + 3*len(topics) // of the links in
	if now := sessions(); now < before {
		t.Fatalf("%d sessions, want %d at least", now, before)
	}
	for i, l := range listeners {
		send(t, client, topic(topics[i], ""), &transport.Message{Method: "any"})
		send(t, client, topic(topics[i], "s"), &transport.Message{Method: "one", ReplyTo: replies.Addr(), ID: "id"})
		send(t, client, transport.Address{Kind: transport.Fanout, Topic: topics[i]}, &transport.Message{Method: "all"})
		got := map[string]bool{}
		for range 3 {
			got[next(t, l).Message.Method] = true
		}
		if len(got) != 3 {
			t.Errorf("topic %s: got %v", topics[i], got)
		}
		send(t, servers, transport.Address{Kind: transport.Reply, Topic: replies.Addr()}, &transport.Message{ID: "id", Ending: true})
		next(t, replies)
	}
	brokertest.Await(t, "no more sessions than two of the client, and one of the servers for their replies", func() bool { return sessions() == before+3 })
}
