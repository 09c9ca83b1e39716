package objects

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"
)

// A codec encodes and decodes the values of one Go type.
type codec struct {
	append func(b []byte, v reflect.Value, p plan) ([]byte, error)
	parse  func(data []byte, v reflect.Value) error
	shape  shape
	class  func() (*class, error) // of the objects within, however deep; nil = there are none
	within *codec                 // of the elements of a list or dict
	depth  int                    // how many lists and dicts are around the objects
}

// shape is where the objects of a value are.
type shape int

const (
	single shape = iota
	list
	dict
)

// each calls f for each object within v.
func (k *codec) each(v reflect.Value, f func(*class, reflect.Value) error) error {
	switch k.shape {
	case list:
		for i := range v.Len() {
			if err := k.within.each(v.Index(i), f); err != nil {
				return err
			}
		}
		return nil
	case dict:
		for _, element := range v.Seq2() {
			if err := k.within.each(element, f); err != nil {
				return err
			}
		}
		return nil
	case single:
	}
	if v.IsNil() {
		return nil
	}
	c, err := k.class()
	if err != nil {
		return err
	}
	return f(c, v.Elem())
}

// errNoObject is of elements: upstream's lists and dicts of objects have none that is null, and a nil pointer would go off in a handler's hands.
var errNoObject = errors.New("null in the place of an object")

// object tells whether a value is one object.
func (k *codec) object() bool { return k.class != nil && k.shape == single }

// changed tells whether an object within v has changes.
func (k *codec) changed(v reflect.Value) (bool, error) {
	is := false
	err := k.each(v, func(c *class, object reflect.Value) error {
		return c.changes(object, func(string) { is = true })
	})
	return is, err
}

var (
	timeType          = reflect.TypeFor[time.Time]()
	addrType          = reflect.TypeFor[netip.Addr]()
	prefixType        = reflect.TypeFor[netip.Prefix]()
	rawType           = reflect.TypeFor[json.RawMessage]()
	flexibleType      = reflect.TypeFor[FlexibleBool]()
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	enumType          = reflect.TypeFor[enum]()
)

// implements tells whether t or a pointer to it has the methods.
func implements(t, methods reflect.Type) bool {
	return t.Implements(methods) || reflect.PointerTo(t).Implements(methods)
}

// An enum is a named string with the values that it can have.
type enum interface{ Values() []string }

// codecFor returns the codec of a field's type.
func codecFor(t reflect.Type) (*codec, error) {
	switch t {
	case timeType:
		return &codec{append: appendTime, parse: parseTime}, nil
	case addrType:
		return &codec{append: appendAddr, parse: parseAddr}, nil
	case prefixType:
		return &codec{append: appendPrefix, parse: parsePrefix}, nil
	case rawType:
		return &codec{append: appendRaw, parse: parseRaw}, nil
	case flexibleType:
		return &codec{append: appendBool, parse: parseFlexible}, nil
	}
	if t.Kind() == reflect.Struct && t.Implements(typeType) {
		return nil, fmt.Errorf("an object within another is a pointer: *%s", t)
	}
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct && t.Elem().Implements(typeType) {
		return objectCodec(t.Elem()), nil
	}
	if implements(t, marshalerType) || implements(t, textMarshalerType) && !t.Implements(enumType) {
		return otherCodec(), nil
	}
	switch t.Kind() {
	case reflect.String:
		if t.Implements(enumType) {
			return enumCodec(reflect.Zero(t).Interface().(enum).Values()), nil
		}
		return &codec{append: appendText, parse: parseText}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &codec{append: appendInt, parse: parseInt}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &codec{append: appendUint, parse: parseUint}, nil
	case reflect.Float32, reflect.Float64:
		return &codec{append: appendFloat, parse: parseFloat}, nil
	case reflect.Bool:
		return &codec{append: appendBool, parse: parseBool}, nil
	case reflect.Slice:
		within, err := codecFor(t.Elem())
		return listCodec(within), err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, errors.New("the keys of a map are strings on the wire")
		}
		within, err := codecFor(t.Elem())
		return dictCodec(t, within), err
	case reflect.Pointer:
		within, err := codecFor(t.Elem())
		return pointerCodec(within), err
	}
	return otherCodec(), nil
}

