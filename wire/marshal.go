package wire

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Marshal is [json.Marshal], byte for byte and error for error. What arguments and results usually are it encodes itself in a fraction of
// the time: what [Unmarshal] decodes without encoding/json, and besides what is found in an any, []byte, and types that have MarshalJSON or
// MarshalText. The rest it leaves to encoding/json.
func Marshal(v any) ([]byte, error) {
	buffer := scratch.Get().(*[]byte)
	text, ok := appendAny((*buffer)[:0], v, 0)
	*buffer = text[:0]
	if ok {
		text = bytes.Clone(text)
	}
	if cap(*buffer) <= 1<<20 {
		scratch.Put(buffer)
	}
	if ok {
		return text, nil
	}
	return json.Marshal(v)
}

// AppendMarshal appends what [Marshal] returns.
func AppendMarshal(dst []byte, v any) ([]byte, error) {
	if text, ok := appendAny(dst, v, 0); ok {
		return text, nil
	}
	text, err := json.Marshal(v)
	return append(dst, text...), err
}

// scratch are buffers in which a text is put together.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// A writer appends values of one type, which are inside depth containers. It returns false where that is for encoding/json to do, or to
// refuse.
type writer func(dst []byte, v reflect.Value, depth int) ([]byte, bool)

var (
	marshalerType     = reflect.TypeFor[json.Marshaler]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
)

// writerOf returns nil for a type that encoding/json has to encode, such as one that is inside of itself.
func writerOf(t reflect.Type, inside []reflect.Type) writer {
	switch {
	case t == rawType:
		return writeRaw
	case t == numberType:
		return writeNumber
	case slices.Contains(inside, t):
		return nil
	}
	own := reflect.PointerTo(t)
	switch {
	case t.Kind() == reflect.Interface:
		if t.NumMethod() > 0 {
			return nil
		}
	case t.Implements(marshalerType), t.Implements(textMarshalerType) && !own.Implements(marshalerType):
		return writeByItself
	case own.Implements(marshalerType) || own.Implements(textMarshalerType):
		return nil // it depends on where a value is
	}
	inside = append(inside, t)
	switch t.Kind() {
	case reflect.String:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, bool) { return appendQuoted(dst, v.String()), true }
	case reflect.Bool:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
			return strconv.AppendBool(dst, v.Bool()), true
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
			return strconv.AppendInt(dst, v.Int(), 10), true
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
			return strconv.AppendUint(dst, v.Uint(), 10), true
		}
	case reflect.Float32, reflect.Float64:
		size := t.Bits()
		return func(dst []byte, v reflect.Value, _ int) ([]byte, bool) { return appendFloat(dst, v.Float(), size) }
	case reflect.Interface:
		return func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
			return appendAny(dst, v.Interface(), depth)
		}
	case reflect.Struct:
		return writerOfStruct(t, inside)
	case reflect.Map:
		return writerOfMap(t, inside)
	case reflect.Slice:
		return writerOfSlice(t, inside)
	case reflect.Pointer:
		elem := writerOf(t.Elem(), inside)
		if elem == nil {
			return nil
		}
		return func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
			if v.IsNil() {
				return append(dst, "null"...), true
			}
			return elem(dst, v.Elem(), depth+1) // an any may hold a pointer to itself
		}
	}
	return nil
}

type writtenField struct {
	name      string // with its quotes and colon
	index     int
	omitEmpty bool
	write     writer
}

func writerOfStruct(t reflect.Type, inside []reflect.Type) writer {
	var fields []writtenField
	var names []string
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
		if options != "" && options != "omitempty" || strings.ContainsFunc(name, unusual) {
			return nil
		}
		if name == "" {
			name = f.Name
		}
		of := writerOf(f.Type, inside)
		if of == nil || slices.Contains(names, name) { // encoding/json has rules for names that are there twice
			return nil
		}
		names = append(names, name)
		fields = append(fields, writtenField{string(appendQuoted(nil, name)) + ":", i, options != "", of})
	}
	return func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
		dst = append(dst, '{')
		first := true
		for i := range fields {
			f := &fields[i]
			value := v.Field(f.index)
			if f.omitEmpty && empty(value) {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(dst, f.name...)
			var ok bool
			if dst, ok = f.write(dst, value, depth+1); !ok {
				return dst, false
			}
		}
		return append(dst, '}'), true
	}
}

