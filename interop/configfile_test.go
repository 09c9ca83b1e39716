package interop_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

// novaConf has what operators' files have: sections of others, options of several releases, and some that nobody knows.
const novaConf = `[DEFAULT]
debug = false
my_ip = 10.0.0.1
host = cmp-1
transport_url = URL
rpc_response_timeout = 180
control_exchange = nova
rabbit_retry_interval = 1

[api_database]
connection = mysql+pymysql://nova:secret@$my_ip/nova_api?charset=utf8

[oslo_messaging_rabbit]
# The queues of this cloud.
rabbit_quorum_queue = true
rabbit_quorum_delivery_limit = 10
amqp_durable_queues = True
heartbeat_timeout_threshold = 0
heartbeat_in_pthread = false
heartbeat_rate = 2
kombu_reconnect_delay = 0.5
rpc_conn_pool_size = 30
rabbit_use_ssl = false
ssl_version =
rabbit_transient_queues_ttl = 900
kombu_compression = gzip

[oslo_concurrency]
lock_path = /var/lib/nova/tmp
`

// A service started with somebody's nova.conf joins the queues that the file describes.
//
// conforms: CFG-01, CFG-02, CFG-11, CFG-33, CFG-35, CFG-38
func TestConfigurationFile(t *testing.T) {
	t.Parallel()
	n := brokertest.Rabbit(t)
	vhost := n.NewVhost(t)
	path := filepath.Join(t.TempDir(), "nova.conf")
	if err := os.WriteFile(path, []byte(strings.Replace(novaConf, "URL", n.URLVhost(vhost)+"?rabbit_quorum_delivery_limit=7", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Load(config.Source{Files: []string{path}}, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	bus, err := goslo.Config{Options: conf}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	whoami := rpc.NewCall[none, string](rpc.Target{Topic: "stock"}, "whoami")
	server := rpc.NewServer(bus, rpc.ServerConfig{Target: rpc.Target{Topic: "stock"}, Server: "one"},
		whoami.Handle(func(context.Context, none) (string, error) { return "one", nil }))
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	end := run(server)
	client := rpc.NewClient(bus, rpc.ClientConfig{})
	if got, err := whoami.Call(t.Context(), client, none{}); err != nil || got != "one" {
		t.Errorf("%q, %v", got, err)
	}
	want := map[string]map[string]any{
		"stock":                        {"x-queue-type": "quorum", "x-delivery-limit": float64(7)},
		"stock.one":                    {"x-queue-type": "quorum", "x-delivery-limit": float64(7)},
		"stock_fanout_<32 hex digits>": {"x-expires": float64(900_000)},
		"reply_<32 hex digits>":        {"x-expires": float64(900_000)},
	}
	got := map[string]map[string]any{}
	for _, q := range n.ListQueues(t, vhost) {
		got[anyID.ReplaceAllString(q.Name, "_<32 hex digits>")] = q.Arguments
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("queues, -want +got:\n%s", diff)
	}
	if x := n.ListExchanges(t, vhost); len(x) != 2 || x[0].Name != "nova" && x[1].Name != "nova" {
		t.Errorf("exchanges %v, want nova's and the fanout's", x)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}
