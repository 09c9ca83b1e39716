package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// A NoMatchError is a route or method that a Flow does not have.
type NoMatchError struct {
	What   string // route or method
	Wanted string
	Names  []string // of those that there are
}

// Error names the nearest, or all, of those that there are.
func (e *NoMatchError) Error() string {
	text := fmt.Sprintf("flow: no %s %q in these packages", e.What, e.Wanted)
	if near, ok := nearest.To(e.Wanted, e.Names); ok {
		return text + fmt.Sprintf("; did you mean %q?", near)
	}
	if len(e.Names) > 0 {
		text += "; there are " + strings.Join(e.Names, ", ")
	}
	return text
}

// OfRoute is the part of the flow that begins at routes which serve the request: "POST /v1/servers", a path alone, or with
// values for what stands in braces in the route; "POST /v1/servers/{id}/action os-stop" is one action of several. The error is
// a *NoMatchError.
func (f *Flow) OfRoute(request string) (*Flow, error) {
	part := f.part(func(s *Step) *Step {
		if s.Kind == Route && serves(s.Name, request) {
			return s
		}
		return nil
	})
	if len(part.Roots) == 0 {
		return nil, &NoMatchError{"route", request, f.RouteNames()}
	}
	return part, nil
}

// OfMethod is the part of the flow that leads to a method, from the roots to all that follows it. The name is the one on the wire, or the
// contract's variable, with its package or without. The error is a *NoMatchError.
func (f *Flow) OfMethod(name string) (*Flow, error) {
	part := f.part(func(s *Step) *Step { return s.leadingTo(name) })
	for _, m := range f.Methods {
		if m.is(name) && !slices.Contains(part.Methods, m) {
			part.Methods = append(part.Methods, m)
		}
	}
	if len(part.Roots)+len(part.Methods) == 0 {
		return nil, &NoMatchError{"method", name, f.MethodNames()}
	}
	return part, nil
}

// RouteNames are the names of all routes, sorted.
func (f *Flow) RouteNames() []string {
	var names []string
	for _, s := range f.Roots {
		if s.Kind == Route {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// MethodNames are the names of all methods on the wire, sorted.
func (f *Flow) MethodNames() []string {
	names := make([]string, 0, len(f.Methods))
	for _, m := range f.Methods {
		names = append(names, m.Method)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// part keeps of each root what keep returns, and of the methods those that are left in it.
func (f *Flow) part(keep func(*Step) *Step) *Flow {
	part := &Flow{Packages: f.Packages, Roots: []*Step{}, Methods: []*Method{}}
	seen := map[string]bool{}
	for _, s := range f.Roots {
		if kept := keep(s); kept != nil {
			part.Roots = append(part.Roots, kept)
			kept.contracts(seen)
		}
	}
	for _, m := range f.Methods {
		if seen[m.ContractAt] {
			part.Methods = append(part.Methods, m)
		}
	}
	return part
}

func (s *Step) contracts(seen map[string]bool) {
	if at := s.contractAt(); at != "" {
		seen[at] = true
	}
	for _, next := range s.Steps {
		next.contracts(seen)
	}
}

// leadingTo is the step with only those that lead to the method, or nil.
func (s *Step) leadingTo(name string) *Step {
	if s.Sent != nil && s.Sent.is(name) || s.Serves != nil && s.Serves.is(name) {
		return s
	}
	short := *s
	short.Steps = nil
	for _, next := range s.Steps {
		if kept := next.leadingTo(name); kept != nil {
			short.Steps = append(short.Steps, kept)
		}
	}
	if len(short.Steps) == 0 {
		return nil
	}
	return &short
}

func (m *Method) is(name string) bool {
	return m.Method == name || m.Contract == name || strings.HasSuffix(m.Contract, "."+name)
}

// serves reports whether a route is, or takes, the request.
func serves(route, request string) bool {
	if route == request {
		return true
	}
	verbs, pattern, body := splitRoute(route)
	verb, path, action := splitRoute(request)
	if action != "" && !strings.HasPrefix(body, `{"`+action+`"`) {
		return false
	}
	if verb != "" && verbs != "" && !slices.Contains(strings.Split(verbs, "|"), verb) {
		return false
	}
	want, got := strings.Split(strings.Trim(pattern, "/"), "/"), strings.Split(strings.Trim(path, "/"), "/")
	for i, segment := range want {
		switch {
		case strings.HasSuffix(segment, "...}"):
			return true
		case i >= len(got):
			return false
		case segment != got[i] && !strings.HasPrefix(segment, "{") && !strings.HasPrefix(segment, ":"):
			return false
		}
	}
	return len(want) == len(got)
}

// splitRoute splits at spaces: the HTTP method may be missing, and an action too.
func splitRoute(s string) (verb, path, action string) {
	if !strings.HasPrefix(s, "/") {
		verb, s, _ = strings.Cut(s, " ")
	}
	path, action, _ = strings.Cut(strings.TrimSpace(s), " ")
	return verb, path, action
}
