// Command project-manager serves projects: project-manager --config-file etc/project.conf.
package main

import (
	"context"

	"github.com/goslo/goslo/examples/project/manager"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/program"
)

func main() {
	program.Main(program.Config[manager.Options]{
		Project: "project",
		Start: func(_ context.Context, p *program.Program[manager.Options]) ([]service.Runner, error) {
			return p.Manage(manager.New(p.ServerConfig().Server, p.Options, p.Log()))
		},
	})
}
