// Package middleware has the filters that api-paste.ini files of OpenStack's services name, for Go handlers:
//
//	options := middleware.Defaults() // or what package config has read of [cors], [oslo_middleware] and [healthcheck]
//	app, err := paste.Config{
//		Path:      "/etc/shop/api-paste.ini",
//		Factories: middleware.Factories(middleware.Config{Options: options, Logger: log, Trace: observer.HTTP}).With(own),
//	}.App()
//
// Each filter is a func(http.Handler) http.Handler, with or without such a file: middleware.Limit{MaxRequestBodySize: 1 << 20}.Filter.
// [Factories] has them all under the names of the Python classes that they stand for. Authentication is not among them: see
// rest/keystone.
//
// What they do on the wire is what oslo.middleware 5.0 does, and nova and cinder with their own, and is compared with the former by a
// test; docs/paste.md lists what differs. Answers of their own are in OpenStack's fault format. The package starts no goroutine.
package middleware
