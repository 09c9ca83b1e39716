package rabbit_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// soon is when good certificates of the tests end.
func soon() time.Time { return time.Now().Add(time.Hour) }

// A door is a way to a broker, and what is said when it stays shut.
type door struct {
	url  string
	want []string // "" alone: it opens
}

// try opens the door and reports what went wrong, and any secret that shows.
func (d door) try(t *testing.T) {
	t.Helper()
	u, err := transport.ParseURL(d.url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var log lines
	bus, err := rabbit.Open(ctx, rabbit.Config{URL: u, Logger: log.logger()})
	if err == nil {
		if err := bus.Close(ctx); err != nil {
			t.Error(err)
		}
		if len(d.want) > 0 {
			t.Fatalf("it opened, want: %s", d.want)
		}
		return
	}
	t.Log(err)
	if len(d.want) == 0 || ctx.Err() != nil {
		t.Fatalf("not open, after the deadline: %t", ctx.Err() != nil)
	}
	for _, want := range d.want {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say: %s", want)
		}
	}
	showsNoSecret(t, err, log.String())
	var options *transport.OptionsError
	if errors.As(err, &options) {
		t.Error("it is called an error of the options")
	}
}

// secret is the password in the URLs of these tests.
const secret = "hunter2secret"

// showsNoSecret looks for passwords and keys in all that may be printed of an error.
func showsNoSecret(t *testing.T, err error, log string) {
	t.Helper()
	all := []string{log}
	for e := []error{err}; len(e) > 0; e = e[1:] {
		all = append(all, fmt.Sprintf("%v %+v %#v %q", e[0], e[0], e[0], e[0]))
		switch w := e[0].(type) { //nolint:errorlint // The chain is walked here.
		case interface{ Unwrap() error }:
			if inner := w.Unwrap(); inner != nil {
				e = append(e, inner)
			}
		case interface{ Unwrap() []error }:
			e = append(e, w.Unwrap()...)
		}
	}
	for _, text := range all {
		for _, word := range []string{secret, url.QueryEscape(secret), "PRIVATE KEY"} {
			if strings.Contains(text, word) {
				t.Errorf("shows %s: %s", word, text)
			}
		}
	}
}

// The broker's certificate is checked, ours is shown, and each way in which that fails has its own words, which
// say what to do.
//
// conforms: RMQ-TLS-03, RMQ-TLS-04, RMQ-TLS-05, RMQ-TLS-06, RMQ-CONN-04, RMQ-CONN-17, ODD-40
// conforms: CFG-16, CFG-18, CFG-19, CFG-20, CFG-21
func TestTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := brokertest.NewAuthority(t, "ca"), brokertest.NewAuthority(t, "stranger")
	ca.SignServer(t, "broker", soon(), "localhost")
	ca.SignClient(t, "ann", soon())
	ca.SignClient(t, "nobody", soon())
	ca.SignClient(t, "expired", time.Now().Add(-time.Minute))
	stranger.SignClient(t, "ann", soon())
	node := brokertest.NewRabbit(t, brokertest.RabbitOptions{
		TLS: &brokertest.RabbitTLS{Authority: ca, Certificate: "broker", Demand: true},
	})
	node.AddUser(t, "ann", secret)
	node.SetPermissions(t, "ann", "/", ".*", ".*", ".*")

	trust := func(a *brokertest.Authority) string { return "&ssl_ca_file=" + a.CAFile() }
	show := func(a *brokertest.Authority, name string) string {
		return "&ssl_cert_file=" + a.File(name) + "&ssl_key_file=" + a.KeyFile(name)
	}
	good := trust(ca) + show(ca, "ann")
	const external = "&rabbit_login_method=EXTERNAL"
	named, numbered := fmt.Sprintf("localhost:%d/", node.TLSPort()), fmt.Sprintf("127.0.0.1:%d/", node.TLSPort())
	user := "rabbit://ann:" + secret + "@"
	for name, d := range map[string]door{
		"password":                      {url: user + named + "?ssl=true" + good},
		"certificate":                   {url: "rabbit://" + named + "?ssl=true" + good + external},
		"host name unchecked":           {url: user + numbered + "?ssl=true" + good + "&ssl_enforce_hostname_verification=false"},
		"wrong host name":               {user + numbered + "?ssl=true" + good, []string{"127.0.0.1", "name the broker as its certificate does"}},
		"wrong authority":               {user + named + "?ssl=true" + trust(stranger) + show(ca, "ann"), []string{"ssl_ca_file names the authority"}},
		"wrong authority and host name": {user + numbered + "?ssl=true" + trust(stranger) + show(ca, "ann"), []string{"127.0.0.1"}},
		"wrong authority, host name unchecked": {
			user + numbered + "?ssl=true" + trust(stranger) + show(ca, "ann") + "&ssl_enforce_hostname_verification=false",
			[]string{"ssl_ca_file names the authority"},
		},
		// conforms: RMQ-TLS-02
		"system's authorities":       {user + named + "?ssl=true", []string{"ssl_ca_file names the authority"}},
		"no certificate of ours":     {user + named + "?ssl=true" + trust(ca), []string{"demands a certificate", "ssl_cert_file"}},
		"our certificate expired":    {user + named + "?ssl=true" + trust(ca) + show(ca, "expired"), []string{"has expired", "ssl_cert_file"}},
		"our certificate a stranger": {user + named + "?ssl=true" + trust(ca) + show(stranger, "ann"), []string{"the authority that signed our certificate", "cacertfile"}},
		"certificate of no user":     {"rabbit://" + named + "?ssl=true" + trust(ca) + show(ca, "nobody") + external, []string{"nobody", "EXTERNAL", "ssl_cert_file"}},
		"wrong password":             {"rabbit://ann:wrong" + secret + "@" + named + "?ssl=true" + good, []string{`refused user "ann"`, "AMQPLAIN"}},
		"missing vhost":              {user + named + "nosuch?ssl=true" + good, []string{`virtual host "nosuch"`, "add_vhost"}},
		"missing vhost, certificate": {"rabbit://" + named + "nosuch?ssl=true" + good + external, []string{`virtual host "nosuch"`, "CN=ann"}},
		"TLS to the plain port":      {user + fmt.Sprintf("localhost:%d/", node.Port()) + "?ssl=true" + good, []string{"does not speak TLS", "ssl=true"}},
		// conforms: RMQ-TLS-01
		"plain to the port for TLS": {user + named + "?ssl_ca_file=" + ca.CAFile(), []string{"not AMQP 0-9-1 in clear", "ssl=true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.try(t)
		})
	}
	for _, c := range []struct{ topic, options, protocol string }{
		{"external", external, ""},
		// conforms: RMQ-TLS-07, CFG-17
		{"newer", "&ssl_version=tlsv1_2", "tlsv1.2"},
		{"older", "&ssl_version=TLSv1", "tlsv1"},
	} {
		t.Run(c.topic, func(t *testing.T) {
			t.Parallel()
			bus := openURL(t, user+named+"?ssl=true"+good+c.options, rabbit.Config{})
			receives(t, bus, listen(t, bus, server(c.topic)), topic(c.topic))
			if all := strings.Fields(node.Ctl(t, "list_connections", "--quiet", "--no-table-headers", "ssl_protocol")); c.protocol != "" && !slices.Contains(all, c.protocol) {
				t.Errorf("no connection has protocol %s: %v", c.protocol, all)
			}
		})
	}
}

