package memory_test

import (
	"testing"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
	"github.com/goslo/goslo/transport/transporttest"
)

func config() transporttest.Config {
	bus := memory.NewBus()
	return transporttest.Config{Open: func(testing.TB) transport.Transport { return bus.Open(memory.Config{}) }}
}

func TestContract(t *testing.T) { //nolint:paralleltest // One case counts goroutines.
	transporttest.Run(t, config())
}
