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

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.conf": "[DEFAULT]\nhost = h1\nname = a\n[bus]\nurl = rabbit://$user:p$$@${host}/$web.vhost\nuser = u\n",
		"b.conf": "[default]\nname = not this\n[DEFAULT]\nname = b\nloop = $round\nround = $loop\n[Bus]\nhost = $my_ip\nextra = \\$1\n[web]\nvhost = v\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b := filepath.Join(dir, "a.conf"), filepath.Join(dir, "b.conf")
	files, err := config.ReadFiles(a, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ group, name, value, at string }{
		{"DEFAULT", "name", "b", b + ":4"},
		{"DEFAULT", "host", "h1", a + ":2"},
		{"bus", "user", "u", a + ":6"},
		{"bus", "extra", "$1", b + ":9"},
		{"bus", "nosuch", "", ""},
	} {
		if value, at, err := files.Get(c.group, c.name); value != c.value || at != c.at || err != nil {
			t.Errorf("[%s] %s = %q at %s, %v; want %q at %s", c.group, c.name, value, at, err, c.value, c.at)
		}
	}
	// The group's own host comes before that of [DEFAULT].
	for _, c := range []struct{ group, name, want string }{
		{"bus", "url", a + ":5: [bus] url: the name after $ is in none of the files"},
		{"DEFAULT", "loop", b + ":5: [DEFAULT] loop: $loop refers back to this option"},
	} {
		_, _, err := files.Get(c.group, c.name)
		var problem *config.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("[%s] %s: %v, want %s", c.group, c.name, err, c.want)
		}
	}
	alone, err := config.ReadFiles(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := alone.Get("bus", "url"); err == nil || !strings.Contains(err.Error(), "the name after $ is in none of the files") {
		t.Errorf("a reference to another group: %v", err)
	}
	if diff := cmp.Diff([]string{"extra", "host", "url", "user"}, files.Names("BUS")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{a, b}, files.Paths()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := config.ReadFiles(a, filepath.Join(dir, "nosuch.conf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
