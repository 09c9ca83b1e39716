package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goslo/goslo/wire"
)

// An Endpoint is one or more methods under a namespace and a version, as a server offers them. Handle of a
// Call or Cast makes one with a single method; a server gathers those of one namespace and major version into
// one. The zero value serves nothing.
type Endpoint struct {
	namespaces []string // its own first, then those accepted for old callers
	version    string   // implemented
	methods    map[string]method
	whole      bool  // made by NewEndpoint: not to be gathered with others
	invalid    error // a mistake in NewEndpoint, which Listen returns
}

type method struct {
	run    func(ctx context.Context, args json.RawMessage, room *room) (json.RawMessage, error)
	expect []error
}

func (d descriptor) endpoint(run func(context.Context, json.RawMessage, *room) (json.RawMessage, error)) Endpoint {
	return Endpoint{
		namespaces: []string{d.target.Namespace},
		version:    implemented(d.target.Version),
		methods:    map[string]method{d.method: {run: run}},
	}
}

// NewEndpoint gathers methods under the namespace and version of t, whatever their own targets say: for
// a server that still implements an old major version, or serves the same methods under a second namespace.
func NewEndpoint(t Target, methods ...Endpoint) Endpoint {
	e := Endpoint{namespaces: []string{t.Namespace}, version: implemented(t.Version), methods: map[string]method{}, whole: true}
	for _, m := range methods {
		for name, f := range m.methods {
			if _, twice := e.methods[name]; twice {
				e.invalid = twoHandlers(name, t.Namespace, e.version)
			}
			e.methods[name] = f
		}
	}
	return e
}

func twoHandlers(name, namespace, version string) error {
	return fmt.Errorf("rpc: two handlers for method %q in namespace %q, version %s", name, namespace, version)
}

// Accept returns the endpoint serving further namespaces too: oslo's legacy_namespaces. "" is for callers without one.
func (e Endpoint) Accept(namespaces ...string) Endpoint {
	e.namespaces = append(slices.Clone(e.namespaces), namespaces...)
	e.whole = true
	return e
}

// Expect declares failures that are normal for these methods: an error that errors.Is one of errs (an
// ErrorClass, say) is returned to the caller without an error in the server's log: oslo's expected_exceptions. See [IsExpected].
func (e Endpoint) Expect(errs ...error) Endpoint {
	methods := make(map[string]method, len(e.methods))
	for name, m := range e.methods {
		m.expect = append(slices.Clone(m.expect), errs...)
		methods[name] = m
	}
	e.methods = methods
	return e
}

// serves is upstream's rule: the namespace is one of the endpoint's, and the version compatible with its own.
// A version that cannot be read is an error (conformance DISP-04 to DISP-06, VER-06).
func (e Endpoint) serves(namespace, version string) (bool, error) {
	if !slices.Contains(e.namespaces, namespace) {
		return false, nil
	}
	return wire.Compatible(e.version, version)
}

// implemented is the version of an endpoint whose target has none (conformance DISP-02).
func implemented(version string) string {
	if version == "" {
		return "1.0"
	}
	return version
}

// A dispatcher is a server's endpoints in the order in which they are tried.
type dispatcher []Endpoint

// newDispatcher gathers the single methods by namespace and major version. A group implements the highest
// of its methods' versions and, in the server's own namespace and major version, that of the server's target.
func newDispatcher(own Target, endpoints []Endpoint) (dispatcher, error) {
	var d dispatcher
	if _, err := wire.Compatible(own.Version, own.Version); err != nil {
		return nil, &TargetError{own, err.Error()}
	}
	groups := map[[2]string]int{}
	for _, e := range endpoints {
		if e.invalid != nil {
			return nil, e.invalid
		}
		if _, err := wire.Compatible(e.version, e.version); err != nil {
			return nil, fmt.Errorf("rpc: version %q of an endpoint: %w", e.version, err)
		}
		if e.whole {
			d = append(d, e)
			continue
		}
		if len(e.methods) == 0 {
			continue
		}
		key := [2]string{e.namespaces[0], major(e.version)}
		at, ok := groups[key]
		if !ok {
			group := Endpoint{namespaces: e.namespaces, version: e.version, methods: map[string]method{}}
			if own.Namespace == key[0] && major(own.Version) == key[1] {
				group.version = implemented(own.Version)
			}
			at = len(d)
			groups[key] = at
			d = append(d, group)
		}
		for name, m := range e.methods {
			if _, twice := d[at].methods[name]; twice {
				return nil, twoHandlers(name, key[0], key[1])
			}
			d[at].methods[name] = m
		}
		if newer, err := wire.Compatible(e.version, d[at].version); err == nil && newer {
			d[at].version = e.version
		}
	}
	return d, nil
}

// find returns the method that serves r. The first endpoint that matches namespace and version and has the
// method wins; names that begin with an underscore are nobody's (conformance DISP-01, DISP-06, DISP-07, DISP-09).
func (d dispatcher) find(r *Request) (method, error) {
	matched := false
	for i := range d {
		ok, err := d[i].serves(r.Target.Namespace, r.Target.Version)
		if err != nil {
			return method{}, &RemoteError{Class: ErrorClass{builtins, "ValueError"}, Message: err.Error()}
		}
		if !ok {
			continue
		}
		if m, ok := d[i].methods[r.Method]; ok && !strings.HasPrefix(r.Method, "_") {
			return m, nil
		}
		matched = true
	}
	if matched && r.Method == "" {
		return method{}, classTypeError.Errorf("the request names no method") // as in Python (conformance DISP-16)
	}
	if matched {
		return method{}, &NoSuchMethodError{Method: r.Method, Namespace: r.Target.Namespace}
	}
	return method{}, &VersionError{Method: r.Method, Namespace: r.Target.Namespace, Version: r.Target.Version}
}

// knows reports whether there is a method of that name, in whatever namespace and version.
func (d dispatcher) knows(name string) bool {
	for i := range d {
		if _, ok := d[i].methods[name]; ok {
			return true
		}
	}
	return false
}

// dispatch is the innermost Func of a server.
func (d dispatcher) dispatch(ctx context.Context, r *Request) (json.RawMessage, error) {
	m, err := d.find(r)
	if err != nil {
		return nil, err
	}
	result, err := m.call(ctx, r.Args, r.room)
	if err != nil && slices.ContainsFunc(m.expect, func(e error) bool { return errors.Is(err, e) }) {
		return nil, &expectedError{err}
	}
	return result, err
}

func (m method) call(ctx context.Context, args json.RawMessage, room *room) (result json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			result, err = nil, panicked(v)
		}
	}()
	return m.run(ctx, args, room)
}

// An expectedError marks a failure that its endpoint declared as normal, so that the log can tell.
type expectedError struct{ cause error }

func (e *expectedError) Error() string { return e.cause.Error() }
func (e *expectedError) Unwrap() error { return e.cause }

// IsExpected reports whether err, as an interceptor of a server gets it from next, is a failure that the method's endpoint
// declared as normal: an interceptor that logs or counts errors leaves it out. It is false on the caller's side.
func IsExpected(err error) bool {
	var e *expectedError
	return errors.As(err, &e)
}

func major(version string) string {
	m, _, _ := strings.Cut(implemented(version), ".")
	return m
}
