package brokertest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// dial opens a channel to the node, until the test ends.
func dial(t *testing.T, address, vhost string) *amqp.Channel {
	t.Helper()
	c, err := amqp.DialConfig("amqp://guest:guest@"+address, amqp.Config{Vhost: vhost, Properties: amqp.Table{"connection_name": t.Name()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func TestSharedNodeShowsWhatClientsMade(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	t.Logf("started in %v", n.StartedIn)
	v := n.NewVhost(t)
	ch := dial(t, n.Addr(), v)
	if err := ch.ExchangeDeclare("orders", "topic", false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare("tills", true, false, false, false, amqp.Table{"x-expires": int32(60000)}); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind("tills", "paid.#", "orders", false, nil); err != nil {
		t.Fatal(err)
	}

	none := map[string]any{}
	queues := []brokertest.Queue{{Name: "tills", Type: "classic", Durable: true, Arguments: map[string]any{"x-expires": 60000.0}, Types: map[string]string{"x-expires": "signedint"}}}
	if diff := cmp.Diff(queues, n.ListQueues(t, v)); diff != "" {
		t.Error("queues (-want +got)", diff)
	}
	exchanges := []brokertest.Exchange{{Name: "orders", Type: "topic", AutoDelete: true, Arguments: none}}
	if diff := cmp.Diff(exchanges, n.ListExchanges(t, v)); diff != "" {
		t.Error("exchanges (-want +got)", diff)
	}
	bindings := []brokertest.Binding{{Source: "orders", Destination: "tills", Kind: "queue", RoutingKey: "paid.#", Arguments: none}}
	if diff := cmp.Diff(bindings, n.ListBindings(t, v)); diff != "" {
		t.Error("bindings (-want +got)", diff)
	}
	if _, err := ch.Consume("tills", "bell", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	consumers := []brokertest.Consumer{{Queue: "tills", Tag: "bell", Ack: true, Arguments: none}}
	if diff := cmp.Diff(consumers, n.ListConsumers(t, v)); diff != "" {
		t.Error("consumers (-want +got)", diff)
	}
	n.DeleteBinding(t, v, "orders", "paid.#", "tills")
	if got := n.ListBindings(t, v); len(got) != 0 {
		t.Errorf("bindings after the only one was deleted: %+v", got)
	}
	brokertest.Await(t, "the connection in the list", func() bool {
		for _, c := range n.ListConnections(t) {
			if c.Vhost == v && c.User == "guest" && c.ClientProperties["connection_name"] == t.Name() {
				return true
			}
		}
		return false
	})

	n.DeleteQueue(t, v, "tills")
	if q, ok := n.FindQueue(t, v, "tills"); ok {
		t.Errorf("deleted queue is still there: %+v", q)
	}
}

func TestVhostsKeepTestsApart(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	one, two := n.NewVhost(t), n.NewVhost(t)
	if _, err := dial(t, n.Addr(), one).QueueDeclare("q", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if got := n.ListQueues(t, two); len(got) != 0 {
		t.Errorf("queues of the other vhost: %+v", got)
	}
	n.DeleteVhost(t, one)
	if _, err := amqp.DialConfig("amqp://guest:guest@"+n.Addr(), amqp.Config{Vhost: one}); err == nil {
		t.Error("a deleted vhost takes connections")
	}
}

func TestUsersAndPolicies(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	v := n.NewVhost(t)
	n.AddUser(t, "reader-"+v, "secret")
	n.SetPermissions(t, "reader-"+v, v, "^$", "^$", ".*")
	c, err := amqp.DialConfig("amqp://reader-"+v+":secret@"+n.Addr(), amqp.Config{Vhost: v})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare("mine", false, false, false, false, nil); err == nil {
		t.Error("a user without the right to configure made a queue")
	}

	n.SetPolicy(t, v, "short", "^short", `{"max-length": 1, "overflow": "reject-publish"}`)
	owner := dial(t, n.Addr(), v)
	if err := owner.Confirm(false); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.QueueDeclare("short", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		d, err := owner.PublishWithDeferredConfirmWithContext(t.Context(), "", "short", false, false, amqp.Publishing{})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Wait(); got != want {
			t.Errorf("confirmed: %v, want %v", got, want)
		}
	}
}

func TestPrivateNodeIsKilledPausedAndRestarted(t *testing.T) {
	t.Parallel()
	n := brokertest.NewRabbit(t, brokertest.RabbitOptions{})
	ch := dial(t, n.Addr(), "/")
	lost := ch.NotifyClose(make(chan *amqp.Error, 1))
	if _, err := ch.QueueDeclare("kept", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}

	n.Pause(t)
	declared := make(chan error, 1)
	go func() {
		_, err := ch.QueueDeclarePassive("kept", true, false, false, false, nil)
		declared <- err
	}()
	select {
	case err := <-declared:
		t.Errorf("a paused node answered (%v)", err)
	default:
	}
	n.Resume(t)
	if err := <-declared; err != nil {
		t.Errorf("a resumed node: %v", err)
	}

	n.Eval(t, "mnesia:sync_log()") // the broker writes declarations down in its own time
	n.Kill()
	if err := <-lost; err == nil {
		t.Error("the connection to a killed node ended in peace")
	}
	n.Restart(t)
	if _, ok := n.FindQueue(t, "/", "kept"); !ok {
		t.Error("the durable queue did not survive the restart")
	}
	dial(t, n.Addr(), "/")

	n.Stop(t)
	if _, err := amqp.Dial("amqp://guest:guest@" + n.Addr()); err == nil {
		t.Error("a stopped node takes connections")
	}
}

func TestRabbitmqctlReachesThePrivateNode(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	v := n.NewVhost(t)
	if _, err := dial(t, n.Addr(), v).QueueDeclare("seen", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := n.Ctl(t, "list_queues", "--no-table-headers", "-p", v, "name"), "seen\n"; got != want {
		t.Errorf("rabbitmqctl list_queues: %q, want %q", got, want)
	}
}
