package flow

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/ssa"
)

// A callee is a function that a call may be of, with what it gets.
type callee struct {
	fn   *ssa.Function // nil = a method of an interface, of which no implementation is known
	sym  symbol
	sig  *types.Signature
	args []thunk // the receiver first
	free []thunk
	how  how
	of   int // how many implementations there are, for how guessed
}

// how is the way on which a callee was found.
type how int

const (
	byName  how = iota
	byValue     // a function in a variable, a parameter, a field
	guessed     // one of those that implement an interface
)

func called(fn *ssa.Function, args, free []thunk, by how) callee {
	return callee{fn: fn, sym: symbolOf(fn), sig: fn.Signature, args: args, free: free, how: by}
}

// frame is that of a call at site.
func (c callee) frame(site ssa.CallInstruction, up *frame) *frame {
	return &frame{fn: c.fn, args: c.args, free: c.free, site: site, up: up}
}

// follows reports whether the function's body is to be looked at.
func (e *evaluator) follows(c callee) bool {
	return c.fn != nil && len(c.fn.Blocks) > 0 && (isWrapper(c.fn) || e.read[pathOf(c.fn)]) && e.roleOf(c.sym, c.sig) == ordinary
}

// callees resolves a call.
func (e *evaluator) callees(call ssa.CallInstruction, in *frame) []callee {
	common := call.Common()
	args := make([]thunk, 0, 1+len(common.Args))
	if common.IsInvoke() {
		args = append(args, thunk{v: common.Value, in: in})
	}
	for _, a := range common.Args {
		args = append(args, thunk{v: a, in: in})
	}
	if common.IsInvoke() {
		return e.implementers(common.Method, args)
	}
	if _, ok := common.Value.(*ssa.Builtin); ok {
		return nil
	}
	if fn := common.StaticCallee(); fn != nil {
		c := called(fn, args, nil, byName)
		if made, ok := common.Value.(*ssa.MakeClosure); ok {
			for _, b := range made.Bindings {
				c.free = append(c.free, thunk{v: b, in: in})
			}
		}
		return []callee{c}
	}
	return e.functions(thunk{v: common.Value, in: in}, args)
}

// functions are what a value of a function type may be.
func (e *evaluator) functions(t thunk, args []thunk) []callee {
	var all []callee
	for _, v := range unboxed(e.force(t)) {
		f, ok := v.(function)
		if ok && !slices.ContainsFunc(all, func(c callee) bool { return c.fn == f.fn && slices.EqualFunc(c.free, f.free, sameThunk) }) {
			all = append(all, called(f.fn, args, f.free, byValue))
		}
	}
	return all
}

func sameThunk(a, b thunk) bool { return a.v == b.v && a.in == b.in }

// implementers are the methods that a call through an interface may be of; args begin with the receiver.
func (e *evaluator) implementers(m *types.Func, args []thunk) []callee {
	var all []callee
	for _, v := range e.force(args[0]) {
		if i, ok := v.(instance); ok {
			all = append(all, e.method(i, m, args[1:])...)
		}
	}
	if len(all) > 0 {
		return all
	}
	known := e.implementations(e.project, m)
	for _, fn := range known {
		c := called(fn, slices.Concat([]thunk{{}}, args[1:]), nil, guessed)
		c.of = len(known)
		all = append(all, c)
	}
	if len(all) == 0 {
		return []callee{{sym: symbolOfObject(m), sig: m.Signature(), args: args}}
	}
	return all
}

// method is that of an instance. That of a type of functions whose source is not read, such as http.HandlerFunc, is the function.
func (e *evaluator) method(i instance, m *types.Func, args []thunk) []callee {
	selected := e.prog.MethodSets.MethodSet(i.typ).Lookup(m.Pkg(), m.Name())
	if selected == nil {
		return nil // what was followed to here is not what runs
	}
	fn := e.prog.MethodValue(selected)
	if fn == nil {
		return nil // of an interface
	}
	receiver := thunk{given: []value{i.of}}
	if i.of == nil {
		receiver = thunk{}
	}
	if isFunc(i.typ) && len(fn.Blocks) == 0 {
		return e.functions(receiver, args)
	}
	return []callee{called(fn, slices.Concat([]thunk{receiver}, args), nil, byName)}
}

// result is what a call returns at i.
func (e *evaluator) result(call *ssa.Call, i int, in *frame) []value {
	if b, ok := call.Call.Value.(*ssa.Builtin); ok {
		if b.Name() == "append" {
			return e.union(call.Call.Args, in)
		}
		return nil
	}
	var all []value
	for _, c := range e.callees(call, in) {
		switch e.roleOf(c.sym, c.sig) {
		case makesMethod:
			all = append(all, descriptor{made: call, in: in, at: call.Pos()})
		case since:
			for _, t := range e.targets(c.args[0]) {
				t.version = e.text(c.args[1])
				all = append(all, t)
			}
		case derives:
			all = append(all, e.derived(c)...)
		case handles:
			all = append(all, endpoint{made: call, in: in})
		case adorns:
			all = append(all, e.adorned(c)...)
		case gathers:
			all = append(all, e.loadAll(e.elements(e.force(c.args[1])))...)
		case makesRoute:
			for _, row := range e.rows(call, in) {
				for _, c := range e.callees(call, row) {
					all = append(all, e.restRoute(c, call))
				}
			}
		case limits:
			all = append(all, e.limited(c)...)
		case groups, extends:
			all = append(all, e.restParts(c)...)
		case joinsText:
			all = append(all, e.printed(c))
		case ordinary:
			if e.follows(c) {
				all = append(all, e.returned(c, i, call, in)...)
			} else if i == 0 {
				all = append(all, e.passed(c)...)
			}
		default:
		}
	}
	return all
}

