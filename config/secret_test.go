package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goslo/goslo/config"
)

// token is a type of the program's that hides its text by itself.
type token struct{ config.Secret }

func (t *token) UnmarshalText(text []byte) error {
	if len(text) < 3 {
		return fmt.Errorf("%q is too short", text)
	}
	t.Secret = config.NewSecret(string(text))
	return nil
}

func TestSecretsAreShownNowhere(t *testing.T) {
	t.Parallel()
	type options struct {
		Password config.Secret            `config:"password,mutable"`
		Keys     []config.Secret          `config:"keys"`
		ByName   map[string]config.Secret `config:"by_name"`
		Token    token                    `config:"token,secret"`
		Empty    config.Secret            `config:"empty"`
		Built    config.Secret            `config:"built" default:"hunter2"`
	}
	type private struct{ inner options }
	s := source(t, "[DEFAULT]\npassword = hunter2\nkeys = hunter2,hunter2\nby_name = a:hunter2\ntoken = hunter2\n")
	log := &logged{}
	s.Logger = slog.New(log)
	conf := mustLoad(t, s, options{})
	if got := conf.Get(); got.Password.Reveal() != "hunter2" || got.Token.Reveal() != "hunter2" || got.ByName["a"].Reveal() != "hunter2" {
		t.Fatalf("they were not read: %+v", got)
	}
	var text, structured bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("", "all", *conf.Get(), "one", conf.Get().Password, "conf", conf)
	slog.New(slog.NewJSONHandler(&structured, nil)).Info("", "all", *conf.Get(), "one", conf.Get().Password, "conf", conf)
	encoded, err := json.Marshal(conf.Get())
	if err != nil {
		t.Fatal(err)
	}
	file, err := config.ReadFile(s.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, s.Files[0], "[DEFAULT]\npassword = hunter2, changed\n")
	changes, err := conf.Reload()
	if err != nil {
		t.Fatal(err)
	}
	var sample bytes.Buffer
	if err := config.Sample(&sample, options{Password: config.NewSecret("hunter2")}); err != nil {
		t.Fatal(err)
	}
	shown := []string{text.String(), structured.String(), string(encoded), sample.String(), strings.Join(log.all(), "\n")}
	for _, v := range []any{*conf.Get(), conf.Get(), private{*conf.Get()}, conf, file, *file, conf.Get().Password, conf.Settings(), changes, conf.Get().Keys} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown = append(shown, fmt.Sprintf(verb, v))
		}
	}
	for _, s := range shown {
		if strings.Contains(s, "hunter2") || strings.Contains(s, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("a secret is shown: %s", s)
		}
	}
	if got := fmt.Sprint(conf.Get().Empty, conf.Get().Password); got != " ***" {
		t.Errorf("secrets are shown as %q", got)
	}
	if !conf.Get().Built.Equal(config.NewSecret("hunter2")) || conf.Get().Built.Equal(config.Secret{}) {
		t.Error("Equal does not compare the texts")
	}
}

func TestErrorsShowNoSecrets(t *testing.T) {
	t.Parallel()
	type options struct {
		Password config.Secret  `config:"password"`
		Port     *config.Secret `config:"port" type:"uri"`
		Token    token          `config:"token,secret"`
		Number   int            `config:"number"`
		Numbers  []int          `config:"numbers,multi"`
		Wrong    config.Secret  `config:"wrong"`
		Wronger  config.Secret  `config:"wronger"`
		Worst    config.Secret  `config:"worst"`
	}
	s := source(t, `[DEFAULT]
password = hunter2
port = hunter2
token = h2
number = $password
numbers = ${password}
wrong = pa$hunter2
wronger = pa$hunter.hunter2
worst = pa$DEFAULT.hunter2
`)
	s.Args = []string{}
	_, err := config.Load(s, options{})
	got := messages(t, s, err)
	want := []string{
		"config: 1.conf:3: [DEFAULT] port: not a URI: it has no scheme, such as https",
		"config: 1.conf:4: [DEFAULT] token: not valid",
		"config: 1.conf:5: [DEFAULT] number: not an integer",
		"config: 1.conf:6: [DEFAULT] numbers: not an integer",
		"config: 1.conf:7: [DEFAULT] wrong: the name after $ is no option; write $$ for a dollar sign",
		"config: 1.conf:8: [DEFAULT] wronger: the name after $ is no option; write $$ for a dollar sign",
		"config: 1.conf:9: [DEFAULT] worst: the name after $ is no option; write $$ for a dollar sign",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("errors:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
