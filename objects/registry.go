package objects

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// A Registry knows several classes of objects by their names: for those that are only known once they are here, and for having newer
// ones backported. It never changes, and is safe for concurrent use.
type Registry struct {
	classes  map[string][]*class          // by namespace and name
	versions map[string]map[string]string // of a namespace's classes, the newest of each name
	keys     []string                     // the prefixes
}

// NewRegistry returns a registry of the objects' classes and of those within them: objects.NewRegistry(Flavor{}, FlavorList{}). There may be
// several of a name, of different major versions. The error is a *TypeError.
func NewRegistry(all ...Type) (*Registry, error) {
	r := &Registry{classes: map[string][]*class{}, versions: map[string]map[string]string{}}
	for _, object := range all {
		t := reflect.TypeOf(object)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		c, err := classFor(t)
		if err == nil {
			err = r.add(c)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, known := range r.classes {
		newest := slices.MaxFunc(known, func(a, b *class) int { return a.version.Compare(b.version) })
		if r.versions[newest.namespace] == nil {
			r.versions[newest.namespace] = map[string]string{}
		}
		r.versions[newest.namespace][newest.name] = newest.text
	}
	return r, nil
}

func (r *Registry) add(c *class) error {
	key := c.namespace + "." + c.name
	if slices.Contains(r.classes[key], c) {
		return nil
	}
	r.classes[key] = append(r.classes[key], c)
	if !slices.Contains(r.keys, c.prefix) {
		r.keys = append(r.keys, c.prefix)
	}
	for i := range c.fields {
		if c.fields[i].codec.class == nil {
			continue
		}
		within, err := c.fields[i].codec.class()
		if err == nil {
			err = r.add(within)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Decode decodes an object of any registered class and returns a pointer to its struct. It is for arguments and fields of type
// json.RawMessage that can be one of several, such as nova's migrate_data.
//
// Errors: *UnknownError, *VersionError, *FieldError.
func (r *Registry) Decode(data []byte) (any, error) {
	if err := check(data, "object"); err != nil {
		return nil, err
	}
	p, err := r.open(data)
	if err != nil {
		return nil, err
	}
	c, err := r.find(p)
	if err != nil {
		return nil, err
	}
	object := reflect.New(c.goType)
	if err := c.parse(data, object.Elem()); err != nil {
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
func (r *Registry) find(p primitive) (*class, error) {
	all := r.classes[p.namespace+"."+p.name]
	if len(all) == 0 {
		return nil, &UnknownError{Namespace: p.namespace, Name: p.name}
	}
	for _, c := range all {
		if _, err := c.accepts(p.version); err == nil {
			return c, nil
		}
	}
	return nil, &VersionError{p.name, p.version, r.versions[p.namespace][p.name]}
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