// empty is what omitempty means.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct, reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128:
		return false
	}
	return v.IsZero()
}

func writerOfMap(t reflect.Type, inside []reflect.Type) writer {
	elem := writerOf(t.Elem(), inside)
	if t.Key() != reflect.TypeFor[string]() || elem == nil {
		return nil
	}
	if t.Elem() == anyType {
		return func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
			return appendMap(dst, v.Convert(anyMapType).Interface().(map[string]any), depth)
		}
	}
	return func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
		if v.IsNil() {
			return append(dst, "null"...), true
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		dst = append(dst, '{')
		for i, key := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, key.String()), ':')
			var ok bool
			if dst, ok = elem(dst, v.MapIndex(key), depth+1); !ok {
				return dst, false
			}
		}
		return append(dst, '}'), true
	}
}

func writerOfSlice(t reflect.Type, inside []reflect.Type) writer {
	if t.Elem() == reflect.TypeFor[byte]() {
		return func(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
			if v.IsNil() {
				return append(dst, "null"...), true
			}
			return append(base64.StdEncoding.AppendEncode(append(dst, '"'), v.Bytes()), '"'), true
		}
	}
	elem := writerOf(t.Elem(), inside)
	if elem == nil || t.Elem().Kind() == reflect.Uint8 {
		return nil
	}
	return func(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
		if v.IsNil() {
			return append(dst, "null"...), true
		}
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			var ok bool
			if dst, ok = elem(dst, v.Index(i), depth+1); !ok {
				return dst, false
			}
		}
		return append(dst, ']'), true
	}
}

// writeByItself is for types that encode themselves.
func writeByItself(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	text, err := json.Marshal(v.Interface())
	return append(dst, text...), err == nil
}

func writeRaw(dst []byte, v reflect.Value, depth int) ([]byte, bool) {
	return appendRaw(dst, v.Bytes(), depth)
}

func writeNumber(dst []byte, v reflect.Value, _ int) ([]byte, bool) {
	return appendNumber(dst, v.String())
}

var (
	anyType    = reflect.TypeFor[any]()
	anyMapType = reflect.TypeFor[map[string]any]()
)

// appendAny appends a value of whatever type, inside depth containers.
func appendAny(dst []byte, v any, depth int) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), true
	case string:
		return appendQuoted(dst, v), true
	case bool:
		return strconv.AppendBool(dst, v), true
	case int:
		return strconv.AppendInt(dst, int64(v), 10), true
	case float64:
		return appendFloat(dst, v, 64)
	case json.Number:
		return appendNumber(dst, string(v))
	case json.RawMessage:
		return appendRaw(dst, v, depth)
	case map[string]any:
		return appendMap(dst, v, depth)
	}
	k := know(reflect.TypeOf(v))
	if k.write == nil || depth > MaxDepth {
		return dst, false
	}
	return k.write(dst, reflect.ValueOf(v), depth)
}

// appendMap appends an object, with its keys in order.
func appendMap(dst []byte, m map[string]any, depth int) ([]byte, bool) {
	if m == nil {
		return append(dst, "null"...), true
	}
	if depth > MaxDepth { // a map can be inside of itself
		return dst, false
	}
	var room [16]string
	keys := room[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, key), ':')
		var ok bool
		if dst, ok = appendAny(dst, m[key], depth+1); !ok {
			return dst, false
		}
	}
	return append(dst, '}'), true
}

func appendNumber(dst []byte, number string) ([]byte, bool) {
	if number == "" {
		return append(dst, '0'), true
	}
	s := scanner{data: []byte(number)}
	if s.number() != nil || s.nonFinite || s.pos < len(number) {
		return dst, false
	}
	return append(dst, number...), true
}

