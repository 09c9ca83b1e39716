// Package conductorapi is the contract of the conductor: it knows where every instance is, and runs the
// tasks that take several services.
package conductorapi

import "github.com/goslo/goslo/rpc"

// Target is where conductors listen.
//
//	1.0  the first version here
//	1.1  list_instances
var Target = rpc.Target{Topic: "example-conductor", Version: "1.1"}

// The methods of a conductor.
var (
	// LiveMigrateInstance starts a live migration. It is a cast: the caller has its answer long before
	// the instance has moved.
	LiveMigrateInstance = rpc.NewCast[LiveMigrateArgs](Target.Since("1.0"), "live_migrate_instance")

	// GetInstance returns what is known of an instance. Fails with computeapi.InstanceNotFound.
	GetInstance = rpc.NewCall[InstanceArgs, Instance](Target.Since("1.0"), "get_instance")

	// ListInstances returns all that are known, by id.
	ListInstances = rpc.NewCall[struct{}, []Instance](Target.Since("1.1"), "list_instances")

	// UpdateInstance is how compute hosts report what became of an instance.
	UpdateInstance = rpc.NewCall[Instance, Instance](Target.Since("1.0"), "update_instance")
)

// InstanceInvalidState is the failure of asking for what an instance cannot do now.
var InstanceInvalidState = rpc.ErrorClass{Module: "nova.exception", Name: "InstanceInvalidState"}

// LiveMigrateArgs name the instance to move, and the host to move it to if it must be that one.
type LiveMigrateArgs struct {
	Instance string `json:"instance"`
	Host     string `json:"host,omitempty"` // "" = the scheduler chooses
}

// InstanceArgs name an instance.
type InstanceArgs struct {
	Instance string `json:"instance"`
}

// An Instance is a virtual machine: where it is and what is being done with it.
type Instance struct {
	ID     string `json:"id"`
	Host   string `json:"host"`
	Status string `json:"status"` // StatusActive, StatusMigrating or StatusError
	Fault  string `json:"fault,omitempty"`
}

// The states of an instance, in nova's words.
const (
	StatusActive    = "ACTIVE"
	StatusMigrating = "MIGRATING"
	StatusError     = "ERROR"
)
