package embedded_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
	"github.com/goslo/goslo/transport/nats/embedded"
)

func parse(t *testing.T, url string) *transport.URL {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestHostLeavesNothing is not parallel because it counts goroutines.
func TestHostLeavesNothing(t *testing.T) { //nolint:paralleltest // See above.
	before := goleak.IgnoreCurrent()
	cfg := testConfig(t)
	bus, err := embedded.Open(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := bus.Listen(testContext(t), transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Send(testContext(t), transport.Address{Kind: transport.Topic, Topic: "compute"}, &transport.Message{Method: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Next(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := bus.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func TestBroker(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	listen := fmt.Sprintf("127.0.0.1:%d", cfg.Port)
	b := startBroker(t, embedded.BrokerConfig{Listen: listen, RuntimeDir: cfg.RuntimeDir})
	if want := fmt.Sprintf("embedded://:%d", cfg.Port); b.URL() != want {
		t.Errorf("url %s, want %s", b.URL(), want)
	}
	joined, err := embedded.ConfigFromURL(parse(t, b.URL()))
	if err != nil {
		t.Fatal(err)
	}
	joined.RuntimeDir = cfg.RuntimeDir
	if open(t, joined).Hosting() {
		t.Error("the client hosts the bus, though a broker does")
	}
	_, err = embedded.NewBroker(embedded.BrokerConfig{Listen: listen, RuntimeDir: cfg.RuntimeDir})
	if err == nil || !strings.Contains(err.Error(), "another process hosts the bus") {
		t.Errorf("a second broker: %v", err)
	}
}

func TestBrokerElsewhere(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	b := startBroker(t, embedded.BrokerConfig{Listen: fmt.Sprintf("localhost:%d", cfg.Port), RuntimeDir: cfg.RuntimeDir, StoreDir: t.TempDir()})
	if !strings.HasPrefix(b.URL(), fmt.Sprintf("nats://localhost:%d/?nkey=", cfg.Port)) {
		t.Fatalf("url %s", b.URL())
	}
	joined, err := nats.ConfigFromURL(parse(t, b.URL()))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Open(testContext(t), joined)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(testContext(t)); err != nil {
		t.Error(err)
	}
}

func TestBrokerAddress(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"4227", "127.0.0.1:x", "127.0.0.1:99999", "192.0.2.1:4227"} {
		b, err := embedded.NewBroker(embedded.BrokerConfig{Listen: listen, RuntimeDir: t.TempDir() + "/run"})
		if err == nil {
			t.Fatalf("%s: started %s", listen, b.URL())
		}
		if host, _, _ := strings.Cut(listen, ":"); !strings.Contains(err.Error(), host) {
			t.Errorf("%s: got %q, want it to name the address", listen, err)
		}
	}
}

// startBroker runs a broker until the test ends.
func startBroker(t *testing.T, cfg embedded.BrokerConfig) *embedded.Broker {
	t.Helper()
	b, err := embedded.NewBroker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestConfigFromURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]embedded.Config{
		"embedded://":                       {},
		"embedded://:4999":                  {Port: 4999},
		"embedded://mine/v":                 {Name: "mine", VirtualHost: "v"},
		"embedded://?store_dir=/var/lib/x":  {StoreDir: "/var/lib/x"},
		"embedded://mine:80/?store_dir=rel": {Name: "mine", Port: 80, StoreDir: "rel"},
	} {
		if got, err := embedded.ConfigFromURL(parse(t, url)); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", url, got, err, want)
		}
	}
	for url, want := range map[string]string{
		"nats://":                   "not embedded",
		"embedded://a,b":            "one name",
		"embedded://u:secret@h":     "user and password",
		"embedded://:70000":         "70000",
		"embedded://?store_dri=/x":  "store_dir",
		"embedded://?nonsense=true": "nonsense",
	} {
		_, err := embedded.ConfigFromURL(parse(t, url))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error that says %q and no secret", url, err, want)
		}
	}
}

func TestNamedBusesAreApart(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{Name: t.Name() + fmt.Sprint(freeport.One(t)), RuntimeDir: t.TempDir() + "/run"}
	one := open(t, cfg)
	cfg.Name += "2"
	two := open(t, cfg)
	if !one.Hosting() || !two.Hosting() {
		t.Error("two names lead to one bus")
	}
}
