package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo/config"
)

func TestGet(t *testing.T) {
	t.Parallel()
	f, err := config.Parse("nova.conf", []byte(`# comment
[DEFAULT]
transport_url = rabbit://openstack:s=cr:t@ctl-1:5672/
host: cmp-1
debug=true

debug = false
list = one,
       two,
	three
quoted = " spaced "
mixed = 'it"s"'
lone = "
empty =

[oslo_Messaging_Rabbit]
ssl = true
[DEFAULT]
late = 1
; another comment
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ group, name, want string }{
		{"DEFAULT", "transport_url", "rabbit://openstack:s=cr:t@ctl-1:5672/"},
		{"DEFAULT", "host", "cmp-1"},
		{"DEFAULT", "debug", "false"},
		{"DEFAULT", "list", "one,\ntwo,\nthree"},
		{"DEFAULT", "quoted", " spaced "},
		{"DEFAULT", "mixed", `it"s"`},
		{"DEFAULT", "lone", ""},
		{"DEFAULT", "empty", ""},
		{"oslo_messaging_rabbit", "ssl", "true"},
		{"OSLO_MESSAGING_RABBIT", "ssl", "true"},
		{"DEFAULT", "late", "1"},
	} {
		got, ok := f.Get(test.group, test.name)
		if !ok || got != test.want {
			t.Errorf("Get(%s, %s) = %q, %v, want %q", test.group, test.name, got, ok, test.want)
		}
	}
	for _, absent := range [][2]string{{"DEFAULT", "nosuch"}, {"nosuch", "host"}, {"default", "host"}, {"DEFAULT", "Host"}} {
		if got, ok := f.Get(absent[0], absent[1]); ok {
			t.Errorf("Get(%s, %s) = %q, want nothing", absent[0], absent[1], got)
		}
	}
	if got, want := f.Position("DEFAULT", "debug"), "nova.conf:7"; got != want {
		t.Errorf("Position of the last debug = %q, want %q", got, want)
	}
	if got := f.Position("DEFAULT", "nosuch"); got != "" {
		t.Errorf("Position of nothing = %q", got)
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		line       int
		problem    string
	}{
		{"no assignment", "[DEFAULT]\n\npassword secret\n", 3, "nor an assignment"},
		{"no name", "[DEFAULT]\n= secret\n", 2, "no name"},
		{"open section", "[DEFAULT\n", 1, `must end with "]"`},
		{"empty section", "[]\n", 1, "no name"},
		{"no section", "a = secret\n", 1, "before the first [section]"},
		{"leading continuation", " a = secret\n", 1, "continuation"},
		{"continuation after a blank line", "[DEFAULT]\na = 1\n\n  secret\n", 4, "continuation"},
		{"continuation after a comment", "[DEFAULT]\na = 1\n# c\n  secret\n", 4, "continuation"},
		{"byte order mark", "\uFEFF[DEFAULT]\na = secret\n", 1, "byte order mark"},
		{"not UTF-8", "[DEFAULT]\na = \xff\n", 2, "UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse("x.conf", []byte(test.text))
			var syntax *config.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error = %v, want a SyntaxError", err)
			}
			if syntax.Line != test.line || !strings.Contains(syntax.Problem, test.problem) {
				t.Errorf("error = %v, want line %d and %q", err, test.line, test.problem)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.conf")
	if err := os.WriteFile(path, []byte("[DEFAULT]\r\na = 1\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := config.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := f.Get(config.Default, "a"); got != "1" {
		t.Errorf("a = %q, want 1", got)
	}
	_, err = config.ReadFile(path + ".nosuch")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path+".nosuch") {
		t.Errorf("error = %v, want one that names the file and is fs.ErrNotExist", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range awkward {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := config.Parse("fuzz.conf", []byte(text))
		if err != nil {
			var syntax *config.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error is a %T: %v", err, err)
			}
			lines := 1 + strings.Count(text, "\n") + strings.Count(text, "\r")
			if syntax.Line < 1 || syntax.Line > lines {
				t.Fatalf("error at line %d of %d: %v", syntax.Line, lines, err)
			}
			return
		}
		// A good file stays good, and a later value wins, whatever was there before.
		again, err := config.Parse("fuzz.conf", []byte(text+"\n[Last]\nfuzz = 1\nfuzz = 2"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := again.Get("last", "fuzz"); got != "2" {
			t.Fatalf("the last value = %q, want 2", got)
		}
		if _, ok := file.Get("", ""); ok {
			t.Fatal("an option without group and name")
		}
	})
}
