package rest

import (
	"fmt"
	"path"
	"strings"
)

// A Part is what an API is put together from: a Resource, an Extension, or what Extend returns.
type Part interface {
	addTo(b *builder) error
}

// A Resource is a collection of things at a path, and what can be done with them.
type Resource struct {
	path, member, plural string
	routes               []Route
}

// NewResource makes the resource at a path such as "orders", or "orders/{order_id}/lines" for things that belong to others, whose ids
// handlers get with [PathValue]. member is the word around one of them in bodies, {"order": {...}}; the word around several is the last
// element of the path.
//
//	rest.NewResource("orders", "order",
//		rest.Index(orders.Index),
//		rest.Create(orders.Create),
//		rest.Action("cancel", orders.Cancel))
func NewResource(at, member string, routes ...Route) Resource {
	return Resource{path: at, member: member, plural: path.Base(at), routes: routes}
}

// Plural sets the word around several, where it is not the last element of the path.
func (r Resource) Plural(word string) Resource {
	r.plural = word
	return r
}

func (r Resource) addTo(b *builder) error {
	if r.path == "" || r.path != strings.Trim(path.Clean(r.path), "/") || strings.HasPrefix(r.path, "{") {
		return fmt.Errorf("rest: resource %q: want a path such as orders or orders/{order_id}/lines", r.path)
	}
	if r.member == "" {
		return fmt.Errorf("rest: resource %s: want the word around one of its items", r.path)
	}
	if _, ok := b.resources[r.path]; ok {
		return fmt.Errorf("rest: resource %s is there twice; use Extend to add to it", r.path)
	}
	b.order = append(b.order, r.path)
	b.resources[r.path] = &resource{path: r.path, member: r.member, plural: r.plural, routes: r.routes}
	return nil
}

type extends struct {
	path   string
	routes []Route
}

// Extend adds routes, actions and Attributes to a resource that another part of the API has.
func Extend(at string, routes ...Route) Part { return extends{at, routes} }

func (e extends) addTo(b *builder) error {
	b.extends = append(b.extends, e)
	return nil
}

// An Extension is a part of an API that clients can ask for: GET /extensions tells which there are.
type Extension struct {
	Alias       string // its id, such as os-shelve
	Name        string // Default: Alias
	Description string
	Updated     string // when it changed last, such as 2026-11-21T00:00:00Z. Default: not told
	Namespace   string // a URI. Default: not told
}

type extension struct {
	info  Extension
	parts []Part
}

// NewExtension makes a part of an API that has a name, of resources and of what it adds to others.
func NewExtension(info Extension, parts ...Part) Part { return extension{info, parts} }

func (e extension) addTo(b *builder) error {
	if e.info.Alias == "" {
		return fmt.Errorf("rest: extension %q: want an alias, which is its id", e.info.Name)
	}
	for _, other := range b.extensions {
		if other.Alias == e.info.Alias {
			return fmt.Errorf("rest: extension %s is there twice", e.info.Alias)
		}
	}
	b.extensions = append(b.extensions, e.info)
	for _, p := range e.parts {
		if err := p.addTo(b); err != nil {
			return fmt.Errorf("%w (extension %s)", err, e.info.Alias)
		}
	}
	return nil
}
