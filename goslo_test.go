package goslo_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// conforms: URL-23, URL-24
func TestOpenRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	url, options, config := isA[*transport.URLError], isA[*transport.OptionsError], isA[*goslo.ConfigError]
	for _, test := range []struct {
		url   string
		isA   func(error) bool
		texts []string
	}{
		{"rabit://h/", config, []string{`"rabit"`, "rabbit, kombu, nats", "did you mean rabbit://?"}},
		{"rabbitmq://h/", config, []string{"did you mean rabbit://?"}},
		{"embedde://", config, []string{"did you mean embedded://?"}},
		{"amqp+ssl://u:secret@h/", config, []string{`no transport is called "amqp+ssl"`}},
		{"amqp://u:secret@h/?nosuch=1", options, []string{"nosuch"}},
		{"kafka://u:secret@h/?sasl_mechanism=GSSAPI&security_protocol=SASL_SSL", options, []string{`"GSSAPI" is not known`, "SCRAM-SHA-512"}},
		{"pulsar://h/", config, []string{`no transport is called "pulsar"`}},
		{"localhost:5672", url, []string{"after the scheme"}},
		{"bogus://h", config, []string{"there are rabbit"}},
		{"://h", url, []string{"scheme"}},
		{"rabbit://u:secret@h:port/", url, []string{"port of host 1"}},
		{"rabbit://u:secret@h/?nosuch=1", options, []string{"nosuch"}},
		{"nats://h/?nosuch=1", options, []string{"nosuch"}},
		{"embedded:///?nosuch=1", options, []string{"nosuch"}},
		{"memory:///?nosuch=1", options, []string{"nosuch"}},
		{"memory://h:1/", config, []string{"port"}},
		{"embedded://u:secret@h/", config, []string{"no user"}},
		{"nats://h/?tls_ca=x", config, []string{"tls"}},
	} {
		t.Run(test.url, func(t *testing.T) {
			t.Parallel()
			bus, err := goslo.Open(t.Context(), test.url)
			if err == nil || bus != nil {
				t.Fatalf("Open = %v, %v", bus, err)
			}
			if !test.isA(err) {
				t.Errorf("the error is of another type: %T: %v", err, err)
			}
			for _, text := range test.texts {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error lacks %q: %v", text, err)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a password: %v", err)
			}
			if checked := (goslo.Config{URL: test.url}).Check(); checked == nil || checked.Error() != err.Error() || !test.isA(checked) {
				t.Errorf("Check = %v, and Open = %v", checked, err)
			}
		})
	}
}

func TestCheckConnectsNowhere(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "embedded://", "memory://", "rabbit://127.0.0.1:1/", "nats://127.0.0.1:1/", "qpid://127.0.0.1:1/"} {
		if err := (goslo.Config{URL: url}).Check(); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestOpenSaysThatTheBusIsAway(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"rabbit", "kombu", "nats", "amqp", "qpid"} {
		bus, err := goslo.Open(t.Context(), fmt.Sprintf("%s://127.0.0.1:%d/", scheme, freeport.One(t)))
		var config *goslo.ConfigError
		if err == nil || bus != nil || errors.As(err, &config) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: Open = %v, %v", scheme, bus, err)
		}
	}
}

// conforms: URL-04
func TestWithoutURLTheBusIsEmbedded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "no such folder") // in which the bus of this test cannot keep its key
	t.Setenv("XDG_RUNTIME_DIR", dir)
	bus, err := goslo.Open(t.Context(), "")
	if err == nil || bus != nil || !strings.Contains(err.Error(), "embedded") || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open = %v, %v", bus, err)
	}
}

// TestEmbedded is not parallel: the folder of the bus's key is named by the environment.
func TestEmbedded(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	roundTrip(t, goslo.Config{URL: fmt.Sprintf("embedded://:%d", freeport.One(t)), Program: "test"})
}

// conforms: TRN-04, URL-23
func TestMemory(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"memory://goslo-test", "fake://goslo-test-fake", "MEMORY://goslo-test-upper"} {
		roundTrip(t, goslo.Config{URL: url})
	}
}

// roundTrip opens the bus twice, and calls from one end to the other. The two agree on the exchange.
func roundTrip(t *testing.T, c goslo.Config) {
	t.Helper()
	c.Exchange = "elsewhere"
	there, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	here, err := goslo.Open(t.Context(), c.URL)
	if err != nil {
		t.Fatal(err)
	}
	double := rpc.NewCall[rpc.Args, float64](rpc.Target{Topic: "math"}, "double")
	server := rpc.NewServer(there, rpc.ServerConfig{Target: rpc.Target{Topic: "math"}, Server: "s1"},
		rpc.NewCall[struct{ N float64 }, float64](rpc.Target{Version: "1.0"}, "double").Handle(
			func(_ context.Context, args struct{ N float64 }) (float64, error) { return 2 * args.N, nil }))
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Run(ctx) }()

	client := rpc.NewClient(here, rpc.ClientConfig{})
	var nobody *rpc.NoServerError
	if _, err := double.Call(t.Context(), client, rpc.Args{"N": 21}); !errors.As(err, &nobody) {
		t.Errorf("%s: in the default exchange: %v, want nobody", c.URL, err)
	}
	if got, err := double.Call(t.Context(), client.In("elsewhere"), rpc.Args{"N": 21}); err != nil || got != 42 {
		t.Errorf("%s: double(21) = %v, %v", c.URL, got, err)
	}
	stop()
	if err := errors.Join(<-served, client.Close(t.Context()), here.Close(t.Context()), there.Close(t.Context())); err != nil {
		t.Errorf("%s: %v", c.URL, err)
	}
}
