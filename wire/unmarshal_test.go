package wire_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/wire"
)

// conforms: ENV-18
func TestUnmarshal(t *testing.T) {
	t.Parallel()
	type measure struct {
		Name  string
		Value wire.Float
		Extra any
		Raw   json.RawMessage
		Count uint64
	}
	tests := map[string]struct {
		data string
		into any
		want any
	}{
		"any":            {`{"a":[1,12345678901234567890123,2.50,null,true,"x"]}`, new(any), map[string]any{"a": []any{json.Number("1"), json.Number("12345678901234567890123"), json.Number("2.50"), nil, true, "x"}}},
		"non-finite any": {`[NaN,Infinity,-Infinity,"NaN \" -Infinity",-1]`, new(any), []any{"NaN", "Infinity", "-Infinity", `NaN " -Infinity`, json.Number("-1")}},
		"struct": {
			` {"Name":"n","Value":NaN,"Extra":1e400,"Raw":{"x": NaN},"Count":18446744073709551615} `, new(measure),
			measure{"n", wire.Float(math.NaN()), json.Number("1e400"), json.RawMessage(`{"x": "NaN"}`), math.MaxUint64},
		},
		"floats": {`[1,-2.5,Infinity,-Infinity,null]`, new([]wire.Float), []wire.Float{1, -2.5, wire.Float(math.Inf(1)), wire.Float(math.Inf(-1)), 0}},
		"raw":    {` [NaN, 1] `, new(json.RawMessage), json.RawMessage(`[NaN, 1]`)},
		"null":   {`null`, new(*int), (*int)(nil)},
		"text":   {`NaN`, new(string), "NaN"},
		"over an old raw": {`[2]`, func() *json.RawMessage {
			r := json.RawMessage(`a longer one`)
			return &r
		}(), json.RawMessage(`[2]`)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := wire.Unmarshal([]byte(test.data), test.into); err != nil {
				t.Fatal(err)
			}
			got := reflect.ValueOf(test.into).Elem().Interface()
			if diff := cmp.Diff(test.want, got, cmp.Comparer(func(a, b wire.Float) bool {
				return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b))
			})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestUnmarshalCopies(t *testing.T) {
	t.Parallel()
	data := []byte(`{"a":1}`)
	var raw json.RawMessage
	if err := wire.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	copy(data, "xxxxxxx")
	if string(raw) != `{"a":1}` {
		t.Errorf("the raw value changed with its source: %s", raw)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	var f float64
	if err := wire.Unmarshal([]byte(`NaN`), &f); err == nil || !strings.Contains(err.Error(), "wire: value: json: cannot unmarshal string") {
		t.Errorf("NaN for a float64: %v", err)
	}
	var typed *json.UnmarshalTypeError
	if err := wire.Unmarshal([]byte(`"x"`), new(int)); !errors.As(err, &typed) {
		t.Errorf("a string for an int: %v", err)
	}
	var parse *wire.ParseError
	for text, want := range map[string]string{
		`{"a":nan}`: "wire: value: byte 5: 'n' where a value belongs",
		`1 2`:       "wire: value: byte 2: more text after the value",
		``:          "wire: value: byte 0: the text ends where a value belongs",
		strings.Repeat("[", wire.MaxDepth+1) + strings.Repeat("]", wire.MaxDepth+1): "wire: value: byte 1000: nested deeper than 1000 (wire.MaxDepth)",
	} {
		if err := wire.Unmarshal([]byte(text), new(any)); !errors.As(err, &parse) || err.Error() != want {
			t.Errorf("Unmarshal(%.20q): %v, want %s", text, err, want)
		}
	}
	var wf wire.Float
	if err := wire.Unmarshal([]byte(`"1"`), &wf); err == nil {
		t.Error("text was taken as a number")
	}
	if err := wire.Unmarshal([]byte(`1`), wf); err == nil {
		t.Error("a value that is no pointer was decoded into")
	}
	if err := wire.Unmarshal([]byte(`1`), (*json.RawMessage)(nil)); err == nil {
		t.Error("a nil pointer was decoded into")
	}
}

// Whether a type holds an any, however deep, decides how it is decoded; whole numbers must survive either way.
func TestUnmarshalKeepsNumbersWhereverAnAnyIs(t *testing.T) {
	t.Parallel()
	type leaf struct{ V any }
	type node struct {
		Next   *node
		Leaves map[string][]leaf
		N      uint64
	}
	var n node
	const text = `{"N":18446744073709551615,"Next":{"Leaves":{"a":[{"V":1180591620717411303424}]}}}`
	for range 2 { // the second time from memory
		if err := wire.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		if got := n.Next.Leaves["a"][0].V; got != json.Number("1180591620717411303424") || n.N != math.MaxUint64 {
			t.Errorf("got %v, %d", got, n.N)
		}
	}
}
