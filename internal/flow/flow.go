// Package flow finds out, from the source of a project that uses this library, which way requests take: from a REST route
// through the functions behind it to the methods of contracts that they call and cast, and on to the manager methods that
// serve those, which may call and cast in turn. It runs none of the project's code.
//
// It owns loading (load.go), the index of what the packages declare, store and call (index.go), the evaluation of single
// values, such as which function a variable holds (eval.go), the names of the library by which it knows a call from a
// route (model.go), and the walk from roots to leaves (walk.go). It starts no goroutines; package packages does while
// it loads, and waits for them.
//
// # What it sees
//
// Values are followed backwards through variables, parameters, struct fields, slices, maps, closures, method values and
// interfaces; functions are followed with the arguments of the very call, so that one helper that all handlers share
// leads from each route to its own handler. Order and conditions are not looked at: what either branch sends is listed. An
// interface whose value cannot be found stands for the types of the packages that implement it. What is made at run
// time only, such as a topic out of a configuration file, is said to be so.
package flow

import (
	"context"
	"fmt"
	"strings"
)

// Config says what to read.
type Config struct {
	// Dir is the folder that patterns and the file names of the result are relative to. Default: the working folder.
	Dir string
	// Patterns name packages as those of go build do. What these import of the same module is read too. Default: ./...
	Patterns []string
	// Env is the environment of the go command, as os.Environ returns it. Default: the process's.
	Env []string
}

// A Flow is all that was found.
type Flow struct {
	// Packages is how many were read.
	Packages int `json:"packages"`
	// Roots are where flows begin: routes in the order of the source, then periodic tasks, then handlers that nobody in
	// the packages calls, then functions that send and are not part of any of these.
	Roots []*Step `json:"roots"`
	// Methods are those of the contracts that the packages declare, in the order of the source.
	Methods []*Method `json:"methods"`
}

// A Kind says what a Step is.
type Kind string

// The kinds of steps.
const (
	Route    Kind = "route"    // of HTTP; At is where it is registered
	Task     Kind = "task"     // a periodic task; At is where it is made
	Function Kind = "function" // At is its declaration
	Message  Kind = "message"  // a method of a contract, called or cast; At is the line that does it
	Handler  Kind = "handler"  // the function that serves a method; At is its declaration
)

// A Step is one on the way of a request, with those that follow it.
type Step struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`         // of a route: method and path; of a message: the contract's variable
	At   string `json:"at,omitempty"` // file:line, relative to Config.Dir unless the whole path is shorter
	// Sent is what a message is. nil in other steps.
	Sent *Sent `json:"sent,omitempty"`
	// Serves is what a handler that is a root serves. nil in other steps.
	Serves *Method `json:"serves,omitempty"`
	// Note says why nothing follows, where something might: a recursion, steps that the same root has shown before, no
	// handler in the packages; or that it is one of several possibilities.
	Note  string  `json:"note,omitempty"`
	Steps []*Step `json:"steps,omitempty"`
}

// Sent is how a message goes, and where.
type Sent struct {
	Method
	Mode   string `json:"mode"`             // call, cast or fanout
	Server string `json:"server,omitempty"` // the one that it goes to, or "?" when its name is made at run time; "" = any
	Pin    string `json:"pin,omitempty"`    // the version cap of the client, or "?"; "" = none is seen
}

// A Method is one of a contract: a descriptor made by rpc.NewCall or rpc.NewCast. What is made at run time is "?".
type Method struct {
	Contract   string `json:"contract"`    // the variable, with its package: computeapi.LiveMigration
	ContractAt string `json:"contract_at"` // file:line of it
	Answers    bool   `json:"answers"`     // made by NewCall
	Method     string `json:"method"`      // the name on the wire
	Exchange   string `json:"exchange,omitempty"`
	Topic      string `json:"topic"`
	Namespace  string `json:"namespace,omitempty"`
	Version    string `json:"version,omitempty"`
	// Called and Handled say whether the packages do so, by this descriptor or another of the same method.
	Called  bool `json:"called"`
	Handled bool `json:"handled"`
}

// AtRunTime stands for a text that is made at run time.
const AtRunTime = "?"

// A LoadError is a project that cannot be read, or does not compile.
type LoadError struct {
	Problems []string // each as the compiler has it: file:line:column: reason
}

// Error lists the problems, one on a line.
func (e *LoadError) Error() string {
	return "flow: the packages cannot be read:\n" + strings.Join(e.Problems, "\n")
}

// Analyze reads the packages and follows what they send. The error is a *LoadError, or that of a ctx that ended.
func Analyze(ctx context.Context, c Config) (*Flow, error) {
	if len(c.Patterns) == 0 {
		c.Patterns = []string{"./..."}
	}
	p, err := load(ctx, c)
	if err != nil {
		return nil, err
	}
	w := newWalker(p, func() bool { return ctx.Err() != nil })
	f := w.flow()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("flow: following the packages: %w", err)
	}
	return f, nil
}
