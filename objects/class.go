package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A class is what a struct's declaration says, derived once per type.
type class struct {
	goType                  reflect.Type
	name, prefix, namespace string
	text                    string // the version
	version                 Version
	head                    []byte // {"prefix.name":"...","prefix.namespace":"...","prefix.version":
	data, changed           []byte // ,"prefix.data":{ and ,"prefix.changes":[
	object                  []int  // where Object is in the struct
	fields                  []field
	byName                  map[string]int
	list                    int // the field objects of a List, or -1
}

// A field is one of a class.
type field struct {
	name          string
	key           []byte // "name":
	index         []int
	codec         *codec
	nullable      bool
	readOnly      bool
	since         *Version // nil = from the first version on
	fallback      json.RawMessage
	relationships []relationship
}

// A relationship says that with a version of the object came that version of the object within.
type relationship struct {
	own    Version
	within string
}

// slot returns the field's value within object v, and its state.
func (f *field) slot(v reflect.Value) (reflect.Value, *state) {
	value, s := v.FieldByIndex(f.index).Addr().Interface().(slotted).slot()
	return reflect.ValueOf(value).Elem(), s
}

// classes is a cache: what is in it follows from the type alone.
var classes sync.Map // reflect.Type -> func() (*class, error)

// classFor returns the class of a struct that embeds Object.
func classFor(t reflect.Type) (*class, error) {
	f, ok := classes.Load(t)
	if !ok {
		f, _ = classes.LoadOrStore(t, sync.OnceValues(func() (*class, error) { return newClass(t) }))
	}
	return f.(func() (*class, error))()
}

var (
	objectType  = reflect.TypeFor[Object]()
	slottedType = reflect.TypeFor[slotted]()
	typeType    = reflect.TypeFor[Type]()
	listType    = reflect.TypeFor[interface{ embedsList() }]()
)

func newClass(t reflect.Type) (*class, error) {
	c := &class{goType: t, name: t.Name(), prefix: "versioned_object", namespace: "versionedobjects", list: -1, byName: map[string]int{}}
	if t.Kind() != reflect.Struct {
		return nil, &TypeError{t, "", "a struct is wanted"}
	}
	if err := c.add(t, t, nil, nil); err != nil {
		return nil, err
	}
	if c.object == nil {
		return nil, &TypeError{t, "", "objects.Object is to be embedded by value"}
	}
	if c.text == "" {
		return nil, &TypeError{t, "", "no version: the embedded struct wants a tag such as `version:\"1.0\"`"}
	}
	c.head = fmt.Appendf(nil, `{%q:%q,%q:%q,%q:`, c.prefix+".name", c.name, c.prefix+".namespace", c.namespace, c.prefix+".version")
	c.data = fmt.Appendf(nil, `,%q:{`, c.prefix+".data")
	c.changed = fmt.Appendf(nil, `,%q:[`, c.prefix+".changes")
	return c, nil
}

// add adds the fields of a struct, which is t or embedded in it at index. seen has the tags that embedding structs further out gave.
func (c *class) add(t, in reflect.Type, index []int, seen map[string]bool) error {
	for i := range in.NumField() {
		f := in.Field(i)
		at := slices.Concat(index, []int{i})
		if f.Anonymous && f.Type.Kind() == reflect.Struct && !reflect.PointerTo(f.Type).Implements(slottedType) {
			if err := c.embed(t, f, at, seen); err != nil {
				return err
			}
			continue
		}
		if !reflect.PointerTo(f.Type).Implements(slottedType) {
			return &TypeError{t, f.Name, "not a Field, Nullable or ReadOnly: what is not on the wire belongs beside the object"}
		}
		if err := c.declare(t, f, at); err != nil {
			return err
		}
	}
	return nil
}

// embed adds what an embedded struct brings.
func (c *class) embed(t reflect.Type, f reflect.StructField, at []int, seen map[string]bool) error {
	if !f.Type.Implements(typeType) {
		if f.Type.Implements(listType) && f.Type.PkgPath() == objectType.PkgPath() {
			c.list = len(c.fields)
		}
		return c.add(t, f.Type, at, nil)
	}
	tags := map[string]bool{}
	for name := range seen {
		tags[name] = true
	}
	for name, to := range map[string]*string{"name": &c.name, "prefix": &c.prefix, "namespace": &c.namespace, "version": &c.text} {
		if value, ok := f.Tag.Lookup(name); ok && !tags[name] {
			*to, tags[name] = value, true
		}
	}
	if tags["version"] && !seen["version"] {
		var err error
		if c.version, err = ParseVersion(c.text); err != nil {
			return &TypeError{t, f.Name, strings.TrimPrefix(err.Error(), "objects: ")}
		}
	}
	if f.Type == objectType {
		if c.object != nil {
			return &TypeError{t, f.Name, "objects.Object is embedded twice"}
		}
		c.object = at
		return nil
	}
	return c.add(t, f.Type, at, tags)
}

