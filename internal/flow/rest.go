package flow

import (
	"cmp"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/ssa"
)

const restPath = module + "/rest"

// restRoutes are the functions that make a route of package rest: its HTTP method, and its path below the resource's, where "?" is the
// name that the function is given.
var restRoutes = map[string]struct{ verb, suffix string }{
	"Index": {"GET", ""}, "Detail": {"GET", "/detail"}, "Show": {"GET", "/{id}"}, "Create": {"POST", ""},
	"Update": {"PUT", "/{id}"}, "Delete": {"DELETE", "/{id}"},
	"Action": {"POST", "/{id}/action"}, "ActionResult": {"POST", "/{id}/action"},
	"Member": {"GET", "/{id}/?"}, "MemberPost": {"POST", "/{id}/?"},
	"Collection": {"GET", "/?"}, "CollectionPost": {"POST", "/?"},
	"Attributes": {"", ""},
}

// A restRoute is a rest.Route.
type restRoute struct {
	made         token.Pos
	verb, suffix string // verb is "" for attributes
	action       string
	since, until string
	handlers     []value
}

// A restPart is a rest.Resource, or what extends one.
type restPart struct {
	path      string
	routes    []restRoute
	extension string // alias; "" = none
}

// restRoute is what a function of restRoutes returns. The handler is its last argument, a name the one before.
func (e *evaluator) restRoute(c callee, call *ssa.Call) restRoute {
	form := restRoutes[c.sym.name]
	r := restRoute{made: call.Pos(), verb: form.verb, suffix: form.suffix, handlers: e.force(c.args[len(c.args)-1])}
	if len(c.args) < 2 {
		return r
	}
	name := e.text(c.args[0])
	if strings.HasSuffix(r.suffix, "/action") {
		r.action = name
	}
	r.suffix = strings.Replace(r.suffix, "?", name, 1)
	return r
}

// limited is what a method of rest.Route returns.
func (e *evaluator) limited(c callee) []value {
	var all []value
	for _, v := range unboxed(e.force(c.args[0])) {
		r, ok := v.(restRoute)
		if !ok {
			all = append(all, v) // a resource, called otherwise
			continue
		}
		switch c.sym.name {
		case "Since":
			r.since = e.text(c.args[1])
		case "Until":
			r.until = e.text(c.args[1])
		}
		all = append(all, r)
	}
	return all
}

// restParts are what NewResource, Extend and NewExtension return.
func (e *evaluator) restParts(c callee) []value {
	inside := unboxed(e.loadAll(e.elements(e.force(c.args[len(c.args)-1]))))
	if c.sym.name == "NewExtension" {
		alias := AtRunTime
		for _, v := range unboxed(e.force(c.args[0])) {
			if p, ok := v.(place); ok {
				alias = e.member(p, fieldPath(p, "Alias"))
			}
		}
		for i, v := range inside {
			if p, ok := v.(restPart); ok && p.extension == "" {
				p.extension = alias
				inside[i] = p
			}
		}
		return inside
	}
	p := restPart{path: e.text(c.args[0])}
	for _, v := range inside {
		if r, ok := v.(restRoute); ok {
			p.routes = append(p.routes, r)
		}
	}
	return []value{p}
}

// fieldPath is the way from a place to a field, by names; "" where there is none such.
func fieldPath(p place, names ...string) string {
	t := partType(p.at.Type(), []rune(p.path))
	path := make([]rune, 0, len(names))
	for _, name := range names {
		if t == nil {
			return ""
		}
		s, ok := t.Underlying().(*types.Struct)
		if !ok {
			return ""
		}
		i := slices.IndexFunc(slices.Collect(s.Fields()), func(f *types.Var) bool { return f.Name() == name })
		if i < 0 {
			return ""
		}
		path = append(path, rune(i))
		t = s.Field(i).Type()
	}
	return string(path)
}

// restAPIs are the routes of each API made by rest.New, and then those of resources for which none is seen.
func (w *walker) restAPIs() []*Step {
	var roots []*Step
	shown := map[token.Pos]bool{}
	add := func(prefix string, parts []value) {
		for _, v := range unboxed(parts) {
			p, ok := v.(restPart)
			if !ok {
				continue
			}
			for _, r := range p.routes {
				shown[r.made] = true
				w.begin()
				if s := w.restRoot(prefix, p, r); s != nil && !slices.ContainsFunc(roots, func(o *Step) bool { return o.Name == s.Name && o.At == s.At && o.Note == s.Note }) {
					roots = append(roots, s)
				}
			}
		}
	}
	w.each(mounts, func(site ssa.CallInstruction, in *frame) {
		args := site.Common().Args
		parts := w.loadAll(w.elements(w.eval(args[1], in)))
		for _, v := range unboxed(w.eval(args[0], in)) {
			if config, ok := v.(place); ok {
				add(w.prefix(config), parts)
				return
			}
		}
		add("/"+AtRunTime, parts)
	})
	w.each(groups, func(site ssa.CallInstruction, in *frame) {
		call, ok := site.(*ssa.Call)
		if !ok {
			return
		}
		for _, v := range unboxed(w.result(call, 0, in)) {
			if p, ok := v.(restPart); ok {
				p.routes = slices.DeleteFunc(p.routes, func(r restRoute) bool { return shown[r.made] })
				add("/"+AtRunTime, []value{p})
			}
		}
	})
	return roots
}

// each visits the calls of a role in the project's own packages, in each of their contexts.
func (w *walker) each(r role, visit func(ssa.CallInstruction, *frame)) {
	for _, site := range w.sites[r] {
		if !w.own[pathOf(site.Parent())] {
			continue
		}
		for _, in := range w.contexts(site.Parent()) {
			for _, row := range w.rows(site, in) {
				visit(site, row)
			}
		}
	}
}

// prefix is what all paths of an API begin with, as its rest.Config says.
func (w *walker) prefix(config place) string {
	id := cmp.Or(w.member(config, fieldPath(config, "Version", "ID")), "v1.0")
	prefix := "/" + strings.Trim(cmp.Or(w.member(config, fieldPath(config, "Version", "Path")), strings.TrimSuffix(id, ".0")), "/")
	if w.member(config, fieldPath(config, "Project")) == "1" { // rest.ProjectRequired
		prefix += "/{project_id}"
	}
	return prefix
}

func (w *walker) restRoot(prefix string, p restPart, r restRoute) *Step {
	root := &Step{Kind: Route, Name: r.verb + " " + prefix + "/" + p.path + r.suffix, At: w.at(r.made)}
	switch {
	case r.action != "":
		root.Name += ` {"` + r.action + `": ...}`
	case r.verb == "":
		root.Name = prefix + "/" + p.path + " attributes"
	}
	root.Note = r.note(p)
	sends := false
	for _, c := range w.handlersOf(r.handlers) {
		steps := w.follow(c, nil, nil)
		sends = sends || len(steps) > 0
		if len(steps) == 0 {
			steps = []*Step{w.leaf(c)}
		}
		root.Steps = append(root.Steps, steps...)
	}
	if r.verb == "" && !sends {
		return nil
	}
	return root
}

func (r restRoute) note(p restPart) string {
	var parts []string
	switch {
	case r.since != "" && r.until != "":
		parts = append(parts, "microversions "+r.since+" to "+r.until)
	case r.since != "":
		parts = append(parts, "since microversion "+r.since)
	case r.until != "":
		parts = append(parts, "until microversion "+r.until)
	}
	if p.extension != "" {
		parts = append(parts, "extension "+p.extension)
	}
	return strings.Join(parts, ", ")
}
