// Package notifyslog tells the records of a log as notifications: what oslo.messaging's LoggingNotificationHandler and PublishErrorsHandler do for
// Python's logging, for log/slog, on the same wire.
//
//	handler := notifyslog.New(oslolog, notifyslog.Config{Notifier: notifier.As("compute." + host)})
//	defer handler.Close(ctx)
//	log := slog.New(handler)
//	log.ErrorContext(ctx, "disk full", "disk", disk) // logged as before, and told: event logrecord, priority ERROR
//
// Who logs never waits for the bus: records wait in a queue, and are dropped where there is no room, which is said once in the log below and counted.
// What packages notify and transport log themselves is never told, as it could beget itself without end.
//
// The one goroutine is that of the handler's [notify.Backlog], which Close waits for.
package notifyslog
