// Package service runs programs: it starts what they consist of in order, stops it in the reverse order, and can be asked how it is.
//
//	server := rpc.NewServer(bus, rpc.ServerConfig{...}, endpoints...)
//	report := service.Every(service.Periodic{Name: "report", Spacing: time.Minute}, reportState)
//	err := service.Run(ctx, server, service.Hook("init_host", initHost), report)
//
// What is run is a [Runner]; rpc.Server is one. [Every] makes one of a function that is to be called again and again, [Hook] of one
// that is called once, and [HTTP] of an http.Handler such as [Service.Handler], which answers /livez, /readyz, /startupz and
// /debug/requests. [Create] makes the runners of a manager, by the convention of OpenStack's services.
//
// [Service.Main] adds what the world outside wants of a process: signals, and systemd's notifications.
//
// The package knows no configuration, no metrics and no bus but the seam: package program, within it, ties those together.
//
// # Goroutines
//
// One for each runner while [Service.Run] runs, and for each that leaves its work to others as it stops, one for each kind of signal and two for systemd while [Service.Main] does; one for each call of
// a periodic task's function. All have ended when Run returns, except for those of runners and functions that were forced to end and did not.
package service
