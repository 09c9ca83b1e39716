// Package rpc calls methods of services over a message bus: call (wait for the result), cast (do not wait)
// and fanout (cast to every server of a topic), as oslo.messaging does and on the same wire.
//
// A method is described once, by a [Call] or [Cast] value that caller and implementer share:
//
//	var Compute = rpc.Target{Topic: "compute", Version: "6.3"}
//	var GetConsole = rpc.NewCall[GetConsoleArgs, Console](Compute.Since("6.1"), "get_console_output")
//
// The caller has a [Client] of the bus; the implementer runs a [Server] of handlers:
//
//	console, err := GetConsole.Call(ctx, client.To("host-1"), GetConsoleArgs{...})
//	server := rpc.NewServer(bus, rpc.ServerConfig{Target: Compute, Server: "host-1"}, GetConsole.Handle(manager.GetConsole))
//
// The package owns deadlines, the pairing of replies with calls, signs of life of monitored calls,
// duplicates, versions and errors. It knows no bus: sockets, reconnection and topology belong to the
// [transport.Transport] it is given. What it starts: a Client, one goroutine from its first call to Close, and
// one for a call that is about to time out, which asks the bus why and ends with the call, and, on a bus that pushes replies, one per late
// reply while that is told; a Server, up to Workers goroutines that take requests and run handlers, and one per monitored call while
// it runs; Run waits for them.
//
// The request context (user, project, request id) travels inside context.Context: see [RequestContext].
package rpc
