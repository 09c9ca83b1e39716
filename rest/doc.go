// Package rest is the HTTP front of a service: what stands between clients of an OpenStack-style API and the bus.
//
// It owns the request context as OpenStack has it ([Context]), request ids ([RequestID]) and what a failure means to the one in front
// ([Fault], [WriteFault]).
//
// A filter is a func(http.Handler) http.Handler. The package knows package rpc and no bus, and starts no goroutine.
package rest
