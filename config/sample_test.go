package config_test

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

type sampled struct {
	Host string `config:"host" default:"localhost" sample:"compute-1" help:"The name by which this service is known."`
	API  struct {
		Workers  int               `config:"workers,mutable" default:"4" min:"1" max:"64" deprecated:"threads,DEFAULT.api_workers" help:"How many requests run at once. It is as many as the machine has processors when in doubt, and more when they wait for others."`
		Strategy string            `config:"strategy" default:"quorum" choices:"classic,quorum" help:"What kind of queues.\n\nSee the manual."`
		Password config.Secret     `config:"password,required" default:"hunter2" help:"The password of the service user."`
		Format   string            `config:"log-format,advanced" default:"  $$message " help:"How lines look."`
		Quote    string            `config:"quote" default:"'"`
		Quotes   string            `config:"quotes" default:"\"of\""`
		Peers    []string          `config:"peers,multi" default:"a,b" help:"Others."`
		Nobody   []string          `config:"nobody,multi"`
		Labels   map[string]string `config:"labels" help:"Labels."`
		Timeout  time.Duration     `config:"timeout" default:"2.5" help:"How long."`
		Old      bool              `config:"old" removal:"it does nothing" help:"Something."`
		Addr     netip.Addr        `config:"addr"`
		Prices   []string          `config:"prices,multi"`
		Key      *string           `config:"key"`
		Ancient  string            `config:"ancient,retired" removal:"it has done nothing for long"`
	} `config:"api" help:"The HTTP side."`
}

const wantSample = `[DEFAULT]

# The name by which this service is known. (string value)
# The value below is an example, not the default.
#host = compute-1


[api]
# The HTTP side.

# How many requests run at once. It is as many as the machine has
# processors when in doubt, and more when they wait for others.
# (integer value)
# Minimum value: 1
# Maximum value: 64
# Note: This option can be changed without restarting.
# Deprecated group/name - [api]/threads
# Deprecated group/name - [DEFAULT]/api_workers
#workers = 4

# What kind of queues.
#
# See the manual. (string value)
# Possible values: classic, quorum
#strategy = quorum

# The password of the service user. (string value)
# This option is required.
#password = ***

# How lines look. (string value)
# Advanced Option: few need it, and it may cost stability or speed.
#log_format = "  $$message "

# (string value)
#quote = "'"

# (string value)
#quotes = ""of""

# Others. (multi valued)
#peers = a
#peers = b

# (multi valued)
#nobody =

# Labels. (dict value)
#labels = <None>

# How long. (duration in seconds)
#timeout = 2.5

# DEPRECATED: Something. (boolean value)
# This option is deprecated for removal, and its value may be ignored
# some day. Reason: it does nothing
#old = <None>

# (IP address value)
#addr = ::1

# (multi valued)
#prices = 5$$
#prices = " 6"

# (string value)
#key = k
`

func TestSample(t *testing.T) {
	t.Parallel()
	var defaults sampled
	key := "k"
	defaults.API.Addr, defaults.API.Prices, defaults.API.Key = netip.IPv6Loopback(), []string{"5$", " 6"}, &key
	var b bytes.Buffer
	if err := config.Sample(&b, defaults); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantSample, b.String()); diff != "" {
		t.Error(diff)
	}
	if err := config.Sample(&b, 1); err == nil {
		t.Error("a sample of a number")
	}
}

// A sample changes nothing as it is, and neither once its comments are options.
func TestSampleHoldsTheDefaults(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := config.Sample(&b, sampled{}); err != nil {
		t.Fatal(err)
	}
	want := mustLoad(t, source(t, b.String()), sampled{}).Get()
	if want.API.Workers != 4 {
		t.Errorf("the sample sets options: %+v", want)
	}
	set := regexp.MustCompile(`(?m)^#(\w+ =)`).ReplaceAllString(b.String(), "$1")
	set = regexp.MustCompile(`(?m)^(password|host|nobody|prices|\w+ = <None>).*$`).ReplaceAllString(set, "")
	got := mustLoad(t, source(t, set), sampled{}).Get()
	got.Host, got.API.Password = want.Host, want.API.Password
	if !reflect.DeepEqual(got, want) {
		t.Errorf("with the comments as options\n%+v, want\n%+v", got, want)
	}
}

// oslo.config reads a sample as a file that sets nothing.
func TestOsloConfigReadsTheSample(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := config.Sample(&b, sampled{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sample.conf")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	const program = `
import sys
from oslo_config import cfg
sections = {}
cfg.ConfigParser(sys.argv[1], sections).parse()
print(sections)
`
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program, path).CombinedOutput()
	if err != nil {
		t.Fatalf("oslo.config did not run: %v\n%s\ninstall it: apt-get install python3-oslo.config", err, out)
	}
	if got, want := strings.TrimSpace(string(out)), "{'DEFAULT': {}, 'api': {}}"; got != want {
		t.Errorf("oslo.config reads %s, want %s", got, want)
	}
}
