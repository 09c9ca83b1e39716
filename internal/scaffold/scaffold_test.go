package scaffold_test

import (
	"bytes"
	"errors"
	"go/build"
	"go/format"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/scaffold"
)

// library is a released one, so that nothing is read from the checkout.
var library = scaffold.Library{Version: "v1.2.3"}

// newProject writes a project, whose go.mod is not completed: it can be edited, but not built.
func newProject(t *testing.T, p scaffold.Project) (folder string) {
	t.Helper()
	files, err := p.Files(library)
	if err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(t.TempDir(), p.Name)
	if err := scaffold.Write(folder, files); err != nil {
		t.Fatal(err)
	}
	return folder
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		resource, item, items, typ, types, lower, article string
	}{
		{"order", "order", "orders", "Order", "Orders", "orders", "an order"},
		{"floating_ip", "floating_ip", "floating_ips", "FloatingIP", "FloatingIPs", "floatingIPs", "a floating ip"},
		{"policy", "policy", "policies", "Policy", "Policies", "policies", "a policy"},
		{"key", "key", "keys", "Key", "Keys", "keys", "a key"},
		{"address", "address", "addresses", "Address", "Addresses", "addresses", "an address"},
		{"vm", "vm", "vms", "VM", "VMs", "vms", "a vm"},
	} {
		p := scaffold.Project{Name: "my-shop", Resource: c.resource}
		got := []string{p.Item(), p.Items(), p.Type(), p.Types(), p.Lower(), p.ArticleItem(), p.Contract()}
		want := []string{c.item, c.items, c.typ, c.types, c.lower, c.article, "myshopapi"}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %q, want %q", c.resource, got, want)
		}
	}
}

func TestNamesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, p := range []scaffold.Project{
		{Name: ""},
		{Name: "Shop"},
		{Name: "../shop"},
		{Name: "shop_api"},
		{Name: "shop-"},
		{Name: "1shop"},
		{Name: "all"},
		{Name: "go"},
		{Name: "con"}, // no folder on Windows
		{Name: "shop", Module: "example.com//shop"},
		{Name: "shop", Module: "example.com/sh op"},
		{Name: "shop", Module: "-x"},
		{Name: "shop", Module: "go"},
		{Name: "shop", Module: "example.com/shop/v1"},
		{Name: "shop", Module: "example.com/shop."},
		{Name: "shop", Module: "example.com/nul/shop"},
		{Name: "shop", Topic: "a b"},
		{Name: "shop", Topic: "a\"b"},
		{Name: "shop", Resource: "Order"},
		{Name: "shop", Resource: "order-item"},
		{Name: "shop", Resource: "target"},
		{Name: "shop", Resource: "queued"},
	} {
		var name *scaffold.NameError
		if _, err := p.Files(library); !errors.As(err, &name) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

var tests = regexp.MustCompile(`(?m)^func Test\w+`)

var orders = regexp.MustCompile(`(an|/|"|Create|List)_?[oO]rders?\b`)

// What Go's files are made of is formatted whatever the names are, and nothing of the templates is left over.
func TestFiles(t *testing.T) {
	t.Parallel()
	for _, p := range []scaffold.Project{
		{Name: "shop"},
		{Name: "a-zoo", Module: "example.com/teams/zoo", Topic: "zoo.keepers", Resource: "wild_animal"},
		{Name: "pane", Resource: "app_window"}, // windows is a system for Go
		{Name: "news", Resource: "refusal"},
	} {
		files, err := p.Files(library)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, f := range files {
			if seen[f.Path] {
				t.Errorf("%s is there twice", f.Path)
			}
			seen[f.Path] = true
			if strings.ContainsAny(f.Path+string(f.Text), "«»") || strings.Contains(f.Path, "NAME") || strings.Contains(string(f.Text), "<no value>") {
				t.Errorf("%s has something of the template:\n%s", f.Path, f.Text)
			}
			if strings.HasSuffix(f.Path, ".go") {
				anywhere := build.Context{Compiler: "gc", OpenFile: func(string) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(f.Text)), nil
				}}
				if built, err := anywhere.MatchFile("", f.Path); err != nil || !built {
					t.Errorf("%s is not built everywhere: %v", f.Path, err)
				}
				for _, test := range tests.FindAllString(string(f.Text), -1) {
					if seen[path.Dir(f.Path)+test] {
						t.Errorf("%s has %s a second time", f.Path, test)
					}
					seen[path.Dir(f.Path)+test] = true
				}
				if formatted, err := format.Source(f.Text); err != nil || !bytes.Equal(formatted, f.Text) {
					t.Errorf("%s is not formatted: %v", f.Path, err)
				}
			}
			if p.Resource != "" && !strings.HasSuffix(f.Path, ".sample") && (bytes.Contains(f.Text, []byte("shop")) || orders.Match(f.Text)) {
				t.Errorf("%s speaks of what another project is about:\n%s", f.Path, f.Text)
			}
		}
		for _, path := range []string{"go.mod", ".gitignore", "cmd/" + p.Name + "-api/main.go", "etc/" + p.Name + "/api-paste.ini", p.Contract() + "/" + p.Contract() + ".go"} {
			if !seen[path] {
				t.Errorf("there is no %s", path)
			}
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	files := []scaffold.File{{Path: "a/b", Text: []byte("new")}}
	var exists *scaffold.ExistsError

	taken := filepath.Join(parent, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := scaffold.Write(taken, files); !errors.As(err, &exists) || !strings.Contains(err.Error(), "it has a") {
		t.Errorf("over a folder with something in it: %v", err)
	}
	file := filepath.Join(parent, "file")
	write(t, file, "old")
	if err := scaffold.Write(file, files); !errors.As(err, &exists) || read(t, file) != "old" {
		t.Errorf("over a file: %v", err)
	}
	empty := filepath.Join(parent, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := scaffold.Write(empty, files); err != nil || read(t, empty, "a", "b") != "new" {
		t.Errorf("into an empty folder: %v", err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 3 {
		t.Errorf("something is left behind: %v, %v", entries, err)
	}
}

func TestLibrary(t *testing.T) {
	t.Parallel()
	l, err := scaffold.FindLibrary("")
	if err != nil || !strings.HasPrefix(read(t, l.Checkout, "go.mod"), "module "+scaffold.Module) {
		t.Fatalf("%+v, %v", l, err)
	}
	if named, err := scaffold.FindLibrary(l.Checkout); err != nil || named != l {
		t.Errorf("named, it is %+v, %v", named, err)
	}
	other := t.TempDir()
	if _, err := scaffold.FindLibrary(other); err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("an empty folder: %v", err)
	}
	write(t, filepath.Join(other, "go.mod"), "module example.com/other\n")
	if _, err := scaffold.FindLibrary(other); err == nil || !strings.Contains(err.Error(), "example.com/other") {
		t.Errorf("another module: %v", err)
	}
}

// Since go stamps builds from a checkout with a version, too, that alone does not tell.
func TestReleased(t *testing.T) {
	t.Parallel()
	commit := []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "vcs.revision", Value: "f0ccea4"}}
	for _, c := range []struct {
		path, version string
		settings      []debug.BuildSetting
		want          string
	}{
		{scaffold.Module, "v1.2.3", commit[:1], "v1.2.3"},
		{scaffold.Module, "v0.0.0-20261121115602-f0ccea4f0cce", nil, "v0.0.0-20261121115602-f0ccea4f0cce"},
		{scaffold.Module, "v0.0.0-20261121115602-f0ccea4f0cce+dirty", commit, ""},
		{scaffold.Module, "(devel)", nil, ""},
		{scaffold.Module, "", nil, ""},
		{"example.com/other", "v1.2.3", nil, ""},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Path: c.path, Version: c.version}, Settings: c.settings}
		if got := scaffold.Released(info); got != c.want {
			t.Errorf("%s %s %v: %q, want %q", c.path, c.version, c.settings, got, c.want)
		}
	}
	if got := scaffold.Released(nil); got != "" {
		t.Errorf("without build information it is %q", got)
	}
}
