//go:build zmq && !race

package benchmarks_test

import "testing"

func allocationsOfZMQ() []allocations {
	return []allocations{{"zmq", 28, 23, func(t *testing.T) string { t.Helper(); return "zmq:///?rpc_zmq_ipc_dir=" + t.TempDir() }}}
}
