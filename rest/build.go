package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/nearest"
)

// A builder gathers the parts of an API.
type builder struct {
	span       span
	resources  map[string]*resource
	order      []string // of resources
	extends    []extends
	extensions []Extension
}

// A resource is one with all that extends it.
type resource struct {
	path, member, plural string
	routes               []Route
	attributes           map[reflect.Type][]Route
}

// build registers everything, and returns the first elements of all paths.
func (b *builder) build(a *API) (first map[string]bool, err error) {
	if len(b.extensions) > 0 {
		if err := a.extensionsResource().addTo(b); err != nil {
			return nil, err
		}
	}
	for _, e := range b.extends {
		if err := b.extend(e); err != nil {
			return nil, err
		}
	}
	first = make(map[string]bool)
	for _, at := range b.order {
		element, _, _ := strings.Cut(at, "/")
		first[element] = true
		if err := b.register(a, b.resources[at]); err != nil {
			return nil, fmt.Errorf("rest: resource %s: %w", at, err)
		}
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { a.fail(w, r, noResource(r, "")) })
	return first, nil
}

func (b *builder) extend(e extends) error {
	to, ok := b.resources[e.path]
	if !ok {
		hint := ""
		if name, ok := nearest.To(e.path, b.order); ok {
			hint = fmt.Sprintf("; did you mean %s?", name)
		}
		return fmt.Errorf("rest: there is no resource %s to extend%s", e.path, hint)
	}
	for _, r := range e.routes {
		if r.extend == nil {
			to.routes = append(to.routes, r)
			continue
		}
		if !slices.ContainsFunc(to.routes, func(other Route) bool { return other.answers == r.answers }) {
			return fmt.Errorf("rest: resource %s never answers with a %s, so it cannot have attributes", e.path, r.answers)
		}
		if to.attributes == nil {
			to.attributes = make(map[reflect.Type][]Route)
		}
		to.attributes[r.answers] = append(to.attributes[r.answers], r)
	}
	return nil
}

// A place is one path, with what can be done there.
type place map[string][]versioned

// versioned is a route and its microversions; a zero max is any.
type versioned struct {
	Route

	min, max Microversion
}

func (v versioned) has(m Microversion) bool {
	return m.Compare(v.min) >= 0 && (v.max == Microversion{} || m.Compare(v.max) <= 0)
}

// register makes the handlers of a resource's paths.
func (b *builder) register(a *API, res *resource) (err error) {
	places := make(map[string]place)
	for _, r := range res.routes {
		v, err := b.versioned(r)
		if err != nil {
			return err
		}
		at := "/" + res.path + r.suffix
		if places[at] == nil {
			places[at] = make(place)
		}
		for _, other := range places[at][r.method] {
			if other.action == r.action && other.overlaps(v) {
				return fmt.Errorf("%s %s is there twice", r.method, strings.TrimSpace(at+" "+r.action))
			}
		}
		places[at][r.method] = append(places[at][r.method], v)
	}
	// Patterns that no path can tell apart are found by http.ServeMux, which panics.
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	for at, p := range places {
		m := make(methods)
		for method, routes := range p {
			m[method] = func(w http.ResponseWriter, r *http.Request) {
				c := callFrom(r.Context())
				c.resource, c.request, c.pattern = res, r, r.Method+" "+c.at+at
				a.serve(w, r, c, routes)
			}
		}
		a.mux.Handle(at, m)
	}
	return nil
}

func (v versioned) overlaps(other versioned) bool {
	return v.has(other.min) || other.has(v.min)
}

func (b *builder) versioned(r Route) (v versioned, err error) {
	v.Route = r
	if r.extend != nil {
		return v, fmt.Errorf("attributes of a %s: they are for Extend", r.answers)
	}
	if r.serve == nil {
		return v, errors.New("a route without a method: make it with Index, Show, Create and the like")
	}
	if r.invalid != nil {
		return v, r.invalid
	}
	if (r.since != "" || r.until != "") && b.span == (span{}) {
		return v, fmt.Errorf("%s %s has microversions, and the API has none: set Config.Microversions", r.method, r.suffix)
	}
	if r.since != "" {
		if v.min, err = ParseMicroversion(r.since); err != nil {
			return v, err
		}
	}
	if r.until != "" {
		if v.max, err = ParseMicroversion(r.until); err != nil {
			return v, err
		}
		if v.max.Compare(v.min) < 0 {
			return v, fmt.Errorf("%s %s is there since %s and until %s, which is never", r.method, strings.TrimSpace(r.suffix+" "+r.action), v.min, v.max)
		}
	}
	return v, nil
}

