package paste

import (
	"errors"
	"net/http"
	"slices"
)

// A node is one thing of which an application is made: a factory with its settings, or filters before another node.
type node struct {
	loader *loader
	object kind // appKind or filterKind: what it was looked for as
	from   reference
	by     *section // whose settings local are; nil: no section's, as in a pipeline that names egg:...
	global *dict
	local  *dict
	err    error

	// Of a factory.
	factory string
	kinds   []kind // what it may be; nil: call: outside of a section

	// Of filters before another node: those of a pipeline, of a filter-app, or of filter-with.
	filters []*node
	next    *node
	passes  bool // filter-with: next may be a filter as well
}

func broken(err error) *node { return &node{err: err} }

// app makes the application, and tells all that is wrong with it.
func (n *node) app() (http.Handler, error) {
	if n.factory != "" {
		return n.leaf()
	}
	errs := []error{n.err}
	n.unused()
	var app http.Handler
	if n.next != nil {
		var err error
		app, err = n.next.app()
		errs = append(errs, err)
	}
	filters := make([]func(http.Handler) http.Handler, len(n.filters))
	for i, f := range n.filters {
		var err error
		filters[i], err = f.filter()
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, f := range slices.Backward(filters) {
		app = f(app)
	}
	return app, nil
}

// filter makes the filter, and tells all that is wrong with it.
func (n *node) filter() (func(http.Handler) http.Handler, error) {
	if n.factory == "" {
		return n.filtered()
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	s := n.settings()
	filter, err := n.loader.run.factories.Filters[n.factory](s)
	if err == nil && filter == nil {
		err = s.Errorf("%s made no filter", n.factory)
	}
	if err != nil {
		return nil, n.name(err)
	}
	n.unread(s)
	return filter, nil
}

// filtered makes a filter of one that has filter-with.
func (n *node) filtered() (func(http.Handler) http.Handler, error) {
	if n.next == nil {
		return nil, n.err
	}
	outer, outerErr := n.filters[0].filter()
	inner, innerErr := n.next.filter()
	if err := errors.Join(outerErr, innerErr); err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler { return outer(inner(next)) }, nil
}

// leaf runs the factory of an app or a composite.
func (n *node) leaf() (http.Handler, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	s, factories := n.settings(), n.loader.run.factories
	var (
		app http.Handler
		err error
	)
	if f, ok := factories.Apps[n.factory]; ok && slices.Contains(n.kinds, appKind) {
		app, err = f(s)
	} else {
		app, err = factories.Composites[n.factory](&Loader{loader: n.loader}, s)
	}
	if err == nil && app == nil {
		err = s.Errorf("%s made no app", n.factory)
	}
	if err != nil {
		return nil, n.name(err)
	}
	n.unread(s)
	return app, nil
}

// check tells what is wrong as far as that is known without running factories.
func (n *node) check() error {
	errs := []error{n.err}
	if n.factory != "" {
		errs = append(errs, n.known())
	}
	for _, f := range n.filters {
		errs = append(errs, f.check())
	}
	if n.next != nil {
		errs = append(errs, n.next.check())
	}
	return errors.Join(errs...)
}

// known says whether there is such a factory.
func (n *node) known() error {
	if n.kinds == nil {
		return n.from.problem("call: needs a section of its own, with use = call:%s", n.factory)
	}
	f := n.loader.run.factories
	for _, k := range n.kinds {
		if k == filterKind && has(f.Filters, n.factory) || k == appKind && has(f.Apps, n.factory) || k == compositeKind && has(f.Composites, n.factory) {
			return nil
		}
	}
	return n.from.problem("%s", f.unknown(n.factory, n.kinds...))
}

func (n *node) settings() Settings {
	s := Settings{section: n.by, factory: n.factory, local: n.local, global: n.global, read: make(map[string]bool)}
	if s.section == nil {
		s.section = &section{name: n.from.section, at: n.from.at}
	}
	return s
}

// name makes a *Problem of an error that does not say where it is.
func (n *node) name(err error) error {
	all := unjoin(err)
	for i, e := range all {
		if _, ok := errors.AsType[*Problem](e); !ok {
			p := n.from.problem("%s: %v", n.factory, e)
			p.err = e
			all[i] = p
		}
	}
	return errors.Join(all...)
}

// unread warns of settings that the factory did not ask for.
func (n *node) unread(s Settings) {
	for _, name := range n.local.names {
		if !s.read[name] {
			n.loader.run.warn(n.local.values[name].at, s.section.name, name, n.factory+" does not know it")
		}
	}
}

// unused warns of settings that use has given to what has none.
func (n *node) unused() {
	if n.err != nil || n.passes {
		return
	}
	for _, name := range n.local.names { // n.by has used it, else there are none
		n.loader.run.warn(n.local.values[name].at, n.by.name, name, "what the section uses has no settings")
	}
}
