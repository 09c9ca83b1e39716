package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/goslo/goslo/wire"
)

// A Call describes a method that answers: the one value that its callers and its implementer share, so
// that an editor's go-to-definition and find-references cross the bus. A and R are the types of its arguments and its result.
//
// A encodes to a JSON object, one member per named argument; on arrival unknown members are ignored and
// missing ones are zero, so that services of different versions can meet. Use [Args] or json.RawMessage
// for what is known only at run time.
type Call[A, R any] struct{ d descriptor }

// A Cast describes a method that does not answer. There is no way to wait for one.
type Cast[A any] struct{ d descriptor }

// Args are untyped named arguments.
type Args map[string]any

type descriptor struct {
	target Target
	method string
}

// NewCall describes a method that answers. It does no I/O and cannot fail; a target or name that cannot
// be used is an error of the call.
func NewCall[A, R any](t Target, method string) Call[A, R] {
	return Call[A, R]{descriptor{t, method}}
}

// NewCast describes a method that does not answer.
func NewCast[A any](t Target, method string) Cast[A] {
	return Cast[A]{descriptor{t, method}}
}

// Call runs the method on one server of the target's topic, or on the client's To, and returns its result.
//
// The deadline is ctx's, else the client's Timeout. Errors: *NoServerError when nobody listens,
// *TimeoutError with the phase, *RemoteError when the method failed, *VersionError, *NoSuchMethodError,
// *DeliveryError, *TargetError. After a *TimeoutError or *DeliveryError the method may have run, or be running.
func (m Call[A, R]) Call(ctx context.Context, c *Client, args A) (R, error) {
	var result R
	raw, err := c.do(ctx, ByCall, m.d, args)
	if err != nil {
		return result, err
	}
	if out, ok := any(&result).(*json.RawMessage); ok {
		*out = raw
		return result, nil
	}
	if err := wire.Unmarshal(raw, &result); err != nil {
		return result, fmt.Errorf("rpc: %s: decode result into %T: %w", m.d.method, result, err)
	}
	return result, nil
}

// Cast sends the request without waiting for an answer; see [Cast.Cast].
func (m Call[A, R]) Cast(ctx context.Context, c *Client, args A) error {
	_, err := c.do(ctx, c.oneWay(), m.d, args)
	return err
}

// Handle makes the endpoint that serves the method with f. What f returns as an error reaches the caller
// as a *RemoteError: of the class that ErrorClass.Errorf gave it, of the class of the remote failure
// that it wraps, or of the class that an error type with a method RemoteClass() (module, name string) returns (those of package
// objects do, also where arguments do not decode), else as a Python RuntimeError.
func (m Call[A, R]) Handle(f func(ctx context.Context, args A) (R, error)) Endpoint {
	return m.d.endpoint(func(ctx context.Context, raw json.RawMessage, room *room) (json.RawMessage, error) {
		args, err := decodeArgs[A](m.d.method, raw)
		if err != nil {
			return nil, err
		}
		result, err := f(ctx, args)
		if err != nil {
			return nil, err
		}
		if raw, ok := any(result).(json.RawMessage); ok {
			return raw, nil
		}
		out, err := room.marshal(result)
		if err != nil {
			return nil, fmt.Errorf("%s(): encode result: %w", m.d.method, err)
		}
		return out, nil
	})
}

// Cast sends the request to one server of the topic, to the client's To, or, with its Fanout, to every
// server. nil means that the bus owns the request: it is stored, or handed to the servers, as the transport promises.
// Errors: *NoServerError (not for a fanout), *TimeoutError with the phases NotSent and Unconfirmed, *VersionError, *DeliveryError, *TargetError.
func (m Cast[A]) Cast(ctx context.Context, c *Client, args A) error {
	_, err := c.do(ctx, c.oneWay(), m.d, args)
	return err
}

// Handle makes the endpoint that serves the method with f. Its error goes to the server's log alone,
// unless the peer used a call: then it is the answer.
func (m Cast[A]) Handle(f func(ctx context.Context, args A) error) Endpoint {
	return m.d.endpoint(func(ctx context.Context, raw json.RawMessage, _ *room) (json.RawMessage, error) {
		args, err := decodeArgs[A](m.d.method, raw)
		if err != nil {
			return nil, err
		}
		return nil, f(ctx, args)
	})
}

// A room is where JSON is written that nobody keeps: the next to be written there takes its place. A nil one writes each to a place of its own.
type room []byte

// roomMost is how large a room may be that is kept.
const roomMost = 64 << 10

func (r *room) marshal(v any) (json.RawMessage, error) {
	if r == nil {
		return wire.Marshal(v)
	}
	text, err := wire.AppendMarshal((*r)[:0], v)
	if *r = text; cap(text) > roomMost {
		*r = nil
	}
	return json.RawMessage(text), err
}

// encodeArgs encodes args to a JSON object; nil maps and nil raw messages are {}.
func encodeArgs(method string, args any, room *room) (json.RawMessage, error) {
	raw, ok := args.(json.RawMessage)
	if !ok {
		var err error
		if raw, err = room.marshal(args); err != nil {
			return nil, fmt.Errorf("rpc: %s: encode arguments: %w", method, err)
		}
		if string(raw) == "null" {
			raw = nil
		}
	}
	if len(raw) == 0 {
		return json.RawMessage("{}"), nil
	}
	if !isObject(raw) {
		return nil, fmt.Errorf("rpc: %s: arguments must encode to a JSON object (named arguments), %T encodes to %s",
			method, args, wire.KindOf(raw))
	}
	return raw, nil
}

func decodeArgs[A any](method string, raw json.RawMessage) (A, error) {
	var args A
	if len(raw) == 0 { // conformance DISP-16
		raw = json.RawMessage("{}")
	}
	if !isObject(raw) {
		// Python looks for the items of what it takes for a dictionary (conformance DISP-16).
		return args, classAttributeError.Errorf("%s(): args must be an object, not %s", method, wire.KindOf(raw))
	}
	if out, ok := any(&args).(*json.RawMessage); ok {
		*out = raw
		return args, nil
	}
	if err := wire.Unmarshal(raw, &args); err != nil {
		return args, &argumentError{method, err}
	}
	return args, nil
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '{'
}
