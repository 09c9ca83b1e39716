package objects

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
)

// state is what a field has beside its value.
type state uint8

const (
	set     state = 1 << iota // the field has a value, perhaps null
	null                      // that value is null
	changed                   // since the object was made or received
)

// ErrReadOnly says that a read-only field has another value already.
var ErrReadOnly = errors.New("objects: a read-only field has another value already: make a new object")

// A Field is a field of an object that cannot be null. The zero value is unset: it is absent on the wire, which means that
// the sender has not loaded it.
type Field[T any] struct {
	value T
	state state
}

// Of returns a field with a value, for literals. It counts as changed, as what Python's constructor is given.
func Of[T any](v T) Field[T] { return Field[T]{v, set | changed} }

// Get returns the value, or T's zero value where the field is unset or null.
func (f Field[T]) Get() T { return f.value }

// Lookup returns the value and whether there is one: the field is set, and not null.
func (f Field[T]) Lookup() (T, bool) { return f.value, f.state&(set|null) == set }

// IsSet tells whether the field has a value or is null.
func (f Field[T]) IsSet() bool { return f.state&set != 0 }

// Changed tells whether the field was set since its object was made, received or reset. A change within the value, such as an
// element put into a map, is no change of the field until it is set again; see [Changes] for objects within.
func (f Field[T]) Changed() bool { return f.state&changed != 0 }

// Set gives the field a value. It counts as changed, even if the value is the same. A nil slice or map is an empty one.
func (f *Field[T]) Set(v T) { f.value, f.state = v, set|changed }

// Unset takes the value away.
func (f *Field[T]) Unset() { *f = Field[T]{} }

// String is for people: the value, unset or null.
func (f Field[T]) String() string {
	switch {
	case f.state&set == 0:
		return "unset"
	case f.state&null != 0:
		return "null"
	}
	return fmt.Sprint(f.value)
}

// GoString is the value as %#v prints it, unset or null.
func (f Field[T]) GoString() string {
	if _, ok := f.Lookup(); ok {
		return fmt.Sprintf("%#v", f.value)
	}
	return f.String()
}

// LogValue is what slog writes: the value, unset or null.
func (f Field[T]) LogValue() slog.Value {
	if v, ok := f.Lookup(); ok {
		return slog.AnyValue(v)
	}
	return slog.StringValue(f.String())
}

// MarshalJSON fails: a field is encoded by its object.
func (f Field[T]) MarshalJSON() ([]byte, error) { return nil, errNoMethods }

// UnmarshalJSON fails: a field is decoded by its object.
func (f *Field[T]) UnmarshalJSON([]byte) error { return errNoMethods }

func (f *Field[T]) slot() (value any, s *state) { return &f.value, &f.state }

// A Nullable is a field that can also be null, which is not the same as unset.
type Nullable[T any] struct{ Field[T] }

// NullableOf returns a field with a value, for literals; see [Of].
func NullableOf[T any](v T) Nullable[T] {
	var n Nullable[T]
	n.Set(v)
	return n
}

// Null returns a field that is null and counts as changed, for literals.
func Null[T any]() Nullable[T] {
	var n Nullable[T]
	n.SetNull()
	return n
}

// Set gives the field a value, as that of [Field]; a nil pointer is null.
func (n *Nullable[T]) Set(v T) {
	n.Field.Set(v)
	if p := reflect.ValueOf(&v).Elem(); p.Kind() == reflect.Pointer && p.IsNil() {
		n.SetNull()
	}
}

// IsNull tells whether the field is set to null.
func (n Nullable[T]) IsNull() bool { return n.state&null != 0 }

// SetNull sets the field to null. It counts as changed.
func (n *Nullable[T]) SetNull() {
	var zero T
	n.value, n.state = zero, set|null|changed
}

func (n *Nullable[T]) nullable() {}

// A ReadOnly is a field that is set once.
type ReadOnly[T any] struct{ field Field[T] }

// ReadOnlyOf returns a field with a value, for literals; see [Of].
func ReadOnlyOf[T any](v T) ReadOnly[T] { return ReadOnly[T]{Of(v)} }

// Get returns the value, or T's zero value where the field is unset.
func (r ReadOnly[T]) Get() T { return r.field.Get() }

// IsSet tells whether the field has a value.
func (r ReadOnly[T]) IsSet() bool { return r.field.IsSet() }

// Changed tells whether the field was set since its object was made, received or reset.
func (r ReadOnly[T]) Changed() bool { return r.field.Changed() }

// Set gives the field its value. It returns ErrReadOnly if the field has another one, and does nothing if it has that one.
func (r *ReadOnly[T]) Set(v T) error {
	if !r.field.IsSet() {
		r.field.Set(v)
		return nil
	}
	if !reflect.DeepEqual(r.field.value, v) {
		return ErrReadOnly
	}
	return nil
}

// String is for people: the value, or unset.
func (r ReadOnly[T]) String() string { return r.field.String() }

// GoString is the value as %#v prints it, or unset.
func (r ReadOnly[T]) GoString() string { return r.field.GoString() }

// LogValue is what slog writes: the value, or unset.
func (r ReadOnly[T]) LogValue() slog.Value { return r.field.LogValue() }

// MarshalJSON fails: a field is encoded by its object.
func (r ReadOnly[T]) MarshalJSON() ([]byte, error) { return nil, errNoMethods }

// UnmarshalJSON fails: a field is decoded by its object.
func (r *ReadOnly[T]) UnmarshalJSON([]byte) error { return errNoMethods }

func (r *ReadOnly[T]) slot() (value any, s *state) { return r.field.slot() }
func (r *ReadOnly[T]) readOnly()                   {}

// A slotted is a pointer to a Field, Nullable or ReadOnly.
type slotted interface {
	slot() (value any, s *state)
}