// appendFloat appends what JavaScript would make of the number.
func appendFloat(dst []byte, f float64, size int) ([]byte, bool) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return dst, false
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 {
		if size == 64 && (abs < 1e-6 || abs >= 1e21) || size == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
			format = 'e'
		}
	}
	dst = strconv.AppendFloat(dst, f, format, -1, size)
	if n := len(dst); format == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 is e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, true
}

// escapes are the letters of the escapes that encoding/json has one for; 'u' is for those without, and 0 for what stays.
var escapes = func() (table [utf8.RuneSelf]byte) {
	for c := range byte(' ') {
		table[c] = 'u'
	}
	for _, c := range []byte("<>&") {
		table[c] = 'u'
	}
	table['"'], table['\\'] = '"', '\\'
	table['\b'], table['\f'], table['\n'], table['\r'], table['\t'] = 'b', 'f', 'n', 'r', 't'
	return table
}()

// appendQuoted appends a JSON string as encoding/json writes it: what HTML could mistake is escaped, and runes beyond ASCII are not.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := len(dst)
	dst = append(dst, s...)
	if i := specialHTML(dst, start); i < len(dst) {
		dst = appendEscapes(dst[:i], s[i-start:])
	}
	return append(dst, '"')
}

func appendEscapes(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		size := 1
		switch c := s[i]; {
		case c < utf8.RuneSelf:
			if escapes[c] == 0 {
				i++
				continue
			}
			dst = appendEscape(append(dst, s[start:i]...), c)
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(append(dst, s[start:i]...), `\ufffd`...)
			case r == '\u2028' || r == '\u2029': // which JavaScript could mistake
				dst = append(append(dst, s[start:i]...), `\u202`...)
				dst = append(dst, '0'+byte(r&0xf))
			default:
				i += size
				continue
			}
		}
		i += size
		start = i
	}
	return append(dst, s[start:]...)
}

func appendEscape(dst []byte, c byte) []byte {
	dst = append(dst, '\\', escapes[c])
	if escapes[c] == 'u' {
		const hex = "0123456789abcdef"
		dst = append(dst, '0', '0', hex[c>>4], hex[c&0xf])
	}
	return dst
}

// specialHTML is the index of the first byte from i on that encoding/json may not write as it is. It is len(b) if there is none.
func specialHTML(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if hit := specialsHTML(binary.LittleEndian.Uint64(b[i:])); hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(b) && b[i] < utf8.RuneSelf && escapes[b[i]] == 0 {
		i++
	}
	return i
}

// specialsHTML is specials, of '<', '>' and '&' besides, but not of DEL.
func specialsHTML(x uint64) uint64 {
	const less, quote = '<' ^ '>', '"' ^ '&' // one bit, with which one is the other
	return (x | (x - ones*' ') | ((x | ones*quote) ^ ones*'&' - ones) | (x ^ ones*'\\' - ones) | ((x | ones*less) ^ ones*'>' - ones)) & high
}

// appendRaw appends JSON text, which is inside depth containers, without the blanks between its tokens.
func appendRaw(dst, text []byte, depth int) ([]byte, bool) {
	if text == nil {
		return append(dst, "null"...), true
	}
	text, nonFinite, err := check(text, depth)
	if err != nil || nonFinite {
		return dst, false
	}
	start, inString := 0, false
	for i := 0; i < len(text); i++ {
		if inString {
			i = specialHTML(text, i)
		}
		switch c := text[i]; {
		case c == '"':
			inString = !inString
		case c == '\\':
			i++
		case c <= ' ':
			dst = append(dst, text[start:i]...)
			start = i + 1
		case c < utf8.RuneSelf && escapes[c] != 0:
			dst = appendEscape(append(dst, text[start:i]...), c)
			start = i + 1
		case c == 0xe2 && text[i+1] == 0x80 && text[i+2]&^1 == 0xa8: // U+2028 and U+2029
			dst = append(append(dst, text[start:i]...), `\u202`...)
			dst = append(dst, '0'+text[i+2]&0xf)
			i += 2
			start = i + 1
		}
	}
	return append(dst, text[start:]...), true
}
