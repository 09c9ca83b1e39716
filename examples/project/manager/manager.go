// Package manager is what a project-manager does: it builds projects in a folder of its host.
//
// It starts no goroutine: a project is built in the handler of its call, and the rest is run by package service.
package manager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/examples/project/projectapi"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/program"
)

// Options are what project.conf holds: those of every service, and the manager's.
type Options struct {
	program.Options
	Manager Settings `config:"manager" help:"What managers build, and where."`
}

// Settings are [manager] of project.conf.
type Settings struct {
	StatePath      string        `config:"state_path" default:"/var/lib/project" help:"The folder of this host's projects."`
	MaxProjects    int           `config:"max_projects,mutable" default:"1000" min:"0" help:"How many projects a host takes."`
	BuildTime      time.Duration `config:"build_time,mutable" default:"0.1" min:"0" max:"3600" help:"How long it takes to build one, in seconds."`
	ReportInterval time.Duration `config:"report_interval" default:"60" min:"0.001" help:"How often the log says what the host has, in seconds."`
}

// Endings of the files in the state folder.
const (
	built    = ".project"
	building = ".building"
)

// A Manager has the projects of one host. It is safe for concurrent use.
type Manager struct {
	host    string
	options func() *Options // as they are now
	log     *slog.Logger
	report  *service.Task

	mu        sync.Mutex
	projects  map[string]bool // whether it is built, or else being built
	abandoned int
}

// New returns the manager of a host, without its projects: InitHost finds them.
func New(host string, options func() *Options, log *slog.Logger) *Manager {
	m := &Manager{host: host, options: options, log: log, projects: make(map[string]bool)}
	m.report = service.Every(service.Periodic{
		Name: "report", Spacing: options().Manager.ReportInterval, Immediately: true, Logger: log,
	}, m.Report)
	return m
}

// Endpoints are what callers can ask: about projects, and in the namespace "admin" what is for operators.
func (m *Manager) Endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{
		rpc.NewEndpoint(projectapi.Target,
			projectapi.CreateProject.Handle(m.CreateProject).Expect(projectapi.ProjectExists, projectapi.QuotaExceeded),
			projectapi.Building.Handle(m.Building)),
		rpc.NewEndpoint(projectapi.Admin,
			projectapi.Usage.Handle(m.Usage),
			projectapi.Forget.Handle(m.Forget)),
	}
}

// Tasks are what is done every now and then.
func (m *Manager) Tasks() []*service.Task { return []*service.Task{m.report} }

// InitHost takes stock once requests can come in, as nova's init_host does: projects that a process before this one built
// are its own now, and those that it left half-built are cleared away. None of the latter is this process's: those it knows.
func (m *Manager) InitHost(context.Context) error {
	folder := m.options().Manager.StatePath
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("manager: state_path: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("manager: state_path: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), built); ok {
			m.projects[name] = true
		}
		if name, ok := strings.CutSuffix(e.Name(), building); ok {
			if _, mine := m.projects[name]; mine {
				continue
			}
			if err := os.Remove(filepath.Join(folder, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("manager: clear away: %w", err)
			}
			m.abandoned++
		}
	}
	m.log.Info("the host is ready", "projects", len(m.projects), "abandoned", m.abandoned)
	return nil
}

// CreateProject builds a project, which takes build_time.
func (m *Manager) CreateProject(ctx context.Context, args projectapi.CreateArgs) (projectapi.Project, error) {
	settings := m.options().Manager // one version of them, from the beginning to the end
	p := projectapi.Project{Name: args.Name, Host: m.host, Began: time.Now()}
	if err := m.begin(settings, args.Name); err != nil {
		return p, err
	}
	err := build(ctx, settings, args.Name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		delete(m.projects, args.Name)
		return p, err
	}
	m.projects[args.Name] = true
	return p, nil
}

// begin reserves the name.
func (m *Manager) begin(settings Settings, name string) error {
	if name == "" || name != filepath.Base(name) {
		return fmt.Errorf("manager: %q is no name for a project", name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.projects[name]; taken {
		return projectapi.ProjectExists.Errorf("project %s exists on %s", name, m.host)
	}
	if len(m.projects) >= settings.MaxProjects {
		return projectapi.QuotaExceeded.Errorf("%s has its %d projects", m.host, settings.MaxProjects)
	}
	m.projects[name] = false
	return nil
}

// build leaves a file behind: half-built until the end, so that InitHost knows.
func build(ctx context.Context, settings Settings, name string) (err error) {
	path := filepath.Join(settings.StatePath, name)
	if err := os.MkdirAll(settings.StatePath, 0o700); err != nil { // calls may come before InitHost has been there
		return fmt.Errorf("manager: build: %w", err)
	}
	if err := os.WriteFile(path+building, nil, 0o600); err != nil {
		return fmt.Errorf("manager: build: %w", err)
	}
	select {
	case <-time.After(settings.BuildTime):
		err = os.Rename(path+building, path+built)
	case <-ctx.Done(): // nobody waits for it any more, or the service has to end
		err = errors.Join(context.Cause(ctx), os.Remove(path+building))
	}
	if err != nil {
		err = fmt.Errorf("manager: build: %w", err)
	}
	return err
}

// Building returns the projects that are being built, sorted.
func (m *Manager) Building(context.Context, struct{}) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := []string{}
	for name, done := range m.projects {
		if !done {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Usage returns what the host has.
func (m *Manager) Usage(context.Context, struct{}) (projectapi.HostUsage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return projectapi.HostUsage{Host: m.host, Projects: len(m.projects), Abandoned: m.abandoned, Reports: m.report.State().Runs}, nil
}

// Forget removes a project, if this host has it.
func (m *Manager) Forget(_ context.Context, args projectapi.ForgetArgs) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.projects[args.Name] {
		return nil
	}
	err := os.Remove(filepath.Join(m.options().Manager.StatePath, args.Name+built))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("manager: forget: %w", err)
	}
	delete(m.projects, args.Name)
	return nil
}

// Report logs what the host has. It is the periodic task.
func (m *Manager) Report(ctx context.Context) error {
	m.mu.Lock()
	projects := len(m.projects)
	m.mu.Unlock()
	m.log.InfoContext(ctx, "report", "projects", projects)
	return nil
}
