package objects

import (
	"encoding/json"
	"errors"
	"reflect"
	"time"
)

// An Object is what every object embeds; see the package's documentation. It holds what is no field: the version in which the object
// was received, and what else was received with it.
type Object struct {
	version string // as received; "" = of the class
	extra   []member
}

// A member is a received field that the struct does not declare.
type member struct {
	name    string
	value   json.RawMessage
	changed bool
}

// A Type is a struct that embeds Object.
type Type interface{ embedsObject() }

func (Object) embedsObject() {}

// ReceivedVersion returns the version in which the object was received, and in which it is sent on; "" for one made here.
func (o Object) ReceivedVersion() string { return o.version }

var errNoMethods = errors.New("objects: a struct that embeds objects.Object has no methods MarshalJSON and UnmarshalJSON of its own: " +
	"add `func (x T) MarshalJSON() ([]byte, error) { return objects.Marshal(x) }` and " +
	"`func (x *T) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, x) }`")

// MarshalJSON fails: each object has a method of its own, which calls [Marshal].
func (Object) MarshalJSON() ([]byte, error) { return nil, errNoMethods }

// UnmarshalJSON fails: each object has a method of its own, which calls [Unmarshal].
func (*Object) UnmarshalJSON([]byte) error { return errNoMethods }

// A List is what lists of objects embed beside Object, as upstream's ObjectListBase:
//
//	type FlavorList struct {
//		Base `version:"1.1"`
//		objects.List[Flavor]
//	}
//
// On the wire objects is always there, an empty array at least, and counts as changed when one of them has changes.
type List[T Type] struct {
	Objects Field[[]*T] `json:"objects"`
}

// ListOf returns a list of objects, for literals.
func ListOf[T Type](all ...*T) List[T] { return List[T]{Of(all)} }

// All returns the objects.
func (l List[T]) All() []*T { return l.Objects.Get() }

func (List[T]) embedsList() {}

// Timestamps are the fields of upstream's TimestampedObject, to be embedded.
type Timestamps struct {
	CreatedAt Nullable[time.Time] `json:"created_at"`
	UpdatedAt Nullable[time.Time] `json:"updated_at"`
}

// Marshal encodes an object, at the version in which it was received, else at that of its type. Fields come in their order in the struct.
//
// Errors: *TypeError about the struct's declaration, *FieldError about a value that the wire has no form for.
func Marshal[T Type](object T) ([]byte, error) {
	v := reflect.ValueOf(&object).Elem()
	c, err := classFor(v.Type())
	if err != nil {
		return nil, err
	}
	return c.append(nil, v, plan{})
}

// Unmarshal decodes an object. A null leaves it as it is; everything else replaces all of it.
//
// Errors: *UnknownError for an object of another name, prefix or namespace, *VersionError for one that is newer or of another major
// version, and *FieldError, all of them also for an object within; *TypeError about the struct's declaration.
func Unmarshal[T Type](data []byte, object *T) error {
	v := reflect.ValueOf(object).Elem()
	c, err := classFor(v.Type())
	if err != nil {
		return err
	}
	if err := check(data, c.name); err != nil {
		return err
	}
	if isNull(data) {
		return nil
	}
	return c.parse(data, v)
}

// Changes returns the names of the fields that changed since the object was made, received or reset, in their order in the struct. An object within
// that has changes counts, and so do those of a List; objects in other lists and in maps do not, as upstream.
func Changes[T Type](object *T) ([]string, error) {
	v := reflect.ValueOf(object).Elem()
	c, err := classFor(v.Type())
	if err != nil {
		return nil, err
	}
	var names []string
	err = c.changes(v, func(name string) { names = append(names, name) })
	return names, err
}

// ResetChanges makes the named fields count as unchanged, or all of them when none is named. Objects within keep their changes.
func ResetChanges[T Type](object *T, names ...string) error {
	v := reflect.ValueOf(object).Elem()
	c, err := classFor(v.Type())
	if err != nil {
		return err
	}
	return c.reset(v, names, false)
}

// ResetAllChanges makes everything count as unchanged, objects within included.
func ResetAllChanges[T Type](object *T) error {
	v := reflect.ValueOf(object).Elem()
	c, err := classFor(v.Type())
	if err != nil {
		return err
	}
	return c.reset(v, nil, true)
}

// SetDefaults sets the unset fields that have a default. They count as changed.
func SetDefaults[T Type](object *T) error {
	v := reflect.ValueOf(object).Elem()
	c, err := classFor(v.Type())
	if err != nil {
		return err
	}
	for i := range c.fields {
		f := &c.fields[i]
		value, s := f.slot(v)
		if *s&set != 0 || f.fallback == nil {
			continue
		}
		if err := c.parseField(f, f.fallback, value, s); err != nil {
			return err
		}
		*s |= changed
	}
	return nil
}
