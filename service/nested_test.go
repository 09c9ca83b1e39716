package service_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/transport/memory"
)

// A nested is a service as a runner of another, as package program has one.
type nested struct{ inner *service.Service }

func (n nested) Run(ctx context.Context) error { return n.inner.Run(ctx) }
func (n nested) Up() <-chan struct{}           { return n.inner.Up() }
func (n nested) Service() *service.Service     { return n.inner }
func (n nested) Abort()                        { n.inner.Force() }

// While a service within drains because a part of it failed, the one around it is not ready.
func TestNestedDrains(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		failing := runner(func(context.Context) error { <-time.After(time.Second); return errors.New("broken") })
		s := service.New(nil, newPart(&j, "health", 0), nested{service.New(nil, newPart(&j, "server", time.Minute), failing)})
		_, ended := started(t, s)
		h := s.Handler()
		if code, _ := probe(t, h, "/readyz"); code != 200 {
			t.Errorf("readyz %d before", code)
		}
		<-time.After(2 * time.Second)
		code, a := probe(t, h, "/readyz")
		if code != 503 || a.reasons()["service"] != service.ReasonDraining {
			t.Errorf("readyz %d %+v while the service within drains", code, a)
		}
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "broken") {
			t.Errorf("got %v", err)
		}
	})
}

// After a forced end it is the service within that says what still ran.
func TestNestedForce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deaf := runner(func(context.Context) error { <-t.Context().Done(); return nil })
		s := service.New(nil, nested{service.New(nil, deaf)})
		stop, ended := started(t, s)
		stop()
		synctest.Wait()
		s.Force()
		var forced *service.ForcedError
		if err := <-ended; !errors.As(err, &forced) || !slices.Equal(forced.Runners, []string{"service_test.runner"}) {
			t.Errorf("got %v", err)
		}
	})
}

// What stops before it has started was never up.
func TestStartupOfWhatNeverStarted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		hook := service.Hook("init", func(context.Context) error { return errors.New("broken") })
		s := service.New(nil, newPart(&j, "server", time.Minute), hook)
		_, ended := started(t, s)
		if code, a := probe(t, s.Handler(), "/startupz"); code != 503 || a.reasons()["service"] != service.ReasonDraining {
			t.Errorf("startupz %d %+v", code, a)
		}
		if err := <-ended; err == nil {
			t.Error("no error")
		}
	})
}

// A panic of a hook ends the service as an error does: what runs is drained.
func TestHookPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		hook := service.Hook("init_host", func(context.Context) error { panic("boom") })
		err := service.Run(t.Context(), newPart(&j, "server", time.Second), hook)
		if err == nil || !strings.Contains(err.Error(), "init_host: panic: boom") || !strings.Contains(err.Error(), "nested_test.go") {
			t.Errorf("got %v", err)
		}
		if got := j.String(); got != "listen:server stop:server end:server" {
			t.Errorf("got %s", got)
		}
	})
}

// A starter is up when it says so.
type starter struct {
	runner
	up chan struct{}
}

func (s starter) Up() <-chan struct{} { return s.up }

// A runner that is done without ever having been up is done.
func TestDoneBeforeItIsUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		done := starter{func(context.Context) error { return nil }, make(chan struct{})}
		stop, ended := started(t, service.New(nil, done, newPart(&j, "next", 0)))
		if got := j.String(); got != "listen:next" {
			t.Errorf("got %q", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Tasks that do not end hold the servers before them no longer than one of them does.
func TestTasksStopTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		release := make(chan struct{})
		parts := []service.Runner{newPart(&j, "server", 0)}
		for range 5 {
			parts = append(parts, service.Every(service.Periodic{Spacing: time.Hour, Immediately: true}, func(context.Context) error { <-release; return nil }))
		}
		stop, ended := started(t, service.New(nil, parts...))
		began := time.Now()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the server stopped after %s", took)
		}
		close(release)
	})
}

// Before anything stops, servers leave their topics to others; what is sent to them by name they serve until what was started after
// them has ended.
func TestServersLeaveFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		network := memory.NewBus()
		bus := network.Open(memory.Config{})
		client := rpc.NewClient(bus, rpc.ClientConfig{})
		serve := func(host string) *rpc.Server {
			return rpc.NewServer(bus, rpc.ServerConfig{Target: rpc.Target{Topic: "manager"}, Server: host}, where.Handle(func(context.Context, rpc.Args) (string, error) { return host, nil }))
		}
		release := make(chan struct{})
		deaf := service.Every(service.Periodic{Spacing: time.Hour, Immediately: true}, func(context.Context) error { <-release; return nil })
		stopOther, otherEnded := started(t, service.New(nil, serve("other")))
		var j journal
		stop, ended := started(t, service.New(nil, serve("leaving"), newPart(&j, "between", time.Minute), deaf))
		stop()
		synctest.Wait()
		for range 10 {
			if host, err := where.Call(t.Context(), client, nil); err != nil || host != "other" {
				t.Errorf("the topic is served by %q, %v", host, err)
			}
		}
		<-time.After(30 * time.Second)
		if host, err := where.Call(t.Context(), client.To("leaving"), nil); err != nil || host != "leaving" || j.String() != "listen:between stop:between" {
			t.Errorf("%q, %v; %s", host, err, &j)
		}
		close(release)
		stopOther()
		if err := errors.Join(<-ended, <-otherEnded, client.Close(t.Context()), bus.Close(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

var where = rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "manager"}, "where")
