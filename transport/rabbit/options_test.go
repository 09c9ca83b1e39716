package rabbit_test

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// settings are lines of a file: name = value.
func settings(lines ...string) []transport.Setting {
	var list []transport.Setting
	for i, line := range lines {
		name, value, _ := strings.Cut(line, " = ")
		list = append(list, transport.Setting{Group: "oslo_messaging_rabbit", Name: name, Value: value, At: fmt.Sprintf("nova.conf:%d", i+1)})
	}
	return list
}

// Options come from the URL, else from files; those that mean nothing here are explained, once each, and so are
// former names and what nobody knows.
//
// conforms: CFG-11, CFG-12, CFG-69, RMQ-POOL-03
func TestOptionsOfFiles(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	var log lines
	bus := openURL(t, node.URLVhost(vhost)+"?amqp_auto_delete=false", rabbit.Config{Logger: log.logger(), Settings: settings(
		"rabbit_durable_queues = true",
		"amqp_auto_delete = true",
		"rpc_conn_pool_size = 30",
		"conn_pool_min_size = 2",
		"conn_pool_ttl = 1200",
		"heartbeat_rate = 3",
		"heartbeat_in_pthread = true",
		"ssl_enforce_fips_mode = true",
		"rabbit_max_retries = 0",
		"hostname = somewhere",
		"processname = something",
		"rabbit_host = nowhere.invalid",
		"rabit_quorum_queue = true",
		"ssl_version = ",
	)})
	listen(t, bus, server("stock"))
	q, ok := node.FindQueue(t, vhost, "stock")
	if !ok || !q.Durable || q.AutoDelete {
		t.Errorf("%+v, want a durable queue that stays", q)
	}
	for _, words := range [][]string{
		{"level=WARN", "new name", "option=rabbit_durable_queues", "at=nova.conf:1", "use=amqp_durable_queues"},
		// conforms: CFG-13, CFG-14, CFG-15
		{"level=INFO", "no effect", "option=rpc_conn_pool_size", "at=nova.conf:3"},
		{"level=INFO", "no effect", "option=conn_pool_min_size", "at=nova.conf:4"},
		{"level=INFO", "no effect", "option=conn_pool_ttl", "at=nova.conf:5"},
		// conforms: CFG-41
		{"level=INFO", "no effect", "option=heartbeat_rate", "at=nova.conf:6"},
		{"level=INFO", "no effect", "option=heartbeat_in_pthread", "at=nova.conf:7"},
		// conforms: CFG-22, RMQ-TLS-08
		{"level=INFO", "no effect", "option=ssl_enforce_fips_mode", "at=nova.conf:8", "fips140=on"},
		{"level=INFO", "no effect", "option=rabbit_max_retries", "at=nova.conf:9"},
		{"level=INFO", "no effect", "option=hostname", "at=nova.conf:10", "use_queue_manager is off"},
		{"level=INFO", "no effect", "option=processname", "at=nova.conf:11"},
		{"level=WARN", "obsolete", "option=rabbit_host", "at=nova.conf:12", "this one is ignored"},
		{"level=WARN", "unknown option ignored", "option=rabit_quorum_queue", "at=nova.conf:13", "did_you_mean=rabbit_quorum_queue"},
	} {
		if n := log.count(words...); n != 1 {
			t.Errorf("%d lines say %q, want 1", n, words)
		}
	}
	if n := log.count("option="); n != 12 || t.Failed() {
		t.Errorf("%d lines about options, want 12:\n%s", n, log.String())
	}
}

// What is wrong in a file is told with its line, all at once.
func TestOptionsOfFilesAreChecked(t *testing.T) {
	t.Parallel()
	_, err := rabbit.Open(t.Context(), rabbit.Config{Settings: settings(
		"heartbeat_timeout_threshold = 65536",
		"kombu_failover_strategy = random",
		"ssl = maybe",
		"heartbeat_rate = 0",
		"rpc_conn_pool_size = many",
		"rabbit_ha_queues = true",
		"rabbit_quorum_queue = true",
		"rabbit_port = amqp",
		"rabbit_hosts = h1:x",
		"rabbit_password = s3cret",
	)})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`nova.conf:1: [oslo_messaging_rabbit] heartbeat_timeout_threshold: "65536" is not within 0 to 65535`,
		`nova.conf:2: [oslo_messaging_rabbit] kombu_failover_strategy: "random" is not one of round-robin, shuffle`,
		`nova.conf:3: [oslo_messaging_rabbit] ssl: "maybe" is neither true nor false`,
		`nova.conf:4: [oslo_messaging_rabbit] heartbeat_rate: "0" is not within 1 to `,
		`nova.conf:5: [oslo_messaging_rabbit] rpc_conn_pool_size: "many" is not a whole number`,
		`nova.conf:6: [oslo_messaging_rabbit] rabbit_ha_queues: a queue is mirrored or a quorum queue, not both`,
		`nova.conf:9: [oslo_messaging_rabbit] rabbit_hosts: "h1:x" is not host:port`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("shows the password: %v", err)
	}
}

