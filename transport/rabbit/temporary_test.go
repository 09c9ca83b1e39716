package rabbit_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

func listenTemporarily(t *testing.T, bus *rabbit.Transport, at transport.Address) transport.Listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	l, err := bus.Listen(ctx, at, transport.ListenOptions{Temporary: true})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A temporary pool is a queue for each topic that goes with its last consumer and holds a bounded number of bounded size, and no other queue is
// made, also where queues are quorum queues. With a queue for each, a listener hears in order what it is told.
func TestTemporaryPool(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{"transient": "", "durable": "?amqp_durable_queues=true", "quorum": "?rabbit_quorum_queue=true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := brokertest.Rabbit(t)
			vhost := node.NewVhost(t)
			bus := openURL(t, node.URLVhost(vhost)+query, rabbit.Config{})
			l := listenTemporarily(t, bus, notified("stock", "look"))
			listenTemporarily(t, bus, notified("sales", "look"))
			names := []string{}
			for _, q := range node.ListQueues(t, vhost) {
				names = append(names, q.Name)
				if !q.AutoDelete || q.Arguments["x-max-length"] == nil || q.Arguments["x-max-length-bytes"] == nil || q.Arguments["x-expires"] == nil || q.Arguments["x-queue-type"] != nil {
					t.Errorf("queue %+v, want one that is deleted, expires and is bounded", q)
				}
			}
			slices.Sort(names)
			if diff := cmp.Diff([]string{"look.sales.info", "look.stock.info"}, names); diff != "" {
				t.Errorf("queues (-want +got):\n%s", diff)
			}
			for i := range 20 {
				sendEvent(t, bus, notified("stock", ""), strconv.Itoa(i))
			}
			for i := range 20 {
				if got := hear(t, l); got != strconv.Itoa(i) {
					t.Fatalf("heard %s for %d", got, i)
				}
			}
		})
	}
}

// It goes when its process dies, and is there again when only the connection was lost.
func TestTemporaryPoolAndItsConnection(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	proxy := brokertest.NewProxy(t, node.Addr())
	bus := openURL(t, "rabbit://guest:guest@"+proxy.Addr()+"/"+vhost, rabbit.Config{})
	l := listenTemporarily(t, bus, notified("stock", "look"))
	direct := openURL(t, node.URLVhost(vhost), rabbit.Config{})
	proxy.Reset()
	heard := make(chan string, 1)
	go func() {
		if d, err := l.Next(t.Context()); err == nil {
			heard <- d.Message.Event.Type
		}
	}()
	brokertest.Await(t, "a notification over another connection", func() bool {
		sendEvent(t, direct, notified("stock", ""), "heard")
		return len(heard) == 1
	})
	proxy.Cut()
	brokertest.Await(t, "the end of the queue", func() bool {
		_, found := node.FindQueue(t, vhost, "look.stock.info")
		return !found
	})
}
