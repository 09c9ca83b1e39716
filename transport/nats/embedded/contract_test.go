package embedded_test

import (
	"testing"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/transporttest"
)

func TestContract(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	cfg := testConfig(t)
	open(t, cfg) // hosts the bus for all cases
	transporttest.Run(t, transporttest.Config{
		Open:  func(t testing.TB) transport.Transport { return open(t, cfg) },
		Lacks: transporttest.KeepsCalls,
	})
}
