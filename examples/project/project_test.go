package project_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/examples/project/projectapi"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/freeport"
	"github.com/goslo/goslo/rpc"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// buses are what the tests below run on. None of them is parallel: the embedded bus is found through the environment.
var buses = map[string]func(t *testing.T) string{
	"rabbit": func(t *testing.T) string {
		t.Helper()
		n := brokertest.Rabbit(t)
		return n.URLVhost(n.NewVhost(t))
	},
	"embedded": func(t *testing.T) string {
		t.Helper()
		t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
		return fmt.Sprintf("embedded://:%d", freeport.One(t))
	},
}

// connect makes a client; on the embedded bus its process is the broker too, as the first one there.
func connect(t *testing.T, url string) *rpc.Client {
	t.Helper()
	bus, err := goslo.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	client := rpc.NewClient(bus, rpc.ClientConfig{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := errors.Join(client.Close(ctx), bus.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return client
}

func create(t *testing.T, client *rpc.Client, name string) error {
	t.Helper()
	_, err := projectapi.CreateProject.Call(t.Context(), client, projectapi.CreateArgs{Name: name})
	return err
}

// A manager answers, is reloaded, and can be looked into.
func TestProjectManager(t *testing.T) {
	program := build(t)
	for name, bus := range buses {
		t.Run(name, func(t *testing.T) {
			url := bus(t)
			client := connect(t, url)
			m := prepare(t, "a", url).start(t, program)
			m.calls(t, client)
			m.reloads(t, client)
			m.canBeLookedInto(t, client)
			m.signal(t, syscall.SIGTERM)
			m.stop(t)
		})
	}
}

func (m *process) calls(t *testing.T, client *rpc.Client) {
	t.Helper()
	p, err := projectapi.CreateProject.Call(t.Context(), client, projectapi.CreateArgs{Name: "first"})
	if err != nil || p.Host != m.host {
		t.Errorf("created %+v, %v", p, err)
	}
	if err := create(t, client, "first"); !errors.Is(err, projectapi.ProjectExists) {
		t.Errorf("created again: %v", err)
	}
	var usage projectapi.HostUsage
	brokertest.Await(t, "the periodic task to run again", func() bool {
		usage, err = projectapi.Usage.Call(t.Context(), client.To(m.host), struct{}{})
		return err != nil || usage.Reports >= 2
	})
	if err != nil || usage.Host != m.host || usage.Projects != 1 || usage.Abandoned != 1 {
		t.Errorf("usage %+v, %v; want 1 project, and 1 abandoned", usage, err)
	}
	if err := projectapi.Forget.Cast(t.Context(), client.Fanout(), projectapi.ForgetArgs{Name: "first"}); err != nil {
		t.Error(err)
	}
	brokertest.Await(t, "the project to be forgotten", func() bool { return m.files(t)[".project"] == 0 })
	if files := m.files(t); files[".building"] != 0 {
		t.Errorf("half-built projects are left: %v", files)
	}
}

func (m *process) reloads(t *testing.T, client *rpc.Client) {
	t.Helper()
	m.replace(t, "build_time", "max_projects = 0\nbuild_time", "option changed max_projects 1000 0 "+m.conf+":10")
	if err := create(t, client, "one-too-many"); !errors.Is(err, projectapi.QuotaExceeded) {
		t.Errorf("created with max_projects = 0: %v", err)
	}
	m.replace(t, "executor_thread_pool_size = 16", "executor_thread_pool_size = 9", "executor_thread_pool_size needs a restart")
	m.replace(t, "max_projects = 0", "max_projects = none", `not reloaded [manager] max_projects `+m.conf+":10")
	if err := create(t, client, "one-too-many"); !errors.Is(err, projectapi.QuotaExceeded) {
		t.Errorf("created after a reload that failed: %v", err)
	}
	m.replace(t, "max_projects = none", "max_projects = 5", "option changed max_projects 0 5")
	if err := create(t, client, "second"); err != nil {
		t.Errorf("created with max_projects = 5: %v", err)
	}
}

func (m *process) canBeLookedInto(t *testing.T, client *rpc.Client) {
	t.Helper()
	for _, path := range []string{"/livez", "/readyz", "/startupz"} {
		if status, body := m.get(t, path); status != http.StatusOK {
			t.Errorf("%s: %d\n%s", path, status, body)
		}
		m.page(t, path)
	}
	_, metrics := m.get(t, "/metrics")
	if !contains(metrics, `goslo_server_requests_total{`, `method="create_project"`, `topic="manager"`) {
		t.Errorf("no metrics of create_project:\n%s", metrics)
	}
	m.replace(t, "build_time = 0.05", "build_time = 5", "option changed build_time")
	called, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = projectapi.CreateProject.Call(called, client, projectapi.CreateArgs{Name: "slow"}) // it is broken off
	}()
	brokertest.Await(t, "the request to be seen", func() bool {
		_, body := m.get(t, "/debug/requests")
		return strings.Contains(body, "create_project")
	})
	cancel()
	<-ended
}

// Of two managers under load, one drains: no call is lost, none begins on it after the drain has begun, and what it is building then
// can be asked of it until the end.
func TestDrainUnderLoad(t *testing.T) {
	program := build(t)
	for name, bus := range buses {
		t.Run(name, func(t *testing.T) {
			url := bus(t)
			client := connect(t, url)
			a, b := prepare(t, "a", url).start(t, program), prepare(t, "b", url).start(t, program)
			a.replace(t, "build_time = 0.05", "build_time = 2", "option changed build_time") // so that the drain takes a while
			load := startLoad(t, client)
			load.await(t, 40)

			from := a.logged()
			a.signal(t, syscall.SIGTERM)
			left := a.await(t, from, "left its topic")
			names, err := projectapi.Building.Call(t.Context(), client.To("a"), struct{}{})
			if err != nil || len(names) == 0 {
				t.Errorf("while it drained, a was building %v, %v", names, err)
			}
			if status, body := a.get(t, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"draining"`) {
				t.Errorf("while it drained, a was %d\n%s", status, body)
			}
			a.stop(t)
			drained := time.Since(left.at)
			load.await(t, load.done()+40)
			made := load.stop(t)

			onA := 0
			for _, p := range made {
				if p.Host == "a" {
					onA++
				}
				if p.Host == "a" && p.Began.After(left.at) {
					t.Errorf("%s began on a %v after the drain", p.Name, p.Began.Sub(left.at))
				}
			}
			inA, inB := a.files(t), b.files(t)
			if inA[".project"] != onA || inA[".project"]+inB[".project"] != len(made) || inA[".building"]+inB[".building"] != 0 || onA == 0 {
				t.Errorf("%d calls were answered, %d by a; the folders have %v and %v", len(made), onA, inA, inB)
			}
			t.Logf("%d calls, %d of them on a, which had left its topic for %v when it ended", len(made), onA, drained.Round(time.Millisecond))
			b.signal(t, syscall.SIGTERM)
			b.stop(t)
		})
	}
}

// A load is callers that create projects, one after the other, as long as none fails.
type load struct {
	callers sync.WaitGroup
	enough  atomic.Bool

	mu     sync.Mutex
	made   []projectapi.Project
	failed []error
}

func startLoad(t *testing.T, client *rpc.Client) *load {
	t.Helper()
	l := &load{}
	for caller := range 12 {
		l.callers.Go(func() {
			for n := 0; !l.enough.Load(); n++ {
				p, err := projectapi.CreateProject.Call(t.Context(), client, projectapi.CreateArgs{Name: fmt.Sprintf("p%d-%d", caller, n)})
				l.mu.Lock()
				if err != nil {
					l.failed = append(l.failed, err)
				} else {
					l.made = append(l.made, p)
				}
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() {
		l.enough.Store(true)
		l.callers.Wait()
	})
	return l
}

func (l *load) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.made) + len(l.failed)
}

func (l *load) await(t *testing.T, calls int) {
	t.Helper()
	brokertest.Await(t, fmt.Sprint(calls, " calls to be done"), func() bool { return l.done() >= calls })
}

// stop ends the load. Every call must have been answered well.
func (l *load) stop(t *testing.T) []projectapi.Project {
	t.Helper()
	l.enough.Store(true)
	l.callers.Wait()
	for _, err := range l.failed {
		t.Errorf("lost: %v", err)
	}
	return l.made
}
