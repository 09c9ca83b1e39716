package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/goslo/goslo/wire"
)

// An ErrorClass names a class of failures the way it crosses the bus: by a Python module and class. It is
// itself an error, for errors.Is:
//
//	var InstanceNotFound = rpc.ErrorClass{Module: "nova.exception", Name: "InstanceNotFound"}
//	if errors.Is(err, InstanceNotFound) { ... }
//
// A Python caller that allows the module (allowed_remote_exmods) gets the class itself raised.
type ErrorClass struct {
	Module string
	Name   string
}

// Error returns the class as Python writes it: module.Name, or Name alone for a builtin.
func (c ErrorClass) Error() string {
	if c.Module == "" || c.Module == builtins {
		return c.Name
	}
	return c.Module + "." + c.Name
}

// Errorf makes a failure of the class for a handler to return. Its one argument, on the Python side, is the message.
func (c ErrorClass) Errorf(format string, args ...any) *RemoteError {
	return &RemoteError{Class: c, Message: fmt.Sprintf(format, args...)}
}

const (
	builtins        = "builtins"
	remotePostfix   = "_Remote"
	dispatcherMod   = "oslo_messaging.rpc.dispatcher"
	clientMod       = "oslo_messaging.rpc.client"
	exceptionsMod   = "oslo_messaging.exceptions"
	python2Builtins = "exceptions"
)

// Classes that the library itself answers with; the names are upstream's, so that Python callers can match
// on them (conformance EXC-15, exceptions.py).
var (
	ClassNoSuchMethod       = ErrorClass{dispatcherMod, "NoSuchMethod"}
	ClassUnsupportedVersion = ErrorClass{dispatcherMod, "UnsupportedVersion"}

	classRemoteError     = ErrorClass{clientMod, "RemoteError"}
	classVersionCap      = ErrorClass{clientMod, "RPCVersionCapError"}
	classTimeout         = ErrorClass{exceptionsMod, "MessagingTimeout"}
	classUndeliverable   = ErrorClass{exceptionsMod, "MessageUndeliverable"}
	classDeliveryFailure = ErrorClass{exceptionsMod, "MessageDeliveryFailure"}
	classAttributeError  = ErrorClass{builtins, "AttributeError"}
	classTypeError       = ErrorClass{builtins, "TypeError"}
	classRuntimeError    = ErrorClass{builtins, "RuntimeError"}
)

// A RemoteError is a failure that crosses the bus: what a caller gets when the method failed, and what a
// handler returns to fail with a class of its choice. errors.Is(err, class) tells the class.
type RemoteError struct {
	Class   ErrorClass
	Message string

	// Args and Kwargs are the arguments of the Python exception, as JSON. A handler that leaves Args nil
	// sends [Message].
	Args   []json.RawMessage
	Kwargs json.RawMessage
	// Traceback holds one text per chunk, as Python's traceback.format_exception gives them.
	Traceback []string

	// Method and Target are set on the caller's side: what was asked of whom.
	Method string
	Target string
}

func (e *RemoteError) Error() string {
	s := e.Class.Error()
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Method == "" {
		return s
	}
	return fmt.Sprintf("rpc: %s on %s: remote failure %s", e.Method, e.Target, s)
}

// Is reports whether target is the error's class.
func (e *RemoteError) Is(target error) bool {
	c, ok := target.(ErrorClass)
	return ok && c == e.Class
}

// remoteError reads a failure from a reply. Its Args are never nil: one without arguments is passed on as such.
func remoteError(raw json.RawMessage) (*RemoteError, error) {
	f, err := wire.ParseFailure(raw)
	if err != nil {
		return nil, err
	}
	return &RemoteError{
		Class:     ErrorClass{f.Module, f.Class},
		Message:   f.Message,
		Args:      append([]json.RawMessage{}, f.Args...),
		Kwargs:    f.Kwargs,
		Traceback: f.Traceback,
	}, nil
}

