package flow

import (
	"cmp"
	"go/constant"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/ssa"
)

// Bounds of an evaluation: beyond them a value is not known.
const (
	maxDepth  = 60
	maxSteps  = 20_000
	maxValues = 1000
	maxFrames = 200 // contexts of one call
)

// An evaluator says what values can be. It is not safe for concurrent use.
type evaluator struct {
	*project
	*index
	ended  func() bool         // whether nobody waits for it any more
	active map[evaluation]bool // those under way
	depth  int
	steps  int // since depth was 0
}

// An evaluation is of a value, or of what is stored at a place.
type evaluation struct {
	of   ssa.Value
	path string // of the place; "value" for a value
	in   *frame
}

// force evaluates a thunk.
func (e *evaluator) force(t thunk) []value {
	switch {
	case t.given != nil:
		return t.given
	case t.v == nil:
		return nil
	}
	return e.eval(t.v, t.in)
}

// eval returns all that v can be, as far as it is known, in one call of its function.
func (e *evaluator) eval(v ssa.Value, in *frame) []value {
	for f := in; f != nil; f = f.up {
		if pinned, ok := f.pins[v]; ok {
			return []value{pinned}
		}
	}
	key := evaluation{v, "value", in}
	if e.depth == 0 {
		e.steps = 0
	}
	if e.depth >= maxDepth || e.steps >= maxSteps || e.active[key] || e.ended() {
		return nil
	}
	e.steps++
	e.depth++
	e.active[key] = true
	defer func() {
		e.depth--
		delete(e.active, key)
	}()
	found := e.evalOnce(v, in)
	return found[:min(len(found), maxValues)]
}

func (e *evaluator) evalOnce(v ssa.Value, in *frame) []value {
	switch v := v.(type) {
	case *ssa.Const:
		switch {
		case v.Value == nil:
		case v.Value.Kind() == constant.String:
			return []value{text(constant.StringVal(v.Value))}
		case v.Value.Kind() == constant.Int:
			return []value{text(v.Value.ExactString())}
		}
	case *ssa.Function:
		return []value{function{fn: v}}
	case *ssa.MakeClosure:
		f := function{fn: v.Fn.(*ssa.Function)}
		for _, b := range v.Bindings {
			f.free = append(f.free, thunk{v: b, in: in})
		}
		return []value{f}
	case *ssa.Parameter:
		return e.parameter(v, in)
	case *ssa.FreeVar:
		return e.captured(v, in)
	case *ssa.Phi:
		return e.union(v.Edges, in)
	case *ssa.MakeInterface:
		return boxed(v.X.Type(), e.eval(v.X, in))
	case *ssa.ChangeType:
		return e.eval(v.X, in)
	case *ssa.ChangeInterface:
		return e.eval(v.X, in)
	case *ssa.Convert:
		return e.eval(v.X, in)
	case *ssa.TypeAssert:
		return e.asserted(v, in)
	case *ssa.Slice:
		return e.eval(v.X, in)
	case *ssa.Global:
		return []value{place{at: v}}
	case *ssa.Alloc, *ssa.MakeSlice, *ssa.MakeMap, *ssa.MakeChan:
		return []value{place{at: v, in: in}}
	case *ssa.FieldAddr:
		return e.parts(e.eval(v.X, in), rune(v.Field))
	case *ssa.Field:
		return e.loadField(v.X, v.Field, in)
	case *ssa.IndexAddr:
		return e.elements(e.eval(v.X, in))
	case *ssa.Index:
		return e.loadAll(e.elements(e.eval(v.X, in)))
	case *ssa.Lookup:
		return e.loadAll(e.parts(e.eval(v.X, in), element))
	case *ssa.UnOp:
		return e.unary(v, in)
	case *ssa.BinOp:
		return e.joined(v, in)
	case *ssa.Extract:
		return e.extracted(v, in)
	case *ssa.Call:
		return e.result(v, 0, in)
	}
	return nil
}

func (e *evaluator) union(values []ssa.Value, in *frame) []value {
	all := make([]value, 0, len(values))
	for _, v := range values {
		all = append(all, e.eval(v, in)...)
	}
	return all
}

