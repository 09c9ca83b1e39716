// Package conductorapi is the contract of the conductor: it knows where every instance is, and runs the
// tasks that take several services.
package conductorapi

import "github.com/goslo/goslo/rpc"

// Target is where conductors listen.
var Target = rpc.Target{Topic: "example-conductor", Version: "1.0"}

// The methods of a conductor.
var (
	// LiveMigrateInstance starts a live migration. It is a cast: the caller has its answer long before
	// the instance has moved.
	LiveMigrateInstance = rpc.NewCast[LiveMigrateArgs](Target, "live_migrate_instance")

	// GetInstance returns what is known of an instance. Fails with computeapi.InstanceNotFound.
	GetInstance = rpc.NewCall[InstanceArgs, Instance](Target, "get_instance")

	// UpdateInstance is how compute hosts report what became of an instance.
	UpdateInstance = rpc.NewCall[Instance, Instance](Target, "update_instance")
)

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
