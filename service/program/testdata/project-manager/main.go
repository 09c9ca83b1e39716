// Command project-manager is a service for tests of package program.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/program"
)

type options struct {
	program.Options
	Manager struct {
		Greeting string `config:"greeting,mutable" default:"hello" help:"What is said."`
		Once     bool   `config:"once" default:"false" help:"Whether to do nothing, once."`
	} `config:"manager"`
}

type sleepArgs struct {
	Seconds float64 `json:"seconds"`
}

var (
	greet = rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "manager"}, "greet")
	sleep = rpc.NewCall[sleepArgs, string](rpc.Target{Topic: "manager"}, "sleep")
	spoil = rpc.NewCall[rpc.Args, string](rpc.Target{Topic: "manager"}, "spoil")
)

type manager struct {
	*program.Program[options]
	broken chan struct{}
}

func (m manager) Endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{
		greet.Handle(func(context.Context, rpc.Args) (string, error) { return m.Options().Manager.Greeting, nil }),
		sleep.Handle(func(ctx context.Context, a sleepArgs) (string, error) {
			timer := time.NewTimer(time.Duration(a.Seconds * float64(time.Second)))
			defer timer.Stop()
			select {
			case <-timer.C:
				return greet.Call(ctx, m.Client().To(m.ServerConfig().Server), nil) // a follow-up, also while the service drains
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}),
		spoil.Handle(func(context.Context, rpc.Args) (string, error) { close(m.broken); return "", nil }),
	}
}

func (m manager) InitHost(ctx context.Context) error {
	m.Log().InfoContext(ctx, "host is ready")
	return nil
}

func (m manager) Tasks() []*service.Task {
	return []*service.Task{service.Every(service.Periodic{Name: "report", Spacing: time.Minute, Immediately: true}, func(ctx context.Context) error {
		m.Log().InfoContext(ctx, "reported")
		return nil
	})}
}

// Run fails once it was told to.
func (m manager) Run(ctx context.Context) error {
	select {
	case <-m.broken:
		return errors.New("spoilt")
	case <-ctx.Done():
		return nil
	}
}

// once is a runner that is done at once.
type once struct{}

func (once) Run(context.Context) error { return nil }

func main() {
	program.Main(program.Config[options]{
		Project: "project",
		Version: "1.2.3",
		Start: func(_ context.Context, p *program.Program[options]) ([]service.Runner, error) {
			if p.Options().Manager.Once {
				return []service.Runner{once{}}, nil
			}
			m := manager{p, make(chan struct{})}
			runners, err := p.Manage(m)
			return append(runners, m), err
		},
	})
}