// boxed puts what is known of a value into an interface.
func boxed(t types.Type, of []value) []value {
	switch {
	case types.IsInterface(t):
		return of
	case len(of) == 0:
		return []value{instance{typ: t}}
	}
	all := make([]value, 0, len(of))
	for _, v := range of {
		if s, ok := v.(text); ok {
			all = append(all, s)
			continue
		}
		all = append(all, instance{typ: t, of: v})
	}
	return all
}

// unboxed takes what is known of values out of their interfaces.
func unboxed(all []value) []value {
	var out []value
	for _, v := range all {
		if i, ok := v.(instance); ok {
			v = i.of
		}
		if v != nil {
			out = append(out, v)
		}
	}
	return out
}

func (e *evaluator) asserted(v *ssa.TypeAssert, in *frame) []value {
	all := e.eval(v.X, in)
	if types.IsInterface(v.AssertedType) {
		return all
	}
	return unboxed(slices.DeleteFunc(slices.Clone(all), func(v2 value) bool {
		i, ok := v2.(instance)
		return ok && !types.Identical(i.typ, v.AssertedType)
	}))
}

// parameter is what callers pass: this one, or else all.
func (e *evaluator) parameter(p *ssa.Parameter, in *frame) []value {
	fn := p.Parent()
	i := slices.Index(fn.Params, p)
	if in != nil && in.fn == fn && i < len(in.args) && (in.args[i].v != nil || in.args[i].given != nil) {
		return e.force(in.args[i])
	}
	var all []value
	for _, call := range e.calls[fn] {
		if args := call.Common().Args; i < len(args) {
			all = append(all, e.eval(args[i], nil)...)
		}
	}
	return all
}

// captured is what a closure was made with.
func (e *evaluator) captured(v *ssa.FreeVar, in *frame) []value {
	fn := v.Parent()
	i := slices.Index(fn.FreeVars, v)
	if in != nil && in.fn == fn && i < len(in.free) {
		return e.force(in.free[i])
	}
	var all []value
	for _, made := range e.closures[fn] {
		all = append(all, e.eval(made.Bindings[i], nil)...)
	}
	return all
}

func (e *evaluator) unary(v *ssa.UnOp, in *frame) []value {
	f, ofField := v.X.(*ssa.FieldAddr)
	switch {
	case v.Op == token.MUL && ofField:
		return e.loadField(f.X, f.Field, in)
	case v.Op == token.MUL:
		return e.loadAll(e.eval(v.X, in))
	case v.Op == token.ARROW:
		return e.loadAll(e.parts(e.eval(v.X, in), element))
	}
	return nil
}

// extracted is one of several results.
func (e *evaluator) extracted(v *ssa.Extract, in *frame) []value {
	switch of := v.Tuple.(type) {
	case *ssa.Call:
		return e.result(of, v.Index, in)
	case *ssa.TypeAssert:
		if v.Index == 0 {
			return e.asserted(of, in)
		}
	case *ssa.Lookup:
		if v.Index == 0 {
			return e.loadAll(e.parts(e.eval(of.X, in), element))
		}
	case *ssa.UnOp:
		if v.Index == 0 {
			return e.unary(of, in)
		}
	case *ssa.Next:
		return e.entry(of, v.Index, in)
	}
	return nil
}

// entry is the key (1) or the value (2) in a loop over a map.
func (e *evaluator) entry(next *ssa.Next, i int, in *frame) []value {
	entries := e.eval(next.Iter.(*ssa.Range).X, in)
	if pinned := e.pinned(next.Iter, in); pinned != nil {
		entries = []value{pinned}
	}
	var all []value
	for _, m := range entries {
		switch m := m.(type) {
		case mapEntry:
			all = append(all, e.eval([]ssa.Value{nil, m.update.Key, m.update.Value}[i], m.in)...)
		case place:
			for _, entry := range e.mapEntries(m) {
				all = append(all, e.eval([]ssa.Value{nil, entry.update.Key, entry.update.Value}[i], entry.in)...)
			}
		}
	}
	return all
}

func (e *evaluator) pinned(v ssa.Value, in *frame) value {
	for f := in; f != nil; f = f.up {
		if pinned, ok := f.pins[v]; ok {
			return pinned
		}
	}
	return nil
}

