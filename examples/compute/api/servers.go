package api

import (
	"context"

	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
)

// servers are virtual machines, which the conductor knows.
type servers struct{ conductor *rpc.Client }

// Index lists them by id.
func (s servers) Index(ctx context.Context, p rest.Page) (rest.List[conductorapi.Instance], error) {
	all, err := conductorapi.ListInstances.Call(ctx, s.conductor, struct{}{})
	if err != nil {
		return rest.List[conductorapi.Instance]{}, err
	}
	return rest.Paginate(p, all, func(i conductorapi.Instance) string { return i.ID })
}

// Show tells where one is and what is being done with it.
func (s servers) Show(ctx context.Context, id string) (conductorapi.Instance, error) {
	return conductorapi.GetInstance.Call(ctx, s.conductor, conductorapi.InstanceArgs{Instance: id})
}

// MigrateLive are the arguments of the action os-migrateLive.
type MigrateLive struct {
	Host *string `json:"host"` // where to; null = the scheduler chooses
}

// MigrateLive moves one to another host while it runs. It asks whether that can be, and leaves the rest to the conductor: the answer is there
// long before the server is.
func (s servers) MigrateLive(ctx context.Context, id string, args MigrateLive) error {
	instance, err := s.Show(ctx, id)
	if err != nil {
		return err
	}
	if instance.Status == conductorapi.StatusMigrating {
		return conductorapi.InstanceInvalidState.Errorf("server %s is migrating already", id)
	}
	task := conductorapi.LiveMigrateArgs{Instance: id}
	if args.Host != nil {
		task.Host = *args.Host
	}
	return conductorapi.LiveMigrateInstance.Cast(ctx, s.conductor, task)
}
