// Package schedulerapi is the contract of the scheduler: it chooses hosts.
package schedulerapi

import "github.com/goslo/goslo/rpc"

// Target is where schedulers listen.
var Target = rpc.Target{Topic: "example-scheduler", Version: "4.0"}

// SelectDestinations chooses a host for an instance. Fails with NoValidHost.
var SelectDestinations = rpc.NewCall[SelectArgs, Selection](Target, "select_destinations")

// NoValidHost is the failure of finding no host that fits.
var NoValidHost = rpc.ErrorClass{Module: "nova.exception", Name: "NoValidHost"}

// SelectArgs say what a host is needed for.
type SelectArgs struct {
	Instance    string   `json:"instance"`
	IgnoreHosts []string `json:"ignore_hosts"`
}

// A Selection is the host chosen.
type Selection struct {
	Host string `json:"host"`
}
