package rpc

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
)

// Each error below has an entry in docs/errors.md: what it means, what to look at, what to do.

// A NoServerError says that nobody listens where a request was sent; nobody has received it.
type NoServerError struct {
	Method  string
	Address transport.Address
	Nearest string // the most similar topic that has listeners, where the bus can tell; else ""
	Cause   error  // what the transport said; wraps transport.ErrNoListener
}

func (e *NoServerError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rpc: %s: nobody listens on topic %q", e.Method, e.Address.Topic)
	if e.Address.Server != "" {
		fmt.Fprintf(&b, " as server %q", e.Address.Server)
	}
	if e.Address.Exchange != "" {
		fmt.Fprintf(&b, " of exchange %q", e.Address.Exchange)
	}
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	return b.String()
}

// Unwrap returns the transport's error.
func (e *NoServerError) Unwrap() error { return e.Cause }

// A Phase is how far a request had come when waiting for it ended.
type Phase string

// The phases of a call. The first two are those of casts, too.
const (
	NotSent     Phase = "not sent"           // the bus was away, blocked or full: nobody has it; Cause says which
	Unconfirmed Phase = "sent, unconfirmed"  // it left; whether the bus has it is unknown
	Unroutable  Phase = "unroutable"         // the bus took it, and its queue is no longer there
	Queued      Phase = "queued"             // messages wait on the bus, and most likely it is one of them
	Taken       Phase = "taken, no reply"    // no longer on the bus: a server took it
	Running     Phase = "running"            // a server works on it: it sent signs of life
	ReplyLost   Phase = "reply lost"         // the caller's own reply queue is gone, or was for a while
	BusAway     Phase = "bus away"           // the bus took it, and was away when the call ended
	BusBlocked  Phase = "bus blocked"        // the bus took it, and now takes no messages: the reply cannot be sent
	Delivered   Phase = "sent and confirmed" // the bus took it, and cannot tell what became of it
)

// A TimeoutError says that a call or cast did not end in time, and how far it had come.
type TimeoutError struct {
	Method  string
	Address transport.Address
	Elapsed time.Duration // since the call was made
	Phase   Phase
	// LastSign is how long ago the server was last heard of; 0 when never.
	LastSign time.Duration
	// Monitor is the monitoring period that ran out, or 0 when it was the deadline.
	Monitor time.Duration
	// Unattended says that nobody listened at the address any more: the server has died, left or lost its connection.
	// False also when the bus could not tell.
	Unattended bool
	// Detail says what the bus knew at that moment and what to do about it; "" when it could not tell.
	Detail string
	Cause  error // what the transport said, if it was about sending; else nil
}

func (e *TimeoutError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rpc: %s on %s: timed out after %s (%s", e.Method, e.Address, round(e.Elapsed), e.Phase)
	if e.LastSign > 0 {
		fmt.Fprintf(&b, ", last sign of life %s ago", round(e.LastSign))
	}
	b.WriteByte(')')
	if e.Monitor > 0 {
		fmt.Fprintf(&b, ": no sign of life for the monitoring period of %s", round(e.Monitor))
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap returns context.DeadlineExceeded, when it was the deadline that passed, and the transport's error.
func (e *TimeoutError) Unwrap() []error {
	var errs []error
	if e.Monitor == 0 {
		errs = append(errs, context.DeadlineExceeded)
	}
	if e.Cause != nil {
		errs = append(errs, e.Cause)
	}
	return errs
}

// A VersionError says that the caller and the server do not meet in a version: the method's version is
// above the caller's cap (Cap is set, nothing was sent), or the server implements no endpoint of that
// namespace and version (Remote is set).
type VersionError struct {
	Method    string
	Namespace string
	Version   string       // the version asked for; "" = none
	Cap       string       // the caller's pin; "" when the server refused
	Remote    *RemoteError // the server's answer, or nil
}

func (e *VersionError) Error() string {
	if e.Cap != "" {
		return fmt.Sprintf("rpc: %s: version %q cannot be sent under the version cap %q", e.Method, e.Version, e.Cap)
	}
	if e.Remote != nil {
		return fmt.Sprintf("rpc: %s on %s: the server has no endpoint for namespace %q and version %q: its service is older, of another major version, or does not know the namespace",
			e.Method, e.Remote.Target, e.Namespace, e.Version)
	}
	return fmt.Sprintf("Endpoint does not support RPC version %s. Attempted method: %s", pythonVersion(e.Version), e.Method)
}

// Unwrap returns the server's answer, if there is one.
func (e *VersionError) Unwrap() error { return unwrapRemote(e.Remote) }

// A NoSuchMethodError says that the server has the endpoint but not the method.
type NoSuchMethodError struct {
	Method    string
	Namespace string
	Remote    *RemoteError // the server's answer, or nil on the server's own side
}

func (e *NoSuchMethodError) Error() string {
	if e.Remote != nil {
		return fmt.Sprintf("rpc: %s on %s: the server has no such method in namespace %q", e.Method, e.Remote.Target, e.Namespace)
	}
	return "Endpoint does not support RPC method " + e.Method
}

// Unwrap returns the server's answer, if there is one.
func (e *NoSuchMethodError) Unwrap() error { return unwrapRemote(e.Remote) }

// A DeliveryError says that the bus refused a request, or that it was lost on the way, other than by time.
type DeliveryError struct {
	Method  string
	Address transport.Address
	Cause   error // wraps one of transport's errors, or context.Canceled
}

func (e *DeliveryError) Error() string {
	return fmt.Sprintf("rpc: %s on %s: %v", e.Method, e.Address, e.Cause)
}

// Unwrap returns the cause.
func (e *DeliveryError) Unwrap() error { return e.Cause }

// An argumentError is a request whose arguments do not fit the method; Python's word for it is TypeError.
type argumentError struct {
	method string
	cause  error
}

func (e *argumentError) Error() string {
	return fmt.Sprintf("%s(): bad arguments: %v", e.method, e.cause)
}
func (e *argumentError) Unwrap() error { return e.cause }

func unwrapRemote(e *RemoteError) error {
	if e == nil {
		return nil
	}
	return e
}

func pythonVersion(v string) string {
	if v == "" {
		return "None"
	}
	return v
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Microsecond * 100)
	}
	return d.Round(time.Millisecond * 10)
}
