package brokertest_test

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
)

func TestClusterLivesOnWithoutANode(t *testing.T) {
	t.Parallel()
	c := brokertest.NewCluster(t, 3, brokertest.RabbitOptions{})
	t.Logf("started in %v", c.StartedIn)
	one, three := c.Nodes[0], c.Nodes[2]
	if got := three.Running(t); got != 3 {
		t.Fatalf("%d nodes run, want 3", got)
	}
	ch := dial(t, one.Addr(), "/")
	if _, err := ch.QueueDeclare("kept", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	sent, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "", "kept", true, false, amqp.Publishing{Body: []byte("x")})
	if err != nil || !sent.Wait() {
		t.Fatalf("publish: %v", err)
	}
	one.Kill()
	brokertest.Await(t, "the loss of a node", func() bool { return three.Running(t) == 2 })
	var got amqp.Delivery
	brokertest.Await(t, "the message at another node", func() bool {
		var ok bool
		got, ok, err = dial(t, three.Addr(), "/").Get("kept", true)
		return ok
	})
	if err != nil || string(got.Body) != "x" {
		t.Errorf("message of a quorum queue after its leader was killed: %q, %v", got.Body, err)
	}
	began := time.Now()
	one.Restart(t)
	brokertest.Await(t, "the node in the cluster again", func() bool { return three.Running(t) == 3 })
	t.Logf("back in %v", time.Since(began))
	dial(t, one.Addr(), "/")
}
