package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/goslo/goslo/rpc"
)

const methodsHelp = `  echo(arg)                     returns arg
  sleep(seconds)                returns after that time, or when it is cancelled
  fail(class, module, message)  fails with that Python class
  context()                     returns the request context
  whoami()                      says which process answered
  control.stop()                ends the server; namespace control, version 2.0
`

// diagnostics are the methods of goslo serve.
type diagnostics struct {
	topic, server string
	stop          func()
}

var (
	unversioned = rpc.Target{Version: "1.0"}
	control     = rpc.Target{Namespace: "control", Version: "2.0"}
)

func (d *diagnostics) endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{
		rpc.NewCall[echoArgs, json.RawMessage](unversioned, "echo").Handle(d.echo),
		rpc.NewCall[sleepArgs, float64](unversioned, "sleep").Handle(d.sleep),
		rpc.NewCall[failArgs, struct{}](unversioned, "fail").Handle(d.fail).Expect(errAsked),
		rpc.NewCall[struct{}, json.RawMessage](unversioned, "context").Handle(d.context),
		rpc.NewCall[struct{}, identity](unversioned, "whoami").Handle(d.whoami),
		rpc.NewCall[struct{}, any](control, "stop").Handle(d.control),
	}
}

type echoArgs struct {
	Arg json.RawMessage `json:"arg"`
}

func (d *diagnostics) echo(_ context.Context, args echoArgs) (json.RawMessage, error) {
	if args.Arg == nil {
		return json.RawMessage("null"), nil
	}
	return args.Arg, nil
}

type sleepArgs struct {
	Seconds float64 `json:"seconds"`
}

// longest is more than anyone waits, and less than overflows a duration.
const longest = 100 * 365 * 24 * time.Hour

// sleep returns how long it slept, in seconds.
func (d *diagnostics) sleep(ctx context.Context, args sleepArgs) (float64, error) {
	start := time.Now()
	timer := time.NewTimer(time.Duration(min(args.Seconds, longest.Seconds()) * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return time.Since(start).Seconds(), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

type failArgs struct {
	Class   string `json:"class"`
	Module  string `json:"module"`
	Message string `json:"message"`
}

// errAsked marks a failure that the caller asked for, which is no news for the server's log.
var errAsked = errors.New("asked for")

type askedError struct{ *rpc.RemoteError }

func (e askedError) Unwrap() error        { return e.RemoteError }
func (e askedError) Is(target error) bool { return target == errAsked }

func (d *diagnostics) fail(_ context.Context, args failArgs) (struct{}, error) {
	class := rpc.ErrorClass{Module: args.Module, Name: args.Class}
	if class.Name == "" {
		class = rpc.ErrorClass{Module: "builtins", Name: "Exception"}
	}
	return struct{}{}, askedError{class.Errorf("%s", args.Message)}
}

func (d *diagnostics) context(ctx context.Context, _ struct{}) (json.RawMessage, error) {
	return rpc.ContextFrom(ctx).JSON(), nil
}

// An identity says which process answered.
type identity struct {
	Topic   string `json:"topic"`
	Server  string `json:"server"`
	Host    string `json:"host"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
}

func (d *diagnostics) whoami(context.Context, struct{}) (identity, error) {
	return identity{Topic: d.topic, Server: d.server, Host: hostname(), PID: os.Getpid(), Version: buildVersion().Version}, nil
}

// control ends the server once the request is answered, since a stopping server lets running requests finish.
func (d *diagnostics) control(context.Context, struct{}) (any, error) {
	d.stop()
	return nil, nil
}
