package compute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/examples/compute/compute"
	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
)

// conductor is a stand-in that keeps what hosts report. It is served by rpc.Local: no bus, and no mock.
func conductor(reports chan<- conductorapi.Instance) *rpc.Client {
	return rpc.Local(conductorapi.UpdateInstance.Handle(
		func(_ context.Context, i conductorapi.Instance) (conductorapi.Instance, error) {
			reports <- i
			return i, nil
		}))
}

// recorded returns a notifier and what it was given to tell.
func recorded() (*notify.Notifier, func(t *testing.T) []string) {
	var recorder notify.Recorder
	told := func(t *testing.T) (lines []string) {
		t.Helper()
		for _, n := range recorder.Notifications() {
			var m computeapi.Migration
			if err := json.Unmarshal(n.Payload, &m); err != nil {
				t.Error(err)
			}
			line := fmt.Sprintf("%s %s %d %%", n.Priority, n.Type, m.Percent)
			if _, fault, ok := strings.Cut(m.Fault, "MigrationPreCheckError: "); ok {
				line += " " + fault
			}
			lines = append(lines, line)
		}
		return lines
	}
	return notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{&recorder}}), told
}

func TestLiveMigration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reports := make(chan conductorapi.Instance, 1)
		notifier, told := recorded()
		there := compute.NewPretend(time.Second)
		dest := compute.New(compute.Config{Host: "cmp-2", Driver: there})
		here := compute.NewPretend(time.Second, "vm-1")
		source := compute.New(compute.Config{
			Host: "cmp-1", Driver: here, Compute: rpc.Local(dest.Endpoints()...), Conductor: conductor(reports), Notifier: notifier,
		})
		if err := source.LiveMigration(t.Context(), computeapi.LiveMigrationArgs{Instance: "vm-1", Dest: "cmp-2"}); err != nil {
			t.Fatal(err)
		}
		want := conductorapi.Instance{ID: "vm-1", Host: "cmp-2", Status: conductorapi.StatusActive}
		if diff := cmp.Diff(want, <-reports); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{
			"info compute.instance.live_migration.start 0 %", "info compute.instance.live_migration.progress 25 %",
			"info compute.instance.live_migration.progress 50 %", "info compute.instance.live_migration.progress 75 %",
			"info compute.instance.live_migration.progress 100 %", "info compute.instance.live_migration.end 100 %",
		}, told(t)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		client := rpc.Local(dest.Endpoints()...)
		got, err := computeapi.GetDiagnostics.Call(t.Context(), client, computeapi.InstanceArgs{Instance: "vm-1"})
		if err != nil || got.Host != "cmp-2" {
			t.Errorf("diagnostics at the destination: %+v, %v", got, err)
		}
		_, err = computeapi.GetDiagnostics.Call(t.Context(), rpc.Local(source.Endpoints()...), computeapi.InstanceArgs{Instance: "vm-1"})
		if !errors.Is(err, computeapi.InstanceNotFound) {
			t.Errorf("diagnostics at the source: %v, want InstanceNotFound", err)
		}
	})
}

func TestFailureIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reports := make(chan conductorapi.Instance, 1)
		notifier, told := recorded()
		full := rpc.ErrorClass{Module: "nova.exception", Name: "MigrationPreCheckError"}
		dest := rpc.Local(computeapi.PreLiveMigration.Handle(
			func(context.Context, computeapi.InstanceArgs) (computeapi.MigrateData, error) {
				return computeapi.MigrateData{}, full.Errorf("no memory left")
			}))
		source := compute.New(compute.Config{
			Host: "cmp-1", Driver: compute.NewPretend(time.Second, "vm-1"), Compute: dest, Conductor: conductor(reports), Notifier: notifier,
		})
		err := source.LiveMigration(t.Context(), computeapi.LiveMigrationArgs{Instance: "vm-1", Dest: "cmp-2"})
		if !errors.Is(err, full) {
			t.Errorf("error = %v, want the destination's", err)
		}
		if got := <-reports; got.Status != conductorapi.StatusError || got.Host != "cmp-1" || got.Fault == "" {
			t.Errorf("report = %+v", got)
		}
		if diff := cmp.Diff([]string{
			"info compute.instance.live_migration.start 0 %", "error compute.instance.live_migration.error 0 % no memory left",
		}, told(t)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

func TestMigrationsTakeTurns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		most int
		want time.Duration // for three instances of 10 s each
	}{
		{0, 30 * time.Second}, {1, 30 * time.Second}, {2, 20 * time.Second}, {3, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			reports := make(chan conductorapi.Instance, 3)
			dest := compute.New(compute.Config{Host: "cmp-2", Driver: compute.NewPretend(0)})
			source := compute.New(compute.Config{
				Host: "cmp-1", Driver: compute.NewPretend(10*time.Second, "vm-1", "vm-2", "vm-3"),
				Compute: rpc.Local(dest.Endpoints()...), Conductor: conductor(reports), MaxLiveMigrations: test.most,
			})
			start := time.Now()
			for _, instance := range []string{"vm-1", "vm-2", "vm-3"} {
				go func() {
					// The reports tell how it ended.
					_ = source.LiveMigration(t.Context(), computeapi.LiveMigrationArgs{Instance: instance, Dest: "cmp-2"})
				}()
			}
			for range 3 {
				if got := <-reports; got.Status != conductorapi.StatusActive {
					t.Errorf("report = %+v", got)
				}
			}
			if took := time.Since(start); took != test.want {
				t.Errorf("%d at a time: three took %s, want %s", test.most, took, test.want)
			}
		})
	}
}

func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reports := make(chan conductorapi.Instance, 1)
		dest := compute.New(compute.Config{Host: "cmp-2", Driver: compute.NewPretend(0)})
		source := compute.New(compute.Config{
			Host: "cmp-1", Driver: compute.NewPretend(time.Minute, "vm-1"),
			Compute: rpc.Local(dest.Endpoints()...), Conductor: conductor(reports),
		})
		go func() {
			_ = source.LiveMigration(t.Context(), computeapi.LiveMigrationArgs{Instance: "vm-1", Dest: "cmp-2"}) // the report tells
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := source.LiveMigration(ctx, computeapi.LiveMigrationArgs{Instance: "vm-2", Dest: "cmp-2"})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want the deadline's", err)
		}
		<-reports
	})
}
