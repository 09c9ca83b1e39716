package main

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// Whatever keeps a broker shut is told in one line that says what to do, within the timeout, with exit code 5 and
// without the password.
func TestBrokerStaysShut(t *testing.T) {
	t.Parallel()
	const secret = "hunter2secret"
	ca, stranger := brokertest.NewAuthority(t, "ca"), brokertest.NewAuthority(t, "stranger")
	soon := time.Now().Add(time.Hour)
	ca.SignServer(t, "broker", soon, "localhost")
	ca.SignClient(t, "ann", soon)
	node := brokertest.NewRabbit(t, brokertest.RabbitOptions{
		TLS: &brokertest.RabbitTLS{Authority: ca, Certificate: "broker", Demand: true},
	})
	node.AddUser(t, "ann", secret)
	node.AddVhost(t, "closed")
	node.SetPermissions(t, "ann", "/", ".*", ".*", ".*")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}

	user := "rabbit://ann:" + secret + "@"
	encrypted, plain := fmt.Sprintf("localhost:%d/", node.TLSPort()), fmt.Sprintf("localhost:%d/", node.Port())
	mine := "&ssl_cert_file=" + ca.File("ann") + "&ssl_key_file=" + ca.KeyFile("ann")
	good := "?ssl=true&ssl_ca_file=" + ca.CAFile() + mine
	for name, c := range map[string]struct {
		url  string
		want []string
	}{
		"wrong authority":          {user + encrypted + "?ssl=true&ssl_ca_file=" + stranger.CAFile() + mine, []string{"ssl_ca_file"}},
		"wrong host name":          {user + strings.Replace(encrypted, "localhost", "127.0.0.1", 1) + good, []string{"name the broker as its certificate does"}},
		"no certificate of ours":   {user + encrypted + "?ssl=true&ssl_ca_file=" + ca.CAFile(), []string{"ssl_cert_file"}},
		"TLS to the plain port":    {user + plain + good, []string{"does not speak TLS"}},
		"plain to the port of TLS": {user + encrypted, []string{"ssl=true"}},
		"wrong password":           {"rabbit://ann:no" + secret + "@" + plain, []string{`user "ann"`, "the password"}},
		"wrong password, PLAIN":    {"rabbit://ann:no" + secret + "@" + plain + "?rabbit_login_method=PLAIN", []string{`user "ann"`, "the password"}},
		"missing vhost":            {user + plain + "nosuch", []string{`"nosuch"`, "add_vhost"}},
		"vhost of others":          {user + plain + "closed", []string{`"closed"`, "set_permissions"}},
		"silent port":              {user + silent.Addr().String() + "/", []string{"no AMQP answer"}},
		"silent port, TLS":         {user + silent.Addr().String() + "/?ssl=true", []string{"with TLS", "does not answer"}},
		"closed port":              {user + nobody + "/", []string{"connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newShell(t).run(t, "ping", "lab", "--timeout", "4s", "--log-level", "debug", "--url", c.url)
			got.want(t, 5).wantErr(t, append(c.want, "ann:***@")...)
			if strings.Contains(got.out+got.err, secret) {
				t.Errorf("shows the password:\n%s%s", got.out, got.err)
			}
			if got.took > 14*time.Second {
				t.Errorf("took %s", got.took)
			}
		})
	}
	t.Run("it opens", func(t *testing.T) {
		t.Parallel()
		newShell(t).run(t, "ping", "lab", "--url", user+encrypted+good).want(t, 3)
		newShell(t).run(t, "ping", "lab", "--url", "rabbit://"+encrypted+good+"&rabbit_login_method=EXTERNAL").want(t, 3)
	})
}
