package flow

import (
	"cmp"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/ssa"
)

// A contract is all methods that the packages know, and who serves them.
type contract struct {
	*evaluator
	methods map[descriptor]*Method
	served  []*served
}

// served is one use of Handle.
type served struct {
	method     *Method
	namespaces []string
	version    string
	handler    callee
	in         *frame
}

func newContract(e *evaluator) *contract {
	c := &contract{evaluator: e, methods: map[descriptor]*Method{}}
	homes, accepts := c.homes()
	for _, site := range e.sites[handles] {
		for _, in := range e.contexts(site.Parent()) {
			for _, row := range e.rows(site, in) {
				c.handle(site, row, homes, accepts)
			}
		}
	}
	for _, site := range e.sites[sends] {
		for _, d := range c.descriptors(thunk{v: site.Common().Value}, site, nil) {
			c.describe(d).Called = true
		}
	}
	return c
}

// homes are the targets of NewEndpoint for what it gathers, and the namespaces of Accept.
func (c *contract) homes() (map[*ssa.Call][]target, map[*ssa.Call][]string) {
	homes, accepts := map[*ssa.Call][]target{}, map[*ssa.Call][]string{}
	for _, site := range c.sites[gathers] {
		args := site.Common().Args
		for _, in := range c.contexts(site.Parent()) {
			for _, v := range c.loadAll(c.elements(c.eval(args[1], in))) {
				if p, ok := v.(endpoint); ok {
					homes[p.made] = append(homes[p.made], c.targets(thunk{v: args[0], in: in})...)
				}
			}
		}
	}
	for _, site := range c.sites[adorns] {
		for _, callee := range c.callees(site, nil) {
			for _, v := range c.adorned(callee) {
				if p, ok := v.(endpoint); ok {
					accepts[p.made] = append(accepts[p.made], p.accepts...)
				}
			}
		}
	}
	return homes, accepts
}

func (c *contract) handle(site ssa.CallInstruction, in *frame, homes map[*ssa.Call][]target, accepts map[*ssa.Call][]string) {
	args := site.Common().Args
	if len(args) < 2 {
		return
	}
	made, _ := site.(*ssa.Call)
	for _, d := range c.descriptors(thunk{v: args[0], in: in}, nil, nil) {
		m := c.describe(d)
		for _, f := range c.functions(thunk{v: args[1], in: in}, nil) {
			s := &served{method: m, namespaces: []string{m.Namespace}, version: m.Version, handler: f, in: in}
			for i, home := range homes[made] {
				if i == 0 {
					s.namespaces, s.version = nil, home.version
				}
				s.namespaces = append(s.namespaces, home.namespace)
			}
			s.namespaces = append(s.namespaces, accepts[made]...)
			if !slices.ContainsFunc(c.served, func(o *served) bool { return o.method == m && nameOf(o.handler.fn) == nameOf(f.fn) }) {
				c.served = append(c.served, s)
			}
		}
	}
}

// descriptors are the methods that a call of the library is about: the receiver is a thunk, or that of site in a frame.
func (c *contract) descriptors(receiver thunk, site ssa.CallInstruction, in *frame) []descriptor {
	if site != nil {
		receiver = thunk{v: site.Common().Args[0], in: in}
	}
	var all []descriptor
	for _, v := range unboxed(c.force(receiver)) {
		d, ok := v.(descriptor)
		if ok && !slices.ContainsFunc(all, func(o descriptor) bool { return o.key() == d.key() }) {
			all = append(all, d)
		}
	}
	return all
}

// describe reads a descriptor.
func (c *contract) describe(d descriptor) *Method {
	if m, ok := c.methods[d.key()]; ok {
		return m
	}
	args := d.made.Call.Args
	m := &Method{
		Contract:   d.name,
		ContractAt: c.at(d.at),
		Answers:    symbolOf(d.made.Call.StaticCallee()).name == "NewCall",
		Method:     c.text(thunk{v: args[1], in: d.in}),
	}
	if m.Contract == "" {
		m.Contract = m.Method
	}
	for i, t := range c.targets(thunk{v: args[0], in: d.in}) {
		if i == 0 {
			m.Exchange, m.Topic, m.Namespace, m.Version = t.exchange, t.topic, t.namespace, t.version
			continue
		}
		m.Exchange, m.Topic = agreed(m.Exchange, t.exchange), agreed(m.Topic, t.topic)
		m.Namespace, m.Version = agreed(m.Namespace, t.namespace), agreed(m.Version, t.version)
	}
	c.methods[d.key()] = m
	return m
}

func agreed(a, b string) string {
	if a != b {
		return AtRunTime
	}
	return a
}

// handlers are those that serve the method.
func (c *contract) handlers(m *Method) []*served {
	var all []*served
	for _, s := range c.served {
		if s.serves(m) {
			all = append(all, s)
		}
	}
	return all
}

// serves is the rule by which servers choose, as far as the source tells. A topic that the contract leaves open is the server's.
func (s *served) serves(m *Method) bool {
	own := s.method == m
	return s.method.Method == m.Method &&
		(own || m.Method != AtRunTime && (s.method.Topic == "" || same(s.method.Topic, m.Topic)) && same(s.method.Exchange, m.Exchange)) &&
		(slices.Contains(s.namespaces, m.Namespace) || m.Namespace == AtRunTime || slices.Contains(s.namespaces, AtRunTime)) &&
		same(major(s.version), major(m.Version))
}

func same(a, b string) bool { return a == b || a == AtRunTime || b == AtRunTime }

func major(version string) string {
	m, _, _ := strings.Cut(cmp.Or(version, "1.0"), ".")
	return m
}

// declared are the methods that the project's own packages declare, in the order of the source.
func (c *contract) declared() []*Method {
	var all []*Method
	for _, pkg := range c.named {
		if !c.own[pkg.Pkg.Path()] {
			continue
		}
		var globals []*ssa.Global
		for _, member := range pkg.Members {
			if g, ok := member.(*ssa.Global); ok {
				globals = append(globals, g)
			}
		}
		slices.SortFunc(globals, func(a, b *ssa.Global) int { return cmp.Compare(a.Pos(), b.Pos()) })
		for _, g := range globals {
			for _, v := range c.within(place{at: g}, 3) {
				if d, ok := v.(descriptor); ok && !slices.Contains(all, c.describe(d)) {
					all = append(all, c.describe(d))
				}
			}
		}
	}
	return all
}

// within are the descriptors in a variable: itself, or in its fields.
func (c *contract) within(p place, depth int) []value {
	t := partType(p.at.Type(), []rune(p.path))
	switch {
	case t == nil:
		return nil
	case isNamed(t, rpcPath, "Call"), isNamed(t, rpcPath, "Cast"):
		return c.load(p)
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok || depth == 0 || namedOf(t) != nil && namedOf(t).Obj().Pkg() != nil && !c.read[namedOf(t).Obj().Pkg().Path()] {
		return nil
	}
	var all []value
	for i := range s.NumFields() {
		all = append(all, c.within(place{at: p.at, path: p.path + string(rune(i))}, depth-1)...)
	}
	return all
}
