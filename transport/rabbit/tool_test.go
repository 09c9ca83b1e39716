package rabbit_test

import (
	"fmt"
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

// TestSite is about where the brokers are, for those who come by another door.
func TestSite(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]struct {
		hosts, vhost string
		tls          bool
	}{
		"rabbit://":                           {"guest:guest@localhost:5672", "/", false},
		"rabbit://u:p@h1:1,v@h2/cell":         {"u:p@h1:1 v:@h2:5672", "cell", false},
		"rabbit://u:p@[::1]/%2Fnova?ssl=true": {"u:p@::1:5672", "/nova", true},
	} {
		u, err := transport.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		site, err := rabbit.Config{URL: u}.Site()
		if err != nil {
			t.Fatal(err)
		}
		var hosts []string
		for _, h := range site.Hosts {
			hosts = append(hosts, fmt.Sprintf("%s:%s@%s:%d", h.Username, h.Password, h.Hostname, h.Port))
		}
		if got := strings.Join(hosts, " "); got != want.hosts || site.VirtualHost != want.vhost || (site.TLS != nil) != want.tls {
			t.Errorf("%s: got %s, vhost %q, TLS %v", u, got, site.VirtualHost, site.TLS != nil)
		}
	}
	u := &transport.URL{Scheme: "rabbit", Query: []transport.Option{{Name: "ssl", Value: "maybe"}}}
	if _, err := (rabbit.Config{URL: u}).Site(); err == nil {
		t.Error("a site of options that are wrong")
	}
}
