package embedded_test

import (
	"testing"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats/embedded"
	"github.com/goslo/goslo/transport/transporttest"
)

func contract(cfg embedded.Config) transporttest.Config {
	return transporttest.Config{
		Open:  func(t testing.TB) transport.Transport { return open(t, cfg) },
		Lacks: transporttest.KeepsCalls,
	}
}

// TestContract has the bus in another process, as most users of it do.
func TestContract(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	cfg := testConfig(t)
	spawn(t, child{Config: cfg}).ready()
	transporttest.Run(t, contract(cfg))
}

// TestContractAsHost has the bus in this process; the server's goroutines would be counted as left over, so
// that case is TestHostLeavesNothing.
func TestContractAsHost(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"memory", "files"} {
		t.Run(kept, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			if kept == "files" {
				cfg.StoreDir = t.TempDir()
			}
			if !open(t, cfg).Hosting() {
				t.Fatal("the first of the bus does not host it")
			}
			for _, one := range transporttest.Cases() {
				if one.Name == "NoGoroutinesLeft" {
					continue
				}
				t.Run(one.Name, func(t *testing.T) {
					t.Parallel()
					one.Run(t, contract(cfg))
				})
			}
		})
	}
}
