package objects

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

// A Registry knows several classes of objects by their names: for those that are only known once they are here, and for having newer
// ones backported. It never changes, and is safe for concurrent use.
type Registry struct {
	classes map[string][]registered // by namespace and name
	byName  map[string]registered   // the newest of a name
	keys    []string                // the prefixes
}

type registered struct {
	*class
	goType reflect.Type
}

// NewRegistry returns a registry of the objects' classes: objects.NewRegistry(Flavor{}, FlavorList{}). There may be several of a name, of
// different major versions. The error is a *TypeError.
func NewRegistry(all ...Type) (*Registry, error) {
	r := &Registry{classes: map[string][]registered{}, byName: map[string]registered{}}
	prefixes := map[string]bool{}
	for _, object := range all {
		t := reflect.TypeOf(object)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		c, err := classFor(t)
		if err != nil {
			return nil, err
		}
		key := c.namespace + "." + c.name
		r.classes[key] = append(r.classes[key], registered{c, t})
		if newest, ok := r.byName[c.name]; !ok || newest.version.Compare(c.version) < 0 {
			r.byName[c.name] = registered{c, t}
		}
		if !prefixes[c.prefix] {
			prefixes[c.prefix] = true
			r.keys = append(r.keys, c.prefix)
		}
	}
	return r, nil
}

// Decode decodes an object of any registered class and returns a pointer to its struct. It is for arguments and fields of type
// json.RawMessage that can be one of several, such as nova's migrate_data.
//
// Errors: *UnknownError, *VersionError, *FieldError.
func (r *Registry) Decode(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, &FieldError{Object: "object", Cause: errors.New("not JSON")}
	}
	p, err := r.open(data)
	if err != nil {
		return nil, err
	}
	of, err := r.find(p)
	if err != nil {
		return nil, err
	}
	object := reflect.New(of.goType)
	if err := of.parse(data, object.Elem()); err != nil {
		return nil, err
	}
	return object.Interface(), nil
}

// open takes an object of any of the prefixes apart.
func (r *Registry) open(data []byte) (primitive, error) {
	for _, prefix := range r.keys {
		if p, err := open(data, prefix); err == nil && p.name != "" {
			return p, nil
		}
	}
	return primitive{}, &UnknownError{Prefix: strings.Join(r.keys, ".name or ")}
}

// find returns the class that reads the object, or an error.
func (r *Registry) find(p primitive) (registered, error) {
	all := r.classes[p.namespace+"."+p.name]
	if len(all) == 0 {
		return registered{}, &UnknownError{Namespace: p.namespace, Name: p.name}
	}
	for _, of := range all {
		if _, err := of.accepts(p.version); err == nil {
			return of, nil
		}
	}
	return registered{}, &VersionError{p.name, p.version, r.byName[p.name].text}
}

// A Backporter asks the service that knows the newest versions for an object at older ones: nova's conductor, with
//
//	rpc.NewCall[objects.BackportArgs, json.RawMessage](conductor.Since("3.0"), "object_backport_versions")
type Backporter func(ctx context.Context, args BackportArgs) (json.RawMessage, error)

// BackportArgs are the arguments of upstream's object_backport_versions.
type BackportArgs struct {
	Object   json.RawMessage   `json:"objinst"`         // as received
	Versions map[string]string `json:"object_versions"` // what the asking service knows
}

// Receive returns JSON, such as the arguments of a call, with the objects that are too new for this registry replaced by what ask returns
// for them. Objects are looked for in all of it; it is always the outermost one that is replaced, as upstream. Without any, data is returned as
// it is, and ask is not called. An interceptor of a server calls it, see the example.
//
// Errors: what ask returned; *VersionError if the answer is too new as well.
func (r *Registry) Receive(ctx context.Context, data json.RawMessage, ask Backporter) (json.RawMessage, error) {
	if !json.Valid(data) || r.tooNew(data) == nil {
		return data, nil
	}
	return r.receive(ctx, data, ask)
}

func (r *Registry) receive(ctx context.Context, data []byte, ask Backporter) ([]byte, error) {
	problem := r.tooNew(data)
	if problem == nil {
		return data, nil
	}
	if p, err := r.open(data); err == nil {
		of, ok := r.byName[p.name]
		if !ok {
			return nil, problem // of an object that nobody here could ask for
		}
		versions := map[string]string{}
		if err := of.tree(versions); err != nil {
			return nil, err
		}
		older, err := ask(ctx, BackportArgs{data, versions})
		if err != nil {
			return nil, err
		}
		if !json.Valid(older) {
			return nil, &FieldError{p.name, "", errors.New("the backported object is not JSON")}
		}
		if problem := r.tooNew(older); problem != nil {
			return nil, problem
		}
		return older, nil
	}
	var out []byte
	is, err := members(data, func(name, value []byte) error {
		older, err := r.receive(ctx, value, ask)
		if err != nil {
			return err
		}
		out = append(appendString(append(out, separator(out, '{')), string(name)), ':')
		out = append(out, older...)
		return nil
	})
	if is || err != nil {
		return append(out, '}'), err
	}
	_, err = elements(data, func(value []byte) error {
		older, err := r.receive(ctx, value, ask)
		out = append(append(out, separator(out, '[')), older...)
		return err
	})
	return append(out, ']'), err
}

func separator(out []byte, first byte) byte {
	if len(out) == 0 {
		return first
	}
	return ','
}

// tooNew returns the first problem with a version of an object within data, itself included.
func (r *Registry) tooNew(data []byte) error {
	if k := kind(data); k != "an object" && k != "an array" {
		return nil
	}
	if p, err := r.open(data); err == nil {
		var version *VersionError
		if _, err := r.find(p); errors.As(err, &version) {
			return err
		}
		return r.tooNew(p.data)
	}
	if is, err := members(data, func(_, value []byte) error { return r.tooNew(value) }); is {
		return err
	}
	_, err := elements(data, r.tooNew)
	return err
}

// Backport is the other side: it decodes an object of any registered class and encodes it at the versions that are asked for, as nova's conductor
// does in object_backport_versions.
//
// Errors: those of [Registry.Decode] and [Backport]; *TargetError when the versions do not mention the object.
func (r *Registry) Backport(args BackportArgs) (json.RawMessage, error) {
	object, err := r.Decode(args.Object)
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(object).Elem()
	c, err := classFor(v.Type())
	if err != nil {
		return nil, err
	}
	target, ok := args.Versions[c.name]
	if !ok {
		return nil, &TargetError{c.name, "", "the versions that are asked for do not mention it"}
	}
	return c.backport(v, target, args.Versions)
}
