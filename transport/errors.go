package transport

import "errors"

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
