package goslo_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/messaging"
	"github.com/goslo/goslo/transport"
)

// files writes each text into a file, and loads them without the environment.
func files(t *testing.T, texts ...string) goslo.Options {
	t.Helper()
	return load(t, nil, struct{}{}, texts...)
}

// load writes each text into a file, and loads them as defaults declares, with the environment and the arguments.
func load[T any](t *testing.T, env map[string]string, defaults T, texts ...string) goslo.Options {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, text := range texts {
		path := filepath.Join(dir, string(rune('a'+i))+".conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	conf, err := config.Load(config.Source{Files: paths, Env: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}, defaults)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// What is wrong with a file is an error that names the line, and no broker is needed for it.
//
// conforms: CFG-01
func TestFilesThatCannotWork(t *testing.T) {
	t.Parallel()
	configured, options, url := isA[*goslo.ConfigError], isA[*transport.OptionsError], isA[*transport.URLError]
	for name, c := range map[string]struct {
		config goslo.Config
		isA    func(error) bool
		want   string
	}{
		"no bus":        {goslo.Config{Options: files(t, "[oslo_messaging_rabbit]\nssl = true\n")}, configured, ": no transport_url in [DEFAULT]"},
		"no such bus":   {goslo.Config{Options: files(t, "[DEFAULT]\ntransport_url = rabit://u:secret@h/\n")}, configured, "did you mean rabbit://?"},
		"no URL":        {goslo.Config{Options: files(t, "[DEFAULT]\ntransport_url = u:secret@h\n")}, url, "transport url"},
		"no such value": {goslo.Config{Options: files(t, "[DEFAULT]\ntransport_url = rabbit://u:pa$secret@h/\n")}, configured, "a.conf:2: [DEFAULT] transport_url: the name after $ is no option"},
		"a bad option": {
			goslo.Config{Options: files(t, "[DEFAULT]\ntransport_url = rabbit://u:secret@h/\n", "[oslo_messaging_rabbit]\n\nheartbeat_timeout_threshold = a while\n")},
			options, `b.conf:3: [oslo_messaging_rabbit] heartbeat_timeout_threshold: "a while" is not a whole number`,
		},
		"a bad option of a URL given otherwise": {
			goslo.Config{URL: "rabbit://h/", Options: files(t, "[oslo_messaging_rabbit]\nssl = perhaps\n")}, options, `a.conf:2: [oslo_messaging_rabbit] ssl: "perhaps"`,
		},
		"a bad option from old times": {
			goslo.Config{Options: files(t, "[DEFAULT]\nrabbit_host = h\nrabbit_password = secret\nkombu_reconnect_delay = 9\n")}, options, "a.conf:4: [DEFAULT] kombu_reconnect_delay",
		},
	} {
		bus, err := c.config.Open(t.Context())
		if err == nil || bus != nil || !c.isA(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %T: %v; want %s", name, bus, err, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a password: %v", name, err)
		}
	}
}

// The bus and the exchange come from files, where the program does not say otherwise.
//
// conforms: CFG-01, CFG-02
func TestFiles(t *testing.T) {
	t.Parallel()
	list := files(t,
		"[DEFAULT]\ntransport_url = rabbit://nobody.invalid/\ncontrol_exchange = elsewhere\n[oslo_messaging_rabbit]\nssl = true\n",
		"[DEFAULT]\nbus = goslo-files\ntransport_url = memory://$bus\n")
	from, err := goslo.Config{Options: list}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said, err := goslo.Config{URL: "memory://goslo-files", Exchange: "other", Options: list}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := from.Listen(t.Context(), transport.Address{Kind: transport.Topic, Topic: "stock", Server: "one"}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := &transport.Message{Method: "m"}
	if err := said.Send(t.Context(), transport.Address{Kind: transport.Topic, Topic: "stock"}, m); err == nil {
		t.Error("somebody listens in the program's exchange")
	}
	if err := said.Send(t.Context(), transport.Address{Kind: transport.Topic, Exchange: "elsewhere", Topic: "stock"}, m); err != nil {
		t.Errorf("nobody listens in the file's exchange: %v", err)
	}
	d, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(t.Context()); err != nil {
		t.Error(err)
	}
	for _, bus := range []transport.Transport{from, said} {
		if err := bus.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// projectOptions are those of a program that has the library's, and a flag of its own for one of them.
type projectOptions struct {
	URL    config.Secret           `config:"transport_url,flag"`
	Rabbit messaging.RabbitOptions `config:"oslo_messaging_rabbit"`
}

// The environment and the command line count as files do, and errors say which of them it was.
//
// conforms: CFG-01
func TestOptionsOfALoadedConfiguration(t *testing.T) {
	t.Parallel()
	text := "[DEFAULT]\ntransport_url = rabbit://u:" + "secret" + "@h/\n[oslo_messaging_rabbit]\nrabbit_use_ssl = true\nssl_ca_file = /nosuch.pem\n"
	for name, c := range map[string]struct {
		options goslo.Options
		url     string
		want    string
	}{
		"the environment": {
			options: load(t, map[string]string{"OS_DEFAULT__TRANSPORT_URL": "rabit://h/"}, messaging.Options{}, text),
			want:    "did you mean rabbit://?",
		},
		"the environment, of an option that the program does not declare": {
			options: load(t, map[string]string{"OS_DEFAULT__TRANSPORT_URL": "rabit://h/"}, struct{}{}, text),
			want:    "did you mean rabbit://?",
		},
		"the environment, of the group": {
			options: load(t, map[string]string{"OS_OSLO_MESSAGING_RABBIT__SSL_CA_FILE": "/nowhere.pem"}, messaging.Options{}, text),
			want:    "$OS_OSLO_MESSAGING_RABBIT__SSL_CA_FILE: [oslo_messaging_rabbit] ssl_ca_file: open /nowhere.pem",
		},
		"the file, under an older name": {options: load(t, nil, messaging.Options{}, text), want: "a.conf:5: [oslo_messaging_rabbit] ssl_ca_file: open /nosuch.pem"},
		"the program":                   {options: load(t, nil, messaging.Options{TransportURL: config.NewSecret("rabit://u:secret@h/")}, ""), want: "did you mean rabbit://?"},
		"nobody":                        {options: load(t, nil, messaging.Options{}, ""), want: "no transport_url in [DEFAULT]; add one"},
		"the URL wins":                  {options: load(t, nil, messaging.Options{}, text), url: "rabbit://h/?ssl_ca_file=/url.pem", want: "open /url.pem"},
	} {
		if err := (goslo.Config{URL: c.url, Options: c.options}).Check(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	conf, err := config.Load(config.Source{Args: []string{"--transport-url", "memory://goslo-flag"}, Env: func(string) (string, bool) { return "", false }}, projectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bus, err := goslo.Config{Options: conf}.Open(t.Context())
	if err != nil {
		t.Fatalf("the flag is not taken: %v", err)
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// conforms: CFG-03, CFG-04, CFG-05
func TestDefaultsOfClientsAndServers(t *testing.T) {
	t.Parallel()
	set := "[DEFAULT]\nrpc_response_timeout = 7\nrpc_thread_pool_size = 3\nrpc_ping_enabled = yes\n"
	for name, c := range map[string]struct {
		options goslo.Options
		timeout time.Duration
		workers int
		ping    bool
	}{
		"no options":   {},
		"nothing set":  {options: load(t, nil, struct{}{}, "")},
		"defaults":     {load(t, nil, messaging.Options{}, ""), time.Minute, 64, false},
		"not declared": {load(t, nil, struct{}{}, set), 7 * time.Second, 3, true},
		"declared":     {load(t, nil, messaging.Options{}, set), 7 * time.Second, 3, true},
		"the environment": {
			load(t, map[string]string{"OS_DEFAULT__EXECUTOR_THREAD_POOL_SIZE": "5", "OS_DEFAULT__RPC_PING_ENABLED": "off"}, messaging.Options{}, set),
			7 * time.Second, 5, false,
		},
	} {
		log := slog.New(slog.DiscardHandler)
		conf := goslo.Config{Options: c.options, Logger: log}
		client, err := conf.ClientConfig()
		if err != nil || client.Timeout != c.timeout || client.Logger != log {
			t.Errorf("%s: client %+v, %v; want %v", name, client, err, c.timeout)
		}
		server, err := conf.ServerConfig()
		if err != nil || server.Workers != c.workers || server.Ping != c.ping || server.Logger != log {
			t.Errorf("%s: server %+v, %v; want %d workers, ping %v", name, server, err, c.workers, c.ping)
		}
	}
	for text, want := range map[string]string{
		"rpc_response_timeout = 0":      "a.conf:2: [DEFAULT] rpc_response_timeout: \"0\" is not within 1 to",
		"executor_thread_pool_size = 0": "a.conf:2: [DEFAULT] executor_thread_pool_size: \"0\" is not within 1 to",
		"rpc_ping_enabled = $nothing":   "a.conf:2: [DEFAULT] rpc_ping_enabled: the name after $ is no option",
	} {
		conf := goslo.Config{Options: load(t, nil, struct{}{}, "[DEFAULT]\n"+text+"\n")}
		if _, err := conf.ServerConfig(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if _, err := conf.ClientConfig(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Files as they are in use open a bus, and set up clients and servers.
func TestFilesInUse(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		timeout  time.Duration
		workers  int
		ping     bool
		warnings int
	}{
		"testdata/nova.conf":   {180 * time.Second, 96, true, 6},
		"testdata/cinder.conf": {60 * time.Second, 64, false, 0},
	} {
		log := &lines{}
		conf, err := config.Load(config.Source{Files: []string{path}, Env: func(string) (string, bool) { return "", false }, Logger: slog.New(log)}, struct {
			messaging.Options
			Others struct{} `config:"DEFAULT,shared"`
		}{})
		if err != nil {
			t.Fatal(err)
		}
		if log.n != want.warnings {
			t.Errorf("%s: %d warnings, want %d", path, log.n, want.warnings)
		}
		bus := goslo.Config{Options: conf}
		if err := bus.Check(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		client, err := bus.ClientConfig()
		if err != nil || client.Timeout != want.timeout {
			t.Errorf("%s: client %+v, %v", path, client, err)
		}
		server, err := bus.ServerConfig()
		if err != nil || server.Workers != want.workers || server.Ping != want.ping {
			t.Errorf("%s: server %+v, %v", path, server, err)
		}
	}
}

// lines counts what is logged.
type lines struct{ n int }

func (l *lines) Enabled(context.Context, slog.Level) bool  { return true }
func (l *lines) Handle(context.Context, slog.Record) error { l.n++; return nil }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler        { return l }
func (l *lines) WithGroup(string) slog.Handler             { return l }

func TestConfigRabbit(t *testing.T) {
	t.Parallel()
	c, err := goslo.Config{URL: "rabbit://h/v", Program: "looker", Exchange: "nova"}.Rabbit()
	if err != nil || c.Program != "looker" || c.Exchange != "nova" || c.URL.VirtualHost != "v" {
		t.Errorf("got %+v, %v", c, err)
	}
	var problem *goslo.ConfigError
	if _, err := (goslo.Config{URL: "nats://h"}).Rabbit(); !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &problem) {
		t.Errorf("of NATS: %v, want ErrUnsupported", err)
	}
	if _, err := (goslo.Config{URL: "rabbit://h/?ssl_ca_file=/no/such&ssl=true"}).Rabbit(); !errors.As(err, &problem) {
		t.Errorf("with a certificate that is missing: %v, want a ConfigError", err)
	}
}
