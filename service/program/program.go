// Package program is the main function of services: configuration, logging, signals, systemd, health, metrics and traces, around what
// package service runs.
//
//	type Options struct {
//		program.Options
//		Manager ManagerOptions `config:"manager"`
//	}
//
//	func main() {
//		program.Main(program.Config[Options]{
//			Project: "project",
//			Start: func(ctx context.Context, p *program.Program[Options]) ([]service.Runner, error) {
//				return p.Manage(NewManager(p.Client(), p.Options))
//			},
//		})
//	}
//
// [Main] reads the configuration (package config: project-manager --config-file etc/project.conf), logs as oslo.log does (package
// observe/oslolog), answers probes and scrapers at health_listen, opens the bus, which it waits for, and runs what Start
// returns until a signal, or until all of it is done. On SIGTERM the servers drain, for graceful_shutdown_timeout; see [service.Service.Main] for all signals. SIGHUP, and a
// change of a file, reload the options that may change, and SIGHUP opens the log anew.
//
// This is the one package that ties config, goslo, observe and service together. It starts no goroutine but theirs, and one that
// watches the files.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/observe"
	"github.com/goslo/goslo/observe/otlp"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/transport"
)

// Config says what a program is. Start is required.
type Config[T any] struct {
	// Project is whose files are looked for beside the program's own, when the command line names none: /etc/project/project.conf.
	// Default: "".
	Project string
	// Files are read when the command line names none; they must exist. Default: those of Project, and the program's own.
	Files []string
	// Name is the program's. Default: the last element of os.Args[0].
	Name string
	// Version answers --version, and stands in traces. Default: there is none.
	Version string
	// Options are defaults, where they are not zero.
	Options T
	// Start makes what the program runs, once the bus is open; see [Program.Manage]. Its ctx ends when the program is to stop before it has
	// started.
	Start func(ctx context.Context, p *Program[T]) ([]service.Runner, error)
}

// embedding are structs that embed [Options].
type embedding[T any] interface {
	*T
	options() *Options
}

// Main runs the program and ends the process: with 0 after a clean end, and 1 when anything went wrong, which is in the log or, before there
// is one, on standard error. T embeds [Options].
func Main[T any, P embedding[T]](c Config[T]) {
	os.Exit(run[T, P](context.Background(), c, os.Args, os.Stdout, os.Stderr)) //nolint:forbidigo // this is main
}

// run is Main without the process.
func run[T any, P embedding[T]](ctx context.Context, c Config[T], args []string, stdout, stderr io.Writer) (code int) {
	if c.Name == "" {
		c.Name = filepath.Base(args[0])
	}
	if o := P(&c.Options).options(); o.Host == "" {
		o.Host, _ = os.Hostname() // a machine without a name needs the option
	}
	stash := newEarly()
	log := slog.New(stash)
	conf, err := config.Load(config.Source{Project: c.Project, Files: c.Files, Prog: c.Name, Args: args[1:], Version: c.Version, Logger: log}, c.Options)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(stdout, err)
		return 0
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
		return 1
	case len(conf.Args()) > 0:
		_, _ = fmt.Fprintf(stderr, "%s: argument %q is not a flag, and nothing else is taken; see --help\n", c.Name, conf.Args()[0])
		return 1
	}
	options := func() *Options { return P(conf.Get()).options() }
	level := &slog.LevelVar{}
	level.Set(options().level())
	file, handler, err := options().open(c.Name, level, stderr)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
		return 1
	}
	stash.open(handler)
	conf.OnChange(func(_, now *T) { level.Set(P(now).options().level()) })
	p := &Program[T]{config: c, conf: conf, options: options, log: log, file: file}
	if err = p.run(ctx, stderr); err != nil {
		log.Error("program failed", "error", err)
	}
	closed := file.Close()
	if err = errors.Join(err, closed); err == nil {
		return 0
	}
	if closed != nil || file != nil && !options().UseStderr {
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
	}
	return 1
}

// A Program is what Start gets: all that a service needs. Its methods may be called from any goroutine.
type Program[T any] struct {
	config   Config[T]
	conf     *config.Config[T]
	options  func() *Options
	log      *slog.Logger
	file     *logFile // nil = logs go to standard error
	observer *observe.Observer
	traces   *otlp.Traces
	open     atomic.Pointer[connection]
	inner    atomic.Pointer[service.Service]
	done     context.CancelFunc // ends the program: what Start made is done
}

// A connection is a bus that is open, and its client.
type connection struct {
	bus    transport.Transport
	client *rpc.Client
	server rpc.ServerConfig
}

// Options returns the options as they are now: those that may change do. Nobody may write to them.
func (p *Program[T]) Options() *T { return p.conf.Get() }

// Config returns the configuration, which tells of changes.
func (p *Program[T]) Config() *config.Config[T] { return p.conf }

// Log returns the program's log.
func (p *Program[T]) Log() *slog.Logger { return p.log }

