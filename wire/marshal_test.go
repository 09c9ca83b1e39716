package wire_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/wire"
)

// byPointer has MarshalJSON where there is a pointer to it alone.
type byPointer struct{ Hidden string }

func (*byPointer) MarshalJSON() ([]byte, error) { return []byte(` "by pointer" `), nil }

// textByValue has both, and is asked for JSON by a pointer.
type textByValue string

func (t textByValue) MarshalText() ([]byte, error) { return []byte("<" + t + ">"), nil }

type jsonByPointer struct{ textByValue }

func (*jsonByPointer) MarshalJSON() ([]byte, error) { return []byte(`{"<": 1}`), nil }

// textArray is what a UUID is: omitempty leaves none out, even one of zeros alone.
type textArray [2]byte

func (textArray) MarshalText() ([]byte, error) { return []byte("array"), nil }

// textFunc stands for the kinds that omitempty knows nothing of.
type textFunc func()

func (textFunc) MarshalText() ([]byte, error) { return []byte("func"), nil }

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errors.New("it fails") }

type written struct {
	Text      string  `json:"text,omitempty"`
	Named     aliased `json:"named,omitempty"`
	Time      time.Time
	Address   netip.Addr         `json:"address"`
	Addresses []netip.Addr       `json:",omitempty"`
	Raw       json.RawMessage    `json:"raw,omitempty"`
	Number    json.Number        `json:"number,omitempty"`
	Bytes     []byte             `json:"bytes,omitempty"`
	Any       any                `json:"any,omitempty"`
	Anys      []any              `json:"anys,omitempty"`
	ByName    map[string]int     `json:"by_name,omitempty"`
	AnyName   map[string]any     `json:"any_name,omitempty"`
	Floats    []float64          `json:"floats,omitempty"`
	Singles   []float32          `json:"singles,omitempty"`
	Inner     struct{ A, B int } `json:"inner,omitempty"`
	Pointer   *written           `json:"-"`
	Flag      bool               `json:"flag,omitempty"`
	Flags     *bool              `json:"flags,omitempty"`
	Unsigned  uint32             `json:"unsigned,omitempty"`
	Big       *big.Int           `json:"big,omitempty"`
	hidden    string             //nolint:unused // it is not to be seen
}

