package transport_test

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

type settings struct {
	TLS     bool
	Workers int
	Delay   time.Duration
	Name    string
	Policy  string
	Files   []string
	Seed    int
}

func read(t *testing.T, query string) (settings, error) {
	t.Helper()
	u, err := transport.ParseURL("foo+bar://h/v?" + query)
	if err != nil {
		t.Fatal(err)
	}
	s := settings{Workers: 64, Delay: time.Second}
	o := u.Options()
	o.Bool("ssl", &s.TLS)
	o.Int("workers", &s.Workers, 1, 100)
	o.Seconds("delay", &s.Delay, 0, 4500*time.Millisecond)
	o.Text("name", &s.Name)
	o.OneOf("policy", &s.Policy, "round-robin", "shuffle")
	o.List("files", &s.Files)
	o.Int("seed", &s.Seed, math.MinInt, math.MaxInt)
	return s, o.Finish()
}

// conforms: URL-25
func TestOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query string
		want  settings
	}{
		{"", settings{Workers: 64, Delay: time.Second}},
		{"ssl=Yes&workers=7&delay=0.25&name=a+b&policy=Shuffle&files=a&files=b,+c", settings{
			TLS: true, Workers: 7, Delay: 250 * time.Millisecond, Name: "a b", Policy: "shuffle", Files: []string{"a", "b", "c"},
		}},
	} {
		got, err := read(t, c.query)
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.query, diff)
		}
	}
}

func TestBoolOption(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"true": true, "1": true, "YES": true, "on": true, "false": false, "0": false, "No": false, "off": false} {
		u, err := transport.ParseURL("foo:?ssl=" + text)
		if err != nil {
			t.Fatal(err)
		}
		got, o := !want, u.Options()
		o.Bool("ssl", &got)
		if err := o.Finish(); err != nil || got != want {
			t.Errorf("%s: %t, %v; want %t", text, got, err, want)
		}
	}
}

// conforms: URL-26, URL-27
func TestOptionErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, want string }{
		{"sls=1", `foo url: option "sls": unknown; did you mean ssl?`},
		{"worker=1", `foo url: option "worker": unknown; did you mean workers?`},
		{"zzz=1", `foo url: option "zzz": unknown; there are delay, files, name, policy, seed, ssl, workers`},
		{"ssl=maybe", `foo url: option ssl: "maybe" is neither true nor false`},
		{"workers=x", `foo url: option workers: "x" is not a whole number`},
		{"workers=0", `foo url: option workers: "0" is not within 1 to 100`},
		{"delay=9", `foo url: option delay: "9" is not within 0 to 4.5 seconds`},
		{"delay=nan", `foo url: option delay: "nan" is not within 0 to 4.5 seconds`},
		{"delay=soon", `foo url: option delay: "soon" is not a number of seconds`},
		{"policy=any", `foo url: option policy: "any" is not one of round-robin, shuffle`},
		{"seed=hunter2", `foo url: option seed: "***" is not a whole number`},
		{"ssl=maybe&nmae=x", `foo url: option ssl: "maybe" is neither true nor false; option "nmae": unknown; did you mean name?`},
	} {
		_, err := read(t, c.query)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\nwant %s", c.query, err, c.want)
		}
	}
	u, err := transport.ParseURL("foo:?a=1")
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Options().Finish(); err == nil || !strings.Contains(err.Error(), "the transport has none") {
		t.Errorf("got %v, want that there are no options", err)
	}
	if u, err = transport.ParseURL("foo:?old_host=hunter2"); err != nil {
		t.Fatal(err)
	}
	o := u.Options()
	if name, value := o.Retired("the url", "old_host"); name != "" || value != "" {
		t.Errorf("an option that only files may have was read from the URL: %s = %s", name, value)
	}
	want := "foo url: option old_host: only configuration files may still have it; say it in front of the options"
	if err := o.Finish(); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// What a configuration file says counts where the URL says nothing; errors tell the line.