// serve answers with the one of the routes that the request's microversion has.
func (a *API) serve(w http.ResponseWriter, r *http.Request, c *call, routes []versioned) {
	route, err := c.choose(routes)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	result, err := route.serve(r.Context(), c)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if _, none := result.(None); none {
		status := route.status
		if status == http.StatusOK {
			status = http.StatusNoContent
		}
		w.WriteHeader(status)
		return
	}
	body, err := encode(result)
	if err != nil {
		a.fail(w, r, fmt.Errorf("rest: encode the answer: %w", err))
		return
	}
	if route.creates {
		if id := c.made(result); id != "" {
			w.Header().Set("Location", location(r, id))
		}
	}
	write(w, route.status, body)
}

// choose returns the route of the request's microversion, and of the action that its body names.
func (c *call) choose(routes []versioned) (*versioned, error) {
	var there []versioned
	for _, v := range routes {
		if v.has(c.version) {
			there = append(there, v)
		}
	}
	switch {
	case len(there) == 0:
		return nil, noResource(c.request, " in microversion "+c.version.String())
	case there[0].action == "":
		return &there[0], nil
	}
	name, err := c.action(there)
	if err != nil {
		return nil, err
	}
	for i := range there {
		if there[i].action == name {
			return &there[i], nil
		}
	}
	return nil, c.noAction(name, there)
}

// wrapped is an item under the resource's word.
func (c *call) wrapped(ctx context.Context, item any) (any, error) {
	raw, err := c.item(ctx, item)
	if err != nil {
		return nil, err
	}
	return map[string]json.RawMessage{c.resource.member: raw}, nil
}

// item encodes an item, with what extensions add to it.
func (c *call) item(ctx context.Context, item any) (json.RawMessage, error) {
	raw, err := encodeCompact(item)
	if err != nil {
		return nil, fmt.Errorf("rest: encode %T: %w", item, err)
	}
	for _, r := range c.resource.attributes[reflect.TypeOf(item)] {
		more, err := r.extend(ctx, item)
		if err != nil {
			return nil, err
		}
		added, err := encodeCompact(more)
		if err != nil {
			return nil, fmt.Errorf("rest: encode %T: %w", more, err)
		}
		if raw, err = joined(raw, added); err != nil {
			return nil, fmt.Errorf("rest: add %T to %T: %w", more, item, err)
		}
	}
	return raw, nil
}

// joined is one object of the members of two.
func joined(a, b json.RawMessage) (json.RawMessage, error) {
	for _, raw := range []json.RawMessage{a, b} {
		if len(raw) < 2 || raw[0] != '{' {
			return nil, fmt.Errorf("%.20s is no JSON object", raw)
		}
	}
	switch {
	case len(a) == 2:
		return b, nil
	case len(b) == 2:
		return a, nil
	}
	return slices.Concat(a[:len(a)-1], json.RawMessage(","), b[1:]), nil
}

// made returns the id of an item just made; "" = it does not tell.
func (c *call) made(result any) string {
	wrapped, _ := result.(map[string]json.RawMessage)
	var item struct {
		ID any `json:"id"`
	}
	if json.Unmarshal(wrapped[c.resource.member], &item) != nil {
		return ""
	}
	switch id := item.ID.(type) {
	case string:
		return id
	case float64:
		return fmt.Sprint(id)
	}
	return ""
}

// extensionsResource is the document of what extends the API, as nova has it (nova/api/openstack/compute/extension_info.py).
func (a *API) extensionsResource() Resource {
	type document struct {
		Alias       string `json:"alias"`
		Name        string `json:"name"`
		Description string `json:"description"`
		Updated     string `json:"updated"`
		Namespace   string `json:"namespace"`
		Links       []link `json:"links"`
	}
	told := func(e Extension) document {
		d := document{e.Alias, e.Name, e.Description, e.Updated, e.Namespace, []link{}}
		if d.Name == "" {
			d.Name = e.Alias
		}
		return d
	}
	return NewResource("extensions", "extension",
		Index(func(_ context.Context, p Page) (List[document], error) {
			all := make([]document, 0, len(a.extensions))
			for _, e := range a.extensions {
				all = append(all, told(e))
			}
			return Paginate(p, all, func(d document) string { return d.Alias })
		}),
		Show(func(_ context.Context, alias string) (document, error) {
			for _, e := range a.extensions {
				if e.Alias == alias {
					return told(e), nil
				}
			}
			return document{}, Faultf(http.StatusNotFound, "there is no extension %s", alias)
		}))
}
