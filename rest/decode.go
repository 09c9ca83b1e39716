package rest

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/nearest"
)

// A Validator is a part of a body that has more to say about its values than their types do. Validate runs after they were read, from the
// inside out, and returns a [FieldFault] that names the field as seen from there.
type Validator interface {
	Validate() error
}

// Decode reads JSON into v, a pointer, as bodies are read. It is stricter than encoding/json:
//
//   - members have their exact names, each at most once, and others are errors, with the one that may have been meant;
//   - a member is required unless its tag says omitempty or omitzero;
//   - null is for pointers, and for what decodes itself;
//   - numbers fit their type;
//   - at most 100 objects and lists are within each other.
//
// An error is a 400 *Fault that names the place: line and column where it is no JSON, else the field, such as
// server.networks[0].uuid: want a string, not a number.
func Decode(raw []byte, v any) error {
	if err := wellFormed(raw); err != nil {
		return err
	}
	return decodeInto(raw, "", v)
}

// wellFormed finds what is no JSON.
func wellFormed(raw []byte) error {
	if !utf8.Valid(raw) {
		return Faultf(http.StatusBadRequest, "the body is no JSON: it is not UTF-8")
	}
	var ignored json.RawMessage
	err := json.Unmarshal(raw, &ignored)
	if err == nil {
		return notTooDeep(raw)
	}
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return &Fault{Code: http.StatusBadRequest, Message: "the body is no JSON: " + err.Error(), Cause: err}
	}
	before := raw[:min(max(0, int(syntax.Offset)-1), len(raw))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[1+bytes.LastIndexByte(before, '\n'):])
	return &Fault{Code: http.StatusBadRequest, Message: fmt.Sprintf("the body is no JSON: line %d, column %d: %s", line, column, syntax), Cause: err}
}

// deepest is how many values may be within each other. Each is read once more for every one around it, so a type that has itself as a part
// would let a small body take long.
const deepest = 100

func notTooDeep(raw []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			if depth++; depth > deepest {
				return Faultf(http.StatusBadRequest, "the body has more than %d objects and lists within each other", deepest)
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return nil
}

func decodeInto(raw []byte, field string, v any) error {
	return decodeValue(raw, field, reflect.ValueOf(v).Elem())
}

// decodeValue reads raw, which is well-formed, into v.
func decodeValue(raw []byte, field string, v reflect.Value) error {
	if kindOf(raw) == "null" && v.Kind() == reflect.Pointer {
		v.SetZero()
		return nil
	}
	if err := decodeKind(raw, field, v); err != nil {
		return err
	}
	if validator, ok := v.Addr().Interface().(Validator); ok && v.Kind() != reflect.Pointer {
		return within(field, validator.Validate())
	}
	return nil
}

// within puts the path of what was validated before the field that Validate named.
func within(field string, err error) error {
	if err == nil {
		return nil
	}
	var fault *Fault
	if !errors.As(err, &fault) {
		return &Fault{Code: http.StatusBadRequest, Field: field, Message: join(field, ": ", err.Error()), Cause: err}
	}
	f := *fault
	if message, ok := strings.CutPrefix(f.Message, f.Field+": "); ok && f.Field != "" {
		f.Field = join(field, ".", f.Field)
		f.Message = f.Field + ": " + message
	}
	return &f
}

func join(path, by, name string) string {
	if path == "" {
		return name
	}
	return path + by + name
}

func decodeKind(raw []byte, field string, v reflect.Value) error {
	if v.Kind() != reflect.Pointer && decodesItself(v) {
		return decodeOpaque(raw, field, v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeValue(raw, field, v.Elem())
	case reflect.Struct:
		return decodeStruct(raw, field, v)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return decodeOpaque(raw, field, v)
		}
		return decodeList(raw, field, v)
	case reflect.Map:
		return decodeMap(raw, field, v)
	case reflect.Interface:
		return decodeOpaque(raw, field, v)
	case reflect.String:
		return decodeScalar(raw, field, v, "a string")
	case reflect.Bool:
		return decodeScalar(raw, field, v, "true or false")
	case reflect.Float32, reflect.Float64:
		return decodeScalar(raw, field, v, "a number")
	}
	return decodeScalar(raw, field, v, "a whole number")
}

func decodesItself(v reflect.Value) bool {
	switch v.Addr().Interface().(type) {
	case json.Unmarshaler, encoding.TextUnmarshaler:
		return true
	}
	return false
}

// decodeOpaque leaves it to the type.
func decodeOpaque(raw []byte, field string, v reflect.Value) error {
	err := json.Unmarshal(raw, v.Addr().Interface())
	if err == nil {
		return nil
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		return FieldFault(field, "want a date and time such as 2006-01-02T15:04:05Z, not %s", short(raw))
	}
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		if mistyped.Type == reflect.TypeFor[[]byte]() {
			return wrongKind(field, "a string of base64", raw)
		}
		return wrongKind(field, "a "+mistyped.Type.String(), raw)
	}
	return within(field, err)
}

