//go:build !zmq && !race

package benchmarks_test

func allocationsOfZMQ() []allocations { return nil }
