// Package rest is the HTTP front of a service: what stands between clients of an OpenStack-style API and the bus.
//
// A controller is a struct with methods; [New] maps them to the routes of resources, as plain method values, so that go-to-definition leads from
// the route to the method:
//
//	v1, err := rest.New(rest.Config{},
//		rest.NewResource("orders", "order",
//			rest.Index(orders.Index),             // GET /v1/orders
//			rest.Show(orders.Show),               // GET /v1/orders/{id}
//			rest.Create(orders.Create),           // POST /v1/orders {"order": {...}}
//			rest.Action("cancel", orders.Cancel), // POST /v1/orders/{id}/action {"cancel": {...}}
//		),
//	)
//	front := rest.Versions(v1) // an http.Handler: for Program.HTTP of service/program, service.HTTPServer, or http.ListenAndServe
//
// The package owns routes, bodies read into Go types ([Decode]), the request context as OpenStack has it ([Context]), request ids ([RequestID]),
// microversions, pages, extensions, and what a failure means to the one in front ([Fault], [WriteFault]).
//
// A filter is a func(http.Handler) http.Handler. The package knows package rpc and no bus, and starts no goroutine.
package rest
