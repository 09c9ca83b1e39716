//go:build zmq

package goslo_test

import (
	"testing"

	"github.com/goslo/goslo"
)

func TestZMQ(t *testing.T) {
	t.Parallel()
	roundTrip(t, goslo.Config{URL: "zmq:///test?rpc_zmq_ipc_dir=" + t.TempDir(), Program: "test"})
}
