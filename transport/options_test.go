package transport_test

import (
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
	o.Refuse("compression", "this transport does not compress")
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
		{"zzz=1", `foo url: option "zzz": unknown; there are compression, delay, files, name, policy, seed, ssl, workers`},
		{"ssl=maybe", `foo url: option ssl: "maybe" is neither true nor false`},
		{"workers=x", `foo url: option workers: "x" is not a whole number`},
		{"workers=0", `foo url: option workers: "0" is not within 1 to 100`},
		{"delay=9", `foo url: option delay: "9" is not within 0 to 4.5 seconds`},
		{"delay=nan", `foo url: option delay: "nan" is not within 0 to 4.5 seconds`},
		{"delay=soon", `foo url: option delay: "soon" is not a number of seconds`},
		{"policy=any", `foo url: option policy: "any" is not one of round-robin, shuffle`},
		{"seed=hunter2", `foo url: option seed: "***" is not a whole number`},
		{"compression=gzip", `foo url: option compression: this transport does not compress`},
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
}
