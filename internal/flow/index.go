package flow

import (
	"cmp"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/ssa"
	"golang.org/x/tools/go/ssa/ssautil"
)

// A field is one of a named struct type.
type field struct {
	of    *types.TypeName
	index int
}

// An index is where in the packages things are that cannot be found from the value itself.
type index struct {
	all      []*ssa.Function                         // in the order of the source
	calls    map[*ssa.Function][]ssa.CallInstruction // those to it by name
	closures map[*ssa.Function][]*ssa.MakeClosure    // where it is made a value
	globals  map[*ssa.Global][]ssa.Instruction       // what mentions it
	stores   map[field][]*ssa.Store                  // into it, of whichever struct
	sites    map[role][]ssa.CallInstruction          // calls of the library, in the order of the source
	types    []types.Type                            // declared, that have methods: T or *T
	methods  map[*types.Func][]*ssa.Function         // implementations of an interface's method, once asked for
}

func newIndex(p *project) *index {
	x := &index{
		calls:    map[*ssa.Function][]ssa.CallInstruction{},
		closures: map[*ssa.Function][]*ssa.MakeClosure{},
		globals:  map[*ssa.Global][]ssa.Instruction{},
		stores:   map[field][]*ssa.Store{},
		sites:    map[role][]ssa.CallInstruction{},
		methods:  map[*types.Func][]*ssa.Function{},
	}
	for fn := range ssautil.AllFunctions(p.prog) {
		if len(fn.Blocks) > 0 && p.read[pathOf(fn)] && !isGeneric(fn) {
			x.all = append(x.all, fn)
		}
	}
	position := func(pos token.Pos) (string, int) {
		at := p.prog.Fset.Position(pos)
		return at.Filename, at.Offset
	}
	slices.SortFunc(x.all, func(a, b *ssa.Function) int {
		fileA, offsetA := position(a.Pos())
		fileB, offsetB := position(b.Pos())
		return cmp.Or(cmp.Compare(fileA, fileB), cmp.Compare(offsetA, offsetB), cmp.Compare(a.String(), b.String()))
	})
	for _, fn := range x.all {
		for _, instr := range instructions(fn) {
			x.add(p, instr)
		}
	}
	for _, sites := range x.sites {
		slices.SortStableFunc(sites, func(a, b ssa.CallInstruction) int {
			fileA, offsetA := position(a.Pos())
			fileB, offsetB := position(b.Pos())
			return cmp.Or(cmp.Compare(fileA, fileB), cmp.Compare(offsetA, offsetB))
		})
	}
	for _, pkg := range p.named {
		for _, name := range pkg.Pkg.Scope().Names() {
			t, ok := pkg.Pkg.Scope().Lookup(name).(*types.TypeName)
			if !ok || t.IsAlias() || types.IsInterface(t.Type()) || t.Type().(*types.Named).TypeParams().Len() > 0 {
				continue
			}
			x.types = append(x.types, t.Type(), types.NewPointer(t.Type()))
		}
	}
	return x
}

// pathOf is the path of the package whose source a function is of; wrappers that the compiler makes count to what they wrap.
func pathOf(fn *ssa.Function) string {
	if fn.Origin() != nil {
		fn = fn.Origin()
	}
	switch {
	case fn.Pkg != nil:
		return fn.Pkg.Pkg.Path()
	case fn.Object() != nil && fn.Object().Pkg() != nil:
		return fn.Object().Pkg().Path()
	case fn.Parent() != nil:
		return pathOf(fn.Parent())
	}
	return ""
}

// isWrapper reports whether the compiler made the function, around one that somebody wrote: for a method value, say.
func isWrapper(fn *ssa.Function) bool {
	return strings.Contains(fn.Synthetic, "wrapper") || strings.HasPrefix(fn.Synthetic, "thunk")
}

// isGeneric reports whether the function is the pattern of others, with type parameters instead of types, and so never called.
func isGeneric(fn *ssa.Function) bool {
	for ; fn != nil; fn = fn.Parent() {
		if fn.TypeParams().Len() > len(fn.TypeArgs()) {
			return true
		}
	}
	return false
}

// instructions are those of a function in the order of the source.
func instructions(fn *ssa.Function) []ssa.Instruction {
	var all []ssa.Instruction
	for _, b := range fn.Blocks {
		all = append(all, b.Instrs...)
	}
	slices.SortStableFunc(all, func(a, b ssa.Instruction) int { return cmp.Compare(a.Pos(), b.Pos()) })
	return all
}

func (x *index) add(p *project, instr ssa.Instruction) {
	for _, operand := range instr.Operands(nil) {
		if g, ok := (*operand).(*ssa.Global); ok {
			x.globals[g] = append(x.globals[g], instr)
		}
	}
	switch i := instr.(type) {
	case *ssa.MakeClosure:
		fn := i.Fn.(*ssa.Function)
		x.closures[fn] = append(x.closures[fn], i)
	case *ssa.Store:
		if f, ok := i.Addr.(*ssa.FieldAddr); ok {
			if key, ok := fieldOf(f.X.Type(), f.Field); ok {
				x.stores[key] = append(x.stores[key], i)
			}
		}
	case ssa.CallInstruction:
		common := i.Common()
		var s symbol
		if fn := common.StaticCallee(); fn != nil {
			x.calls[fn] = append(x.calls[fn], i)
			s = symbolOf(fn)
		} else if common.IsInvoke() {
			s = symbolOfObject(common.Method)
		}
		if r := p.roleOf(s, common.Signature()); r != ordinary && !isWrapper(i.Parent()) {
			x.sites[r] = append(x.sites[r], i)
		}
	}
}

// fieldOf names a field of the struct that t is or points to, if that has a name.
func fieldOf(t types.Type, i int) (field, bool) {
	named := namedOf(t)
	if named == nil {
		return field{}, false
	}
	return field{named.Origin().Obj(), i}, true
}

// implementations are the methods of declared types that a call of an interface's method may mean.
func (x *index) implementations(p *project, m *types.Func) []*ssa.Function {
	if found, ok := x.methods[m]; ok {
		return found
	}
	var found []*ssa.Function
	iface, ok := m.Signature().Recv().Type().Underlying().(*types.Interface)
	if ok && p.read[symbolOfObject(m).pkg] {
		seen := map[types.Object]bool{}
		for _, t := range x.types {
			if !types.Implements(t, iface) {
				continue
			}
			fn := p.prog.LookupMethod(t, m.Pkg(), m.Name())
			if fn != nil && !seen[fn.Object()] {
				seen[fn.Object()] = true
				found = append(found, fn)
			}
		}
	}
	x.methods[m] = found
	return found
}
