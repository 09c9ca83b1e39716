package paste_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest/paste"
)

// made is what an application is made of, as both sides tell it.
type made struct {
	App       string            `json:"app,omitempty"`
	Filter    string            `json:"filter,omitempty"`
	Composite string            `json:"composite,omitempty"`
	Global    map[string]string `json:"global,omitempty"`
	Local     map[string]string `json:"local,omitempty"`
	Apps      map[string]*made  `json:"apps,omitempty"`
	Next      *made             `json:"next,omitempty"`
}

func (m *made) ServeHTTP(http.ResponseWriter, *http.Request) {}

func describe(s paste.Settings) *made {
	m := &made{Global: map[string]string{}, Local: map[string]string{}}
	for each := range s.Global() {
		m.Global[each.Name] = each.Value
	}
	for each := range s.Local() {
		m.Local[each.Name] = each.Value
	}
	return m
}

// recorders are factories of which each application tells how it was made.
func recorders() paste.Factories {
	filter := func(s paste.Settings) (func(http.Handler) http.Handler, error) {
		m := describe(s)
		m.Filter = s.Factory()
		return func(next http.Handler) http.Handler {
			each := *m
			each.Next = next.(*made)
			return &each
		}, nil
	}
	app := func(s paste.Settings) (http.Handler, error) {
		m := describe(s)
		m.App = s.Factory()
		return m, nil
	}
	all := func(l *paste.Loader, s paste.Settings) (http.Handler, error) {
		m := describe(s)
		m.Composite, m.Apps = s.Factory(), map[string]*made{}
		for each := range s.Local() {
			next, err := l.With(s).App(each, each.Value)
			if err != nil {
				return nil, err
			}
			m.Apps[each.Name] = next.(*made)
		}
		return m, nil
	}
	choose := func(l *paste.Loader, s paste.Settings) (http.Handler, error) {
		m := describe(s)
		m.Composite = s.Factory()
		next, err := paste.Choose("chosen")(l, s)
		if err != nil {
			return nil, err
		}
		m.Next = next.(*made)
		return m, nil
	}
	f := paste.Factories{Filters: map[string]paste.FilterFactory{}, Apps: map[string]paste.AppFactory{}, Composites: map[string]paste.CompositeFactory{}}
	for _, prefix := range []string{"t:", "t.u:", "egg:test#"} {
		for _, n := range []string{"", "1", "2", "3"} {
			f.Filters[prefix+"filter"+n] = filter
			f.Filters[prefix+"wrap"+n] = filter
			f.Apps[prefix+"app"+n] = app
			f.Composites[prefix+"map"+n] = all
			f.Composites[prefix+"choose"+n] = choose
		}
	}
	return f
}

