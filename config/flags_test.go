package config_test

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	type options struct {
		Debug   bool     `config:"debug,flag" short:"d" help:"Log more."`
		Verbose bool     `config:"verbose,flag" short:"v" default:"true"`
		Host    []string `config:"host-name,flag,multi" short:"H"`
		Quiet   bool     `config:"quiet"`
		Key     *string  `config:"key,flag" help:"The key."`
		API     struct {
			Workers int  `config:"workers,flag" short:"w" default:"4" min:"1" help:"How many requests run at once."`
			Trace   bool `config:"trace,flag" deprecated:"DEFAULT.tracing"`
		} `config:"api"`
	}
	load := func(args ...string) (*config.Config[options], error) {
		return config.Load(config.Source{Args: args, Env: lookup(nil), Prog: "shop-api", Version: "shop 1.2"}, options{})
	}
	for _, test := range []struct {
		args string
		want func(*options)
	}{
		{"-dv", func(o *options) { o.Debug = true }},
		{"--debug --noverbose", func(o *options) { o.Debug, o.Verbose = true, false }},
		{"--nodebug --debug --debug=no", func(*options) {}},
		{"-w5", func(o *options) { o.API.Workers = 5 }},
		{"-dw 6", func(o *options) { o.Debug, o.API.Workers = true, 6 }},
		{"--api-workers 7 --api-trace", func(o *options) { o.API.Workers, o.API.Trace = 7, true }},
		{"--api_workers=8 --tracing --notracing", func(o *options) { o.API.Workers = 8 }},
		{"--host-name a --host_name=b -H c", func(o *options) { o.Host = []string{"a", "b", "c"} }},
	} {
		want := options{Verbose: true}
		want.API.Workers = 4
		test.want(&want)
		conf, err := load(strings.Fields(test.args)...)
		if err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		if diff := cmp.Diff(&want, conf.Get()); diff != "" {
			t.Errorf("%s: %s", test.args, diff)
		}
	}
	for _, test := range []struct{ args, want string }{
		{"--dbug", "there is no flag --dbug; did you mean --debug?"},
		{"--quiet", "there is no flag --quiet"},
		{"-x", "there is no flag -x; see --help"},
		{"--api-workers", "--api-workers needs a value"},
		{"--api-workers --debug", "--api-workers needs a value"},
		{"--nodebug=x", "--nodebug takes no value"},
		{"--config-file", "--config-file needs a value"},
		{"--api-workers -1", `--api-workers: [api] workers = "-1": not at least 1`},
		{"--debug=maybe", `--debug: [DEFAULT] debug = "maybe": neither true`},
	} {
		if _, err := load(strings.Fields(test.args)...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.args, err, test.want)
		}
	}
	_, err := load("--version")
	if !errors.Is(err, flag.ErrHelp) || err.Error() != "shop 1.2\n" {
		t.Errorf("--version: %v", err)
	}
	for _, arg := range []string{"-h", "--help"} {
		_, err := load("--debug", arg, "--nosuch")
		if !errors.Is(err, flag.ErrHelp) {
			t.Fatalf("%s: %v", arg, err)
		}
		for _, want := range []string{
			"usage: shop-api [flags]", "-d, --debug, --nodebug\n        Log more.", "-w, --api-workers WORKERS\n        How many requests run at once. It is at least 1. Default: 4.",
			"--config-file PATH", "-H, --host-name HOST_NAME",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s does not say %q:\n%s", arg, want, err)
			}
		}
		if strings.Contains(err.Error(), "--quiet") || strings.Contains(err.Error(), "None") {
			t.Errorf("help tells of an option that is no flag, or of a default that there is not:\n%s", err)
		}
	}
}