// Bus returns the bus. The program closes it at its end.
func (p *Program[T]) Bus() transport.Transport { return p.open.Load().bus }

// Client returns a client of the bus, which is observed, and whose timeout is rpc_response_timeout. The program closes it at its end.
func (p *Program[T]) Client() *rpc.Client { return p.open.Load().client }

// ServerConfig returns that of a server as the options have it: its name is host, it has as many workers as executor_thread_pool_size says, drains for
// graceful_shutdown_timeout, and is observed. The topic is up to the caller.
func (p *Program[T]) ServerConfig() rpc.ServerConfig { return p.open.Load().server }

// Observer returns what watches the program's calls, as metrics and tracing have it. Its HTTP is for the filters of an API.
func (p *Program[T]) Observer() *observe.Observer { return p.observer }

// HTTP opens an address, host:port, or unix: and a path, and returns the listener and a runner that serves an API there. Requests that run when the
// program is to stop have graceful_shutdown_timeout to end. Put the runner behind those of the servers whose work it hands out.
func (p *Program[T]) HTTP(ctx context.Context, address string, h http.Handler) (net.Listener, service.Runner, error) {
	l, err := service.ListenHTTP(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	p.log.Info("the API is answered", "at", l.Addr().String())
	return l, service.HTTPServer(l, s, p.drain()), nil
}

// Limits of a client of an API that sends slowly, or nothing. There is none for answers: they wait for calls, which have deadlines.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = time.Minute
	idleTimeout   = 2 * time.Minute
)

// Manage returns the runners of a manager by the convention of [service.Create], for the program's name, and host.
func (p *Program[T]) Manage(m service.Manager) ([]service.Runner, error) {
	c := p.ServerConfig()
	return service.Create(p.Bus(), service.Params{Binary: p.config.Name, Host: c.Server, Server: c}, m)
}

// run is the life of the program.
func (p *Program[T]) run(ctx context.Context, stderr io.Writer) error {
	o := p.options()
	p.log.Info("program starts", "program", p.config.Name, "version", p.config.Version, "pid", os.Getpid(), "files", p.conf.Files())
	if o.LogOptionsAtStart {
		for _, s := range p.conf.Settings() {
			p.log.Debug("option", "group", s.Group, "name", s.Name, "value", s.Value, "from", s.From)
		}
	}
	registry, err := p.observe(ctx)
	if err != nil {
		return err
	}
	defer p.endTraces(ctx)
	ctx, p.done = context.WithCancel(ctx)
	defer p.done()
	var probes http.Handler // of the service, which is made below
	var runners []service.Runner
	if o.HealthListen != "" {
		mux := http.NewServeMux()
		if registry != nil {
			mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn)}))
		}
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { probes.ServeHTTP(w, r) })
		health, err := p.health(ctx, mux)
		if err != nil {
			return err
		}
		if health != nil {
			runners = append(runners, health)
		}
	}
	s := service.New(p.log, append(runners, watcher{p.conf.Watch, p.log}, (*app[T])(p))...)
	probes = s.Handler(service.Check{Name: "bus", Ready: p.connected})
	err = s.Main(ctx, service.Process{Dump: stderr, Reload: p.reload})
	return errors.Join(err, p.disconnect(ctx))
}

// observe starts what the options want to be observed.
func (p *Program[T]) observe(ctx context.Context) (*prometheus.Registry, error) {
	o := p.options()
	c := observe.Config{}
	var registry *prometheus.Registry
	if o.Metrics {
		registry = observe.NewRegistry()
		c.Metrics = registry
	}
	if o.Tracing {
		var err error
		if p.traces, err = otlp.Start(ctx, otlp.Config{Service: p.config.Name, Version: p.config.Version, Logger: p.log}); err != nil {
			return nil, fmt.Errorf("program: tracing: %w", err)
		}
		c.Traces = p.traces.Provider()
	}
	if u, err := transport.ParseURL(o.TransportURL.Reveal()); err == nil {
		c.System = observe.System(u.Scheme)
	}
	var err error
	if p.observer, err = observe.New(c); err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	return registry, nil
}

// goodbye is how long the client and the bus have at the end, and how long the traces.
const goodbye = 5 * time.Second

func (p *Program[T]) endTraces(ctx context.Context) {
	if p.traces == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := p.traces.Close(ctx); err != nil {
		p.log.Warn("the last traces may not have been sent", "error", err)
	}
}

// disconnect closes what was opened.
func (p *Program[T]) disconnect(ctx context.Context) error {
	c := p.open.Load()
	if c == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	return errors.Join(c.client.Close(ctx), c.bus.Close(ctx))
}

