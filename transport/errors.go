package transport

import (
	"errors"
	"fmt"
	"time"
)

// The ways in which sending fails. Transports wrap them with what was tried, on what and why.
var (
	// ErrNoListener: nobody listens at the address, and nobody will receive the message.
	ErrNoListener = errors.New("nobody listens")
	// ErrNotSent: the message never left, for example because the bus was away until the context ended.
	ErrNotSent = errors.New("not sent")
	// ErrInDoubt: the message left, and whether the bus has it is unknown.
	ErrInDoubt = errors.New("sent but not confirmed")
	// ErrRejected: the bus, or a limit of it that is known here, refused the message.
	ErrRejected = errors.New("refused")
	// ErrClosed: the transport or the listener was closed.
	ErrClosed = errors.New("closed")
)

// An OutageError says that the bus is away, or takes no messages, since when, and why. errors.As finds it in what Send, Listen
// and Inspect return when they waited for the bus in vain.
type OutageError struct {
	For     time.Duration // how long it had lasted
	Blocked string        // the bus is there and takes no messages: why, in its own words (RabbitMQ's "low on memory"); "" = it is away
	Cause   error         // of a bus that is away: what went wrong last; nil when not known
}

func (e *OutageError) Error() string {
	lasted := e.For.Round(time.Millisecond)
	switch {
	case e.Blocked != "":
		return fmt.Sprintf("blocked by the broker for %s: %s", lasted, e.Blocked)
	case e.Cause != nil:
		return fmt.Sprintf("the broker has been away for %s: %v", lasted, e.Cause)
	}
	return fmt.Sprintf("the broker has been away for %s", lasted)
}

// Unwrap returns the cause.
func (e *OutageError) Unwrap() error { return e.Cause }
