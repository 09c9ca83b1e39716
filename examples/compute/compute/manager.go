// Package compute implements the contract of a compute host.
package compute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
)

// Config says what a Manager manages.
type Config struct {
	Host   string // the host's name, which is its server name on the bus
	Driver Driver

	// Compute and Conductor are the ways to other hosts and to the conductor.
	Compute, Conductor *rpc.Client

	// Notifier tells how migrations go on. Default: nobody is told.
	Notifier *notify.Notifier

	// MaxLiveMigrations is how many instances leave the host at the same time; the others wait for their
	// turn. Default (0): 1, as in nova.
	MaxLiveMigrations int
}

// A Driver is the hypervisor.
type Driver interface {
	// Expect makes ready for an instance and returns where its memory is to be sent.
	Expect(ctx context.Context, instance string) (addr string, err error)
	// LiveMigrate copies a running instance to the host that listens at addr and ends it here. It tells now and then how many
	// percent are copied.
	LiveMigrate(ctx context.Context, instance, addr string, progress func(percent int)) error
	// Arrived takes over an instance that has been copied here.
	Arrived(ctx context.Context, instance string) error
	// State says how an instance is; ok is false when it is not here.
	State(instance string) (state string, ok bool)
	// CacheImage fetches an image.
	CacheImage(ctx context.Context, image string) error
}

// A Manager runs one compute host. It starts no goroutine: a migration runs in the handler of its cast.
type Manager struct {
	config  Config
	started time.Time
	leaving chan struct{} // holds one token per migration under way
}

// New returns the manager of a host.
func New(c Config) *Manager {
	if c.Notifier == nil {
		c.Notifier = notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.Noop{}}})
	}
	return &Manager{config: c, started: time.Now(), leaving: make(chan struct{}, max(1, c.MaxLiveMigrations))}
}

// Endpoints are the methods that the manager serves.
func (m *Manager) Endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{
		computeapi.LiveMigration.Handle(m.LiveMigration),
		computeapi.PreLiveMigration.Handle(m.PreLiveMigration),
		computeapi.PostLiveMigrationAtDestination.Handle(m.PostLiveMigrationAtDestination),
		computeapi.GetDiagnostics.Handle(m.GetDiagnostics).Expect(computeapi.InstanceNotFound),
		computeapi.GetHostUptime.Handle(m.GetHostUptime),
		computeapi.CacheImages.Handle(m.CacheImages),
	}
}

// LiveMigration moves an instance to another host. It waits while the host is busy with as many as it may
// move at a time; the rest of the host's work goes on meanwhile, as long as the server has more workers
// than there are migrations waiting. A failure is kept with the instance, and returned for the log.
func (m *Manager) LiveMigration(ctx context.Context, args computeapi.LiveMigrationArgs) error {
	select {
	case m.leaving <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-m.leaving }()

	move := migration{Migration: computeapi.Migration{Instance: args.Instance, Source: m.config.Host, Dest: args.Dest}, notifier: m.config.Notifier}
	move.tell(ctx, computeapi.MigrationStart, notify.Info)
	after := conductorapi.Instance{ID: args.Instance, Host: args.Dest, Status: conductorapi.StatusActive}
	err := m.migrate(ctx, &move)
	if err != nil {
		move.Fault = err.Error()
		after = conductorapi.Instance{ID: args.Instance, Host: m.config.Host, Status: conductorapi.StatusError, Fault: move.Fault}
	}
	_, unreported := conductorapi.UpdateInstance.Call(ctx, m.config.Conductor, after)
	if err != nil {
		move.tell(ctx, computeapi.MigrationError, notify.Error)
	} else {
		move.tell(ctx, computeapi.MigrationEnd, notify.Info)
	}
	return errors.Join(err, unreported, move.untold)
}

func (m *Manager) migrate(ctx context.Context, move *migration) error {
	dest, instance := m.config.Compute.To(move.Dest), computeapi.InstanceArgs{Instance: move.Instance}
	data, err := computeapi.PreLiveMigration.Call(ctx, dest, instance)
	if err != nil {
		return err
	}
	err = m.config.Driver.LiveMigrate(ctx, move.Instance, data.ListenAddr, func(percent int) {
		move.Percent = percent
		move.tell(ctx, computeapi.MigrationProgress, notify.Info)
	})
	if err != nil {
		return err
	}
	_, err = computeapi.PostLiveMigrationAtDestination.Call(ctx, dest, instance)
	return err
}

// A migration is one that runs, and how it is told of. It goes on when nobody can be told; that is for the log.
type migration struct {
	computeapi.Migration

	notifier *notify.Notifier
	untold   error
}

func (v *migration) tell(ctx context.Context, event notify.Event[computeapi.Migration], p notify.Priority) {
	v.untold = errors.Join(v.untold, event.Emit(ctx, v.notifier, p, v.Migration))
}

// PreLiveMigration makes ready for an instance that is about to arrive.
func (m *Manager) PreLiveMigration(ctx context.Context, args computeapi.InstanceArgs) (computeapi.MigrateData, error) {
	addr, err := m.config.Driver.Expect(ctx, args.Instance)
	return computeapi.MigrateData{ListenAddr: addr}, err
}

// PostLiveMigrationAtDestination takes over an instance that has arrived.
func (m *Manager) PostLiveMigrationAtDestination(ctx context.Context, args computeapi.InstanceArgs) (struct{}, error) {
	return struct{}{}, m.config.Driver.Arrived(ctx, args.Instance)
}

// GetDiagnostics describes an instance.
func (m *Manager) GetDiagnostics(_ context.Context, args computeapi.InstanceArgs) (computeapi.Diagnostics, error) {
	state, ok := m.config.Driver.State(args.Instance)
	if !ok {
		return computeapi.Diagnostics{}, computeapi.InstanceNotFound.Errorf("instance %s could not be found on %s", args.Instance, m.config.Host)
	}
	return computeapi.Diagnostics{Instance: args.Instance, Host: m.config.Host, State: state}, nil
}

// GetHostUptime says how long the host has been up.
func (m *Manager) GetHostUptime(context.Context, struct{}) (string, error) {
	return fmt.Sprintf("%s up %s", m.config.Host, time.Since(m.started).Round(time.Millisecond)), nil
}

// CacheImages fetches images, one after the other.
func (m *Manager) CacheImages(ctx context.Context, args computeapi.CacheImagesArgs) error {
	for _, image := range args.ImageIDs {
		if err := m.config.Driver.CacheImage(ctx, image); err != nil {
			return fmt.Errorf("cache image %s: %w", image, err)
		}
	}
	return nil
}