// A mapEntry is one that a map is filled with.
type mapEntry struct {
	update *ssa.MapUpdate
	in     *frame
}

func (e *evaluator) mapEntries(m place) []mapEntry {
	var entries []mapEntry
	if m.path != "" {
		for _, v := range e.load(m) {
			if held, ok := v.(place); ok && held.path == "" {
				entries = append(entries, e.mapEntries(held)...)
			}
		}
		return entries
	}
	for _, r := range e.referrers(m.at) {
		if u, ok := r.(*ssa.MapUpdate); ok && u.Map == m.at {
			entries = append(entries, mapEntry{u, m.in})
		}
	}
	return entries
}

// referrers are the instructions that use v.
func (e *evaluator) referrers(v ssa.Value) []ssa.Instruction {
	if g, ok := v.(*ssa.Global); ok {
		return e.globals[g]
	}
	if r := v.Referrers(); r != nil {
		return *r
	}
	return nil
}

// parts go one step from places to parts of them.
func (e *evaluator) parts(all []value, step rune) []value {
	var out []value
	for _, v := range unboxed(all) {
		switch v := v.(type) {
		case place:
			out = append(out, place{v.at, v.path + string(step), v.in})
		case target: // in the order of the fields of rpc.Target
			if step < 4 {
				out = append(out, []value{text(v.exchange), text(v.topic), text(v.namespace), text(v.version)}[step])
			}
		}
	}
	return out
}

// elements are the places of the elements of slices and arrays, one by one where they are filled one by one.
func (e *evaluator) elements(all []value) []value {
	var out []value
	for _, v := range unboxed(all) {
		p, ok := v.(place)
		if !ok {
			continue
		}
		if p.path != "" {
			if held := e.load(p); len(held) > 0 {
				out = append(out, e.elements(held)...)
				continue
			}
		}
		one := false
		for _, r := range e.referrers(p.at) {
			if i, ok := r.(*ssa.IndexAddr); ok && p.path == "" && i.X == p.at && e.filled(i) {
				one = true
				out = append(out, place{at: i, in: p.in})
			}
		}
		if !one {
			out = append(out, place{p.at, p.path + string(element), p.in})
		}
	}
	return out
}

// filled reports whether something is stored at an element, or in a part of it.
func (e *evaluator) filled(addr ssa.Value) bool {
	return slices.ContainsFunc(e.referrers(addr), func(r ssa.Instruction) bool {
		switch r := r.(type) {
		case *ssa.Store:
			return r.Addr == addr
		case *ssa.FieldAddr:
			return e.filled(r)
		case *ssa.IndexAddr:
			return e.filled(r)
		}
		return false
	})
}

// loadField is field i of the struct that x is, or points to. What is stored in that field of others of the type will do,
// where nothing is known about this one.
func (e *evaluator) loadField(x ssa.Value, i int, in *frame) []value {
	if found := e.loadAll(e.parts(e.eval(x, in), rune(i))); len(found) > 0 {
		return found
	}
	key, ok := fieldOf(x.Type(), i)
	if !ok || key.of.Pkg() == nil || !e.read[key.of.Pkg().Path()] {
		return nil
	}
	var all []value
	for _, s := range e.stores[key] {
		all = append(all, e.eval(s.Val, nil)...)
	}
	return all
}

func (e *evaluator) loadAll(places []value) []value {
	var all []value
	for _, v := range places {
		if p, ok := v.(place); ok {
			all = append(all, e.load(p)...)
		} else {
			all = append(all, v)
		}
	}
	return all
}

// load is what is stored at a place. A struct is its place.
func (e *evaluator) load(p place) []value {
	key := evaluation{p.at, p.path, p.in}
	if e.active[key] {
		return nil
	}
	e.active[key] = true
	defer delete(e.active, key)
	all := e.stored(p.at, []rune(p.path), p.in)
	if g, ok := p.at.(*ssa.Global); ok {
		for i, v := range all {
			if d, ok := v.(descriptor); ok && d.name == "" {
				d.name, d.at = g.Pkg.Pkg.Name()+"."+g.Name()+e.partNames(g.Type(), p.path), g.Pos()
				all[i] = d
			}
		}
	}
	if t := partType(p.at.Type(), []rune(p.path)); t != nil {
		if _, ok := t.Underlying().(*types.Struct); ok && !slices.ContainsFunc(all, isWhole) {
			return []value{p}
		}
	}
	return all
}

