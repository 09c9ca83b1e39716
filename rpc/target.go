package rpc

import (
	"fmt"
	"strings"

	"github.com/goslo/goslo/transport"
)

// A Target says which service a method belongs to: its place on the bus, and the namespace and version of
// the endpoint that serves it. Targets are values; share them between caller and implementer.
type Target struct {
	Exchange  string // "" = the transport's default exchange (oslo's control_exchange)
	Topic     string // required for sending and serving
	Namespace string // "" = none
	Version   string // "major.minor" or "major.minor.revision"; "" = none, which an unversioned endpoint ("1.0") takes
}

// Since returns the target with the version that a method asks for: the one in which the method appeared
// or last changed. Servers that implement it, or a later minor version, serve the method.
func (t Target) Since(version string) Target {
	t.Version = version
	return t
}

// String lists what is set, in oslo's order: <Target exchange=x, topic=y, namespace=z, version=1.0>.
func (t Target) String() string {
	var parts []string
	for _, f := range [...]struct{ name, value string }{
		{"exchange", t.Exchange}, {"topic", t.Topic}, {"namespace", t.Namespace}, {"version", t.Version},
	} {
		if f.value != "" {
			parts = append(parts, f.name+"="+f.value)
		}
	}
	return "<Target " + strings.Join(parts, ", ") + ">"
}

// A TargetError is a target that cannot be used as asked: oslo's InvalidTarget.
type TargetError struct {
	Target Target
	Reason string // what is missing or wrong, and what to do
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("rpc: invalid target %v: %s", e.Target, e.Reason)
}

// A Mode is how a request travels.
type Mode uint8

// The ways a request travels.
const (
	ByCall   Mode = iota // to one server, which answers
	ByCast               // to one server, which does not
	ByFanout             // to every server of the topic; none answers
)

func (d Mode) String() string {
	switch d {
	case ByCall:
		return "call"
	case ByCast:
		return "cast"
	case ByFanout:
		return "fanout"
	}
	return "invalid"
}

// address is where a request to the target goes. A fanout wins over a server (conformance TGT-10).
func (r *Request) address() transport.Address {
	a := transport.Address{Kind: transport.Topic, Exchange: r.Target.Exchange, Topic: r.Target.Topic, Server: r.Server}
	if r.Mode == ByFanout {
		a.Kind, a.Server = transport.Fanout, ""
	}
	return a
}
