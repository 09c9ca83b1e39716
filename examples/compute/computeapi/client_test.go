package computeapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/rpc"
)

func TestLiveMigrationDuringAnUpgrade(t *testing.T) {
	t.Parallel()
	plain := computeapi.LiveMigrationArgs{Instance: "vm-1", Dest: "cmp-2"}
	slow := computeapi.LiveMigrationArgs{Instance: "vm-1", Dest: "cmp-2", BandwidthMbps: 100}
	for _, test := range []struct {
		name    string
		pin     string
		args    computeapi.LiveMigrationArgs
		version string // that the host receives; "" = nothing is sent
		wire    string
		err     error
	}{
		{"no pin", "", slow, "6.1", `{"instance":"vm-1","dest":"cmp-2","bandwidth_mbps":100}`, nil},
		{"pinned to the new version", "6.1", slow, "6.1", `{"instance":"vm-1","dest":"cmp-2","bandwidth_mbps":100}`, nil},
		{"pinned to the old version", "6.0", plain, "6.0", `{"instance":"vm-1","dest":"cmp-2"}`, nil},
		{"what an old host would ignore", "6.0", slow, "", "", computeapi.ErrBandwidthUnsupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var version, wire string
			host := rpc.NewCall[json.RawMessage, any](computeapi.Target, "live_migration").Handle(
				func(ctx context.Context, args json.RawMessage) (any, error) {
					version, wire = rpc.RequestFrom(ctx).Target.Version, string(args)
					return nil, nil
				})
			client := computeapi.NewClient(rpc.Local(host).Pin(test.pin))
			if err := client.LiveMigration(t.Context(), "cmp-1", test.args); !errors.Is(err, test.err) {
				t.Fatalf("error = %v, want %v", err, test.err)
			}
			if diff := cmp.Diff([2]string{test.version, test.wire}, [2]string{version, wire}); diff != "" {
				t.Errorf("version and arguments (-want +got):\n%s", diff)
			}
		})
	}
}
