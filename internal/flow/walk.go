package flow

import (
	"fmt"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/ssa"
)

// What a Step's Note says.
const (
	noteRecursion = "recursion: it is on this way already"
	noteShown     = "as above"
	noteNoHandler = "no handler in these packages"
	noteCut       = "cut: there is too much to follow"
)

// maxVisits is how many calls are followed from one root.
const maxVisits = 20_000

// A walker goes from roots to leaves.
type walker struct {
	*contract
	visits  int                    // calls followed from the root
	live    map[*ssa.Function]bool // may come to a message
	reached map[token.Pos]bool     // messages that are part of a flow
	began   map[string]bool        // handlers that are
	path    []string               // handlers from the root to here
	shown   map[string]bool        // handlers that the root has shown with what follows
}

func newWalker(p *project, ended func() bool) *walker {
	e := &evaluator{project: p, ended: ended, index: newIndex(p), active: map[evaluation]bool{}}
	w := &walker{contract: newContract(e), reached: map[token.Pos]bool{}, began: map[string]bool{}}
	w.findLive()
	return w
}

// findLive marks the functions that may come to a message, so that the others need not be followed.
func (w *walker) findLive() {
	w.live = map[*ssa.Function]bool{}
	found := leads{map[string]bool{}, map[string]bool{}}
	for grows := true; grows; {
		grows = false
		for _, fn := range w.all {
			if !w.live[fn] && w.mayLead(fn, found) {
				w.live[fn], grows = true, true
				found.names[fn.Name()], found.signatures[signatureOf(fn.Signature)] = true, true
			}
		}
	}
}

// leads are what is known of functions that may come to a message, for calls that do not name theirs.
type leads struct{ names, signatures map[string]bool }

// signatureOf tells functions apart that no variable can hold both of.
func signatureOf(s *types.Signature) string {
	var b strings.Builder
	for _, tuple := range []*types.Tuple{s.Params(), s.Results()} {
		for v := range tuple.Variables() { // less their names, which do not matter
			b.WriteString(types.TypeString(v.Type(), nil) + ",")
		}
		b.WriteString(";")
	}
	return b.String()
}

// wraps reports whether what a wrapper is around may come to a message.
func (l leads) wraps(fn *ssa.Function) bool {
	obj, ok := fn.Object().(*types.Func)
	return isWrapper(fn) && ok && (l.names[obj.Name()] || roles[symbolOfObject(obj)] == sends)
}

func (w *walker) mayLead(fn *ssa.Function, found leads) bool {
	for _, b := range fn.Blocks {
		for _, instr := range b.Instrs {
			if call, ok := instr.(ssa.CallInstruction); ok {
				common := call.Common()
				switch callee := common.StaticCallee(); {
				case common.IsInvoke():
					if found.names[common.Method.Name()] || roles[symbolOfObject(common.Method)] == sends || sendsByInterface(common) {
						return true
					}
				case callee != nil:
					if w.live[callee] || roles[symbolOf(callee)] == sends || found.wraps(callee) {
						return true
					}
				default:
					if found.signatures[signatureOf(common.Signature())] {
						return true
					}
				}
			}
			for _, operand := range instr.Operands(nil) {
				if f, ok := (*operand).(*ssa.Function); ok && (w.live[f] || found.wraps(f)) {
					found.signatures[signatureOf(f.Signature)] = true // somebody may call the value
					return true
				}
			}
		}
	}
	return false
}

// flow finds the roots and walks from each.
func (w *walker) flow() *Flow {
	f := &Flow{Packages: len(w.read), Roots: slices.Concat(w.routes(), w.restAPIs()), Methods: w.declared()}
	for _, site := range w.sites[schedules] {
		f.Roots = append(f.Roots, w.tasks(site)...)
	}
	for _, m := range f.Methods {
		m.Handled = len(w.handlers(m)) > 0
	}
	for _, m := range w.methods {
		if m.Called {
			for _, s := range w.handlers(m) {
				s.method.Called = true
			}
		}
	}
	for _, s := range w.served {
		if !s.method.Called && w.own[pathOf(s.handler.fn)] && !w.began[w.keyOf(s)] {
			w.begin()
			f.Roots = append(f.Roots, w.handler(s, true))
		}
	}
	f.Roots = append(f.Roots, w.rest()...)
	return f
}

// begin forgets what the root before has shown.
func (w *walker) begin() { w.path, w.shown, w.visits = nil, map[string]bool{}, 0 }

