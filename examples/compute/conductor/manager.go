// Package conductor implements the conductor's contract: a small database of instances in memory, and the
// live migration task.
package conductor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/rpc"
)

// Clients are the conductor's ways to the other services. Each may be derived: pinned, on another topic.
type Clients struct {
	Compute   computeapi.Client
	Scheduler *rpc.Client
}

// A Manager is the conductor. It starts no goroutine: tasks run in the handlers of their casts.
type Manager struct {
	clients Clients

	mu        sync.Mutex
	instances map[string]conductorapi.Instance
}

// New returns a conductor that knows the instances given.
func New(c Clients, instances ...conductorapi.Instance) *Manager {
	m := &Manager{clients: c, instances: make(map[string]conductorapi.Instance)}
	for _, i := range instances {
		m.instances[i.ID] = i
	}
	return m
}

// Endpoints are the methods that the manager serves.
func (m *Manager) Endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{
		conductorapi.LiveMigrateInstance.Handle(m.LiveMigrateInstance),
		conductorapi.GetInstance.Handle(m.GetInstance).Expect(computeapi.InstanceNotFound),
		conductorapi.ListInstances.Handle(m.ListInstances),
		conductorapi.UpdateInstance.Handle(m.UpdateInstance).Expect(computeapi.InstanceNotFound),
	}
}

// LiveMigrateInstance runs the live migration task. Its caller is long gone, so that a failure is kept
// with the instance, where the next question for it finds it, and returned for the log.
func (m *Manager) LiveMigrateInstance(ctx context.Context, args conductorapi.LiveMigrateArgs) error {
	instance, err := m.begin(args.Instance)
	if err != nil {
		return err
	}
	task := liveMigration{clients: m.clients, instance: instance, dest: args.Host}
	if err := task.execute(ctx); err != nil {
		instance.Status, instance.Fault = conductorapi.StatusError, err.Error()
		m.put(instance)
		return err
	}
	return nil
}

// GetInstance returns an instance.
func (m *Manager) GetInstance(_ context.Context, args conductorapi.InstanceArgs) (conductorapi.Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(args.Instance)
}

// ListInstances returns all instances, by id.
func (m *Manager) ListInstances(context.Context, struct{}) ([]conductorapi.Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.instances), func(a, b conductorapi.Instance) int { return strings.Compare(a.ID, b.ID) }), nil
}

// UpdateInstance replaces an instance that exists.
func (m *Manager) UpdateInstance(_ context.Context, instance conductorapi.Instance) (conductorapi.Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(instance.ID); err != nil {
		return instance, err
	}
	m.instances[instance.ID] = instance
	return instance, nil
}

// begin marks an instance as migrating, unless it is already.
func (m *Manager) begin(id string) (conductorapi.Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	instance, err := m.find(id)
	if err != nil {
		return instance, err
	}
	if instance.Status == conductorapi.StatusMigrating {
		return instance, conductorapi.InstanceInvalidState.Errorf("instance %s is migrating already", id)
	}
	instance.Status, instance.Fault = conductorapi.StatusMigrating, ""
	m.instances[id] = instance
	return instance, nil
}

func (m *Manager) put(instance conductorapi.Instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.instances[instance.ID] = instance
}

// find is called with mu held.
func (m *Manager) find(id string) (conductorapi.Instance, error) {
	instance, ok := m.instances[id]
	if !ok {
		return instance, computeapi.InstanceNotFound.Errorf("instance %s could not be found", id)
	}
	return instance, nil
}
