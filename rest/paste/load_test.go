package paste_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest/paste"
)

// write returns the path of a file with that text.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api-paste.ini")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// told is what an error says, without the folder.
func told(path string, err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""), "\n")
}

// All that is wrong is told at once, in the order of the file, what several pipelines share only once.
func TestEveryUnknownFactoryIsNamed(t *testing.T) {
	t.Parallel()
	path := write(t, `[composite:main]
use = call:t:map
/v1: one
/v2: two
/v3: three
/v4: four

[pipeline:one]
pipeline = cors faultwrap missing api

[pipeline:two]
pipeline = cors wrongkind authtoken api1

[composite:three]
use = egg:Paste#urlmop

[pipeline:four]
pipeline = cors four

[filter:cors]
paste.filter_factory = t:filtre

[filter:faultwrap]
paste.filter_factory = nobody.knows:this

[filter:wrongkind]
use = call:t:app1

[filter:authtoken]
paste.filter_factory = t:filter1
secret = 100%

[app:api]
paste.app_factory = t:app
`)
	f := recorders().With(paste.Factories{Composites: map[string]paste.CompositeFactory{"t:map": paste.URLMap, "egg:Paste#urlmap": paste.URLMap}})
	app, err := paste.Config{Path: path, Factories: f}.App()
	if app != nil {
		t.Errorf("an app all the same: %v", app)
	}
	want := []string{
		"paste: api-paste.ini:9: [pipeline:one]: pipeline: there is no filter missing in api-paste.ini",
		"paste: api-paste.ini:12: [pipeline:two]: pipeline: there is no app, composite, pipeline or filter-app api1 in api-paste.ini; did you mean api?",
		"paste: api-paste.ini:15: [composite:three]: use: the app factory egg:paste#urlmop is not known to this program; did you mean egg:paste#urlmap?",
		"paste: api-paste.ini:17: [pipeline:four]: leads back to itself: pipeline:four -> pipeline:four",
		"paste: api-paste.ini:21: [filter:cors]: paste.filter_factory: the filter factory t:filtre is not known to this program; did you mean t:filter?",
		"paste: api-paste.ini:24: [filter:faultwrap]: paste.filter_factory: the filter factory nobody.knows:this is not known to this program",
		"paste: api-paste.ini:27: [filter:wrongkind]: use: the filter factory t:app1 is not known; there is an app factory of that name",
		`paste: api-paste.ini:31: [filter:authtoken]: secret: a "%" stands for itself as "%%", and refers to another setting as %(name)s`,
	}
	if diff := cmp.Diff(want, told(path, err)); diff != "" {
		t.Errorf("App, -want +got:\n%s", diff)
	}
	if p, ok := errors.AsType[*paste.Problem](err); !ok || p.Path != path || p.Line != 9 || p.Section != "pipeline:one" {
		t.Errorf("the first problem is %#v", p)
	}
}

// A program that needs a part of a file is not stopped by the others, and Check tells of them.
func TestCheckLooksAtEverySection(t *testing.T) {
	t.Parallel()
	path := write(t, `[composite:main]
use = call:t:choose
keystone = authtoken api
chosen = noauth api

[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory

[filter:noauth]
paste.filter_factory = t:filter

[app:api]
paste.app_factory = t:app

[app:metadata]
paste.app_factory = nova.api.metadata.handler:MetadataRequestHandler.factory

[server:main]
use = egg:Paste#http
`)
	c := paste.Config{Path: path, Factories: recorders()}
	if _, err := c.App(); err != nil {
		t.Errorf("App: %v", err)
	}
	want := []string{
		"paste: api-paste.ini:7: [filter:authtoken]: paste.filter_factory: the filter factory keystonemiddleware.auth_token:filter_factory is not known to this program",
		"paste: api-paste.ini:16: [app:metadata]: paste.app_factory: the app factory nova.api.metadata.handler:MetadataRequestHandler.factory is not known to this program",
	}
	if diff := cmp.Diff(want, told(path, c.Check())); diff != "" {
		t.Errorf("Check, -want +got:\n%s", diff)
	}
}

