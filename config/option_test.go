package config_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

type optional struct {
	URL     config.Secret `config:"transport_url"`
	Timeout int           `config:"rpc_response_timeout,mutable" default:"60"`
	Name    string        `config:"name"`
	Rabbit  struct {
		SSL     bool    `config:"ssl,flag" deprecated:"rabbit_use_ssl"`
		Delay   float64 `config:"delay" default:"1"`
		Pool    int     `config:"pool" default:"2"`
		Version *int    `config:"version"`
	} `config:"rabbit"`
}

// An option is found as text, declared or not, with the place where it is given.
func TestOption(t *testing.T) {
	t.Parallel()
	s := source(t, "[DEFAULT]\ntransport_url = rabbit://$user:hunter2@${web.host}/\nuser = u\nrpc_response_timeout = +7\n"+
		"[Rabbit]\nrabbit_use_ssl = yes\nextra-name = x\nextra = $user\nlost = pa$hunter2.$hunter3\nround = $round\nversion =\n[web]\nhost = file\n",
		"[DEFAULT]\n[rabbit]\nextra = $$1\n")
	s.Env = lookup(map[string]string{"OS_RABBIT__DELAY": "2.50", "OS_WEB__HOST": "${name}.example", "OS_RABBIT__BLANK": ""})
	s.Args = []string{"--rabbit-ssl=no"}
	var defaults struct {
		optional
		Shared struct{} `config:"DEFAULT,shared"`
	}
	defaults.Name = "web1"
	conf := mustLoad(t, s, defaults)
	dir := filepath.Dir(s.Files[0]) + "/"
	for _, c := range []struct{ group, name, value, from string }{
		{"DEFAULT", "transport_url", "rabbit://u:hunter2@web1.example/", "1.conf:2"},
		{"DEFAULT", "rpc_response_timeout", "7", "1.conf:4"},
		{"DEFAULT", "name", "web1", "default"},
		{"RABBIT", "ssl", "False", "--rabbit-ssl"},
		{"rabbit", "rabbit_use_ssl", "", ""}, // its new name has the value
		{"rabbit", "delay", "2.5", "$OS_RABBIT__DELAY"},
		{"rabbit", "pool", "2", "default"},
		{"rabbit", "version", "", ""},
		{"rabbit", "extra", "$1", "2.conf:3"},
		{"rabbit", "extra-name", "x", "1.conf:7"},
		{"rabbit", "blank", "", "$OS_RABBIT__BLANK"},
		{"web", "host", "web1.example", "$OS_WEB__HOST"},
		{"nosuch", "nosuch", "", ""},
	} {
		value, from, err := conf.Option(c.group, c.name)
		if value != c.value || strings.TrimPrefix(from, dir) != c.from || err != nil {
			t.Errorf("[%s] %s = %q from %s, %v; want %q from %s", c.group, c.name, value, from, err, c.value, c.from)
		}
	}
	for name, want := range map[string]string{
		"lost":  "1.conf:9: [rabbit] lost: the name after $ is no option; write $$ for a dollar sign",
		"round": "1.conf:10: [rabbit] round: $round refers back to itself",
	} {
		_, from, err := conf.Option("rabbit", name)
		var problem *config.Problem
		if !errors.As(err, &problem) || strings.ReplaceAll(err.Error(), dir, "") != "config: "+want || from != problem.Position {
			t.Errorf("%s: %v from %s, want %s", name, err, from, want)
		}
	}
	if diff := cmp.Diff([]string{"delay", "ssl", "version"}, conf.Names("RABBIT")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"name", "rpc_response_timeout", "transport_url", "user"}, conf.Names("DEFAULT")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	s.Args = nil
	bare := mustLoad(t, s, struct{}{}) // what nobody declares is all that there is
	if diff := cmp.Diff([]string{"extra", "extra-name", "lost", "rabbit_use_ssl", "round", "version"}, bare.Names("rabbit")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// After a reload, an option is what is in force.
func TestOptionAfterReload(t *testing.T) {
	t.Parallel()
	s := source(t, "[DEFAULT]\nname = a\nrpc_response_timeout = 1\nother = x\n")
	conf := mustLoad(t, s, optional{})
	overwrite(t, s.Files[0], "[DEFAULT]\nname = b\nrpc_response_timeout = 2\nother = y\n")
	if _, err := conf.Reload(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"name": "a", "rpc_response_timeout": "2", "other": "y"} {
		if got, _, err := conf.Option("DEFAULT", name); got != want || err != nil {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
}

// An option that is given several times has all its values, declared or not.
func TestValues(t *testing.T) {
	t.Parallel()
	s := source(t, "[DEFAULT]\nname = n\n[g]\nmany = a\nmany = $name, b\nother = x\nother = $name\none = 1\none = 2\n", "[g]\nmany = c\nother = y\nlost = pa$word\n")
	s.Env = lookup(map[string]string{"OS_G__SET": "from here"})
	for form, conf := range map[string]interface {
		Values(group, name string) ([]string, string, error)
	}{
		"undeclared": mustLoad(t, s, struct{}{}),
		"declared": mustLoad(t, s, struct {
			Name string `config:"name"`
			G    struct {
				Many   []string `config:"many,multi"`
				Absent []string `config:"absent,multi"`
			} `config:"g,shared"`
		}{}),
	} {
		for name, want := range map[string][]string{"many": {"a", "n, b", "c"}, "other": {"x", "n", "y"}, "absent": nil, "set": {"from here"}} {
			if got, from, err := conf.Values("g", name); !cmp.Equal(want, got) || err != nil || (from == "") != (want == nil) {
				t.Errorf("%s: %s = %q from %q, %v; want %q", form, name, got, from, err, want)
			}
		}
		var problem *config.Problem
		if _, from, err := conf.Values("g", "lost"); !errors.As(err, &problem) || !strings.HasSuffix(from, "2.conf:4") {
			t.Errorf("%s: lost: %v from %s", form, err, from)
		}
		if got, _, err := conf.Values("DEFAULT", "name"); !cmp.Equal([]string{"n"}, got) || err != nil {
			t.Errorf("%s: name = %q, %v", form, got, err)
		}
	}
}