// A broker that refuses our certificate may reset the connection so that its reason is lost. Then the likely one is told.
func TestResetInsteadOfAnAlert(t *testing.T) {
	t.Parallel()
	ca := brokertest.NewAuthority(t, "ca")
	ca.SignServer(t, "broker", soon(), "localhost")
	ca.SignClient(t, "ann", soon())
	ca.SignClient(t, "expired", time.Now().Add(-time.Minute))
	certificate, err := tls.LoadX509KeyPair(ca.File("broker"), ca.KeyFile("broker"))
	if err != nil {
		t.Fatal(err)
	}
	resets, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			plain, err := resets.Accept()
			if err != nil {
				return
			}
			// Errors of either call leave the client without what it waits for, which the test sees.
			_ = tls.Server(plain, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}).HandshakeContext(context.Background())
			_ = plain.(*net.TCPConn).SetLinger(0)
			_ = plain.Close()
		}
	})
	t.Cleanup(func() { _ = resets.Close(); serving.Wait() })
	_, port, _ := strings.Cut(resets.Addr().String(), ":")
	show := func(name string) string {
		return "&ssl_cert_file=" + ca.File(name) + "&ssl_key_file=" + ca.KeyFile(name)
	}
	for options, words := range map[string][]string{
		"":              {"the broker demands a certificate", "ssl_cert_file"},
		show("ann"):     {"the authority that signed our certificate", "cacertfile"},
		show("expired"): {"our certificate (ssl_cert_file) has expired"},
	} {
		door{"rabbit://ann:" + secret + "@localhost:" + port + "/?ssl=true&ssl_ca_file=" + ca.CAFile() + options, words}.try(t)
	}
}

