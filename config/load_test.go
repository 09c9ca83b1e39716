package config_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
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

func TestErrorsAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	type options struct {
		Level slog.Level `config:"level"`
		API   struct {
			Workers  int           `config:"workers" min:"1" max:"64"`
			Strategy string        `config:"strategy" choices:"classic,quorum"`
			Hosts    []string      `config:"hosts" type:"host"`
			Ports    []int         `config:"ports,multi" type:"port"`
			Timeout  time.Duration `config:"timeout"`
			Needed   string        `config:"needed,required"`
			Blank    *int          `config:"blank,required"`
			Tiny     uint8         `config:"tiny"`
			Least    float64       `config:"least" min:"0.5"`
			Endless  string        `config:"endless"`
		} `config:"api"`
	}
	s := source(t, `[api]
workers = 65
blank =
strategy = mirrored
hosts = a, b_c
ports = 1
ports = x
ports = 2
timeout = soon
least = 0.4
`, `nothing
[api]
tiny = 256
   and
[broken
   more
endless = is in no section
`, `[api]
endless = ${api.endless}
workers = 0
`)
	s.Files = append(s.Files, filepath.Join(filepath.Dir(s.Files[0]), "nosuch.conf"))
	s.Env = lookup(map[string]string{"OS_DEFAULT__LEVEL": "loud"})
	_, err := config.Load(s, options{})
	want := []string{
		"config: 2.conf:1: neither a [section], a comment, nor an assignment with \"=\" or \":\"",
		"config: 2.conf:5: a section must end with \"]\"",
		"config: open nosuch.conf: no such file or directory",
		`config: $OS_DEFAULT__LEVEL: [DEFAULT] level = "loud": slog: level string "loud": unknown name`,
		`config: 3.conf:3: [api] workers = "0": not from 1 to 64`,
		`config: 1.conf:4: [api] strategy = "mirrored": not one of classic, quorum`,
		`config: 1.conf:5: [api] hosts = "a, b_c": neither an IP address nor a host name`,
		`config: 1.conf:7: [api] ports = "x": not a port, from 0 to 65535`,
		`config: 1.conf:9: [api] timeout = "soon": neither a number of seconds nor a duration such as 1m30s`,
		`config: [api] needed: a value is required, and nobody gives one`,
		`config: 1.conf:3: [api] blank: a value is required, and this is none`,
		`config: 1.conf:10: [api] least = "0.4": not at least 0.5`,
		`config: 3.conf:2: [api] endless = "${api.endless}": $api.endless refers back to this option`,
	}
	if diff := cmp.Diff(want, messages(t, s, err)); diff != "" {
		t.Error(diff)
	}
	var problem *config.Problem
	if !errors.As(err, &problem) || problem.Option != "level" || problem.Value != "loud" {
		t.Errorf("the first problem is %#v", problem)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the missing file is not in the error")
	}
}

type span struct {
	Least int `config:"least" default:"1"`
	Most  int `config:"most" default:"2"`
}

func (s *span) Validate() error {
	if s.Least > s.Most {
		return fmt.Errorf("[span] least = %d is more than most = %d", s.Least, s.Most)
	}
	return nil
}

