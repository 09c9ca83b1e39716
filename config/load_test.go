package config_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

// write makes files in a folder of their own and returns their paths.
func write(t *testing.T, texts ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, text := range texts {
		path := filepath.Join(dir, fmt.Sprintf("%d.conf", i+1))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// source reads the texts as files, and nothing else.
func source(t *testing.T, texts ...string) config.Source {
	t.Helper()
	return config.Source{Files: write(t, texts...), Env: lookup(nil)}
}

func mustLoad[T any](t *testing.T, s config.Source, defaults T) *config.Config[T] {
	t.Helper()
	conf, err := config.Load(s, defaults)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// messages are the texts of joined errors, less the folder of the files.
func messages(t *testing.T, s config.Source, err error) []string {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	var list []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if len(s.Files) > 0 {
			line = strings.ReplaceAll(line, filepath.Dir(s.Files[0])+"/", "")
		}
		list = append(list, line)
	}
	return list
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	type options struct {
		A string `config:"a,flag" default:"default"`
		B string `config:"b,flag" default:"default"`
		C string `config:"c,flag" default:"default"`
		D string `config:"d,flag" default:"default"`
		E string `config:"e,flag" default:"default"`
	}
	s := source(t, "[DEFAULT]\na=1\nb=1\nc=1\nd=1", "[DEFAULT]\na=2\nb=2\nc=2")
	s.Env = lookup(map[string]string{"OS_DEFAULT__A": "environment", "OS_DEFAULT__B": "environment"})
	s.Args = []string{"--a=flag", "rest", "--", "--b"}
	conf := mustLoad(t, s, options{})
	if diff := cmp.Diff(&options{"flag", "environment", "2", "1", "default"}, conf.Get()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"rest", "--b"}, conf.Args()); diff != "" {
		t.Error(diff)
	}
	var from []string
	for _, setting := range conf.Settings() {
		from = append(from, strings.TrimPrefix(setting.From, filepath.Dir(s.Files[0])+"/"))
	}
	if diff := cmp.Diff([]string{"--a", "$OS_DEFAULT__B", "2.conf:4", "1.conf:5", "default"}, from); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(s.Files, conf.Files()); diff != "" {
		t.Error(diff)
	}
}

// A library's options, which a program embeds.
type busOptions struct {
	URL    string `config:"transport_url" default:"rabbit://"`
	Rabbit struct {
		SSL bool `config:"ssl"`
	} `config:"oslo_messaging_rabbit"`
}

func TestTypes(t *testing.T) {
	t.Parallel()
	type options struct {
		busOptions
		Level    slog.Level        `config:"level" default:"warn"`
		Timeout  time.Duration     `config:"timeout" default:"1.5"`
		Wait     time.Duration     `config:"wait"`
		Peers    []netip.Prefix    `config:"peers"`
		Addr     netip.Addr        `config:"addr" default:"::1"`
		Port     uint16            `config:"port" type:"port" default:"80"`
		Small    int8              `config:"small" default:"-128"`
		Ratio    float32           `config:"ratio" default:"0.5"`
		Names    []string          `config:"names,multi" default:"a,b"`
		Labels   map[string]int    `config:"labels" default:"x:1"`
		Absent   *int              `config:"absent"`
		Present  *int              `config:"present" default:"4"`
		Blank    int               `config:"blank" default:"7"`
		Secrets  []config.Secret   `config:"secrets"`
		Computed string            `config:"computed" default:"of the tag"`
		Untagged map[string]string // no option
		API      struct {
			Name string `config:"name" default:"$computed/$level"`
		} `config:"api"`
		AlsoDefault struct {
			Late string `config:"late"`
		} `config:"DEFAULT"`
	}
	s := source(t, `[DEFAULT]
timeout = 250
wait = 1m30s
peers = 10.0.0.0/8, ::/0
blank =
secrets = x,y
late = here
[oslo_messaging_rabbit]
ssl = yes
`)
	got := mustLoad(t, s, options{Computed: "of the program", Untagged: map[string]string{"kept": ""}}).Get()
	seven := 4
	want := options{
		busOptions: busOptions{URL: "rabbit://"},
		Level:      slog.LevelWarn, Timeout: 250 * time.Second, Wait: 90 * time.Second,
		Peers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")}, Addr: netip.IPv6Loopback(),
		Port: 80, Small: -128, Ratio: 0.5, Names: []string{"a", "b"}, Labels: map[string]int{"x": 1}, Present: &seven, Blank: 7,
		Secrets: []config.Secret{config.NewSecret("x"), config.NewSecret("y")}, Computed: "of the program",
		Untagged: map[string]string{"kept": ""},
	}
	want.Rabbit.SSL = true
	want.API.Name = "of the program/warn"
	want.AlsoDefault.Late = "here"
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

func TestOddValues(t *testing.T) {
	t.Parallel()
	type options struct {
		Bytes   uint32                   `config:"bytes" min:"10"`
		Tiny    int8                     `config:"tiny"`
		Blank   int                      `config:"blank"`
		Counted int                      `config:"counted"`
		Never   time.Duration            `config:"never" default:"3"`
		Levels  map[string]slog.Level    `config:"levels"`
		Keys    map[string]config.Secret `config:"keys,secret"`
		Text    string                   `config:"text" default:"$$5"`
		Choice  float64                  `config:"choice" choices:"0.5,1"`
		Refers  string                   `config:"refers" default:"$counted"`
		Worse   time.Duration            `config:"worse"`
		Endless time.Duration            `config:"endless"`
		Addr    *netip.Addr              `config:"addr"`
	}
	long := strings.Repeat("long", 100)
	s := source(t, "[DEFAULT]\nbytes = +12\ntiny = -12\nblank =\ncounted =\nnever =\nlevels = a:warn,b:debug\nkeys = a:b,c:d\nchoice = 1.0\naddr = ::2\n")
	got := mustLoad(t, s, options{Counted: 7}).Get()
	addr := netip.MustParseAddr("::2")
	want := options{
		Bytes: 12, Tiny: -12, Counted: 7, Never: 3 * time.Second, Levels: map[string]slog.Level{"a": slog.LevelWarn, "b": slog.LevelDebug},
		Keys: map[string]config.Secret{"a": config.NewSecret("b"), "c": config.NewSecret("d")}, Text: "$5", Choice: 1, Refers: "7", Addr: &addr,
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	s = source(t, "[DEFAULT]\nbytes = -1\ntiny = 128\nchoice = 0.75\nworse = nan\nendless = 1e20\ntext = x\ncounted = "+long+"\naddr = ::2%eth0\n")
	_, err := config.Load(s, options{})
	wantErrs := []string{
		`config: 1.conf:2: [DEFAULT] bytes = "-1": not within the range of uint32`,
		`config: 1.conf:3: [DEFAULT] tiny = "128": not within the range of int8`,
		`config: 1.conf:8: [DEFAULT] counted = "` + long[:100] + `"...: not an integer`,
		`config: 1.conf:4: [DEFAULT] choice = "0.75": not one of 0.5, 1`,
		`config: [DEFAULT] refers = "$counted": $counted has no valid value`,
		`config: 1.conf:5: [DEFAULT] worse = "nan": not a time that can be waited for`,
		`config: 1.conf:6: [DEFAULT] endless = "1e20": not a time that can be waited for`,
		`config: 1.conf:9: [DEFAULT] addr = "::2%eth0": not an IP address`,
	}
	if diff := cmp.Diff(wantErrs, messages(t, s, err)); diff != "" {
		t.Error(diff)
	}
}
