//go:build !zmq

package compare_test

// startZMQ is nil: this build has no ZeroMQ.
var startZMQ starter
