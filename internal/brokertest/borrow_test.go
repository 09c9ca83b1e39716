package brokertest_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
)

// Whoever borrows a node finds nothing of what the test before it did to it, unless that ended it.
func TestBorrowedNodeIsAsNew(t *testing.T) { //nolint:tparallel // one after the other is the point
	t.Parallel()
	options := brokertest.RabbitOptions{Config: "heartbeat = 61\n"} // of no other test
	ports := map[string]int{}
	t.Run("disturbed", func(t *testing.T) {
		n := brokertest.BorrowRabbit(t, options)
		if _, err := dial(t, n.Addr(), "/").QueueDeclare("mine", true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
		n.AddUser(t, "somebody", "secret")
		n.AddVhost(t, "elsewhere")
		n.SetAlarm(t, true)
		n.Pause(t)
		ports["disturbed"] = n.Port()
	})
	t.Run("next", func(t *testing.T) {
		n := brokertest.BorrowRabbit(t, options)
		ports["next"] = n.Port()
		if q := n.ListQueues(t, "/"); len(q) != 0 {
			t.Errorf("there are queues: %+v", q)
		}
		for what, text := range map[string]string{
			"users":  `[U || I <- rabbit_auth_backend_internal:list_users(), {user, U} <- I] =:= [<<"guest">>]`,
			"vhosts": `rabbit_vhost:list_names() =:= [<<"/">>]`,
			"alarms": `rabbit_alarm:get_alarms() =:= []`,
		} {
			if n.Eval(t, text) != "true" {
				t.Errorf("there are other %s", what)
			}
		}
		ch := dial(t, n.Addr(), "/")
		if err := ch.Confirm(false); err != nil {
			t.Fatal(err)
		}
		d, err := ch.PublishWithDeferredConfirm("", "nowhere", false, false, amqp.Publishing{})
		if err != nil || !d.Wait() {
			t.Errorf("a message is not taken: %v", err)
		}
		n.Kill()
	})
	t.Run("after a kill", func(t *testing.T) {
		n := brokertest.BorrowRabbit(t, options)
		ports["killed"] = n.Port()
		dial(t, n.Addr(), "/")
	})
	if ports["disturbed"] != ports["next"] || ports["next"] == ports["killed"] {
		t.Errorf("nodes at %v; want one for the first two, and another after the kill", ports)
	}
}
