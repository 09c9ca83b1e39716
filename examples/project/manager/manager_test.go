package manager_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/examples/project/manager"
	"github.com/goslo/goslo/examples/project/projectapi"
	"github.com/goslo/goslo/rpc"
)

// newManager needs neither a bus nor a process: options are a struct, and callers are answered in place.
func newManager(t *testing.T, folder string) (*manager.Manager, *manager.Options, *rpc.Client) {
	t.Helper()
	options := &manager.Options{Manager: manager.Settings{StatePath: folder, MaxProjects: 2, ReportInterval: time.Minute}}
	m := manager.New("h1", func() *manager.Options { return options }, slog.New(slog.DiscardHandler))
	return m, options, rpc.Local(m.Endpoints()...)
}

func TestManager(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "state")
	m, _, client := newManager(t, folder)
	if err := m.InitHost(t.Context()); err != nil {
		t.Fatal(err)
	}
	create := func(name string) error {
		p, err := projectapi.CreateProject.Call(t.Context(), client, projectapi.CreateArgs{Name: name})
		if err == nil && (p.Name != name || p.Host != "h1") {
			t.Errorf("created %+v", p)
		}
		return err
	}
	for _, c := range []struct {
		name string
		want error
	}{{"a", nil}, {"a", projectapi.ProjectExists}, {"b", nil}, {"c", projectapi.QuotaExceeded}} {
		if err := create(c.name); !errors.Is(err, c.want) {
			t.Errorf("create %s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, name := range []string{"", "../x", "x/y"} {
		if err := create(name); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
	if err := projectapi.Forget.Cast(t.Context(), client, projectapi.ForgetArgs{Name: "a"}); err != nil {
		t.Error(err)
	}
	if err := m.Report(t.Context()); err != nil {
		t.Error(err)
	}

	// The next process finds what this one has built, and clears away what it had begun.
	if err := os.WriteFile(filepath.Join(folder, "d.building"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m, options, client := newManager(t, folder)
	if err := m.InitHost(t.Context()); err != nil {
		t.Fatal(err)
	}
	usage, err := projectapi.Usage.Call(t.Context(), client, struct{}{})
	if diff := cmp.Diff(projectapi.HostUsage{Host: "h1", Projects: 1, Abandoned: 1}, usage); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}

	// One whose time runs out leaves nothing behind.
	options.Manager.BuildTime = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := m.CreateProject(ctx, projectapi.CreateArgs{Name: "e"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an hour's work in 50 ms: %v", err)
	}
	if names, err := projectapi.Building.Call(t.Context(), client, struct{}{}); err != nil || len(names) != 0 {
		t.Errorf("still building %v, %v", names, err)
	}
	if found, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(found) != 1 {
		t.Errorf("the folder has %v, %v; want b.project", found, err)
	}
}

// The server is up before InitHost: on a new host, a call may come before the folder is there.
func TestCallsBeforeInitHost(t *testing.T) {
	t.Parallel()
	m, _, client := newManager(t, filepath.Join(t.TempDir(), "state"))
	if _, err := projectapi.CreateProject.Call(t.Context(), client, projectapi.CreateArgs{Name: "a"}); err != nil {
		t.Error(err)
	}
	if err := m.InitHost(t.Context()); err != nil {
		t.Error(err)
	}
	if u, err := m.Usage(t.Context(), struct{}{}); err != nil || u.Projects != 1 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestInitHostNeedsItsFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m, _, _ := newManager(t, file)
	if err := m.InitHost(t.Context()); err == nil {
		t.Error("a file is taken for a folder")
	}
}
