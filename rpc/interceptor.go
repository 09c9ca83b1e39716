package rpc

import (
	"context"
	"encoding/json"
	"time"
)

// A Request is one call, cast or fanout, as interceptors see it on either side.
type Request struct {
	Target  Target          // of the method; Version is the one the caller asks for
	Server  string          // the server named by the caller ("" = any); on the server's side, the server itself
	Method  string          // its name on the wire
	Args    json.RawMessage // an object of named arguments
	Mode    Mode
	Monitor time.Duration // the caller gives up after hearing nothing for so long; 0 = unmonitored

	// Headers travel beside the request, for tracing and the like; see transport.Message.Headers. An interceptor of a client sets them before it
	// calls next; on the server's side they are the caller's. A Python peer has none, and a service passes none on by itself. nil = none.
	Headers map[string]string

	// On the server's side only.
	ID          string    // pairs the reply with the call; "" for casts
	Received    time.Time // when the transport handed the request over
	Redelivered bool      // the bus has handed it to some server before
	Known       bool      // an endpoint has a method of that name; a metric counts all others, which peers make up, under one name

	pending *pending // of a client, whose Request it is; nil = nobody's
	room    *room    // of a server, for the result; nil = whoever sees the result may keep it
}

// A Func carries out a request: on the caller's side it sends it (and for a call waits for the result),
// on the server's side it runs the method. The result of a cast is nil.
type Func func(ctx context.Context, r *Request) (json.RawMessage, error)

// An Interceptor wraps a Func. It runs on the caller's or on the server's side alike, sees errors as
// the side above it will, and must call next at most once. The first of several is the outermost.
type Interceptor func(next Func) Func

func chain(f Func, interceptors []Interceptor) Func {
	for i := len(interceptors) - 1; i >= 0; i-- {
		f = interceptors[i](f)
	}
	return f
}