// objectCodec finds the class at first use: objects may contain each other.
func objectCodec(t reflect.Type) *codec {
	of := sync.OnceValues(func() (*class, error) { return classFor(t) })
	return &codec{
		class: of,
		append: func(b []byte, v reflect.Value, p plan) ([]byte, error) {
			if v.IsNil() {
				return append(b, "null"...), nil
			}
			c, err := of()
			if err != nil {
				return b, err
			}
			return c.append(b, v.Elem(), p)
		},
		parse: func(data []byte, v reflect.Value) error {
			if isNull(data) {
				v.SetZero()
				return nil
			}
			c, err := of()
			if err != nil {
				return err
			}
			object := reflect.New(t)
			if err := c.parse(data, object.Elem()); err != nil {
				return err
			}
			v.Set(object)
			return nil
		},
	}
}

func listCodec(within *codec) *codec {
	if within == nil {
		return nil
	}
	return &codec{
		shape: list, class: within.class, within: within, depth: within.depth + 1,
		append: func(b []byte, v reflect.Value, p plan) ([]byte, error) {
			b = append(b, '[')
			for i := range v.Len() {
				if i > 0 {
					b = append(b, ',')
				}
				if within.object() && v.Index(i).IsNil() {
					return b, fmt.Errorf("[%d]: %w", i, errNoObject)
				}
				var err error
				if b, err = within.append(b, v.Index(i), p); err != nil {
					return b, fmt.Errorf("[%d]: %w", i, err)
				}
			}
			return append(b, ']'), nil
		},
		parse: func(data []byte, v reflect.Value) error {
			n := 0
			is, err := elements(data, func([]byte) error { n++; return nil })
			if !is || err != nil {
				return fmt.Errorf("an array is required, not %s", kind(data))
			}
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			i := 0
			_, err = elements(data, func(value []byte) error {
				if within.object() && isNull(value) {
					return fmt.Errorf("[%d]: %w", i, errNoObject)
				}
				if err := within.parse(value, v.Index(i)); err != nil {
					return fmt.Errorf("[%d]: %w", i, err)
				}
				i++
				return nil
			})
			return err
		},
	}
}

func dictCodec(t reflect.Type, within *codec) *codec {
	if within == nil {
		return nil
	}
	return &codec{
		shape: dict, class: within.class, within: within, depth: within.depth + 1,
		append: func(b []byte, v reflect.Value, p plan) ([]byte, error) {
			elements := make(map[string]reflect.Value, v.Len())
			for key, value := range v.Seq2() {
				elements[key.String()] = value
			}
			b = append(b, '{')
			for i, key := range slices.Sorted(maps.Keys(elements)) {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(appendString(b, key), ':')
				if within.object() && elements[key].IsNil() {
					return b, fmt.Errorf("[%q]: %w", key, errNoObject)
				}
				var err error
				if b, err = within.append(b, elements[key], p); err != nil {
					return b, fmt.Errorf("[%q]: %w", key, err)
				}
			}
			return append(b, '}'), nil
		},
		parse: func(data []byte, v reflect.Value) error {
			v.Set(reflect.MakeMap(t))
			is, err := members(data, func(name, data []byte) error {
				if within.object() && isNull(data) {
					return fmt.Errorf("[%q]: %w", name, errNoObject)
				}
				value := reflect.New(t.Elem()).Elem()
				if err := within.parse(data, value); err != nil {
					return fmt.Errorf("[%q]: %w", name, err)
				}
				v.SetMapIndex(reflect.ValueOf(string(name)).Convert(t.Key()), value)
				return nil
			})
			if !is {
				return fmt.Errorf("an object is required, not %s", kind(data))
			}
			return err
		},
	}
}

// pointerCodec is for values that may be null within lists and dicts.
func pointerCodec(within *codec) *codec {
	if within == nil {
		return nil
	}
	return &codec{
		append: func(b []byte, v reflect.Value, p plan) ([]byte, error) {
			if v.IsNil() {
				return append(b, "null"...), nil
			}
			return within.append(b, v.Elem(), p)
		},
		parse: func(data []byte, v reflect.Value) error {
			if isNull(data) {
				v.SetZero()
				return nil
			}
			v.Set(reflect.New(v.Type().Elem()))
			return within.parse(data, v.Elem())
		},
	}
}

func otherCodec() *codec {
	return &codec{
		append: func(b []byte, v reflect.Value, _ plan) ([]byte, error) {
			addressable := reflect.New(v.Type()) // the methods may be a pointer's, and elements of maps have none
			addressable.Elem().Set(v)
			text, err := json.Marshal(addressable.Interface())
			return append(b, text...), err
		},
		parse: func(data []byte, v reflect.Value) error { return json.Unmarshal(data, v.Addr().Interface()) },
	}
}