// Every line that cannot be read is named.
func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	path := write(t, "lost = 1\n[app:main]\nuse = egg:test#app\njust words\n  and more of them\n= 1\na = 1\na = 2\n[app:main]\nb = \xff\n")
	_, err := paste.Config{Path: path, Factories: recorders()}.App()
	want := []string{
		"paste: api-paste.ini:1: a setting stands before the first [section]",
		`paste: api-paste.ini:4: [app:main]: neither a [section], a comment, nor a setting with "=" or ":"`,
		"paste: api-paste.ini:6: [app:main]: the setting has no name",
		"paste: api-paste.ini:8: [app:main]: a was set before, in line 7",
		"paste: api-paste.ini:9: [app:main]: the section was there before, in line 2",
		"paste: api-paste.ini:10: [app:main]: the line is not valid UTF-8",
	}
	if diff := cmp.Diff(want, told(path, err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := (paste.Config{Path: filepath.Join(filepath.Dir(path), "none.ini")}).App(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
}

// What a factory returns keeps its place, and gets one where it has none.
func TestErrorsOfFactories(t *testing.T) {
	t.Parallel()
	path := write(t, "[pipeline:main]\npipeline = a b c d api\n[filter:a]\nuse = call:f:a\nn = x\non = perhaps\n[filter:b]\nuse = call:f:b\n[filter:c]\npaste.filter_factory = f:c\n[filter:d]\npaste.filter_factory = f:d\n[app:api]\nuse = egg:test#app\n")
	broken := errors.New("broken")
	f := recorders().With(paste.Factories{Filters: map[string]paste.FilterFactory{
		"f:a": func(s paste.Settings) (func(http.Handler) http.Handler, error) {
			var n int
			var on bool
			return nil, errors.Join(s.Int("n", &n), s.Bool("on", &on))
		},
		"f:b": func(paste.Settings) (func(http.Handler) http.Handler, error) { return nil, broken },
		"f:c": paste.Removed("upstream removed it; take c out of the pipeline"),
		"f:d": func(paste.Settings) (func(http.Handler) http.Handler, error) { return nil, nil },
	}})
	_, err := paste.Config{Path: path, Factories: f}.App()
	want := []string{
		`paste: api-paste.ini:5: [filter:a]: n: "x" is no integer`,
		`paste: api-paste.ini:6: [filter:a]: on: "perhaps" is neither true nor false`,
		"paste: api-paste.ini:8: [filter:b]: use: f:b: broken",
		"paste: api-paste.ini:9: [filter:c]: f:c: upstream removed it; take c out of the pipeline",
		"paste: api-paste.ini:11: [filter:d]: f:d made no filter",
	}
	if diff := cmp.Diff(want, told(path, err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !errors.Is(err, broken) {
		t.Error("the factory's own error is lost")
	}
}

// What has no effect is warned of, with its line.
func TestWarnings(t *testing.T) {
	t.Parallel()
	path := write(t, "[DEFAULT]\na = 1\n[pipeline:main]\npipeline = f f api\n[filter:f]\nuse = call:t:lists\na = 2\nknown = x\nunknown = y\nrequire = Paste\n[app:api]\nuse = pipe\nlost = 1\n[pipeline:pipe]\npipeline = egg:test#app\n")
	f := recorders().With(paste.Factories{Filters: map[string]paste.FilterFactory{
		"t:lists": func(s paste.Settings) (func(http.Handler) http.Handler, error) {
			var known []string
			s.List("known", &known)
			return func(next http.Handler) http.Handler { return next }, nil
		},
	}})
	var log bytes.Buffer
	if _, err := (paste.Config{Path: path, Factories: f, Logger: slog.New(slog.NewTextHandler(&log, nil))}).App(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`at=\S*/api-paste.ini:(\d+) section=(\S+) setting=(\S+)`).FindAllStringSubmatch(log.String(), -1) {
		got = append(got, strings.Join(m[1:], " "))
	}
	want := []string{"10 filter:f require", "13 app:api lost", "7 filter:f a", "9 filter:f unknown"}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, log.String())
	}
}

// Settings are read as oslo.config reads options, and no way of printing them shows values.
func TestSettings(t *testing.T) {
	t.Parallel()
	path := write(t, "[DEFAULT]\nlimit = 7\n[app:main]\nuse = call:t:app\non = YES\noff = 0\nlist = a, b ,c\nnone =\ntext = hunter2\n")
	checked := false
	f := paste.Factories{Apps: map[string]paste.AppFactory{"t:app": func(s paste.Settings) (http.Handler, error) {
		checked = true
		on, off, limit, absent, text, none := false, true, 0, 9, "", []string{"x"}
		var list []string
		err := errors.Join(s.Bool("on", &on), s.Bool("off", &off), s.Int("limit", &limit), s.Int("absent", &absent))
		s.List("list", &list)
		s.List("none", &none)
		s.Text("text", &text)
		if err != nil || !on || off || limit != 7 || absent != 9 || text != "hunter2" || !cmp.Equal(list, []string{"a", "b", "c"}) || len(none) != 0 {
			t.Error(err, on, off, limit, absent, text, list, none)
		}
		if found, ok := s.Lookup("text"); !ok || found.Position() != path+":9" {
			t.Errorf("the position is %q", found.Position())
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "settings", s)
		if all := fmt.Sprintf("%v %+v %#v %s", s, s, s, log.String()); strings.Contains(all, "hunter2") {
			t.Errorf("printed: %s", all)
		}
		return http.NotFoundHandler(), nil
	}}}
	if _, err := (paste.Config{Path: path, Factories: f}).App(); err != nil || !checked {
		t.Error(err, checked)
	}
}

// A pipeline is chosen by name; the others may name what is not there.
func TestChoose(t *testing.T) {
	t.Parallel()
	const text = "[composite:main]\nuse = call:t:pipeline\nkeystone = a api\nkeystone_nolimit = b api\nnoauth = nowhere\n[filter:a]\nuse = egg:test#filter1\n[filter:b]\nuse = egg:test#filter2\n[app:api]\nuse = egg:test#app\n"
	path := write(t, text)
	load := func(names ...string) (http.Handler, error) {
		f := recorders().With(paste.Factories{Composites: map[string]paste.CompositeFactory{"t:pipeline": paste.Choose(names...)}})
		return paste.Config{Path: path, Factories: f}.App()
	}
	for want, names := range map[string][]string{
		"egg:test#filter1": {"keystone"},
		"egg:test#filter2": {"keystone_nolimit", "keystone"},
		"":                 {"keystonr"},
	} {
		app, err := load(names...)
		if want == "" {
			wanted := []string{"paste: api-paste.ini:1: [composite:main]: the section has no pipeline keystonr, but keystone, keystone_nolimit, noauth; did you mean keystone?"}
			if diff := cmp.Diff(wanted, told(path, err)); diff != "" {
				t.Error(diff)
			}
			continue
		}
		if err != nil {
			t.Error(err)
		} else if got := app.(*made); got.Filter != want || got.Next.App != "egg:test#app" {
			t.Errorf("%v made %+v", names, got)
		}
	}
}

func FuzzApp(f *testing.F) {
	for _, c := range awkward {
		f.Add(c.text)
	}
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other.ini"), []byte(otherFile), 0o600); err != nil {
		f.Fatal(err)
	}
	factories := recorders()
	f.Fuzz(func(t *testing.T, text string) {
		file, err := os.CreateTemp(dir, "*.ini")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.Remove(file.Name()) }()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		file.Close()
		c := paste.Config{Path: file.Name(), Factories: factories}
		app, err := c.App()
		if (app == nil) != (err != nil) {
			t.Fatalf("app %v, error %v", app, err)
		}
		if err != nil {
			p, ok := errors.AsType[*paste.Problem](err)
			if !ok || p.Reason == "" || p.Path == "" {
				t.Fatalf("error is %#v", err)
			}
			return
		}
		_ = c.Check() // it comes to an end
	})
}