// declare adds one field.
func (c *class) declare(t reflect.Type, f reflect.StructField, at []int) error {
	fail := func(format string, args ...any) error { return &TypeError{t, f.Name, fmt.Sprintf(format, args...)} }
	if !f.IsExported() {
		return fail("not exported")
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" || name == "-" {
		return fail("no name: a tag such as `json:%q` is wanted", strings.ToLower(f.Name))
	}
	if _, twice := c.byName[name]; twice {
		return fail("two fields are called %q", name)
	}
	instance := reflect.New(f.Type).Interface()
	value, _ := instance.(slotted).slot()
	of, err := codecFor(reflect.TypeOf(value).Elem())
	if err != nil {
		return fail("%v", err)
	}
	key, err := json.Marshal(name)
	if err != nil {
		return fail("%v", err)
	}
	d := field{name: name, key: append(key, ':'), index: at, codec: of}
	_, d.nullable = instance.(interface{ nullable() })
	_, d.readOnly = instance.(interface{ readOnly() })
	if since, ok := f.Tag.Lookup("since"); ok {
		v, err := ParseVersion(since)
		if err != nil {
			return fail("since: %v", err)
		}
		d.since = &v
	}
	if fallback, ok := f.Tag.Lookup("default"); ok {
		if !json.Valid([]byte(fallback)) {
			return fail("default: %q is not JSON; a text is written as `default:\"\\\"text\\\"\"`", fallback)
		}
		if err := c.parseField(&d, []byte(fallback), reflect.New(reflect.TypeOf(value).Elem()).Elem(), new(state)); err != nil {
			return fail("default: %v", err)
		}
		d.fallback = json.RawMessage(fallback)
	}
	if d.relationships, err = parseRelationships(f.Tag.Get("relationships")); err != nil {
		return fail("relationships: %v", err)
	}
	c.byName[name] = len(c.fields)
	c.fields = append(c.fields, d)
	return nil
}

func parseRelationships(tag string) ([]relationship, error) {
	var all []relationship
	for pair := range strings.FieldsSeq(tag) {
		own, within, _ := strings.Cut(pair, "=")
		v, err := ParseVersion(own)
		if err != nil {
			return nil, err
		}
		if _, err := ParseVersion(within); err != nil {
			return nil, err
		}
		if n := len(all); n > 0 && all[n-1].own.Compare(v) >= 0 {
			return nil, fmt.Errorf("%s stands after a newer version", own)
		}
		all = append(all, relationship{v, within})
	}
	return all, nil
}

// of returns the Object of v.
func (c *class) of(v reflect.Value) *Object {
	return v.FieldByIndex(c.object).Addr().Interface().(*Object)
}

// changes calls yield for each changed field of v, and for those that the struct does not declare.
func (c *class) changes(v reflect.Value, yield func(name string)) error {
	for i := range c.fields {
		f := &c.fields[i]
		value, s := f.slot(v)
		is := *s&changed != 0
		// A List counts the changes of its objects and no others, anything else those of single objects.
		if !is && *s&(set|null) == set && f.codec.class != nil && (f.codec.shape == list && i == c.list || f.codec.shape == single && c.list < 0) {
			var err error
			if is, err = f.codec.changed(value); err != nil {
				return err
			}
		}
		if is {
			yield(f.name)
		}
	}
	for _, m := range c.of(v).extra {
		if m.changed {
			yield(m.name)
		}
	}
	return nil
}

func (c *class) reset(v reflect.Value, names []string, deep bool) error {
	for i := range c.fields {
		f := &c.fields[i]
		value, s := f.slot(v)
		if len(names) > 0 && !slices.Contains(names, f.name) {
			continue
		}
		*s &^= changed
		if !deep || f.codec.class == nil {
			continue
		}
		if err := f.codec.each(value, func(c *class, object reflect.Value) error { return c.reset(object, nil, true) }); err != nil {
			return err
		}
	}
	for _, name := range names {
		if _, ok := c.byName[name]; !ok {
			return &FieldError{c.name, name, errors.New("there is no such field")}
		}
	}
	o := c.of(v)
	extra := make([]member, 0, len(o.extra))
	for _, m := range o.extra {
		m.changed = m.changed && len(names) > 0
		extra = append(extra, m)
	}
	o.extra = extra
	return nil
}
