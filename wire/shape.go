package wire

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// A shape is how a type is decoded without encoding/json, which checks a text, that was checked here, once more, and takes
// several times as long. There are shapes for what arguments and results usually are: structs, slices, maps by string
// and pointers of strings, booleans, numbers and json.RawMessage, without methods or tag options that decode.
type shape struct {
	kind   reflect.Kind // Invalid: json.RawMessage
	fields []shapeField // of a struct
	elem   *shape       // of a pointer, slice or map
}

type shapeField struct {
	name  string
	index int
	shape *shape
}

// A known is what is remembered about a type.
type known struct {
	shape *shape // nil: decoding is left to encoding/json
	write writer // nil: so is encoding
	any   bool   // there is an interface in it, however deep
}

// knownTypes are the known ones, by reflect.Type.
var knownTypes sync.Map

func know(t reflect.Type) *known {
	if k, ok := knownTypes.Load(t); ok {
		return k.(*known)
	}
	k := &known{shape: shapeOf(t, nil), write: writerOf(t, nil), any: findsAny(t, map[reflect.Type]bool{})}
	knownTypes.Store(t, k)
	return k
}

var (
	rawType             = reflect.TypeFor[json.RawMessage]()
	numberType          = reflect.TypeFor[json.Number]()
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// shapeOf returns nil for a type that encoding/json has to decode, such as one that is inside of itself.
func shapeOf(t reflect.Type, inside []reflect.Type) *shape {
	if t == rawType {
		return &shape{}
	}
	for _, outer := range inside {
		if t == outer {
			return nil
		}
	}
	own := reflect.PointerTo(t)
	if t == numberType || own.Implements(unmarshalerType) || own.Implements(textUnmarshalerType) {
		return nil
	}
	inside = append(inside, t)
	s := &shape{kind: t.Kind()}
	switch s.kind {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return s
	case reflect.Struct:
		return s.ofStruct(t, inside)
	case reflect.Map:
		if t.Key() != reflect.TypeFor[string]() {
			return nil
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 { // base64
			return nil
		}
	case reflect.Pointer:
	default:
		return nil
	}
	if s.elem = shapeOf(t.Elem(), inside); s.elem == nil {
		return nil
	}
	return s
}

func (s *shape) ofStruct(t reflect.Type, inside []reflect.Type) *shape {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		switch {
		case f.Anonymous:
			return nil
		case !f.IsExported() || tag == "-":
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if strings.Contains(options, "string") || strings.ContainsFunc(name, unusual) {
			return nil
		}
		if name == "" {
			name = f.Name
		}
		if s.field([]byte(name)) != nil {
			return nil // encoding/json has rules for that
		}
		of := shapeOf(f.Type, inside)
		if of == nil {
			return nil
		}
		s.fields = append(s.fields, shapeField{name, i, of})
	}
	return s
}

// unusual reports whether r makes a name in a tag one that encoding/json may not take.
func unusual(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

func (s *shape) field(name []byte) *shapeField {
	for i := range s.fields {
		if s.fields[i].name == string(name) {
			return &s.fields[i]
		}
	}
	return nil
}

// folds reports whether encoding/json would take the name for a field's, written in other cases.
func (s *shape) folds(name []byte) bool {
	for i := range s.fields {
		if strings.EqualFold(s.fields[i].name, string(name)) {
			return true
		}
	}
	return false
}

// decode sets v, which is zero, to the text. It returns false where that is for encoding/json to do, or to refuse; v may
// be in pieces then.
func (s *shape) decode(text []byte, v reflect.Value) bool {
	in := scanner{data: text}
	return s.read(&in, v, 0) && in.end() == nil && !in.nonFinite
}

// read sets v to the value that is next, inside depth containers.
func (s *shape) read(in *scanner, v reflect.Value, depth int) bool {
	c := in.peek()
	start := in.pos
	if s.kind == reflect.Invalid {
		if in.value(depth) != nil {
			return false
		}
		v.SetBytes(append([]byte(nil), in.data[start:in.pos]...))
		return true
	}
	if c == 'n' {
		return in.literal("null") == nil // which changes no scalar, and leaves the others nil
	}
	switch s.kind {
	case reflect.String:
		if c != '"' {
			return false
		}
		raw, escaped, err := in.str()
		if err != nil {
			return false
		}
		if escaped {
			raw = unquote(raw)
		}
		v.SetString(string(raw))
		return true
	case reflect.Bool:
		v.SetBool(c == 't')
		return c == 't' && in.literal("true") == nil || c == 'f' && in.literal("false") == nil
	case reflect.Struct:
		return c == '{' && s.readStruct(in, v, depth+1)
	case reflect.Map:
		return c == '{' && s.readMap(in, v, depth+1)
	case reflect.Slice:
		return c == '[' && s.readSlice(in, v, depth+1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return s.elem.read(in, v.Elem(), depth)
	}
	if in.number() != nil {
		return false
	}
	return s.setNumber(v, string(in.data[start:in.pos]))
}

func (s *shape) setNumber(v reflect.Value, text string) bool {
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return err == nil && !v.OverflowInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		v.SetUint(n)
		return err == nil && !v.OverflowUint(n)
	default:
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(n)
		return err == nil
	}
}

func (s *shape) readStruct(in *scanner, v reflect.Value, depth int) bool {
	in.pos++
	var m member
	for first := true; ; first = false {
		more, err := in.key(&m, first)
		if !more || err != nil {
			return err == nil
		}
		name := m.name()
		f := s.field(name)
		if f == nil {
			if s.folds(name) || in.value(depth) != nil {
				return false
			}
			continue
		}
		to := v.Field(f.index)
		if f.shape.kind > reflect.Float64 && f.shape.kind != reflect.String && !to.IsZero() {
			return false // given twice: encoding/json puts the two together
		}
		if !f.shape.read(in, to, depth) {
			return false
		}
	}
}

func (s *shape) readMap(in *scanner, v reflect.Value, depth int) bool {
	in.pos++
	v.Set(reflect.MakeMap(v.Type()))
	var m member
	for first := true; ; first = false {
		more, err := in.key(&m, first)
		if !more || err != nil {
			return err == nil
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		if !s.elem.read(in, elem, depth) {
			return false
		}
		v.SetMapIndex(reflect.ValueOf(string(m.name())), elem)
	}
}

func (s *shape) readSlice(in *scanner, v reflect.Value, depth int) bool {
	in.pos++
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	if in.peek() == ']' {
		in.pos++
		return true
	}
	for i := 0; ; i++ {
		v.Grow(1)
		v.SetLen(i + 1)
		if !s.elem.read(in, v.Index(i), depth) {
			return false
		}
		switch in.peek() {
		case ',':
			in.pos++
		case ']':
			in.pos++
			return true
		default:
			return false
		}
	}
}
