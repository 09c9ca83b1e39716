package amqp1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/amqp1"
)

// The broker's certificate is checked, ours is shown, and what goes wrong is told without the password.
//
// conforms: AMQP1-18
func TestLogin(t *testing.T) {
	t.Parallel()
	const secret = "hunter2secret"
	ca, stranger := brokertest.NewAuthority(t, "ca"), brokertest.NewAuthority(t, "stranger")
	soon := time.Now().Add(time.Hour)
	ca.SignServer(t, "broker", soon, "localhost", "v.example.com")
	ca.SignClient(t, "ann", soon)
	node := brokertest.NewRabbit(t, brokertest.RabbitOptions{
		Plugins: []string{brokertest.AMQP1Plugin}, TLS: &brokertest.RabbitTLS{Authority: ca, Certificate: "broker"},
	})
	node.AddUser(t, "ann", secret)
	node.SetPermissions(t, "ann", "/", ".*", ".*", ".*")

	plain := fmt.Sprintf("localhost:%d/", node.Port())
	named, numbered := fmt.Sprintf("localhost:%d/", node.TLSPort()), fmt.Sprintf("127.0.0.1:%d/", node.TLSPort())
	trust, show := "ssl_ca_file="+ca.CAFile(), "&ssl_cert_file="+ca.File("ann")+"&ssl_key_file="+ca.KeyFile("ann")
	user := "ann:" + secret + "@"
	for name, door := range map[string]struct {
		url   string
		wrong []string // what the error says; none = there is no error
	}{
		"password":                    {"amqp://" + user + plain, nil},
		"password and TLS":            {"amqps://" + user + named + "?" + trust, nil},
		"TLS by the file alone":       {"amqp://" + user + named + "?" + trust, nil},
		"certificate":                 {"amqp://" + named + "?sasl_mechanisms=EXTERNAL&" + trust + show, nil},
		"several mechanisms":          {"amqp://" + user + named + "?sasl_mechanisms=GSSAPI%20plain%20external&" + trust + show, nil},
		"the vhost's name":            {"amqp://" + user + numbered + "v.example.com?ssl_verify_vhost=true&" + trust, nil},
		"wrong password":              {"amqp://ann:wrong" + secret + "@" + plain, []string{"refuses the login", `"ann"`}},
		"anonymous":                   {"amqp://" + plain + "?sasl_mechanisms=ANONYMOUS", nil},
		"no login":                    {"amqp://" + plain, nil},
		"wrong host name":             {"amqps://" + user + numbered + "?" + trust, []string{"TLS", "127.0.0.1"}},
		"wrong authority":             {"amqps://" + user + named + "?ssl_ca_file=" + stranger.CAFile(), []string{"TLS", "unknown authority"}},
		"the vhost's name is another": {"amqp://" + user + named + "w.example.com?ssl_verify_vhost=true&" + trust, []string{"TLS", "w.example.com"}},
		"TLS to the plain port":       {"amqps://" + user + plain + "?" + trust, []string{"TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus, err := amqp1.Open(testContext(t), config(t, door.url))
			if err == nil {
				closeWithTest(t, bus)
				l := listen(t, bus, topic("t", "s"))
				send(t, bus, topic("t", ""), &transport.Message{Method: "m"})
				next(t, l)
			}
			if (err != nil) != (door.wrong != nil) {
				t.Fatalf("Open: %v", err)
			}
			for _, words := range door.wrong {
				if !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), secret) {
					t.Errorf("%v\nwant %q in it, and no password", err, words)
				}
			}
		})
	}
}