// Who writes credentials where only hosts belong is told so, without them.
//
// conforms: CFG-69
func TestHostsOfFilesHoldNoCredentials(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"rabbit_hosts = nova:s3cret@h1, nova:s3cret@h2",
		"rabbit_hosts = nova:s3cret@h1:bad",
		"rabbit_hosts = rabbit://nova:s3/cret@h1",
		"rabbit_host = nova:s3cret@h1",
		"host = rabbit://nova:s3cret@h1/",
	} {
		name, _, _ := strings.Cut(line, " ")
		err := rabbit.Config{Settings: settings(line)}.Check()
		want := "rabbit: nova.conf:1: [oslo_messaging_rabbit] " + name + ": is more than a host; "
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: %v, want %s... and no password", line, err, want)
		}
	}
}

// Before there was transport_url, a broker had an option for each of its parts.
//
// conforms: CFG-69
func TestOldestNames(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost := node.NewVhost(t)
	node.AddUser(t, "ann", "s3cret")
	node.SetPermissions(t, "ann", vhost, ".*", ".*", ".*")
	host, port, err := net.SplitHostPort(node.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]string{
		"one":         {"rabbit_host = " + host, "rabbit_port = " + port, "rabbit_userid = ann", "rabbit_password = s3cret", "rabbit_virtual_host = " + vhost},
		"short names": {"host = " + host, "port = " + port, "userid = ann", "password = s3cret", "virtual_host = " + vhost},
		"a list":      {"rabbit_hosts = 127.0.0.1:1, " + node.Addr(), "rabbit_userid = ann", "rabbit_password = s3cret", "rabbit_virtual_host = " + vhost},
		"one port":    {"hosts = " + host, "port = " + port, "userid = ann", "password = s3cret", "virtual_host = " + vhost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			bus := openURL(t, "rabbit://", rabbit.Config{Logger: log.logger(), Settings: settings(file...)})
			if err := bus.Send(t.Context(), transport.Address{Kind: transport.Fanout, Topic: "stock"}, &transport.Message{Method: "m"}); err != nil {
				t.Fatal(err)
			}
			if n := log.count("level=WARN", "obsolete", "use=transport_url"); n != len(file) {
				t.Errorf("%d lines name transport_url, want %d:\n%s", n, len(file), log.String())
			}
			if strings.Contains(log.String(), "s3cret") {
				t.Errorf("shows the password:\n%s", log.String())
			}
		})
	}
}

// The smaller one of the intervals that both sides want counts; without heartbeats there are none on either side.
//
// conforms: CFG-40, RMQ-CONN-05
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t) // wants 60 s
	for _, c := range []struct{ option, want string }{{"", "60"}, {"0", "0"}, {"17", "17"}, {"90", "60"}} {
		t.Run("option "+c.option, func(t *testing.T) {
			t.Parallel()
			vhost := node.NewVhost(t)
			openURL(t, node.URLVhost(vhost)+"?heartbeat_timeout_threshold="+c.option, rabbit.Config{})
			found := 0
			for line := range strings.Lines(node.Ctl(t, "list_connections", "--quiet", "--no-table-headers", "vhost", "timeout")) {
				if name, timeout, _ := strings.Cut(strings.TrimSpace(line), "\t"); name == vhost {
					found++
					if timeout != c.want {
						t.Errorf("the broker knows an interval of %s s, want %s", timeout, c.want)
					}
				}
			}
			if found != 1 {
				t.Errorf("%d connections, want 1", found)
			}
		})
	}
}

// Without ssl the other options of TLS are not looked at.
//
// conforms: RMQ-TLS-01
func TestNoTLS(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	openURL(t, node.URL()+"?ssl_ca_file=/nonexistent/ca.pem&ssl_cert_file=/nonexistent/cert.pem&ssl_version=none", rabbit.Config{})
}

// The broker hands over as many messages as the option says, else as many as the listener asks for.
//
// conforms: CFG-39
func TestPrefetch(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for query, want := range map[string]int{"": 7, "?rabbit_qos_prefetch_count=0": 7, "?rabbit_qos_prefetch_count=3": 3} {
		vhost := node.NewVhost(t)
		bus := openURL(t, node.URLVhost(vhost)+query, rabbit.Config{})
		if _, err := bus.Listen(t.Context(), server("stock"), transport.ListenOptions{Prefetch: 7}); err != nil {
			t.Fatal(err)
		}
		brokertest.Await(t, "the consumers", func() bool { return len(node.ListConsumers(t, vhost)) == 3 })
		for _, c := range node.ListConsumers(t, vhost) {
			if c.Prefetch != want {
				t.Errorf("%q: %s gets %d messages at a time, want %d", query, c.Queue, c.Prefetch, want)
			}
		}
	}
}

// The documentation has every option that there is, and no other.
func TestOptionsAreDocumented(t *testing.T) {
	t.Parallel()
	u, err := transport.ParseURL("rabbit:///?0123456789012345678901234567890123456789=1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = rabbit.Open(t.Context(), rabbit.Config{URL: u})
	if err == nil {
		t.Fatal("no error")
	}
	_, list, ok := strings.Cut(err.Error(), "there are ")
	if !ok {
		t.Fatalf("it does not say which options there are: %v", err)
	}
	text, err := os.ReadFile("../../docs/rabbitmq.md")
	if err != nil {
		t.Fatal(err)
	}
	now, _, _ := strings.Cut(string(text), "## Older names")
	got := []string{"heartbeat_in_pthread", "rabbit_max_retries"} // which are documented among the older names
	for line := range strings.Lines(now) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			got = append(got, name[1])
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(strings.Split(list, ", "), got); diff != "" {
		t.Errorf("-options +documented:\n%s", diff)
	}
}
