package rabbit_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// What is wrong with a URL is an error at once that says what, and never shows the password.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	for name, c := range map[string]struct{ url, want string }{
		"password":       {"rabbit://guest:secret1@" + node.Addr() + "/", `refused user "guest"`},
		"plain password": {"rabbit://guest:secret1@" + node.Addr() + "/?rabbit_login_method=PLAIN", `refused user "guest"`},
		"user":           {"rabbit://nosuch:secret1@" + node.Addr() + "/", `refused user "nosuch"`},
		"vhost":          {"rabbit://guest:guest@" + node.Addr() + "/nosuch", `refused virtual host "nosuch"`},
		"port":           {"rabbit://guest:secret1@" + nobody + "/", "connection refused"},
		"host":           {"rabbit://guest:secret1@no.such.host.invalid/", "no.such.host.invalid"},
		"mute":           {"rabbit://guest:secret1@" + mute.Addr().String() + "/", "no AMQP answer"},
		"two hosts":      {"rabbit://guest:secret1@" + nobody + ",guest:secret1@" + node.Addr() + "/", `refused user "guest"`},
		"TLS":            {"rabbit://guest:secret1@" + node.Addr() + "/?ssl=true", "TLS"},
		"scheme":         {"kafka://h/", `scheme "kafka"`},
		"python client":  {"kombu+memory:///", "client library of Python"},
		// conforms: URL-26
		"unknown option": {"rabbit:///?amqp_durable_queue=true", "did you mean amqp_durable_queues"},
		// conforms: URL-27
		"bad value": {"rabbit:///?kombu_reconnect_delay=9", "kombu_reconnect_delay"},
		// conforms: RMQ-POOL-03
		"pool": {"rabbit:///?rpc_conn_pool_size=1", "less than conn_pool_min_size"},
		// conforms: RMQ-TOPO-27, ERR-07
		"mirrored quorum":           {"rabbit:///?rabbit_ha_queues=true&rabbit_quorum_queue=true", "not both"},
		"mirrored transient quorum": {"rabbit:///?rabbit_ha_queues=true&rabbit_transient_quorum_queue=true", "not both"},
		// conforms: RMQ-TOPO-28
		"stream, no prefetch": {"rabbit:///?rabbit_stream_fanout=true&rabbit_transient_quorum_queue=true", "set rabbit_qos_prefetch_count above 0"},
		// conforms: RMQ-TOPO-29
		"stream alone": {"rabbit:///?rabbit_stream_fanout=true&rabbit_qos_prefetch_count=10", "rabbit_transient_quorum_queue=true"},
		"compression":  {"rabbit:///?kombu_compression=lz4", "is not one of gzip, zstd, bzip2, bz2"},
		// conforms: ODD-38
		"challenge": {"rabbit:///?rabbit_login_method=RABBIT-CR-DEMO", "use PLAIN or AMQPLAIN"},
		// conforms: RMQ-TLS-07
		"TLS version":      {"rabbit:///?ssl=true&ssl_version=SSLv3", "is not one of TLSv1"},
		"EXTERNAL, no TLS": {"rabbit:///?rabbit_login_method=EXTERNAL", "ssl=true"},
		"no CA file":       {"rabbit:///?ssl=true&ssl_ca_file=/nonexistent/ca.pem", "ssl_ca_file"},
		"key alone":        {"rabbit:///?ssl=true&ssl_key_file=/nonexistent/key.pem", "ssl_cert_file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := transport.ParseURL(c.url)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			bus, err := rabbit.Open(ctx, rabbit.Config{URL: u})
			if err == nil {
				_ = bus.Close(ctx) // the test has failed
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant it to say: %s", err, c.want)
			}
			if strings.Contains(err.Error(), "secret1") {
				t.Errorf("shows the password: %v", err)
			}
			var options *transport.OptionsError
			if wrong := strings.HasPrefix(c.url, "rabbit:///?"); errors.As(err, &options) != wrong {
				t.Errorf("%T for options that can never work: %t", err, wrong)
			}
		})
	}
}

// Both login methods of the password kind work, and so do the defaults of the URL.
//
// conforms: RMQ-CONN-04, URL-30, URL-32, CFG-28
func TestLogin(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	node.AddVhost(t, "a b%41")
	t.Cleanup(func() { node.DeleteVhost(t, "a b%41") })
	node.AddUser(t, "who/ever", "s/la@sh")
	node.SetPermissions(t, "who/ever", "/", ".*", ".*", ".*")
	for _, url := range []string{
		"rabbit://guest:guest@" + node.Addr() + "/?rabbit_login_method=PLAIN",
		"rabbit://guest:guest@" + node.Addr() + "/?rabbit_login_method=AMQPLAIN",
		"kombu://" + node.Addr(),
		"rabbit://" + node.Addr() + "//",
		"rabbit://" + node.Addr() + "/%2F",
		// conforms: URL-34
		"rabbit://who%2Fever:s%2Fla%40sh@" + node.Addr() + "/",
		// conforms: URL-33
		"rabbit://" + node.Addr() + "/a%2520b%252541",
	} {
		openURL(t, url, rabbit.Config{})
	}
}
