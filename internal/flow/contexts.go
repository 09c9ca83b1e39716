package flow

import (
	"go/token"
	"slices"

	"golang.org/x/tools/go/ssa"
)

// contexts are the frames in which an instruction of fn runs: one for each way on which its function is called by name, up to the
// functions that nobody calls so. What a helper registers is registered once for each.
func (e *evaluator) contexts(fn *ssa.Function) []*frame {
	all := e.contextsWithin(fn, 6)
	if len(all) > maxFrames {
		return []*frame{nil}
	}
	return all
}

func (e *evaluator) contextsWithin(fn *ssa.Function, depth int) []*frame {
	if depth == 0 || len(e.calls[fn])+len(e.closures[fn]) == 0 {
		return []*frame{nil}
	}
	var all []*frame
	for _, call := range e.calls[fn] {
		for _, up := range e.contextsWithin(call.Parent(), depth-1) {
			for _, row := range e.rows(call, up) {
				for _, c := range e.callees(call, row) {
					all = append(all, c.frame(call, row))
				}
			}
		}
		if len(all) > maxFrames {
			return all
		}
	}
	for _, made := range e.closures[fn] {
		if slices.ContainsFunc(e.calls[fn], func(c ssa.CallInstruction) bool { return c.Common().Value == made }) {
			continue
		}
		for _, up := range e.contextsWithin(made.Parent(), depth-1) {
			for _, row := range e.rowsOf(made.Bindings, made.Parent(), up) {
				f := &frame{fn: fn, up: row}
				for _, b := range made.Bindings {
					f.free = append(f.free, thunk{v: b, in: row})
				}
				all = append(all, f)
			}
		}
	}
	return all
}

// rows are the frames of a call in a loop over a table: one for each row, so that what stands in one row stays together.
func (e *evaluator) rows(call ssa.CallInstruction, in *frame) []*frame {
	return e.rowsOf(call.Common().Args, call.Parent(), in)
}

func (e *evaluator) rowsOf(used []ssa.Value, fn *ssa.Function, in *frame) []*frame {
	for _, v := range used {
		row := rowIn(v, 12)
		if row == nil {
			continue
		}
		var entries []value
		switch row := row.(type) {
		case *ssa.IndexAddr:
			entries = e.eval(row, in)
		case *ssa.Range:
			for _, m := range e.eval(row.X, in) {
				if m, ok := m.(place); ok {
					for _, entry := range e.mapEntries(m) {
						entries = append(entries, entry)
					}
				}
			}
		}
		if len(entries) < 2 {
			continue
		}
		all := make([]*frame, 0, len(entries))
		for _, entry := range entries {
			f := frame{fn: fn}
			if in != nil {
				f = *in
			}
			f.pins = map[ssa.Value]value{row: entry}
			for v, pinned := range pinsOf(in) {
				f.pins[v] = pinned
			}
			all = append(all, &f)
		}
		return all
	}
	return []*frame{in}
}

func pinsOf(f *frame) map[ssa.Value]value {
	if f == nil {
		return nil
	}
	return f.pins
}

// rowIn is the element of a slice, or the loop over a map, that v is a part of.
func rowIn(v ssa.Value, depth int) ssa.Value {
	if depth == 0 {
		return nil
	}
	switch v := v.(type) {
	case *ssa.IndexAddr:
		if _, constant := v.Index.(*ssa.Const); !constant {
			return v
		}
		return nil
	case *ssa.Extract:
		if next, ok := v.Tuple.(*ssa.Next); ok && !next.IsString {
			return next.Iter
		}
		return nil
	case *ssa.Alloc:
		var stored []ssa.Value
		for _, r := range *v.Referrers() {
			if s, ok := r.(*ssa.Store); ok && s.Addr == v {
				stored = append(stored, s.Val)
			}
		}
		if len(stored) == 1 {
			return rowIn(stored[0], depth-1)
		}
		return nil
	case *ssa.Phi, *ssa.Parameter, *ssa.FreeVar, *ssa.Global, *ssa.Function, *ssa.Const:
		return nil
	case ssa.Instruction:
		for _, operand := range v.Operands(nil) {
			if *operand == nil {
				continue
			}
			if row := rowIn(*operand, depth-1); row != nil {
				return row
			}
		}
	}
	return nil
}

// origin is where the text of a route stands in the source: in the row of a table, or in the call of the helper that it is an argument of, or else at pos.
func origin(v ssa.Value, in *frame, pos token.Pos) token.Pos {
	for f := in; f != nil; f = f.up {
		for _, row := range f.pins {
			if pos := rowPos(row); pos.IsValid() {
				return pos
			}
		}
		if f.site == nil {
			break
		}
		p := parameterIn(v)
		if p == nil || p.Parent() != f.fn {
			break
		}
		i := slices.Index(f.fn.Params, p)
		if i < 0 || i >= len(f.args) || f.args[i].v == nil {
			break
		}
		v, pos = f.args[i].v, f.site.Pos()
	}
	return pos
}

// rowPos is where the first part of a row is filled.
func rowPos(row value) token.Pos {
	switch row := row.(type) {
	case place:
		if r := row.at.Referrers(); r != nil {
			for _, filling := range *r {
				if filling.Pos().IsValid() {
					return filling.Pos()
				}
			}
		}
	case mapEntry:
		return row.update.Pos()
	}
	return token.NoPos
}

// parameterIn is the parameter that a text is, or is put together with.
func parameterIn(v ssa.Value) *ssa.Parameter {
	switch v := v.(type) {
	case *ssa.Parameter:
		return v
	case *ssa.ChangeType:
		return parameterIn(v.X)
	case *ssa.BinOp:
		if p := parameterIn(v.X); p != nil {
			return p
		}
		return parameterIn(v.Y)
	}
	return nil
}