// awkward holds files on which those that read api-paste.ini may disagree. The app is "main" unless app says otherwise; other.ini is
// beside each.
var awkward = []struct {
	text    string
	app     string
	globals map[string]string
}{
	{text: ""},
	{text: "[app:main]\npaste.app_factory = t:app\n"},
	{text: "[app:main]\npaste.app_factory: t:app\na: x = y\nb = x : y\nc=x:y=z\n"},
	{text: "[app:main]\npaste.app_factory = t : app\n"},
	{text: "[app:main]\npaste.app_factory =\n    t:app\n"},
	{text: "[app:main]\npaste.app_factory = t:app [extra]\n"},
	{text: "[app:main]\npaste.app_factory = t:app\nName = x\nname = y\nNAME = z\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = 1\na = 2\n"},
	{text: "[app:main]\npaste.app_factory = t:app\n[app:main]\na = 2\n"},
	{text: "[app:main]\npaste.app_factory = t:app\n[app: main ]\npaste.app_factory = t:app2\n"},
	{text: "[app: main ]\npaste.app_factory = t:app\n"},
	{text: "[DEFAULT]\na = 1\n[app:main]\npaste.app_factory = t:app\n[DEFAULT]\nb = 2\n"},
	{text: "[DEFAULT]\na = 1\n[app:main]\npaste.app_factory = t:app\n[DEFAULT]\na = 2\n"},
	{text: "[DEFAULT]\na = 1\nb = %(a)s\n[app:main]\npaste.app_factory = t:app\na = 2\nc = %(a)s %(b)s\n"},
	{text: "[DEFAULT]\na = 1\n[app:main]\npaste.app_factory = t:app\nset a = 2\nset  b  = 3\nset c =\n"},
	{text: "[DEFAULT]\na = 1\nset z = 5\n[app:main]\npaste.app_factory = t:app\nget x = a\n"},
	{text: "[app:main]\npaste.app_factory = t:app\nset a = 1\nget x = a\n"},
	{text: "[app:main]\npaste.app_factory = t:app\nget x = nowhere\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = %(here)s/x\nb = %(__file__)s\nc = 100%%\nd = %(a)s %%(a)s\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = 100%\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = %(nothing)s\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = %(b)s\nb = %(a)s\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = %()s\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = %(b\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = %(b)d\nb = 1\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na1=%(a2)s\na2=%(a3)s\na3=%(a4)s\na4=%(a5)s\na5=%(a6)s\na6=%(a7)s\na7=%(a8)s\na8=%(a9)s\na9=%(a10)s\na10=%(a11)s\na11=end\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na1=%(a2)s\na2=%(a3)s\na3=%(a4)s\na4=%(a5)s\na5=%(a6)s\na6=%(a7)s\na7=%(a8)s\na8=%(a9)s\na9=%(a10)s\na10=%(a11)s\na11=%(a12)s\na12=end\n"},
	{text: "[DEFAULT]\nempty =\na = %(empty)s\n[app:main]\npaste.app_factory = t:app\nb = %(a)s\n"},
	{text: "[DEFAULT]\na = 100%\n[app:main]\npaste.app_factory = t:app\n"},
	{text: "[DEFAULT]\nhere = /elsewhere\n[app:main]\npaste.app_factory = t:app\na = %(here)s\n"},
	{text: "[DEFAULT]\na = file\n[app:main]\npaste.app_factory = t:app\nx = %(a)s %(b)s\nb = own\n", globals: map[string]string{"a": "program", "b": "program"}},
	// Lines.
	{text: "[app:main]\npaste.app_factory = t:app\na = one\n  two\n\tthree   \nb = 'quoted'\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = one\n\n  two\n\n\nb = 2\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = one\n# comment\n  ; comment\n  two\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = 1 # no comment\nb = 2 ; no comment\n"},
	{text: "  [app:main]\n  paste.app_factory = t:app\n  a = 1\n    2\n b = 3\n"},
	{text: "[app:main]\n  paste.app_factory = t:app\n    a = continued\n"},
	{text: "[app:main]\n\n  paste.app_factory = t:app\n b = 1\nc = 2\n"},
	{text: "[app:main] # comment\npaste.app_factory = t:app\n"},
	{text: "[app:main]]\npaste.app_factory = t:app\n", app: "main]"},
	{text: "[app:main]\npaste.app_factory = t:app\n[x = 1\n"},
	{text: "[app:main]\npaste.app_factory = t:app\n[]\n"},
	{text: "[app:main]\npaste.app_factory = t:app\njust words\n"},
	{text: "[app:main]\npaste.app_factory = t:app\n= 1\n"},
	{text: "a = 1\n[app:main]\npaste.app_factory = t:app\n"},
	{text: "\ufeff[app:main]\npaste.app_factory = t:app\n"},
	{text: "[app:main]\r\npaste.app_factory = t:app\r\na = 1\r\n  2\r\rb = 3\r"},
	{text: "[app:main]\npaste.app_factory = t:app\na = \u00a0x\u00a0\n\u2003 b = in a\nc = \x1fz\x1f\n"},
	{text: "[app:main]\npaste.app_factory = t:app\na = \n\n\nb\t=\t1\t\n"},
	{text: "[APP:main]\npaste.app_factory = t:app\n"},
	{text: "[app:Main]\npaste.app_factory = t:app\n"},
	{text: "[application:main]\npaste.app_factory = t:app\n[server:main]\nuse = egg:Paste#http\n"},
	{text: "[application:main]\npaste.app_factory = t:app\n[app:main]\npaste.app_factory = t:app1\n"},
	{text: "[app:main]\npaste.app_factory = t:app\n[pipeline:main]\npipeline = main\n"},
	{text: "[app:a#b]\npaste.app_factory = t:app\n", app: "a#b"},
	// Pipelines.
	{text: "[pipeline:main]\npipeline = f1 f2\n   f1 a\n[filter:f1]\npaste.filter_factory = t:filter1\nx = 1\n[filter:f2]\npaste.filter_app_factory = t:wrap\ny = 2\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[pipeline:main]\npipeline = a\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[pipeline:main]\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[pipeline:main]\npipeline =\n"},
	{text: "[pipeline:main]\npipeline = a\nother = 1\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[pipeline:main]\npipeline = f a\nset x = 1\n[filter:f]\npaste.filter_factory = t:filter\nset x = 2\nset y = 3\n[app:a]\npaste.app_factory = t:app\nz = 1\nset z = 2\n"},
	{text: "[pipeline:main]\npipeline = f a\n[app:f]\npaste.app_factory = t:app\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[pipeline:main]\npipeline = missing a\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[pipeline:main]\npipeline = egg:test#filter egg:test#wrap egg:test#app\nset x = 1\n"},
	{text: "[pipeline:main]\npipeline = egg:test#app egg:test#app\n"},
	{text: "[pipeline:main]\npipeline = f call:t:app\n[filter:f]\npaste.filter_factory = t:filter\n"},
	{text: "[pipeline:main]\npipeline = main\n"},
	{text: "[pipeline:main]\npipeline = p\n[pipeline:p]\npipeline = f a\n[filter:f]\nuse = g\nx = outer\n[filter:g]\npaste.filter_factory = t:filter\nx = inner\ny = inner\n[app:a]\npaste.app_factory = t:app\n"},
	// use.
	{text: "[app:main]\nuse = b\na = outer\nset s = outer\nset t = outer\n[app:b]\npaste.app_factory = t:app\na = inner\nb = inner\nset s = inner\n"},
	{text: "[app:main]\nuse = b\n[app:b]\npaste.app_factory = t:app\nset __file__ = mine\nset here = mine\n"},
	{text: "[app:main]\nuse = main\n"},
	{text: "[app:main]\nuse = b\n[app:b]\nuse = main\n"},
	{text: "[app:main]\nuse = call:t:app\na = 1\n"},
	{text: "[composite:main]\nuse = call:t:map\na = x\n[app:x]\npaste.app_factory = t:app\n"},
	{text: "[composit:main]\nuse = call:t:map\na = x\n[app:x]\npaste.app_factory = t:app\n"},
	{text: "[composite:main]\nuse = b\na = x\n[app:b]\nuse = call:t:app\n[app:x]\npaste.app_factory = t:app\n"},
	{text: "[app:main]\nuse = egg:test#map\na = x\n[app:x]\nuse = egg:test#app\nb = 1\n"},
	{text: "[app:main]\nuse = call:t\n"},
	{text: "[app:main]\nuse = call:t:app:more\n"},
	{text: "[app:main]\nuse = wrong:t:app\n"},
	{text: "[app:main]\nuse = EGG:test#app\n"},
	{text: "[app:main]\nuse = p\nlost = 1\nset g = 1\n[pipeline:p]\npipeline = f a\n[filter:f]\npaste.filter_factory = t:filter\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[app:main]\nuse = call:t:app\npaste.app_factory = t:app2\n"},
	{text: "[app:main]\npaste.app_factory = t:app\npaste.composite_factory = t:map\n"},
	{text: "[app:main]\npaste.composite_factory = t:map\na = x\n[app:x]\npaste.app_factory = t.u:app\n"},
	{text: "[app:main]\npaste.composit_factory = t:map\na = x\n[app:x]\npaste.app_factory = t.u:app\n"},
	{text: "[app:main]\na = 1\n"},
	{text: "[app:main]\npaste.filter_factory = t:filter\n"},
	{text: "[app:main]\npaste.app_factory = no module\n"},
	{text: "[filter:main]\npaste.filter_factory = t:filter\n"},
	// Other files.
	{text: "[DEFAULT]\na = mine\nd = mine\n[app:main]\nuse = config:other.ini\n"},
	{text: "[DEFAULT]\na = mine\nd = mine\n[app:main]\nuse = config:other.ini#x\nlocal = 1\nset e = 3\n"},
	{text: "[app:main]\nuse = config:%(here)s/other.ini#x\n"},
	{text: "[app:main]\nuse = config:other%%2eini#x\n"},
	{text: "[app:main]\nuse = config:other.ini#missing\n"},
	{text: "[app:main]\nuse = config:missing.ini\n"},
	{text: "[composite:main]\nuse = config:other.ini#map\n[app:x]\npaste.app_factory = t:app3\n"},
	{text: "[pipeline:main]\npipeline = config:other.ini#f config:other.ini\n"},
	{text: "[pipeline:main]\npipeline = config:other.ini#back\n"},
	// Composites.
	{text: "[DEFAULT]\ng = 1\n[composite:main]\nuse = egg:test#map\nset s = 2\n/: x\n/v1: p\n[app:x]\nuse = call:t:app\n[pipeline:p]\npipeline = f x\n[filter:f]\npaste.filter_factory = t:filter\n"},
	{text: "[DEFAULT]\ng = 1\n[composite:main]\nuse = call:t:choose\nset s = 2\nchosen = f f x\nother = nothing like it\n[app:x]\nuse = call:t:app\n[filter:f]\npaste.filter_factory = t:filter\n"},
	{text: "[DEFAULT]\ng = 1\n[composite:main]\nuse = call:t:choose\nchosen = f x\n[app:x]\nuse = call:t:app\n[filter:f]\npaste.filter_factory = t:filter\n", globals: map[string]string{"g": "program", "h": "program"}},
	{text: "[composite:main]\nuse = call:t:map\na = b\n[composite:b]\nuse = call:t:map\na = main\n"},
	{text: "[composite:main]\nuse = call:t:map\na = missing\n"},
	{text: "[composite:main]\nuse = call:t:map\na = egg:test#app\nb = config:other.ini\n"},
	// Filters in other places.
	{text: "[filter-app:main]\nuse = f\nnext = a\nx = 1\nset s = 1\n[filter:f]\npaste.filter_factory = t:filter\nx = inner\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[filter-app:main]\npaste.filter_factory = t:filter\nnext = a\nx = 1\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[filter-app:main]\npaste.filter_factory = t:filter\nx = 1\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[filter-app:main]\nnext = a\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[filter-app:main]\nuse = egg:test#wrap\nnext = egg:test#app\n"},
	{text: "[app:main]\npaste.app_factory = t:app\nfilter-with = f\na = 1\nset s = 1\n[filter:f]\npaste.filter_factory = t:filter\nb = 2\n"},
	{text: "[pipeline:main]\npipeline = f a\n[filter:f]\npaste.filter_factory = t:filter\nfilter-with = g\n[filter:g]\npaste.filter_factory = t:filter2\nfilter-with = h\n[filter:h]\npaste.filter_app_factory = t:wrap\n[app:a]\npaste.app_factory = t:app\n"},
	{text: "[app:main]\nuse = b\na = outer\n[app:b]\npaste.app_factory = t:app\nfilter-with = f\na = inner\n[filter:f]\npaste.filter_factory = t:filter\n"},
	{text: "[app:main]\nuse = b\na = outer\nset s = outer\n[app:b]\nuse = c\nfilter-with = f\n[app:c]\npaste.app_factory = t:app\n[filter:f]\npaste.filter_factory = t:filter\n"},
	{text: "[app:main]\npaste.app_factory = t:app\nfilter-with = missing\n"},
	{text: "[app:main]\npaste.app_factory = t:app\nrequire = test\n"},
}

