package goslo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/transport"
)

// files writes each text into a file, and reads them.
func files(t *testing.T, texts ...string) config.Files {
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
	list, err := config.ReadFiles(paths...)
	if err != nil {
		t.Fatal(err)
	}
	return list
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
		"no bus":        {goslo.Config{Files: files(t, "[oslo_messaging_rabbit]\nssl = true\n")}, configured, "no transport_url in [DEFAULT] of "},
		"no such bus":   {goslo.Config{Files: files(t, "[DEFAULT]\ntransport_url = rabit://u:secret@h/\n")}, configured, "did you mean rabbit://?"},
		"no URL":        {goslo.Config{Files: files(t, "[DEFAULT]\ntransport_url = u:secret@h\n")}, url, "transport url"},
		"no such value": {goslo.Config{Files: files(t, "[DEFAULT]\ntransport_url = rabbit://u:pa$secret@h/\n")}, configured, "a.conf:2: [DEFAULT] transport_url: the name after $ is in none of the files"},
		"a bad option": {
			goslo.Config{Files: files(t, "[DEFAULT]\ntransport_url = rabbit://u:secret@h/\n", "[oslo_messaging_rabbit]\n\nheartbeat_timeout_threshold = a while\n")},
			options, `b.conf:3: option heartbeat_timeout_threshold: "a while" is not a whole number`,
		},
		"a bad option of a URL given otherwise": {
			goslo.Config{URL: "rabbit://h/", Files: files(t, "[oslo_messaging_rabbit]\nssl = perhaps\n")}, options, `a.conf:2: option ssl: "perhaps"`,
		},
		"a bad option from old times": {
			goslo.Config{Files: files(t, "[DEFAULT]\nrabbit_host = h\nrabbit_password = secret\nkombu_reconnect_delay = 9\n")}, options, "a.conf:4: option kombu_reconnect_delay",
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
	from, err := goslo.Config{Files: list}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said, err := goslo.Config{URL: "memory://goslo-files", Exchange: "other", Files: list}.Open(t.Context())
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