func (w *walker) routes() []*Step {
	var roots []*Step
	w.each(registersURL, func(site ssa.CallInstruction, in *frame) {
		w.begin()
		if r := w.route(site, in); r != nil && !slices.ContainsFunc(roots, func(o *Step) bool { return reflect.DeepEqual(o, r) }) {
			roots = append(roots, r)
		}
	})
	return roots
}

func (w *walker) route(site ssa.CallInstruction, in *frame) *Step {
	common := site.Common()
	sig := common.Signature()
	args := common.Args[len(common.Args)-sig.Params().Len():]
	name := calledName(common)
	pattern := w.text(thunk{v: args[0], in: in})
	if !strings.Contains(pattern, "/") && !strings.HasPrefix(name, "Handle") {
		return nil // a Get of something else
	}
	verb := registering[name]
	if verb == "" {
		verb = w.restricted(site, in)
	}
	if verb != "" {
		pattern = verb + " " + pattern
	}
	handlers := w.force(thunk{v: args[len(args)-1], in: in})
	if sig.Variadic() {
		handlers = w.loadAll(w.elements(handlers))
	}
	root := &Step{Kind: Route, Name: pattern, At: w.at(origin(args[0], in, site.Pos()))}
	for _, c := range w.handlersOf(handlers) {
		steps := w.follow(c, nil, nil)
		if len(steps) == 0 {
			steps = []*Step{w.leaf(c)}
		}
		root.Steps = append(root.Steps, steps...)
	}
	for _, v := range handlers {
		if i, ok := v.(instance); ok && isNamed(i.typ, "net/http", "ServeMux") {
			return nil // whose routes have their own place
		}
	}
	return root
}

func calledName(c *ssa.CallCommon) string {
	if c.IsInvoke() {
		return c.Method.Name()
	}
	return symbolOf(c.StaticCallee()).name
}

// restricted are the HTTP methods in a chain such as HandleFunc(...).Methods("POST").
func (w *walker) restricted(site ssa.CallInstruction, in *frame) string {
	call, ok := site.(*ssa.Call)
	if !ok {
		return ""
	}
	for _, r := range *call.Referrers() {
		chained, ok := r.(*ssa.Call)
		if !ok || chained.Call.IsInvoke() || chained.Call.StaticCallee() == nil || chained.Call.StaticCallee().Name() != "Methods" || len(chained.Call.Args) != 2 {
			continue
		}
		var verbs []string
		for _, v := range w.loadAll(w.elements(w.eval(chained.Call.Args[1], in))) {
			if s, ok := v.(text); ok {
				verbs = append(verbs, string(s))
			}
		}
		return strings.Join(verbs, "|")
	}
	return ""
}

// handlersOf are the functions that serve HTTP.
func (w *walker) handlersOf(values []value) []callee {
	var all []callee
	for _, v := range values {
		switch v := v.(type) {
		case function:
			all = append(all, called(v.fn, nil, v.free, byName))
		case instance:
			obj, _, _ := types.LookupFieldOrMethod(v.typ, true, nil, "ServeHTTP")
			if m, ok := obj.(*types.Func); ok {
				all = append(all, w.method(v, m, nil)...)
			} else if f, ok := v.of.(function); ok {
				all = append(all, called(f.fn, nil, f.free, byName))
			}
		}
	}
	return slices.DeleteFunc(all, func(c callee) bool { return !w.follows(c) })
}

// leaf is a handler that sends nothing: the function that its receiver is, if it is one.
func (w *walker) leaf(c callee) *Step {
	if len(c.args) > 0 {
		for _, f := range w.functions(c.args[0], nil) {
			c = f
		}
	}
	return &Step{Kind: Function, Name: nameOf(c.fn), At: w.at(c.fn.Pos())}
}

// tasks are the periodic tasks made at a site, if they send anything.
func (w *walker) tasks(site ssa.CallInstruction) []*Step {
	var roots []*Step
	args := site.Common().Args
	for _, in := range w.contexts(site.Parent()) {
		w.begin()
		name := AtRunTime
		for _, v := range unboxed(w.eval(args[0], in)) {
			if p, ok := v.(place); ok {
				name = w.member(p, fieldPath(p, "Name"))
			}
		}
		root := &Step{Kind: Task, Name: name, At: w.at(site.Pos())}
		for _, c := range w.functions(thunk{v: args[1], in: in}, nil) {
			root.Steps = append(root.Steps, w.follow(c, nil, nil)...)
		}
		if len(root.Steps) > 0 && !slices.ContainsFunc(roots, func(o *Step) bool { return reflect.DeepEqual(o, root) }) {
			roots = append(roots, root)
		}
	}
	return roots
}

