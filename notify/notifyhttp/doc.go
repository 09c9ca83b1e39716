// Package notifyhttp tells the requests of an HTTP server as notifications: what oslo.messaging's RequestNotifier does for WSGI, on the same wire.
//
//	m := notifyhttp.New(notifyhttp.Config{Notifier: notifier})
//	defer m.Close(ctx)
//	front := m.Filter(api)
//
// Each request is told twice, as event http.request before it is handled and http.response afterwards, of priority info. Where filters are chosen
// by api-paste.ini, [Middleware.Factories] has it under its Python name.
//
// A request never waits for the bus, see [notify.Backlog], whose goroutine is the only one. Tokens, passwords and the like are not told.
package notifyhttp
