package kafka_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/kafka"
)

// roundTrip sends a notification and hears it.
func roundTrip(t *testing.T, url string) {
	t.Helper()
	bus := open(t, url)
	l := listen(t, bus, info)
	tell(t, bus, info, "e")
	hear(t, l, "e")
}

// conforms: KAFKA-06, KAFKA-07, CFG-56, CFG-57, URL-36
func TestLogin(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			node := brokertest.NewKafka(t, brokertest.KafkaOptions{Mechanism: mechanism, User: "nova", Password: "s3cret"})
			query := "/?security_protocol=SASL_PLAINTEXT&sasl_mechanism=" + mechanism
			roundTrip(t, "kafka://nova:s3cret@"+node.Addr()+","+node.Addr()+query)
			for url, want := range map[string]string{
				"kafka://nova:wr0ng@" + node.Addr() + query: `the login of user "nova"`,
				"kafka://" + node.Addr() + "/":              "security_protocol",
			} {
				bus, err := kafka.Open(testContext(t), config(t, url))
				if err == nil {
					_ = bus.Close(testContext(t))
				}
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wr0ng") {
					t.Errorf("open: %v, want %s", err, want)
				}
			}
		})
	}
}

// conforms: KAFKA-06, KAFKA-07, CFG-56, CFG-58, CFG-59, CFG-60
func TestTLS(t *testing.T) {
	t.Parallel()
	authority, other := brokertest.NewAuthority(t, "ours"), brokertest.NewAuthority(t, "theirs")
	soon := time.Now().Add(time.Hour)
	authority.SignServer(t, "broker", soon, "localhost")
	authority.SignClient(t, "nova", soon)
	other.SignClient(t, "nova", soon)
	node := brokertest.NewKafka(t, brokertest.KafkaOptions{
		Certificate: authority.File("broker"), Key: authority.KeyFile("broker"), ClientCA: authority.CAFile(),
		Mechanism: "PLAIN", User: "nova", Password: "s3cret", Host: "localhost",
	})
	_, port, _ := strings.Cut(node.Addr(), ":")
	login := "security_protocol=SASL_SSL"
	certificate := func(a *brokertest.Authority) string {
		return "&ssl_client_cert_file=" + a.File("nova") + "&ssl_client_key_file=" + a.KeyFile("nova")
	}
	roundTrip(t, "kafka://nova:s3cret@localhost:"+port+"/?"+login+"&ssl_cafile="+authority.CAFile()+certificate(authority))
	for name, c := range map[string]struct{ url, want string }{
		"another host name": {"kafka://nova:s3cret@127.0.0.1:" + port + "/?" + login + "&ssl_cafile=" + authority.CAFile() + certificate(authority), "doesn't contain any IP SANs"},
		"another authority": {"kafka://nova:s3cret@localhost:" + port + "/?" + login + "&ssl_cafile=" + other.CAFile() + certificate(authority), "certificate signed by unknown authority"},
		"no certificate":    {"kafka://nova:s3cret@localhost:" + port + "/?" + login + "&ssl_cafile=" + authority.CAFile(), "certificate required"},
		"somebody else's":   {"kafka://nova:s3cret@localhost:" + port + "/?" + login + "&ssl_cafile=" + authority.CAFile() + certificate(other), "certificate required"},
		"no encryption":     {"kafka://nova:s3cret@localhost:" + port + "/?security_protocol=SASL_PLAINTEXT", "security_protocol"},
	} {
		bus, err := kafka.Open(testContext(t), config(t, c.url))
		if err == nil {
			_ = bus.Close(testContext(t))
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// info is where most tests tell and hear.
var info = transport.Address{Kind: transport.Notification, Topic: "events.info"}