// rest are the functions that send, from main and wherever else no route, task or handler leads to.
func (w *walker) rest() []*Step {
	var roots []*Step
	for _, upmost := range []bool{true, false} {
		for _, site := range w.sites[sends] {
			if w.reached[site.Pos()] || !w.own[pathOf(site.Parent())] {
				continue
			}
			fn := outermost(site.Parent())
			if upmost {
				fn = w.root(fn, map[*ssa.Function]bool{})
			}
			w.begin()
			roots = append(roots, w.follow(called(fn, nil, nil, byName), nil, nil)...)
		}
	}
	return roots
}

func outermost(fn *ssa.Function) *ssa.Function {
	for fn.Parent() != nil {
		fn = fn.Parent()
	}
	return fn
}

// root is a function above fn that nobody calls by name.
func (w *walker) root(fn *ssa.Function, seen map[*ssa.Function]bool) *ssa.Function {
	seen[fn] = true
	for _, call := range w.calls[fn] {
		if up := outermost(call.Parent()); !seen[up] && !isWrapper(up) {
			return w.root(up, seen)
		}
	}
	return fn
}

// follow walks through one call.
func (w *walker) follow(c callee, site ssa.CallInstruction, up *frame) []*Step {
	switch {
	case w.roleOf(c.sym, c.sig) == sends:
		return w.messages(c, site, up)
	case w.follows(c):
		return w.function(c, site, up)
	case w.roleOf(c.sym, c.sig) != ordinary:
		return nil
	}
	var steps []*Step // of functions that somebody else's may call
	for _, a := range c.args {
		if a.v == nil || !isFunc(a.v.Type()) {
			continue
		}
		for _, f := range w.functions(a, nil) {
			steps = append(steps, w.follow(f, site, up)...)
		}
	}
	return steps
}

func (w *walker) function(c callee, site ssa.CallInstruction, up *frame) []*Step {
	if !w.live[c.fn] && !isWrapper(c.fn) {
		return nil
	}
	nested, inside := 0, false
	for f := up; f != nil; f = f.up {
		if f.fn == c.fn {
			nested++
		}
		inside = inside || c.fn.Parent() != nil && outermost(c.fn) == outermost(f.fn)
	}
	if nested > 1 || nested > 0 && !w.takesFunction(c) {
		return nil
	}
	switch w.visits++; {
	case w.visits == maxVisits:
		return []*Step{{Kind: Function, Name: nameOf(c.fn), At: w.at(c.fn.Pos()), Note: noteCut}}
	case w.visits > maxVisits || w.ended():
		return nil
	}
	steps, plumbing := w.body(c.fn, c.frame(site, up))
	if len(steps) == 0 || isWrapper(c.fn) || inside || plumbing {
		return steps
	}
	step := &Step{Kind: Function, Name: nameOf(c.fn), At: w.at(c.fn.Pos()), Steps: steps}
	if c.how == guessed && c.of > 1 {
		step.Note = fmt.Sprintf("one of %d implementations", c.of)
	}
	return []*Step{step}
}

// sendsByInterface reports whether a method of an interface may be that of a descriptor: it takes a client.
func sendsByInterface(c *ssa.CallCommon) bool {
	params := c.Signature().Params()
	return params.Len() == 3 && isNamed(params.At(1).Type(), rpcPath, "Client")
}

// takesFunction reports whether a function may do something else when it is called again, because it is given something else to call.
func (w *walker) takesFunction(c callee) bool {
	return slices.ContainsFunc(slices.Collect(c.fn.Signature.Params().Variables()), func(p *types.Var) bool {
		return isFunc(p.Type()) || hasMethod(p.Type(), "ServeHTTP")
	})
}

// body walks through the calls of a function. It is plumbing where all it does is to call functions that it was given.
func (w *walker) body(fn *ssa.Function, in *frame) (steps []*Step, plumbing bool) {
	plumbing = true
	for _, instr := range instructions(fn) {
		call, ok := instr.(ssa.CallInstruction)
		if !ok {
			continue
		}
		for _, c := range w.callees(call, in) {
			for _, s := range w.follow(c, call, in) {
				plumbing = plumbing && passesOn(call.Common())
				if !slices.ContainsFunc(steps, func(o *Step) bool { return reflect.DeepEqual(o, s) }) {
					steps = append(steps, s)
				}
			}
		}
	}
	return steps, plumbing
}

