package conductor

import (
	"context"

	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/examples/compute/schedulerapi"
)

// liveMigration is one run of the task: choose a destination, then tell the source to go. The source
// does the rest and reports to the conductor.
type liveMigration struct {
	clients  Clients
	instance conductorapi.Instance
	dest     string // "" until chosen
}

func (t *liveMigration) execute(ctx context.Context) error {
	if t.dest == "" {
		selection, err := schedulerapi.SelectDestinations.Call(ctx, t.clients.Scheduler, schedulerapi.SelectArgs{
			Instance:    t.instance.ID,
			IgnoreHosts: []string{t.instance.Host},
		})
		if err != nil {
			return err
		}
		t.dest = selection.Host
	}
	return t.clients.Compute.LiveMigration(ctx, t.instance.Host, computeapi.LiveMigrationArgs{
		Instance: t.instance.ID,
		Dest:     t.dest,
	})
}
