// Package zmq carries RPC over ZeroMQ: "zmq://" URLs. There is no broker: processes connect to each other.
//
// Everything in it is behind the build tag zmq, because it needs cgo and libzmq (libzmq3-dev and pkg-config on Debian):
//
//	go build -tags zmq ./...
package zmq