const otherFile = `[DEFAULT]
a = theirs
b = %(here)s
c = 50%%
[app:main]
paste.app_factory = t:app
x = %(a)s %(b)s %(c)s
[app:x]
paste.app_factory = t:app2
d = own
local = theirs
set e = theirs
[composite:map]
use = egg:test#map
p = x
[filter:f]
paste.filter_factory = t:filter
[pipeline:back]
pipeline = config:00.ini
`

//go:embed testdata/pastedeploy.py
var pasteDeploy string

func TestAgreesWithPasteDeploy(t *testing.T) {
	t.Parallel()
	type load struct {
		Path    string            `json:"path"`
		Name    string            `json:"name"`
		Globals map[string]string `json:"globals"`
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other.ini"), []byte(otherFile), 0o600); err != nil {
		t.Fatal(err)
	}
	loads := make([]load, len(awkward))
	for i, c := range awkward {
		loads[i] = load{filepath.Join(dir, fmt.Sprintf("%02d.ini", i)), c.app, c.globals}
		if c.app == "" {
			loads[i].Name = "main"
		}
		if err := os.WriteFile(loads[i].Path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	input, err := json.Marshal(loads)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", pasteDeploy)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("PasteDeploy did not run: %v\n%s\ninstall it: apt-get install python3-pastedeploy", err, stderr.String())
	}
	var want []struct {
		Made  *made  `json:"made"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, c := range awkward {
		app, err := paste.Config{Path: loads[i].Path, Name: loads[i].Name, Globals: loads[i].Globals, Factories: recorders()}.App()
		switch {
		case err != nil && want[i].Error == "":
			t.Errorf("%q: error %v; PasteDeploy has none", c.text, err)
		case err == nil && want[i].Error != "":
			t.Errorf("%q: no error; PasteDeploy has %s", c.text, want[i].Error)
		case err == nil:
			if diff := cmp.Diff(want[i].Made, app.(*made)); diff != "" {
				t.Errorf("%q: PasteDeploy (-) and this package (+) disagree:\n%s", c.text, diff)
			}
		}
	}
}
