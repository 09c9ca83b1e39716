package service_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, " ")
}

// A part is a runner that notes what it is told.
type part struct {
	name    string
	journal *journal
	listen  error
	fail    error         // of Run, when all are up
	drain   time.Duration // after the end; negative = for ever
	aborted chan struct{}
}

func (p *part) Listen(context.Context) error {
	p.journal.add("listen:%s", p.name)
	return p.listen
}

func (p *part) Run(ctx context.Context) error {
	if p.fail != nil {
		<-time.After(time.Second) // of the bubble: it passes when the others have started
		return p.fail
	}
	<-ctx.Done()
	p.journal.add("stop:%s", p.name)
	drained := time.After(p.drain)
	if p.drain < 0 {
		drained = nil
	}
	select {
	case <-drained:
		p.journal.add("end:%s", p.name)
	case <-p.aborted:
		p.journal.add("aborted:%s", p.name)
	}
	return nil
}

func (p *part) Abort()         { close(p.aborted) }
func (p *part) String() string { return p.name }

func newPart(j *journal, name string, drain time.Duration) *part {
	return &part{name: name, journal: j, drain: drain, aborted: make(chan struct{})}
}

// started runs a service until stop is called.
func started(t *testing.T, s *service.Service) (stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- s.Run(ctx) }()
	synctest.Wait()
	return stop, end
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// Runners start in their order and stop in the reverse order, one after the other; a hook holds those after it.
func TestOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		release := make(chan struct{})
		hook := service.Hook("init", func(context.Context) error {
			j.add("hook")
			<-release
			return nil
		})
		s := service.New(nil, newPart(&j, "a", time.Second), hook, newPart(&j, "b", time.Second))
		stop, ended := started(t, s)
		if got := j.String(); got != "listen:a hook" || s.Phase() != service.Starting {
			t.Errorf("%s, while the service is %s; want it to wait for the hook", got, s.Phase())
		}
		close(release)
		synctest.Wait()
		if s.Phase() != service.Running {
			t.Errorf("the service is %s", s.Phase())
		}
		stop()
		synctest.Wait()
		if s.Phase() != service.Draining {
			t.Errorf("the service is %s while its parts end", s.Phase())
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := j.String(); got != "listen:a hook listen:b stop:b end:b stop:a end:a" || s.Phase() != service.Stopped {
			t.Errorf("%s; the service is %s", got, s.Phase())
		}
	})
}

// What fails ends all, at the start and later.
func TestFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		spoil func(p *part)
		hook  error
		want  string
	}{
		"listen": {func(p *part) { p.listen = broken }, nil, "listen:a listen:b stop:a end:a"},
		"run":    {func(p *part) { p.fail = broken }, nil, "listen:a listen:b listen:c stop:c end:c stop:a end:a"},
		"hook":   {func(*part) {}, broken, "listen:a listen:b stop:b end:b stop:a end:a"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var j journal
				b := newPart(&j, "b", 0)
				c.spoil(b)
				hook := service.Hook("init", func(context.Context) error { return c.hook })
				_, ended := started(t, service.New(nil, newPart(&j, "a", 0), b, hook, newPart(&j, "c", 0)))
				if err := <-ended; !errors.Is(err, broken) || !strings.Contains(err.Error(), "service: ") {
					t.Errorf("got %v", err)
				}
				if got := j.String(); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			})
		})
	}
}

// Force gives up what can be given up at once, and tells what did not end.
func TestForce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		deaf := runner(func(context.Context) error { <-t.Context().Done(); return nil }) // until the end of the test
		s := service.New(nil, deaf, newPart(&j, "a", time.Hour), newPart(&j, "b", time.Hour))
		stop, ended := started(t, s)
		stop()
		<-time.After(time.Minute)
		if got := j.String(); !strings.HasSuffix(got, "stop:b") {
			t.Errorf("got %s", got)
		}
		start := time.Now()
		s.Force()
		s.Force()
		var forced *service.ForcedError
		if err := <-ended; !errors.As(err, &forced) || len(forced.Runners) != 1 || forced.Runners[0] != "service_test.runner" {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("the end took %s", took)
		}
		if got := j.String(); !strings.Contains(got, "aborted:a") || !strings.Contains(got, "aborted:b") {
			t.Errorf("got %s", got)
		}
	})
}

type runner func(context.Context) error

func (r runner) Run(ctx context.Context) error { return r(ctx) }

// A service whose runners are all done ends, one of them alone does not end it.
func TestDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		wait := func(d time.Duration) runner {
			return func(ctx context.Context) error { <-time.After(d); return ctx.Err() }
		}
		start := time.Now()
		if err := service.Run(t.Context(), wait(time.Second), wait(time.Hour)); err != nil || time.Since(start) != time.Hour {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// A manager with all that one may have.
type manager struct {
	journal *journal
	task    *service.Task
}

var hello = rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "manager"}, "hello")

func (m *manager) Endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{hello.Handle(func(context.Context, rpc.Args) (string, error) { return "hello", nil })}
}

func (m *manager) InitHost(context.Context) error { m.journal.add("init_host"); return nil }
func (m *manager) Tasks() []*service.Task         { return []*service.Task{m.task} }

// Create keeps the convention: the topic is the binary's, the server has the host's name; init_host comes when calls are served.
func TestCreate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		network := memory.NewBus()
		bus := network.Open(memory.Config{})
		client := rpc.NewClient(bus, rpc.ClientConfig{})
		m := &manager{&j, service.Every(service.Periodic{Name: "report", Spacing: time.Minute, Immediately: true}, func(ctx context.Context) error {
			got, err := hello.Call(ctx, client.To("h1"), nil)
			j.add("%s", got)
			return err
		})}
		runners, err := service.Create(bus, service.Params{Binary: "project-manager", Host: "h1"}, m)
		if err != nil {
			t.Fatal(err)
		}
		s := service.New(nil, runners...)
		stop, ended := started(t, s)
		if got := j.String(); got != "init_host hello" {
			t.Errorf("got %q", got)
		}
		if tasks := s.Tasks(); len(tasks) != 1 || tasks[0].Runs != 1 || tasks[0].Err != nil {
			t.Errorf("tasks: %+v", tasks)
		}
		stop()
		if err := errors.Join(<-ended, client.Close(t.Context()), bus.Close(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// A server's requests are the service's.
func TestRunning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := memory.NewBus()
		bus := network.Open(memory.Config{})
		release := make(chan struct{})
		server := rpc.NewServer(bus, rpc.ServerConfig{Target: rpc.Target{Topic: "manager"}, Server: "h1"}, hello.Handle(func(context.Context, rpc.Args) (string, error) {
			<-release
			return "hello", nil
		}))
		s := service.New(nil, server)
		stop, ended := started(t, s)
		client := rpc.NewClient(bus, rpc.ClientConfig{})
		answered := make(chan error, 1)
		go func() {
			_, err := hello.Call(t.Context(), client, nil)
			answered <- err
		}()
		synctest.Wait()
		if running := s.Running(); len(running) != 1 || running[0].Method != "hello" {
			t.Errorf("running: %v", running)
		}
		stop()
		synctest.Wait()
		close(release)
		if err := errors.Join(<-answered, <-ended, client.Close(t.Context()), bus.Close(t.Context())); err != nil {
			t.Error(err)
		}
		if err := server.Ready(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("ready: %v", err)
		}
	})
}
