package flow

import (
	"go/token"
	"go/types"

	"golang.org/x/tools/go/ssa"
)

// A frame is one call of a function: what its parameters and captured variables are. The nil frame is any call.
type frame struct {
	fn   *ssa.Function
	args []thunk
	free []thunk
	site ssa.CallInstruction // nil = not known
	up   *frame              // of site
	pins map[ssa.Value]value // elements of tables: the one of several that is being looked at
}

// A thunk is a value that is evaluated when it is needed. The zero thunk is not known.
type thunk struct {
	v     ssa.Value
	in    *frame
	given []value // instead of v
}

// A value is what is known of one at run time: a text, function, instance, place, descriptor, client, target or endpoint.
type value any

// A text is a string, or AtRunTime.
type text string

// A function is one that can be called, with what it captured.
type function struct {
	fn   *ssa.Function
	free []thunk
}

// An instance is a value of a type that is known, inside an interface.
type instance struct {
	typ types.Type
	of  value // nil = nothing but the type is known
}

// A place is what a pointer points to, or a struct, slice, array or map as a whole: the instruction that makes it, and from there
// the way to a part of it.
type place struct {
	at   ssa.Value
	path string // one rune for each step: the number of a field, or element
	in   *frame
}

// element is the step of a path from a slice, array or map to any of its elements.
const element = '\U0010FFFF'

// A descriptor is a method of a contract.
type descriptor struct {
	made *ssa.Call
	in   *frame
	name string    // of the variable that holds it; "" = none
	at   token.Pos // of the variable, or where it is made
}

// key tells descriptors apart that were evaluated at different times.
func (d descriptor) key() descriptor { return descriptor{made: d.made, name: d.name, at: d.at} }

// A client is what was derived from a client of the bus. "" = as it was made.
type client struct {
	server, topic, exchange, pin string
	fanout                       bool
}

// A target is an rpc.Target.
type target struct{ exchange, topic, namespace, version string }

// An endpoint is what Handle returns.
type endpoint struct {
	made    *ssa.Call
	in      *frame
	accepts []string
}