func TestValidate(t *testing.T) {
	t.Parallel()
	type options struct {
		Span span `config:"span"`
	}
	if _, err := config.Load(source(t, ""), options{}); err != nil {
		t.Error(err)
	}
	s := source(t, "[span]\nleast = 3")
	_, err := config.Load(s, options{})
	if diff := cmp.Diff([]string{"config: [span] least = 3 is more than most = 2"}, messages(t, s, err)); diff != "" {
		t.Error(diff)
	}
	// Values that are not there are not compared.
	s = source(t, "[span]\nleast = three")
	_, err = config.Load(s, options{})
	if got := messages(t, s, err); len(got) != 1 || !strings.Contains(got[0], "not an integer") {
		t.Errorf("errors: %q", got)
	}
}

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
[nova]
vif_plugging_timeout = 1
compute_drivr = x
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
		"config: 1.conf:12: [nova] compute_drivr: no such option; did you mean compute_driver?",
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
	if got := log.all(); len(got) != len(want) {
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

func TestCommandLine(t *testing.T) {
	t.Parallel()
	type options struct {
		Debug   bool     `config:"debug,flag" short:"d" help:"Log more."`
		Verbose bool     `config:"verbose,flag" short:"v" default:"true"`
		Host    []string `config:"host-name,flag,multi" short:"H"`
		Quiet   bool     `config:"quiet"`
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
		if strings.Contains(err.Error(), "--quiet") {
			t.Errorf("help tells of an option that is no flag:\n%s", err)
		}
	}
}

func TestDefaultFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	touch := func(paths ...string) {
		for _, path := range paths {
			path = filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	env := lookup(map[string]string{"HOME": filepath.Join(root, "home"), "SNAP": filepath.Join(root, "snap")})
	find := func(project, prog string) string {
		found := config.Search(root, env, project, prog, ".conf")
		return strings.ReplaceAll(strings.Join(found, " "), root+"/", "")
	}
	touch("snap/etc/shop/shop.conf", "etc/shop-api.conf")
	for _, step := range []struct{ add, want string }{
		{"", "snap/etc/shop/shop.conf etc/shop-api.conf"},
		{"etc/shop.conf", "etc/shop.conf etc/shop-api.conf"},
		{"etc/shop/shop-api.conf", "etc/shop.conf etc/shop/shop-api.conf"},
		{"home/shop.conf", "home/shop.conf etc/shop/shop-api.conf"},
		{"home/.shop/shop.conf", "home/.shop/shop.conf etc/shop/shop-api.conf"},
	} {
		if step.add != "" {
			touch(step.add)
		}
		if got := find("shop", "shop-api"); got != step.want {
			t.Errorf("with %q: %s, want %s", step.add, got, step.want)
		}
	}
	if got, want := find("", "shop-api"), "etc/shop-api.conf"; got != want {
		t.Errorf("without a project: %s, want %s", got, want)
	}

	// The home folder's files are found without being named, the command line's replace them, and ~ is filled in.
	touch("home/.shop/shop.conf.d/b.conf", "home/other.conf")
	conf := mustLoad(t, config.Source{Project: "shop", Env: env}, struct{}{})
	want := []string{filepath.Join(root, "home/.shop/shop.conf"), filepath.Join(root, "home/.shop/shop.conf.d/b.conf")}
	if diff := cmp.Diff(want, conf.Files()); diff != "" {
		t.Error(diff)
	}
	conf = mustLoad(t, config.Source{Project: "shop", Env: env, Args: []string{"--config-file", "~/other.conf"}}, struct{}{})
	want = []string{want[1], filepath.Join(root, "home/other.conf")}
	if diff := cmp.Diff(want, conf.Files()); diff != "" {
		t.Error(diff)
	}
}

func TestDeclarations(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		declares any
		want     string
	}{
		{1, "not a struct"},
		{struct {
			A string `config:"a b"`
		}{}, "not a name"},
		{struct {
			A string `config:"a,mutabel"`
		}{}, `"mutabel" is not a property`},
		{struct {
			A int `config:"a" default:"x"`
		}{}, "[DEFAULT] a: default: not an integer"},
		{struct {
			A int `config:"a" default:"5" max:"4"`
		}{}, "default: not at most 4"},
		{struct {
			A string `config:"a" min:"1"`
		}{}, "min is a number"},
		{struct {
			A string `config:"a" type:"hots"`
		}{}, `no type is called "hots"`},
		{struct {
			A chan int `config:"a"`
		}{}, "cannot be read"},
		{struct {
			A string `config:"a,secret"`
		}{}, "a secret must be a config.Secret"},
		{struct {
			A string `config:"a,multi"`
		}{}, "only a slice is multi"},
		{struct {
			A string `config:"a"`
			B string `config:"a"`
		}{}, "declared twice"},
		{struct {
			A string `config:"a"`
			B string `config:"b" deprecated:"a"`
		}{}, "that of another option"},
		{struct {
			A string `config:"a" short:"a"`
		}{}, "short is one letter, for an option that is a flag"},
		{struct {
			A string `help:"Forgotten."`
		}{}, "no config tag"},
		{struct {
			A struct {
				B struct{} `config:"b"`
			} `config:"a"`
		}{}, "groups are not nested"},
		{struct {
			A struct{} `config:"a,mutable"`
		}{}, "not a property of a group"},
		{struct {
			a string `config:"a"`
		}{}, "not exported"},
		{struct {
			A map[int]string `config:"a"`
		}{}, "keys of a map must be strings"},
		{struct {
			A uint8 `config:"a" type:"port"`
		}{}, "16 bits"},
	} {
		err := config.Declare(test.declares)
		if err == nil || !strings.HasPrefix(err.Error(), "config: declaration of ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T: error %v, want %q", test.declares, err, test.want)
		}
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