// A certificate or a password that changes while the program runs is logged and tried again, and who waits is
// told why. Nothing needs a restart.
//
// conforms: CFG-20
func TestBrokerChangesWhileRunning(t *testing.T) {
	t.Parallel()
	ca, stranger := brokertest.NewAuthority(t, "ca"), brokertest.NewAuthority(t, "ca")
	ca.SignServer(t, "broker", soon(), "localhost")
	node := brokertest.NewRabbit(t, brokertest.RabbitOptions{TLS: &brokertest.RabbitTLS{Authority: ca, Certificate: "broker"}})
	node.AddUser(t, "ann", secret)
	allow := func(t *testing.T) { t.Helper(); node.SetPermissions(t, "ann", "/", ".*", ".*", ".*") }
	allow(t)
	// certify has the broker show another certificate from now on.
	certify := func(by *brokertest.Authority, until time.Time, host string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			by.SignServer(t, "broker", until, host)
			for _, f := range [][2]string{{by.File("broker"), ca.File("broker")}, {by.KeyFile("broker"), ca.KeyFile("broker")}} {
				text, err := os.ReadFile(f[0])
				if err == nil {
					err = os.WriteFile(f[1], text, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			node.Eval(t, `ssl:clear_pem_cache()`)
		}
	}
	password := func(p string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			node.Eval(t, `ok = rabbit_auth_backend_internal:change_password(<<"ann">>, <<"`+p+`">>, <<"the test">>)`)
		}
	}
	var log lines
	bus := openURL(t, fmt.Sprintf("rabbit://ann:%s@localhost:%d/?ssl=true&rabbit_retry_interval=1&rabbit_interval_max=1&ssl_ca_file=%s", secret, node.TLSPort(), ca.CAFile()),
		rabbit.Config{Logger: log.logger()})
	l := listen(t, bus, server("stock"))
	for _, change := range []struct {
		name     string
		do, undo func(*testing.T)
		want     string
	}{
		{"another authority", certify(stranger, soon(), "localhost"), certify(ca, soon(), "localhost"), "ssl_ca_file names the authority"},
		{"expired", certify(ca, time.Now().Add(-time.Minute), "localhost"), certify(ca, soon(), "localhost"), "certificate has expired"},
		{"another host", certify(ca, soon(), "elsewhere.example"), certify(ca, soon(), "localhost"), "name the broker as its certificate does"},
		{"password", password("changed"), password(secret), "check the name and the password"},
		{
			"permissions",
			func(t *testing.T) {
				t.Helper()
				node.Eval(t, `ok = rabbit_auth_backend_internal:clear_permissions(<<"ann">>, <<"/">>, <<"the test">>)`)
			}, allow, "set_permissions",
		},
	} {
		change.do(t)
		for _, c := range node.ListConnections(t) {
			node.CloseConnection(t, c, "the test")
		}
		brokertest.Await(t, change.name+" in the log", func() bool { return log.count("cannot connect", "connection=send", change.want) > 0 })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := bus.Send(ctx, topic("stock"), &transport.Message{Method: "m"})
		cancel()
		if !errors.Is(err, transport.ErrNotSent) || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: send: %v, want it to say: %s", change.name, err, change.want)
		}
		showsNoSecret(t, err, log.String())
		change.undo(t)
		receives(t, bus, l, topic("stock"))
	}
}

// What a broker without TLS refuses has its own words, too.
//
// conforms: RMQ-CONN-04, ODD-23
func TestRefusals(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	vhost, full := node.NewVhost(t), node.NewVhost(t)
	user := "user-" + vhost
	node.AddUser(t, user, secret)
	node.SetPermissions(t, user, full, ".*", ".*", ".*")
	node.Eval(t, `ok = rabbit_vhost_limit:parse_set(<<"`+full+`">>, <<"{\"max-connections\": 0}">>, <<"the test">>)`)
	at := func(password, vhost string) string {
		return "rabbit://" + user + ":" + password + "@" + node.Addr() + "/" + vhost
	}
	silent := listener(t, nil)
	web := listener(t, []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
	for name, d := range map[string]door{
		"wrong password":            {at("wrong"+secret, vhost) + "?rabbit_login_method=PLAIN", []string{`refused user "` + user + `"`, "PLAIN", "check the name and the password"}},
		"wrong password, AMQPLAIN":  {at("wrong"+secret, vhost), []string{`refused user "` + user + `"`, "AMQPLAIN", "check the name and the password"}},
		"guest":                     {"rabbit://guest:" + secret + "@" + node.Addr() + "/", []string{`refused user "guest"`, "own host only"}},
		"vhost without permission":  {at(secret, vhost), []string{`virtual host "` + vhost + `"`, "set_permissions"}},
		"vhost that does not exist": {at(secret, "nosuch"), []string{`virtual host "nosuch"`, "add_vhost"}},
		"vhost that is full":        {at(secret, full), []string{`virtual host "` + full + `"`, "limit"}},
		"silent port":               {"rabbit://" + user + ":" + secret + "@" + silent + "/", []string{"no AMQP answer", "does not answer"}},
		"silent port, TLS":          {"rabbit://" + user + ":" + secret + "@" + silent + "/?ssl=true", []string{"TLS", "does not answer"}},
		"port of a web server":      {"rabbit://" + user + ":" + secret + "@" + web + "/", []string{"not AMQP 0-9-1"}},
		"port of a web server, TLS": {"rabbit://" + user + ":" + secret + "@" + web + "/?ssl=true", []string{"does not speak TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.try(t)
		})
	}
}

// listener takes connections, and answers the first bytes with what it is given.
func listener(t *testing.T, answer []byte) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			if answer == nil {
				continue
			}
			_, err = c.Read(make([]byte, 8))
			if err == nil {
				_, err = c.Write(answer)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}
