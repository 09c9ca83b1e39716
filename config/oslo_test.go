package config_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

// awkward holds files on which parsers of INI files disagree. Options that are asked for: a, b and c of
// the groups DEFAULT, default, group and " group ".
var awkward = []string{
	"",
	"[DEFAULT]\na = 1\na = 2\n",
	"[DEFAULT]\na = 1\n[group]\na = 3\n[DEFAULT]\nb = 2\n",
	"[DEFAULT]\na: x = y\nb = x : y\nc=x:y=z",
	"[DEFAULT]\na = one\n  two\n\tthree   \nb = 'quoted'\n  'not quoted'\n",
	"[DEFAULT]\na = \"\nb = ''\nc = 'x\"\n",
	"[DEFAULT]\na = \"'x'\"\nb = \"a\" and \"b\"\nc = \" x \"  \n",
	"[DEFAULT]\na =\n  next\nb =\n\nc = 1 # no comment\n",
	"[DEFAULT]\n# a = 1\n;b = 2\na = 3 ; no comment\n",
	"[GROUP]\na = 1\n[group]\nb = 2\n[ group ]\nc = 3\n[default]\na = 4\n",
	"[group]]\na = 1\n[[group]\nb = 2\n",
	"[DEFAULT]\r\na = 1\r\n  2\r\n[group]\ra = 3\r",
	"[DEFAULT]\na = \u00a0x\u00a0\nb = \u2003y\u2003\nc = \x1fz\x1f\n",
	"[DEFAULT]\na = 1\n   \nb = $a and $$a and \\$a\n",
	"[DEFAULT]\n  a = 1\n",
	"[DEFAULT]\na = 1\n# comment\n  2\n",
	"[DEFAULT]\na = 1\n\n  2\n",
	"[DEFAULT]\na = 1\n[group]\n  2\n",
	"[DEFAULT\na = 1\n",
	"[]\na = 1\n",
	"[DEFAULT]\njust words\n",
	"[DEFAULT]\n= 1\n",
	"[DEFAULT]\n: 1\n",
	"\ufeff[DEFAULT]\na = 1\n",
	"[DEFAULT]\nß = 1\na = ünïcode \U0001f600\n",
	"[DEFAULT] \na = 1\n[group] # comment\nb = 1\n",
	"[DEFAULT]\na\t=\t1\t\nb=\t\n\t\t2\nc = \\\n  3\n",
	"[DEFAULT]\na = 1\x0b\nb = 2\x0c3\n",
}

//go:embed testdata/oslo.py
var osloProgram string

// answer is what either side says of one file.
type answer struct {
	Values map[string]string `json:"values"`
	Line   int               `json:"line"` // of the error; 0 = none
}

func TestAgreesWithOsloConfig(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	dir := t.TempDir()
	paths := make([]string, len(awkward))
	for i, text := range awkward {
		paths[i] = filepath.Join(dir, fmt.Sprintf("%02d.conf", i))
		if err := os.WriteFile(paths[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python, append([]string{"-c", osloProgram}, paths...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oslo.config did not run: %v\n%s\ninstall it: apt-get install python3-oslo.config", err, stderr.String())
	}
	var want []answer
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, text := range awkward {
		if diff := cmp.Diff(want[i], read(t, paths[i])); diff != "" {
			t.Errorf("%q: oslo.config (-) and this package (+) disagree:\n%s", text, diff)
		}
	}
}

func read(t *testing.T, path string) answer {
	t.Helper()
	a := answer{Values: map[string]string{}}
	f, err := config.ReadFile(path)
	if err != nil {
		var syntax *config.SyntaxError
		if !errors.As(err, &syntax) {
			t.Fatal(err)
		}
		a.Line = syntax.Line
		return a
	}
	for _, group := range []string{"DEFAULT", "default", "group", " group "} {
		for _, name := range []string{"a", "b", "c"} {
			if value, ok := f.Get(group, name); ok {
				a.Values[group+"."+name] = value
			}
		}
	}
	return a
}
