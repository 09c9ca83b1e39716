//go:build zmq

package goslo_test

import (
	"testing"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/brokertest"
)

func TestZMQ(t *testing.T) {
	t.Parallel()
	roundTrip(t, goslo.Config{URL: "zmq:///test?rpc_zmq_ipc_dir=" + t.TempDir(), Program: "test"})
}

func TestZMQByRedis(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	roundTrip(t, goslo.Config{URL: "zmq+redis://" + node.Addr() + "/test?rpc_zmq_host=127.0.0.1&rpc_zmq_ipc_dir=" + t.TempDir(), Program: "test"})
}
