package rabbit_test

import (
	"net"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// The first host refuses; the second gives a connection of the AMQP library's, with our name on it.
func TestDial(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	u, err := transport.ParseURL("rabbit://guest:guest@" + closed.Addr().String() + ",guest:guest@" + node.Addr() + "/" + vhost)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rabbit.Config{URL: u, Program: "looker"}.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if conn.Config.Vhost != vhost || conn.Config.Heartbeat.Seconds() != 10 {
		t.Errorf("vhost %q, heartbeat %s; want %q, 10s", conn.Config.Vhost, conn.Config.Heartbeat, vhost)
	}
	if name, _ := conn.Config.Properties["connection_name"].(string); !strings.HasPrefix(name, "looker:") {
		t.Errorf("connection_name is %q", name)
	}
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := ch.QueueDeclarePassive(q.Name, false, true, true, false, nil); err != nil || found.Messages != 0 {
		t.Errorf("the queue just declared: %+v, %v", found, err)
	}
}
