package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/goslo/goslo/config"
)

func FuzzSubstitute(f *testing.F) {
	for _, text := range []string{
		"", "plain", "$a", "${a}", "$$a", `\$a`, `\\$a`, "$", "$$", "$$$a", "${", "${}", "$a.b", "${g.a}", "$g.a.", "$é", "${a", "100$ of $a", "$A", "$_", "x$a$b${a}$",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		known := func(name string) (string, error) { return "<" + strings.ToLower(name) + ">", nil }
		filled, err := config.Substitute(text, known)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		// What has no dollar sign stands for itself, and what is escaped comes out as it was.
		if !strings.Contains(text, "$") && filled != text {
			t.Fatalf("%q became %q", text, filled)
		}
		escaped := strings.ReplaceAll(text, "$", "$$")
		if !strings.Contains(text, `\$`) {
			if back, err := config.Substitute(escaped, known); err != nil || back != text {
				t.Fatalf("%q, escaped, became %q, %v", text, back, err)
			}
		}
		// An unknown option is an error exactly where a known one is filled in.
		asked := false
		_, _ = config.Substitute(text, func(string) (string, error) { asked = true; return "", nil })
		unknown := errors.New("unknown")
		if _, err := config.Substitute(text, func(string) (string, error) { return "", unknown }); asked != errors.Is(err, unknown) {
			t.Fatalf("%q: asked %v, error %v", text, asked, err)
		}
	})
}

// FuzzLoad reads whatever is in a file into options of every type: it says what is wrong, or has values within their limits.
func FuzzLoad(f *testing.F) {
	for _, text := range awkward {
		f.Add(text)
	}
	f.Add("[DEFAULT]\nnumber = 1_0\nlimited = 5\nfloat = 1e5\ndict = a:1,b\nports = 1,2\nurl = http://[::1]/\nhost = a.b\n[api]\naddress = ::1\nname6 = ::1\ntext = ${db.ratio}\n[db]\nratio = .5")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := config.Parse("fuzz.conf", []byte(text))
		if err != nil {
			return
		}
		errs, o := config.Decode(file, awkwardOptions{})
		for _, err := range errs {
			var problem *config.Problem
			if !errors.As(err, &problem) || problem.Reason == "" {
				t.Fatalf("error is %#v", err)
			}
		}
		if o.Limited != nil && (*o.Limited < 1 || *o.Limited > 10) {
			t.Fatalf("limited = %d", *o.Limited)
		}
		if o.Choice != nil && *o.Choice != "one" && *o.Choice != "two" {
			t.Fatalf("choice = %q", *o.Choice)
		}
		for _, port := range o.Ports {
			if port < 0 || port > 65535 {
				t.Fatalf("ports = %d", o.Ports)
			}
		}
	})
}