// passesOn reports whether a call is of what the function was given: a function, or a handler.
func passesOn(c *ssa.CallCommon) bool {
	if c.IsInvoke() {
		return c.Method.Name() == "ServeHTTP"
	}
	v := c.Value
	for {
		switch of := v.(type) {
		case *ssa.Parameter, *ssa.FreeVar:
			return true
		case *ssa.ChangeType:
			v = of.X
			continue
		case *ssa.UnOp:
			v = of.X
			continue
		}
		return false
	}
}

// messages are what a call of Call or Cast sends.
func (w *walker) messages(c callee, site ssa.CallInstruction, up *frame) []*Step {
	pos := site.Pos()
	for f := up; isWrapper(site.Parent()) && f != nil && f.site != nil; f = f.up {
		site, pos = f.site, f.site.Pos()
	}
	w.reached[pos] = true
	var steps []*Step
	methods := w.descriptors(c.args[0], nil, nil)
	if len(methods) == 0 {
		return []*Step{{Kind: Message, Name: AtRunTime, At: w.at(pos), Note: "a method chosen at run time"}}
	}
	for _, d := range methods {
		m := w.describe(d)
		m.Called, m.Handled = true, len(w.handlers(m)) > 0
		for _, sent := range w.sent(m, c) {
			step := &Step{Kind: Message, Name: m.Contract, At: w.at(pos), Sent: &sent}
			for _, s := range w.handlers(m) {
				step.Steps = append(step.Steps, w.handler(s, false))
			}
			if len(step.Steps) == 0 {
				step.Note = noteNoHandler
			}
			steps = append(steps, step)
		}
	}
	return steps
}

// sent says how a method goes: once for each mode and topic that the client may have.
func (w *walker) sent(m *Method, c callee) []Sent {
	var all []Sent
	for _, client := range w.clients(c.args[2]) {
		s := Sent{Method: *m, Mode: "call", Server: client.server, Pin: client.pin}
		if c.sym.name == "Cast" {
			s.Mode = "cast"
			if client.fanout {
				s.Mode = "fanout"
			}
		}
		if client.topic != "" {
			s.Topic = client.topic
		}
		if client.exchange != "" {
			s.Exchange = client.exchange
		}
		i := slices.IndexFunc(all, func(o Sent) bool { return o.Mode == s.Mode && o.Topic == s.Topic && o.Exchange == s.Exchange })
		if i < 0 {
			all = append(all, s)
			continue
		}
		all[i].Server, all[i].Pin = agreed(all[i].Server, s.Server), agreed(all[i].Pin, s.Pin)
	}
	return all
}

func (w *walker) keyOf(s *served) string {
	return nameOf(s.handler.fn) + " " + w.at(s.handler.fn.Pos())
}

// served_ is a handler with what it leads to.
func (w *walker) handler(s *served, root bool) *Step {
	key := w.keyOf(s)
	step := &Step{Kind: Handler, Name: nameOf(s.handler.fn), At: w.at(s.handler.fn.Pos())}
	if root {
		step.Serves = s.method
	}
	switch {
	case slices.Contains(w.path, key):
		step.Note = noteRecursion
		return step
	case w.shown[key]:
		step.Note = noteShown
		return step
	}
	w.began[key] = true
	w.path = append(w.path, key)
	step.Steps = w.insideOf(s.handler)
	w.path = w.path[:len(w.path)-1]
	w.shown[key] = len(step.Steps) > 0
	return step
}

// insideOf is what a handler leads to, less the handler itself.
func (w *walker) insideOf(c callee) []*Step {
	if !w.follows(c) {
		return nil
	}
	steps, _ := w.body(c.fn, c.frame(nil, nil))
	if isWrapper(c.fn) && len(steps) == 1 && steps[0].Kind == Function && steps[0].Name == nameOf(c.fn) {
		return steps[0].Steps
	}
	return steps
}

// nameOf is a function's name as people write it: package.Function, package.(*Type).Method.
func nameOf(fn *ssa.Function) string {
	if fn.Parent() != nil {
		return "func in " + nameOf(outermost(fn))
	}
	obj, ok := fn.Object().(*types.Func)
	if !ok {
		return fn.Name()
	}
	name := obj.Name()
	if recv := obj.Signature().Recv(); recv != nil {
		if named := namedOf(recv.Type()); named != nil {
			t := named.Obj().Name()
			if _, pointer := recv.Type().(*types.Pointer); pointer {
				t = "(*" + t + ")"
			}
			name = t + "." + name
		}
	}
	if obj.Pkg() == nil {
		return name
	}
	return obj.Pkg().Name() + "." + name
}