// isWhole reports whether a struct is known as more than a place with fields.
func isWhole(v value) bool {
	_, ok := v.(place)
	return !ok
}

// stored evaluates what is stored at an address, or at the part of it at the end of the path. What is stored there by itself wins over
// what is stored with the whole, as in a copy that was changed.
func (e *evaluator) stored(addr ssa.Value, path []rune, in *frame) []value {
	var all, wholes []value
	for _, r := range e.referrers(addr) {
		switch r := r.(type) {
		case *ssa.Store:
			if r.Addr != addr {
				continue
			}
			whole := e.eval(r.Val, e.frameOf(r, addr, in))
			for _, step := range path {
				whole = e.parts(whole, step)
			}
			if len(path) > 0 {
				whole = e.loadAll(whole)
			}
			wholes = append(wholes, whole...)
		case *ssa.FieldAddr:
			if len(path) > 0 && r.X == addr && rune(r.Field) == path[0] {
				all = append(all, e.stored(r, path[1:], e.frameOf(r, addr, in))...)
			}
		case *ssa.IndexAddr:
			if len(path) > 0 && r.X == addr && path[0] == element {
				all = append(all, e.stored(r, path[1:], in)...)
			}
		case *ssa.MapUpdate:
			if len(path) == 1 && r.Map == addr && path[0] == element {
				all = append(all, e.eval(r.Value, in)...)
			}
		case *ssa.Send:
			if len(path) == 1 && r.Chan == addr && path[0] == element {
				all = append(all, e.eval(r.X, in)...)
			}
		case *ssa.MakeClosure:
			if i := slices.Index(r.Bindings, addr); i >= 0 {
				all = append(all, e.stored(r.Fn.(*ssa.Function).FreeVars[i], path, nil)...)
			}
		}
	}
	if len(path) > 0 && len(all) > 0 {
		return all
	}
	return append(wholes, all...)
}

// frameOf is in, where the instruction is of the function that in is a call of or in whose frame addr was made.
func (e *evaluator) frameOf(r ssa.Instruction, addr ssa.Value, in *frame) *frame {
	if _, global := addr.(*ssa.Global); global || in != nil && in.fn != r.Parent() {
		return nil
	}
	return in
}

// partType is the type at the end of a path from an address, or nil.
func partType(t types.Type, path []rune) types.Type {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	for _, step := range path {
		switch u := t.Underlying().(type) {
		case *types.Struct:
			if int(step) >= u.NumFields() {
				return nil
			}
			t = u.Field(int(step)).Type()
		case interface{ Elem() types.Type }: // slices, arrays, maps, channels
			t = u.Elem()
		default:
			return nil
		}
	}
	return t
}

// partNames spells a path out: .Field.
func (e *evaluator) partNames(t types.Type, path string) string {
	names := ""
	steps := []rune(path)
	for i, step := range steps {
		whole := partType(t, steps[:i])
		if whole == nil {
			return names
		}
		if s, ok := whole.Underlying().(*types.Struct); ok && int(step) < s.NumFields() {
			names += "." + s.Field(int(step)).Name()
		}
	}
	return names
}

// joined is a text put together of two.
func (e *evaluator) joined(v *ssa.BinOp, in *frame) []value {
	if v.Op != token.ADD || !isText(v.Type()) {
		return nil
	}
	left, right := cmp.Or(e.text(thunk{v: v.X, in: in}), AtRunTime), cmp.Or(e.text(thunk{v: v.Y, in: in}), AtRunTime)
	return []value{text(left + right)}
}

// text is the one that a thunk is; AtRunTime where it may be several, or none is known.
func (e *evaluator) text(t thunk) string {
	found := ""
	for i, v := range unboxed(e.force(t)) {
		s, ok := v.(text)
		if !ok || i > 0 && string(s) != found {
			return AtRunTime
		}
		found = string(s)
	}
	if len(e.force(t)) == 0 {
		return AtRunTime
	}
	return found
}