// health serves at health_listen. An address that nobody chose, and that is taken, is done without.
func (p *Program[T]) health(ctx context.Context, h http.Handler) (service.Runner, error) {
	at := p.options().HealthListen
	l, err := service.ListenHTTP(ctx, at)
	if err == nil {
		p.log.Info("health is answered", "at", l.Addr().String())
		return service.HTTP(l, h, p.log), nil
	}
	from := ""
	for _, s := range p.conf.Settings() {
		if s.Group == config.Default && s.Name == "health_listen" {
			from = s.From
		}
	}
	if from != "default" || !errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("program: health_listen: %w; choose another address, or an empty one to do without", err)
	}
	p.log.Warn("health and metrics are not answered: another process has the default address; set health_listen in [DEFAULT]", "at", at, "error", err)
	return nil, nil
}

// connected is the check of the bus.
func (p *Program[T]) connected() error {
	c := p.open.Load()
	if c == nil {
		return &service.ReasonError{Code: service.ReasonDisconnected, Cause: errors.New("the bus has not been reached yet")}
	}
	m, ok := c.bus.(transport.Meter)
	if !ok {
		return nil
	}
	s := m.Statistics()
	switch {
	case s.Connected < s.Connections:
		return &service.ReasonError{
			Code:  service.ReasonDisconnected,
			Cause: fmt.Errorf("%d of %d connections are up; all together have been away for %s", s.Connected, s.Connections, s.Away.Round(time.Millisecond)),
		}
	case s.Blocking != "":
		return &service.ReasonError{Code: service.ReasonBlocked, Cause: fmt.Errorf("the bus takes no messages: %s", s.Blocking)}
	}
	return nil
}

// reload is what SIGHUP asks for.
func (p *Program[T]) reload(context.Context) error {
	err := p.file.reopen()
	_, failed := p.conf.Reload() // which logs what has changed
	return errors.Join(err, failed)
}

// A watcher reloads the configuration when its files change.
type watcher struct {
	watch func(ctx context.Context) error
	log   *slog.Logger
}

func (w watcher) String() string { return "watching of files" }

func (w watcher) Run(ctx context.Context) error {
	if err := w.watch(ctx); err != nil {
		w.log.Warn("configuration is read again on SIGHUP only", "error", err)
	}
	return nil
}

// An app is the part of the program that needs the bus, as a runner.
type app[T any] Program[T]

func (a *app[T]) String() string { return "the program's own part" }

// Service is what Start made, once it has.
func (a *app[T]) Service() *service.Service { return a.inner.Load() }

// Listen opens the bus, however long that takes, and makes the runners.
func (a *app[T]) Listen(ctx context.Context) error {
	p := (*Program[T])(a)
	if err := p.connect(ctx); err != nil {
		return err
	}
	runners, err := p.config.Start(ctx, p)
	if err != nil {
		return fmt.Errorf("program: start %s: %w", p.config.Name, err)
	}
	a.inner.Store(service.New(slog.New(failures{p.log.Handler()}), runners...))
	return nil
}

// Run runs what Start made. When all of that is done, nothing is left that the rest of the program would be for.
func (a *app[T]) Run(ctx context.Context) error {
	err := a.inner.Load().Run(ctx)
	if err == nil {
		a.done()
	}
	return err
}

// Up is closed when the runners are up.
func (a *app[T]) Up() <-chan struct{} { return a.inner.Load().Up() }

// Abort is for the runners.
func (a *app[T]) Abort() {
	if s := a.inner.Load(); s != nil {
		s.Force()
	}
}

// drain is how long what runs has at the end; 0 = as long as it takes.
func (p *Program[T]) drain() time.Duration {
	return time.Duration(p.options().GracefulShutdownTimeout) * time.Second
}

// retryOpen is the pause between attempts to open the bus.
const retryOpen = 2 * time.Second

// connect opens the bus. One that cannot be reached is tried again until ctx ends, as services of OpenStack do.
func (p *Program[T]) connect(ctx context.Context) error {
	open := goslo.Config{Options: p.conf, Program: p.config.Name, Logger: p.log}
	client, err := open.ClientConfig()
	if err != nil {
		return err
	}
	server, err := open.ServerConfig()
	if err != nil {
		return err
	}
	if err := open.Check(); err != nil {
		return err
	}
	o := p.options()
	if server.Server = o.Host; server.Server == "" {
		return errors.New("program: the machine has no name; set host in [DEFAULT]")
	}
	if server.Drain = p.drain(); server.Drain == 0 {
		server.Drain = math.MaxInt64
	}
	bus, err := open.Open(ctx)
	for ; err != nil; bus, err = open.Open(ctx) {
		p.log.Error("the bus cannot be reached, will be tried again", "error", err)
		pause := time.NewTimer(retryOpen)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
	c := &connection{bus: bus, client: rpc.NewClient(bus, p.observer.Client(client)), server: p.observer.Server(server)}
	p.open.Store(c)
	if err := p.observer.Transport("", bus); err != nil {
		return fmt.Errorf("program: %w", err)
	}
	return nil
}