func decodeScalar(raw []byte, field string, v reflect.Value, want string) error {
	kind := kindOf(raw)
	switch {
	case kind != "null" && json.Unmarshal(raw, v.Addr().Interface()) == nil:
		return nil
	case kind != "a number", want != "a number" && want != "a whole number":
		return wrongKind(field, want, raw)
	case want == "a whole number" && bytes.ContainsAny(raw, ".eE"):
		return FieldFault(field, "want a whole number, not %s", short(raw))
	}
	return FieldFault(field, "%s is too large or too small", short(raw))
}

func decodeList(raw []byte, field string, v reflect.Value) error {
	if kindOf(raw) != "a list" {
		return wrongKind(field, "a list", raw)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return within(field, err)
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	} else if len(items) != v.Len() {
		return FieldFault(field, "want a list of %d, not of %d", v.Len(), len(items))
	}
	for i, item := range items {
		if err := decodeValue(item, fmt.Sprintf("%s[%d]", field, i), v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeMap(raw []byte, field string, v reflect.Value) error {
	if kindOf(raw) != "an object" {
		return wrongKind(field, "an object", raw)
	}
	if v.Type().Key().Kind() != reflect.String {
		return decodeOpaque(raw, field, v)
	}
	members, err := membersOf(raw, field)
	if err != nil {
		return err
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(members)))
	for _, m := range members {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := decodeValue(m.value, join(field, ".", m.name), value); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(m.name).Convert(v.Type().Key()), value)
	}
	return nil
}

func decodeStruct(raw []byte, field string, v reflect.Value) error {
	if kindOf(raw) != "an object" {
		return wrongKind(field, "an object", raw)
	}
	members, err := membersOf(raw, field)
	if err != nil {
		return err
	}
	fields := fieldsOf(v.Type(), "json")
	missing := make(map[string]bool)
	for name, f := range fields {
		missing[name] = f.required
	}
	for _, m := range members {
		f, ok := fields[m.name]
		if !ok {
			names := make([]string, 0, len(fields))
			for name := range fields {
				names = append(names, name)
			}
			return unknownMember(field, m.name, names)
		}
		delete(missing, m.name)
		if err := decodeValue(m.value, join(field, ".", m.name), fieldByIndex(v, f.index)); err != nil {
			return err
		}
	}
	first := ""
	for name, required := range missing {
		if required && (first == "" || fields[name].order < fields[first].order) {
			first = name
		}
	}
	if first != "" {
		return FieldFault(join(field, ".", first), "is missing")
	}
	return nil
}

// fieldByIndex is reflect's, and makes embedded structs behind nil pointers.
func fieldByIndex(v reflect.Value, index []int) reflect.Value {
	for i, x := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v
}

// A structField is a member that a struct has a field for.
type structField struct {
	index    []int
	order    int
	required bool
}

// fieldsOf returns the fields of a struct by the name that their tag of that key gives them, those of embedded structs included.
func fieldsOf(t reflect.Type, key string) map[string]structField {
	fields := make(map[string]structField)
	closed := make(map[string]bool) // indices of embedded structs that are members themselves, or none at all
	for order, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get(key), ",")
		ignored := name == "-" && options == ""
		if closed[fmt.Sprint(f.Index[:len(f.Index)-1])] {
			closed[fmt.Sprint(f.Index)] = true
			continue
		}
		if f.Anonymous && name == "" && indirect(f.Type).Kind() == reflect.Struct {
			closed[fmt.Sprint(f.Index)] = f.Type.Kind() == reflect.Pointer && !f.IsExported() // which nobody can set
			continue
		}
		closed[fmt.Sprint(f.Index)] = true
		if !f.IsExported() || ignored || name == "" && key != "json" {
			continue
		}
		if had, ok := fields[cmp.Or(name, f.Name)]; ok && len(had.index) <= len(f.Index) {
			continue // the outermost counts
		}
		required := true
		for option := range strings.SplitSeq(options, ",") {
			required = required && option != "omitempty" && option != "omitzero"
		}
		fields[cmp.Or(name, f.Name)] = structField{f.Index, order, required}
	}
	return fields
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

type objectMember struct {
	name  string
	value json.RawMessage
}

// membersOf returns the members of an object in their order.
func membersOf(raw []byte, field string) ([]objectMember, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil, within(field, err)
	}
	var members []objectMember
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, within(field, err)
		}
		name, _ := token.(string)
		if seen[name] {
			return nil, FieldFault(join(field, ".", name), "is there twice")
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, within(field, err)
		}
		members = append(members, objectMember{name, value})
	}
	return members, nil
}

func unknownMember(field, name string, known []string) *Fault {
	hint := ""
	if near, ok := nearest.To(name, known); ok {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return FieldFault(join(field, ".", name), "nothing is called that here%s", hint)
}

func wrongKind(field, want string, raw []byte) *Fault {
	if field == "" {
		return Faultf(http.StatusBadRequest, "want %s, not %s", want, kindOf(raw))
	}
	return FieldFault(field, "want %s, not %s", want, kindOf(raw))
}

// kindOf says what a JSON value is.
func kindOf(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return string(bytes.TrimRight(raw, " \t\r\n"))
	case 'n':
		return "null"
	}
	return "a number"
}

// short is a value as an error shows it.
func short(raw []byte) string {
	if len(raw) > 40 {
		return string(raw[:40]) + "..."
	}
	return string(raw)
}