// returned is what a function whose body is known returns.
func (e *evaluator) returned(c callee, i int, call *ssa.Call, in *frame) []value {
	nested := 0
	for f := in; f != nil; f = f.up {
		if f.fn == c.fn {
			nested++
		}
	}
	if nested > 1 {
		return nil
	}
	f := c.frame(call, in)
	var all []value
	for _, b := range c.fn.Blocks {
		for _, instr := range b.Instrs {
			if r, ok := instr.(*ssa.Return); ok && i < len(r.Results) {
				all = append(all, e.eval(r.Results[i], f)...)
			}
		}
	}
	return all
}

// passed is what a function whose body is not known may return of what it got: a handler wrapped, a slice sorted.
func (e *evaluator) passed(c callee) []value {
	if c.sig.Results().Len() == 0 {
		return nil
	}
	result := c.sig.Results().At(0).Type()
	var all []value
	for _, a := range c.args {
		if a.v == nil {
			continue
		}
		switch t := result.Underlying().(type) {
		case *types.Interface:
			for _, v := range e.force(a) {
				if i, ok := v.(instance); ok && types.Implements(i.typ, t) && t.NumMethods() > 0 {
					all = append(all, i)
				}
			}
		case *types.Signature, *types.Slice:
			if types.Identical(a.v.Type().Underlying(), t) {
				all = append(all, e.force(a)...)
			}
		}
	}
	return all
}

// printed is a Sprintf of texts.
func (e *evaluator) printed(c callee) text {
	format := e.text(c.args[0])
	elements := e.elements(e.force(c.args[1]))
	args := make([]any, 0, len(elements))
	for _, v := range elements {
		s := AtRunTime
		if values := unboxed(e.loadAll([]value{v})); len(values) == 1 {
			if known, ok := values[0].(text); ok {
				s = string(known)
			}
		}
		args = append(args, s)
	}
	if strings.Count(format, "%") != strings.Count(format, "%s")+strings.Count(format, "%v") {
		return AtRunTime
	}
	return text(fmt.Sprintf(format, args...))
}

// targets are what an rpc.Target may be.
func (e *evaluator) targets(t thunk) []target {
	var all []target
	for _, v := range unboxed(e.force(t)) {
		switch v := v.(type) {
		case target:
			all = append(all, v)
		case place:
			all = append(all, target{
				e.member(v, fieldPath(v, "Exchange")), e.member(v, fieldPath(v, "Topic")),
				e.member(v, fieldPath(v, "Namespace")), e.member(v, fieldPath(v, "Version")),
			})
		}
	}
	if len(all) == 0 {
		return []target{{AtRunTime, AtRunTime, AtRunTime, AtRunTime}}
	}
	return all
}

// member is a text in a struct, at the end of a path; "" where nothing was stored.
func (e *evaluator) member(p place, path string) string {
	if _, global := p.at.(*ssa.Global); global && len(e.referrers(p.at)) == 0 {
		return AtRunTime // of a package whose source is not read
	}
	values := e.load(place{p.at, p.path + path, p.in})
	if len(values) == 0 && !e.filledAt(p.at, []rune(p.path+path), p.in) {
		return ""
	}
	return e.text(thunk{given: orUnknown(values)})
}

func orUnknown(values []value) []value {
	if len(values) == 0 {
		return []value{text(AtRunTime)}
	}
	return values
}

// filledAt reports whether anything is stored at the end of a path, whatever it is.
func (e *evaluator) filledAt(addr ssa.Value, path []rune, in *frame) bool {
	return slices.ContainsFunc(e.referrers(addr), func(r ssa.Instruction) bool {
		switch r := r.(type) {
		case *ssa.FieldAddr:
			return len(path) > 0 && r.X == addr && rune(r.Field) == path[0] && e.filledAt(r, path[1:], in)
		case *ssa.Store:
			return r.Addr == addr && len(e.eval(r.Val, in)) == 0
		}
		return false
	})
}

// clients are what an *rpc.Client may be; one about which nothing is known is as it was made.
func (e *evaluator) clients(t thunk) []client {
	var all []client
	for _, v := range unboxed(e.force(t)) {
		if c, ok := v.(client); ok && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return []client{{}}
	}
	return all
}

func (e *evaluator) derived(c callee) []value {
	bases := e.clients(c.args[0])
	all := make([]value, 0, len(bases))
	for _, base := range bases {
		switch c.sym.name {
		case "To":
			base.server, base.fanout = e.text(c.args[1]), false
		case "Fanout":
			base.server, base.fanout = "", true
		case "On":
			base.topic = e.text(c.args[1])
		case "In":
			base.exchange = e.text(c.args[1])
		case "Pin":
			base.pin = e.text(c.args[1])
		}
		all = append(all, base)
	}
	return all
}

func (e *evaluator) adorned(c callee) []value {
	var all []value
	for _, v := range unboxed(e.force(c.args[0])) {
		p, ok := v.(endpoint)
		if !ok {
			continue
		}
		if c.sym.name == "Accept" {
			for _, s := range e.elements(e.force(c.args[1])) {
				p.accepts = append(slices.Clone(p.accepts), e.text(thunk{given: orUnknown(e.loadAll([]value{s}))}))
			}
		}
		all = append(all, p)
	}
	return all
}
