package config_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	type options struct {
		Known string `config:"known_option"`
		API   struct {
			Workers int    `config:"workers" deprecated:"DEFAULT.api_workers,threads"`
			Gone    string `config:"gone" removal:"it does nothing"`
		} `config:"api"`
		Nova struct {
			Driver string `config:"compute_driver"`
		} `config:"nova,shared"`
	}
	s := source(t, `[DEFAULT]
known_optoin = x
api_workers = 1
[api]
wrokers = 2
completely_different = 3
gone = 1
[unknown]
anything = goes
[default]
known_option = x
other = y
[nov]
compute_driver = x
[neutron]
url = x
[nova]
vif_plugging_timeout = 1
compute_drivr = x
compute_monitor = x
`, "[api]\nthreads = 3")
	found, err := config.Check(s, options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"config: 1.conf:2: [DEFAULT] known_optoin: no such option; did you mean known_option?",
		"config: 1.conf:5: [api] wrokers: no such option; did you mean workers?",
		"config: 1.conf:6: [api] completely_different: no such option",
		"config: 1.conf:7: [api] gone: will be removed: it does nothing",
		"config: 1.conf:11: [default] known_option: no such group; did you mean [DEFAULT]?",
		"config: 1.conf:14: [nov] compute_driver: no such group; did you mean [nova]?",
		"config: 1.conf:19: [nova] compute_drivr: no such option; did you mean compute_driver?",
		"config: 2.conf:2: [api] threads: an old name; write workers in [api]",
	}
	got := messages(t, s, errors.Join(found...))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// They are logged when the configuration is loaded, and only once.
	log := &logged{}
	s.Logger = slog.New(log)
	conf := mustLoad(t, s, options{})
	if _, err := conf.Reload(); err != nil {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(log.all(), func(line string) bool { return !strings.HasPrefix(line, "WARN") })
	if len(got) != len(want) {
		t.Errorf("logged %d warnings, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	if got := conf.Get().API.Workers; got != 3 {
		t.Errorf("workers = %d, want that of the last file", got)
	}
}

func TestOptionsOfOthers(t *testing.T) {
	t.Parallel()
	text := "[DEFAULT]\nmy_ip = 10.0.0.$last\nlast = 7\nurl = rabbit://$my_ip/${keystone.realm}\n[keystone]\nrealm = r\n"
	shared := struct {
		Default struct {
			URL string `config:"url"`
		} `config:"DEFAULT,shared"`
	}{}
	if got, want := mustLoad(t, source(t, text), shared).Get().Default.URL, "rabbit://10.0.0.7/r"; got != want {
		t.Errorf("url = %q, want %q", got, want)
	}
	// A name in somebody else's value is of that option's group.
	nested := "[DEFAULT]\nrealm = outside\nurl = ${keystone.url}\n[keystone]\nrealm = inside\nurl = http://$realm/\n"
	if got, want := mustLoad(t, source(t, nested), shared).Get().Default.URL, "http://inside/"; got != want {
		t.Errorf("url = %q, want %q", got, want)
	}
	// Where all options are declared, an undeclared one is an error, as in oslo.config.
	s := source(t, text)
	_, err := config.Load(s, struct {
		URL string `config:"url"`
	}{})
	if got := messages(t, s, err); len(got) != 1 || !strings.Contains(got[0], "$my_ip is no option of [DEFAULT]") {
		t.Errorf("errors: %q", got)
	}
	s = source(t, "[DEFAULT]\na = $b\nb = $a\nurl = $a\n")
	_, err = config.Load(s, shared)
	if got := messages(t, s, err); len(got) != 1 || !strings.Contains(got[0], "refers back to itself") {
		t.Errorf("errors: %q", got)
	}
}

func TestConfigSourceIsRefused(t *testing.T) {
	t.Parallel()
	s := source(t, "[DEFAULT]\nconfig_source = remote\n")
	_, err := config.Load(s, struct{}{})
	if got := messages(t, s, err); len(got) != 1 || !strings.HasPrefix(got[0], "config: 1.conf:2: [DEFAULT] config_source") {
		t.Errorf("errors: %q", got)
	}
	if _, err := config.Load(source(t, "[DEFAULT]\nconfig_source =\n"), struct{}{}); err != nil {
		t.Error(err)
	}
}
