package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/goslo/goslo/wire"
)

// A RequestContext is what OpenStack calls the request context: who asks (user, project, roles, token)
// and in which request (request_id), as one JSON object. It travels with every call and cast, through any
// number of services, and stays undecoded until someone asks. The zero value is an empty context.
type RequestContext struct {
	raw     json.RawMessage
	arrived bool // then Python peers would see the extra member client_timeout
	monitor time.Duration
}

// NewRequestContext makes a context of any value that encodes to a JSON object: a struct or a map.
func NewRequestContext(v any) (RequestContext, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return RequestContext{}, fmt.Errorf("rpc: encode request context: %w", err)
	}
	if !isObject(raw) {
		return RequestContext{}, fmt.Errorf("rpc: request context must encode to a JSON object, not to %s", wire.KindOf(raw))
	}
	return RequestContext{raw: raw}, nil
}

// JSON returns the context as a JSON object. In a handler it has the member client_timeout, as in oslo:
// the caller's monitoring period in seconds, or null (conformance CTX-04).
func (c RequestContext) JSON() json.RawMessage {
	raw := c.raw
	if !isObject(raw) { // none, or not what a peer should send
		raw = json.RawMessage("{}")
	}
	if !c.arrived {
		return raw
	}
	open := bytes.TrimRight(raw, " \t\r\n")
	open = bytes.TrimRight(open[:len(open)-1], " \t\r\n")
	out := append(make([]byte, 0, len(open)+32), open...)
	if !bytes.HasSuffix(open, []byte("{")) {
		out = append(out, ',')
	}
	out = append(out, `"client_timeout":`...)
	if c.monitor == 0 {
		return append(out, "null}"...)
	}
	return append(strconv.AppendFloat(out, c.monitor.Seconds(), 'f', -1, 64), '}')
}

// MarshalJSON returns JSON's result, so that NewRequestContext can be given another context, or a struct that embeds one.
func (c RequestContext) MarshalJSON() ([]byte, error) { return c.JSON(), nil }

// String returns the request id alone, because a context may hold a token. It is what logs and %v show.
func (c RequestContext) String() string { return "request context " + c.RequestID() }

// GoString returns String.
func (c RequestContext) GoString() string { return c.String() }

// LogValue returns String, where a JSON log would show the members.
func (c RequestContext) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Decode stores the context in v, a pointer to a struct or map.
func (c RequestContext) Decode(v any) error {
	if err := wire.Unmarshal(c.JSON(), v); err != nil {
		return fmt.Errorf("rpc: decode request context: %w", err)
	}
	return nil
}

// RequestID returns the member request_id ("req-<uuid>"), or "".
func (c RequestContext) RequestID() string {
	var id struct {
		RequestID string `json:"request_id"`
	}
	if wire.Unmarshal(c.JSON(), &id) != nil {
		return ""
	}
	return id.RequestID
}

type contextKey struct{}

// carried is the one value that this package puts into a context.Context.
type carried struct {
	request *Request // in a handler
	context RequestContext
}

// WithContext returns a ctx whose calls and casts carry the request context c.
func WithContext(ctx context.Context, c RequestContext) context.Context {
	return context.WithValue(ctx, contextKey{}, &carried{request: RequestFrom(ctx), context: c})
}

// ContextFrom returns the request context that ctx carries: in a handler the caller's, which calls made
// with the same ctx pass on unchanged.
func ContextFrom(ctx context.Context) RequestContext {
	if c, ok := ctx.Value(contextKey{}).(*carried); ok {
		return c.context
	}
	return RequestContext{}
}

// RequestFrom returns the request that a handler is running, or nil outside of one. It is not to be changed.
func RequestFrom(ctx context.Context) *Request {
	if c, ok := ctx.Value(contextKey{}).(*carried); ok {
		return c.request
	}
	return nil
}
