// Package scheduler implements the scheduler's contract over a fixed list of hosts.
package scheduler

import (
	"context"
	"slices"

	"github.com/goslo/goslo/examples/compute/schedulerapi"
	"github.com/goslo/goslo/rpc"
)

// A Manager chooses hosts. It keeps no state and starts no goroutine.
type Manager struct {
	Hosts []string // in order of preference
}

// Endpoints are the methods that the manager serves.
func (m *Manager) Endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{
		schedulerapi.SelectDestinations.Handle(m.SelectDestinations).Expect(schedulerapi.NoValidHost),
	}
}

// SelectDestinations returns the first host that is not to be ignored.
func (m *Manager) SelectDestinations(_ context.Context, args schedulerapi.SelectArgs) (schedulerapi.Selection, error) {
	for _, host := range m.Hosts {
		if !slices.Contains(args.IgnoreHosts, host) {
			return schedulerapi.Selection{Host: host}, nil
		}
	}
	return schedulerapi.Selection{}, schedulerapi.NoValidHost.Errorf("no valid host for %s: %d hosts, %d ignored",
		args.Instance, len(m.Hosts), len(args.IgnoreHosts))
}
