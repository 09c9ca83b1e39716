package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// Unmarshal decodes a value that came from a peer, like [json.Unmarshal], with these differences. In an
// any, a number becomes a [json.Number], so that large integers stay whole (ENV-18). Python's NaN,
// Infinity and -Infinity are taken: as text in an any or a string, as a number in a [Float], while a
// float64 refuses them. Nesting is limited to [MaxDepth].
//
// A *json.RawMessage receives a copy of data as it is, such tokens included; inside a larger value it
// receives them as text.
func Unmarshal(data []byte, v any) error {
	if out, ok := v.(*json.RawMessage); ok && out != nil {
		text, _, err := check(data, 0)
		if err != nil {
			return in(err, "value", "")
		}
		*out = append((*out)[:0], text...)
		return nil
	}
	to := reflect.ValueOf(v)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return fmt.Errorf("wire: value: %w", &json.InvalidUnmarshalError{Type: reflect.TypeOf(v)})
	}
	to = to.Elem()
	k := know(to.Type())
	if k.shape != nil && to.IsZero() {
		if k.shape.decode(data, to) {
			return nil
		}
		to.SetZero()
	}
	text, nonFinite, err := check(data, 0)
	if err != nil {
		return in(err, "value", "")
	}
	if nonFinite {
		text = quoteNonFinite(text)
	}
	if k.any {
		// Only a Decoder keeps the numbers in an any whole, and it copies the text first.
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(v)
	} else {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("wire: value: %w", err)
	}
	return nil
}

func findsAny(t reflect.Type, visited map[reflect.Type]bool) bool {
	if visited[t] {
		return false
	}
	visited[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return findsAny(t.Elem(), visited)
	case reflect.Struct:
		for i := range t.NumField() {
			if findsAny(t.Field(i).Type, visited) {
				return true
			}
		}
	}
	return false
}

// quoteNonFinite returns scanned text with NaN, Infinity and -Infinity in quotes.
func quoteNonFinite(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	inString := false
	for i := 0; i < len(text); {
		n, quoted := 1, false
		switch c := text[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			n = 2
		case inString:
		case c == 'N':
			n, quoted = len("NaN"), true
		case c == 'I':
			n, quoted = len("Infinity"), true
		case c == '-' && text[i+1] == 'I':
			n, quoted = len("-Infinity"), true
		}
		if quoted {
			out = append(out, '"')
			out = append(out, text[i:i+n]...)
			out = append(out, '"')
		} else {
			out = append(out, text[i:i+n]...)
		}
		i += n
	}
	return out
}

// TimeLayout is how date-times are written in oslo's messages: UTC without saying so, always with six digits
// of a second (ENV-20). It is for [time.Time.Format] and [time.Parse].
const TimeLayout = "2006-01-02T15:04:05.000000"

// A Float is a float64 that [Unmarshal] may set to NaN or an infinity. Sending one of those is up to the
// caller, as a [json.RawMessage]: encoding/json has no notation for them.
type Float float64

// UnmarshalJSON takes a number, and NaN, Infinity or -Infinity in quotes, which is how [Unmarshal] hands
// them over. Null changes nothing.
func (f *Float) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "null":
	case `"NaN"`:
		*f = Float(math.NaN())
	case `"Infinity"`:
		*f = Float(math.Inf(1))
	case `"-Infinity"`:
		*f = Float(math.Inf(-1))
	default:
		v, err := strconv.ParseFloat(string(data), 64)
		if errors.Is(err, strconv.ErrSyntax) {
			return errors.New("wire: not a number, NaN or an infinity")
		}
		*f = Float(v)
	}
	return nil
}
