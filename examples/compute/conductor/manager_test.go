package conductor_test

import (
	"errors"
	"testing"

	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductor"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/examples/compute/scheduler"
	"github.com/goslo/goslo/examples/compute/schedulerapi"
	"github.com/goslo/goslo/rpc"
)

func TestNoValidHost(t *testing.T) {
	t.Parallel()
	alone := scheduler.Manager{Hosts: []string{"cmp-1"}}
	m := conductor.New(
		conductor.Clients{Compute: computeapi.NewClient(rpc.Local()), Scheduler: rpc.Local(alone.Endpoints()...)},
		conductorapi.Instance{ID: "vm-1", Host: "cmp-1", Status: conductorapi.StatusActive},
	)
	err := m.LiveMigrateInstance(t.Context(), conductorapi.LiveMigrateArgs{Instance: "vm-1"})
	if !errors.Is(err, schedulerapi.NoValidHost) {
		t.Errorf("error = %v, want NoValidHost", err)
	}
	got, err := m.GetInstance(t.Context(), conductorapi.InstanceArgs{Instance: "vm-1"})
	if err != nil || got.Status != conductorapi.StatusError || got.Host != "cmp-1" || got.Fault == "" {
		t.Errorf("instance %+v, %v", got, err)
	}
}

func TestUnknownInstance(t *testing.T) {
	t.Parallel()
	m := conductor.New(conductor.Clients{})
	client := rpc.Local(m.Endpoints()...)
	if _, err := conductorapi.GetInstance.Call(t.Context(), client, conductorapi.InstanceArgs{Instance: "vm-9"}); !errors.Is(err, computeapi.InstanceNotFound) {
		t.Errorf("get: %v", err)
	}
	if _, err := conductorapi.UpdateInstance.Call(t.Context(), client, conductorapi.Instance{ID: "vm-9"}); !errors.Is(err, computeapi.InstanceNotFound) {
		t.Errorf("update: %v", err)
	}
	if err := m.LiveMigrateInstance(t.Context(), conductorapi.LiveMigrateArgs{Instance: "vm-9"}); !errors.Is(err, computeapi.InstanceNotFound) {
		t.Errorf("migrate: %v", err)
	}
}