//
// conforms: URL-25
func TestSettings(t *testing.T) {
	t.Parallel()
	u, err := transport.ParseURL("foo://h/?workers=7&delay=2")
	if err != nil {
		t.Fatal(err)
	}
	o := u.Options().From([]transport.Setting{
		{Name: "workers", Value: "8", At: "a.conf:2"},
		{Name: "name", Value: "first", At: "a.conf:3"},
		{Name: "name", Value: "second", At: "b.conf:3"},
		{Name: "policy", Value: "shuffle", At: "b.conf:4"},
		{Name: "policy", Value: "", At: "c.conf:4"}, // as if it were not there
		{Name: "old_ssl", Value: "yes", At: "c.conf:5"},
		{Name: "seed", Value: "7", At: "c.conf:6", Stray: true},
		{Name: "pool", Value: "3", At: "c.conf:7"},
		{Name: "port", Value: "5", At: "c.conf:8"},
		{Name: "plicy", Value: "shuffle", At: "c.conf:8"},
		{Name: "somebody_elses", Value: "1", At: "c.conf:9", Stray: true},
		{Name: "quite_other", Value: "1", At: "c.conf:10"},
		{Name: "quite_other", Value: "2", At: "d.conf:10"},
	})
	o.Formerly("ssl", "older_ssl", "old_ssl")
	got, want := settings{Workers: 64, Policy: "round-robin"}, settings{TLS: true, Workers: 7, Delay: 2 * time.Second, Name: "second", Policy: "round-robin", Seed: 7}
	var pool int
	o.Bool("ssl", &got.TLS)
	o.Int("workers", &got.Workers, 1, 100)
	o.Seconds("delay", &got.Delay, 0, 4500*time.Millisecond)
	o.Text("name", &got.Name)
	o.OneOf("policy", &got.Policy, "round-robin", "shuffle")
	o.Int("seed", &got.Seed, 0, 10)
	o.Int("pool", &pool, 1, 10)
	o.NoEffect("pool", "there is none")
	if name, value := o.Retired("the url", "old_port", "port"); name != "port" || value != "5" {
		t.Errorf("port is %s = %s", name, value)
	}
	o.NoEffect("threads", "nobody gave it")
	if err := o.Finish(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var log strings.Builder
	o.Log(t.Context(), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	wantLog := `level=WARN msg="the option has a new name" option=old_ssl at=c.conf:5 use=ssl
level=WARN msg="the option belongs in the section of the transport" option=seed at=c.conf:6 use=seed
level=INFO msg="the option has no effect" option=pool at=c.conf:7 why="there is none"
level=WARN msg="the option is obsolete" option=port at=c.conf:8 use="the url"
level=WARN msg="unknown option ignored" option=plicy at=c.conf:8 did_you_mean=policy
level=WARN msg="unknown option ignored" option=quite_other at=c.conf:10
`
	if diff := cmp.Diff(wantLog, log.String()); diff != "" {
		t.Errorf("log, -want +got:\n%s", diff)
	}
}

func TestSettingErrors(t *testing.T) {
	t.Parallel()
	u, err := transport.ParseURL("foo://h/?delay=soon")
	if err != nil {
		t.Fatal(err)
	}
	secret := transport.Setting{Group: "foo", Name: "password", Value: "hunter2", At: "a.conf:5"}
	o := u.Options().From([]transport.Setting{
		{Group: "foo", Name: "workers", Value: "many", At: "a.conf:2"},
		{Group: "foo", Name: "ssl", Value: "true", At: "a.conf:3"},
		{Group: "foo", Name: "old_policy", Value: "any", At: "a.conf:4"},
		secret,
	})
	o.Formerly("policy", "old_policy")
	s := settings{}
	o.Seconds("delay", &s.Delay, 0, time.Second)
	o.Int("workers", &s.Workers, 1, 100)
	o.Bool("ssl", &s.TLS)
	o.Wrong("ssl", "there is no certificate")
	o.OneOf("policy", &s.Policy, "round-robin", "shuffle")
	o.Int("password", &s.Seed, 1, 2)
	want := `a.conf:2: [foo] workers: "many" is not a whole number
a.conf:3: [foo] ssl: there is no certificate
a.conf:4: [foo] old_policy: "any" is not one of round-robin, shuffle
a.conf:5: [foo] password: "***" is not a whole number
foo url: option delay: "soon" is not a number of seconds`
	if err := o.Finish(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	for _, text := range []string{fmt.Sprint(secret), fmt.Sprintf("%#v", []transport.Setting{secret})} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("shows the password: %s", text)
		}
	}
}
