package rpc

import "context"

// Ping is oslo.messaging's built-in method oslo_rpc_server_ping, of servers that enable it
// (ServerConfig.Ping, or rpc_ping_enabled in Python); it returns "pong". Use it with a client's On.
// (conformance DISP-25).
var Ping = NewCall[struct{}, string](Target{}, "oslo_rpc_server_ping")

// withPing adds the method unless an endpoint has one of that name already (conformance DISP-26).
func withPing(endpoints []Endpoint) []Endpoint {
	for _, e := range endpoints {
		if _, ok := e.methods[Ping.d.method]; ok {
			return endpoints
		}
	}
	ping := Ping.Handle(func(context.Context, struct{}) (string, error) { return "pong", nil })
	return append(endpoints[:len(endpoints):len(endpoints)], NewEndpoint(Target{}, ping))
}
