package brokertest_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/goslo/goslo/internal/brokertest"
)

func TestNATSNodeKeepsItsStoreOverAKill(t *testing.T) {
	t.Parallel()
	n := brokertest.NewNATS(t, brokertest.NATSOptions{Config: `authorization { user: ann, password: "s3cret" }`})
	if _, err := nats.Connect(n.URL()); err == nil {
		t.Fatal("connected without the password")
	}
	connect := func() nats.JetStreamContext {
		c, err := nats.Connect(n.URL(), nats.UserInfo("ann", "s3cret"))
		if err != nil {
			t.Fatal(err, n.Output())
		}
		t.Cleanup(c.Close)
		js, err := c.JetStream()
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	js := connect()
	if _, err := js.AddStream(&nats.StreamConfig{Name: "s", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish("s.x", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	n.Kill()
	n.Restart(t)
	m, err := connect().GetMsg("s", 1)
	if err != nil || string(m.Data) != "kept" {
		t.Errorf("message after kill and restart: %v, %v", m, err)
	}
}