// failed is the error of a request whose reply is a failure.
func failed(r *Request, failure json.RawMessage) error {
	remote, err := remoteError(failure)
	if err != nil {
		return &DeliveryError{r.Method, r.address(), fmt.Errorf("unreadable failure in the reply: %w", err)}
	}
	remote.Method, remote.Target = r.Method, r.address().String()
	switch remote.Class {
	case ClassNoSuchMethod:
		return &NoSuchMethodError{Method: r.Method, Namespace: r.Target.Namespace, Remote: remote}
	case ClassUnsupportedVersion:
		return &VersionError{Method: r.Method, Namespace: r.Target.Namespace, Version: r.Target.Version, Remote: remote}
	}
	return remote
}

// asRemote turns what a handler returned into the failure that its caller will see.
func asRemote(err error) *RemoteError {
	var (
		remote   *RemoteError
		noMethod *NoSuchMethodError
		version  *VersionError
	)
	if !errors.As(err, &remote) {
		return &RemoteError{Class: classOf(err), Message: err.Error()}
	}
	if errors.As(err, &noMethod) && noMethod.Remote == remote || errors.As(err, &version) && version.Remote == remote {
		// What another server refused to the handler was not refused to the handler's caller, who may act on
		// a refusal, for example by asking for an older version. Upstream's class for it is the same.
		return &RemoteError{Class: classRemoteError, Message: err.Error()}
	}
	sent := *remote
	// A received failure that is passed on goes out as what it was at first. (EXC-06)
	if module, ok := strings.CutSuffix(sent.Class.Module, remotePostfix); ok {
		if name, ok := strings.CutSuffix(sent.Class.Name, remotePostfix); ok {
			sent.Class = ErrorClass{module, name}
		}
	}
	return &sent
}

// ClassOf returns the class of the failure that a caller gets when a handler returns err.
func ClassOf(err error) ErrorClass { return asRemote(err).Class }

func classOf(err error) ErrorClass {
	var (
		class    ErrorClass
		noMethod *NoSuchMethodError
		version  *VersionError
		timeout  *TimeoutError
		noServer *NoServerError
		delivery *DeliveryError
		args     *argumentError
		named    interface{ RemoteClass() (module, name string) }
	)
	switch {
	case errors.As(err, &class):
		return class
	case errors.As(err, &named):
		module, name := named.RemoteClass()
		return ErrorClass{module, name}
	case errors.As(err, &noMethod):
		return ClassNoSuchMethod
	case errors.As(err, &version) && version.Cap != "":
		return classVersionCap // a handler's own call; nothing is wrong with its caller's version
	case errors.As(err, &version):
		return ClassUnsupportedVersion
	case errors.As(err, &args):
		return classTypeError
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return classTimeout
	case errors.As(err, &noServer):
		return classUndeliverable
	case errors.As(err, &delivery):
		return classDeliveryFailure
	}
	return classRuntimeError
}

// failure encodes e for a reply to method at server. A failure without a traceback gets one in Python's
// form that tells where it came from, the exception in its last line (EXC-05).
func (e *RemoteError) failure(server, method string) (json.RawMessage, error) {
	f := wire.Failure{
		Class: e.Class.Name, Module: e.Class.Module, Message: e.Message,
		Args: e.Args, Kwargs: e.Kwargs, Traceback: e.Traceback,
	}
	if f.Args == nil {
		message, err := json.Marshal(e.Message)
		if err != nil {
			return nil, err
		}
		f.Args = []json.RawMessage{message}
	}
	if f.Traceback == nil {
		last := e.Class.Error()
		if e.Message != "" {
			last += ": " + e.Message
		}
		f.Traceback = []string{
			"Traceback (most recent call last):\n",
			fmt.Sprintf("  In the Go server %s, method %s\n", server, method),
			last + "\n",
		}
	}
	return wire.AppendFailure(nil, &f)
}

// panicked makes a failure of a handler's panic, with the stack as its traceback.
func panicked(v any) *RemoteError {
	e := classRuntimeError.Errorf("panic: %v", v)
	e.Traceback = []string{"Traceback (most recent call last):\n"}
	for line := range bytes.Lines(debug.Stack()) {
		e.Traceback = append(e.Traceback, "  "+string(line))
	}
	e.Traceback = append(e.Traceback, e.Error()+"\n")
	return e
}
