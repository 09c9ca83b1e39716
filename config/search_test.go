package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

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

// Files beside the configuration are found where oslo.config's find_file looks, in its order.
func TestFindFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	touch := func(path string) string {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	env := lookup(map[string]string{"HOME": filepath.Join(root, "home")})
	a, b := touch("a/shop.conf"), touch("b/shop.conf")
	conf := mustLoad(t, config.Source{Project: "shop", Env: env, Args: []string{
		"--config-file", a, "--config-file", b, "--config-dir", filepath.Dir(touch("d/x.conf")),
	}}, struct{}{})

	if path, err := conf.FindFile("paste.ini"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), filepath.Join(root, "home/.shop")) {
		t.Errorf("found %q, %v", path, err)
	}
	for _, dir := range []string{"home", "home/.shop", "a", "b", "d"} { // each comes before those before it
		want := touch(dir + "/paste.ini")
		if path, err := conf.FindFile("paste.ini"); path != want || err != nil {
			t.Errorf("found %s, %v; want %s", path, err, want)
		}
	}
	if path, err := conf.FindFile(a); path != a || err != nil {
		t.Errorf("an absolute name is %s, %v", path, err)
	}
	if path, err := conf.FindFile(a + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absolute name that is not there is %s, %v", path, err)
	}
}
