// Package oslolog writes logs as Python services of OpenStack do, with oslo.log's formats and options, for operators who read, ship and search one kind of log:
//
//	2026-11-21 08:00:00.123 4711 INFO nova.compute.manager [None req-c7a8... user project domain - - -] [instance: 0f2c...] started
//
// What is between the brackets comes from the request context in the record's context.Context (rpc.ContextFrom), so programs log with
// InfoContext and the like, and pass the ctx of their handler. A record without a request has [-] there.
//
// Of a record's attributes, these have a place of their own:
//
//	logger                   the name of the logger; give it to slog.Logger.With
//	instance, instance_uuid  what the record is about, in front of the message; otherwise the context's resource_uuid
//	resource                 the same for %(resource)s, which is in no default format
//	error                    from the level WARNING on the end of the line, ": " and the error
//	traceback                lines of their own, each with the exception prefix
//
// All others follow the message as key=value; as JSON they are in "extra". Secrets: of a request context only those members are shown that oslo.log shows,
// the token as "***".
//
// The package starts no goroutine. Each record is one Write.
package oslolog