func writtenValues() []any {
	// Vet, rightly, does not want to see such a type.
	same := reflect.StructField{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"same"`}
	twice := reflect.StructOf([]reflect.StructField{same, {Name: "B", Type: same.Type, Tag: same.Tag}})
	yes, none := true, error(nil)
	var self any
	self = &self
	round := map[string]any{}
	round["round"] = round
	deep := any("x")
	for range 1500 {
		deep = []any{deep}
	}
	values := []any{
		nil,
		written{},
		&written{}, (*written)(nil), none, &none, "", aliased("x"), textByValue("x"),
		byPointer{},
		&byPointer{},
		[]byPointer{{}},
		struct{ P byPointer }{},
		&struct{ P byPointer }{},
		map[string]byPointer{"a": {}},
		jsonByPointer{},
		&jsonByPointer{},
		[]jsonByPointer{{}},
		struct {
			Array textArray `json:"array,omitempty"`
			Func  textFunc  `json:"func,omitempty"`
		}{},
		failing{},
		struct{ F failing }{},
		map[string]any{"f": failing{}},
		struct{ E error }{},
		struct{ E error }{errors.New("x")},
		struct{ M json.Marshaler }{(*byPointer)(nil)},
		any(&self), round, deep, func() {},
		map[string]any{"f": func() {}},
		make(chan int), 1i,
		math.NaN(), math.Inf(1),
		[]float64{math.Inf(-1)},
		float32(math.NaN()), uintptr(5),
		[2]int{1, 2},
		[]byte(nil),
		[]byte{},
		[]byte("bytes?>"), []uint8(nil),
		map[string]any(nil),
		map[string]any{},
		map[string]string(nil),
		map[string]string{"b": "<", "a": "&"},
		map[aliased]int{"x": 1},
		map[int]string{10: "a", 9: "b"},
		[]any(nil),
		[]any{},
		[]string(nil),
		[]string{},
		(*string)(nil), json.Number(""), json.Number("1e5"), json.Number("01"), json.Number("Infinity"), json.Number("-Infinity"), json.Number("1 "), json.Number("x"),
		struct {
			A int `json:"a,string"`
		}{1},
		struct {
			A time.Time `json:",omitzero"`
			B *int      `json:"a b"`
			C int       `json:"<c>"`
		}{},
		reflect.Zero(twice).Interface(),
		struct{ written }{written{Text: "embedded"}},
		struct{ *written }{},
		written{
			Text: "<a href=\"x\">&\u2028\u2029\x00\x1f\b\f\n\r\t\\/é😀\x7f\xff\xed\xa0\x80", Named: "n\"", Time: time.Unix(1, 5).UTC(), Address: netip.MustParseAddr("2001:db8::1"),
			Addresses: []netip.Addr{{}}, Raw: json.RawMessage(" { \"a b\" : [ 1 , \"x y<\u2028\\\"\\\\\" , {} ] } \n"), Number: "12345678901234567890.5", Bytes: []byte{0, 255},
			Any:  map[string]any{"b": 1, "a": []any{nil, true, "s", 1.5, json.Number("2"), int8(3), uint64(math.MaxUint64), json.RawMessage(nil), &yes, time.Duration(7), []string{"x"}, Args{"k": "v"}}},
			Anys: []any{struct{ X, Y any }{}, map[string]string{}}, ByName: map[string]int{"z": 1, "a": -2, "<": 3}, AnyName: map[string]any{"é": nil},
			Floats:  []float64{0, math.Copysign(0, -1), 1, 1e-6, 9.99e-7, 1e20, 1e21, -1.5e-9, 1e-100, math.MaxFloat64, math.SmallestNonzeroFloat64},
			Singles: []float32{1e-6, 9.99e-7, 1e20, 1e21, 3.4e38, 1.1}, Pointer: &written{}, Flag: true, Flags: &yes, Unsigned: 7, Big: big.NewInt(9),
		},
	}
	for _, raw := range []string{"", " ", "{", "{}", "1 2", "NaN", "[-Infinity]", "\"\xff\"", "\"\\ud800\"", "[1,]", " \t\"\" ", "\"<\"", strings.Repeat("[", 1001) + strings.Repeat("]", 1001)} {
		values = append(values, json.RawMessage(raw), map[string]any{"raw": json.RawMessage(raw)}, struct{ Raw json.RawMessage }{json.RawMessage(raw)}, struct{ Raw *json.RawMessage }{})
	}
	return append(values, intoTypes()...)
}

// Args is like package rpc's.
type Args map[string]any

// marshaledAsByEncodingJSON compares texts, also those that are appended to others, and errors.
func marshaledAsByEncodingJSON(t *testing.T, v any) {
	t.Helper()
	got, err := wire.Marshal(v)
	want, wantErr := json.Marshal(v)
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() || reflect.TypeOf(err) != reflect.TypeOf(wantErr) {
		t.Fatalf("%T: %v, encoding/json: %v", v, err, wantErr)
	}
	if string(got) != string(want) {
		t.Fatalf("%T: -encoding/json +wire:\n%s", v, cmp.Diff(string(want), string(got)))
	}
	const before = "what \\ is \"there\" 1e-0"
	for _, room := range []int{0, 4 << 10} {
		dst := append(make([]byte, 0, len(before)+room), before...)
		got, err := wire.AppendMarshal(dst, v)
		if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Fatalf("%T: appended: %v, encoding/json: %v", v, err, wantErr)
		}
		if string(got) != before+string(want) || string(dst) != before {
			t.Fatalf("%T: -encoding/json +appended:\n%s", v, cmp.Diff(before+string(want), string(got)))
		}
	}
}

func TestMarshalIsAsEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, v := range writtenValues() {
		marshaledAsByEncodingJSON(t, v)
	}
	for _, text := range shapedTexts {
		decodedAndMarshaled(t, []byte(text))
	}
}

// decodedAndMarshaled encodes what encoding/json makes of a text.
func decodedAndMarshaled(t *testing.T, text []byte) {
	t.Helper()
	marshaledAsByEncodingJSON(t, json.RawMessage(text))
	for _, zero := range append(intoTypes(), any(nil), map[string]any(nil), written{}) {
		to := reflect.New(reflect.TypeFor[any]())
		if zero != nil {
			to = reflect.New(reflect.TypeOf(zero))
		}
		if json.Unmarshal(text, to.Interface()) == nil {
			marshaledAsByEncodingJSON(t, to.Interface())
			marshaledAsByEncodingJSON(t, to.Elem().Interface())
		}
	}
}

// What is encoded is the caller's: no later text is written over it.
func TestMarshalReturnsATextOfItsOwn(t *testing.T) {
	t.Parallel()
	first, err := wire.Marshal("first")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Marshal("other"); err != nil || string(first) != `"first"` {
		t.Errorf("%s, %v", first, err)
	}
}

func FuzzMarshal(f *testing.F) {
	for _, text := range shapedTexts {
		f.Add([]byte(text), 1.5)
	}
	f.Add([]byte("<a\u2028\xff\"\\\x00>&"), 1e21)
	f.Add([]byte(` [ "a b\u003c<" , 1 ] `), 1e-7)
	f.Fuzz(func(t *testing.T, data []byte, number float64) {
		text := string(data)
		for _, v := range []any{
			text,
			map[string]string{text: text},
			map[string]any{"a" + text: text, text: number},
			number, float32(number), []byte(text), json.Number(text),
			written{Text: text, Any: text, Floats: []float64{number}, Raw: json.RawMessage("[\"" + text + "\"]")},
		} {
			marshaledAsByEncodingJSON(t, v)
		}
		decodedAndMarshaled(t, data)
	})
}
