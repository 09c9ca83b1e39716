package wire_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/wire"
)

// shaped has every kind of field that is decoded without encoding/json.
type shaped struct {
	Text     string
	Renamed  string `json:"other_name,omitempty"`
	Ignored  string `json:"-"`
	Flag     bool
	Tiny     int8
	Int      int64
	Small    uint16
	Uint     uint64
	Single   float32
	Double   float64
	Raw      json.RawMessage
	Texts    []string
	Floats   []float64
	Raws     []json.RawMessage
	ByName   map[string]int
	Deep     map[string][]map[string]*bool
	Inner    struct{ A, B string }
	Inners   []struct{ A *int }
	Pointer  *struct{ A []string }
	Pointers **string
	hidden   string //nolint:unused // it is to stay as it is
}

type aliased string

// intoTypes are decoded into by this package, and some, for encoding/json's rules, by that.
func intoTypes() []any {
	return []any{
		shaped{},
		"", aliased(""), 0, int8(0), uint64(0), float32(0), 0.0, false, []string(nil), map[string]string(nil), (*string)(nil),
		map[string]shaped(nil), []shaped(nil), map[string]json.RawMessage(nil), [][]int(nil), []*shaped(nil),
		struct {
			A string `json:"Text"`
			B string `json:"text"`
		}{},
		struct {
			Int  int `json:",string"`
			Text []byte
		}{},
		struct {
			json.Number
			Int json.Number
		}{},
		struct {
			Texts [2]string
			Text  wire.Float
		}{},
		map[aliased]string(nil), []byte(nil),
	}
}

var shapedTexts = []string{
	`{"Text":"a","other_name":"\ud83d\ude00 \u00e9 é \ud83d","Ignored":"x","Flag":true,"Tiny":-128,"Int":-9223372036854775808,"Small":65535,` +
		`"Uint":18446744073709551615,"Single":1.5e3,"Double":-2.5E-7,"Raw": { "a" : [1, 2] } ,"Texts":["a",null,"b\n"],"Floats":[1,2.5,-0],` +
		`"Raws":[null,1,"x"],"ByName":{"a":1,"\u0061":2,"b":null},"Deep":{"a":[{"b":true,"c":null}]},"Inner":{"A":"a","B":"b","C":[{}]},` +
		`"Inners":[{"A":1},{},null],"Pointer":{"A":[]},"Pointers":"p","hidden":"h","unknown":{"x":[1,{}]}}`,
	`{"text":"other case","OTHER_NAME":"K","ınt":1,"Fla\u0067":true,"\u212aey":1}`,
	`{"Text":"a","Text":null,"Text":"b","Inner":{"A":"1"},"Inner":{"B":"2"},"Texts":["a","b"],"Texts":["c"],"ByName":{"a":1},"ByName":{"b":2}}`,
	`{"Text":null,"Flag":null,"Int":null,"Raw":null,"Texts":null,"ByName":null,"Inner":null,"Pointer":null,"Pointers":null,"Raws":null}`,
	`{"Texts":[],"ByName":{},"Inners":[],"Raws":[]}`, ` [ ] `, ` { } `, `null`, `""`, `"a\"b"`, `true`, `-0`, `1.0`, `1e2`, `1e400`, `128`, `-1`,
	`{"Tiny":128}`, `{"Tiny":1.0}`, `{"Small":-1}`, `{"Single":1e39}`, `{"Text":1}`, `{"Flag":"true"}`, `{"Texts":{}}`, `{"ByName":[]}`, `{"Inner":[]}`,
	`{"Text":"a","Int":"x","Double":2}`, `["a",1,"b"]`, `{"a":"b","c":1}`, `[[1],[2,3],[]]`, `{"a":{"Text":"b"}}`, `[{"Text":"a"},null,{"Flag":true}]`,
}

// sameAsEncodingJSON compares results, and what is there after an error.
func sameAsEncodingJSON(t *testing.T, data []byte) {
	t.Helper()
	if !json.Valid(data) || !valid(data) {
		return
	}
	for _, zero := range intoTypes() {
		got, want := reflect.New(reflect.TypeOf(zero)), reflect.New(reflect.TypeOf(zero))
		err, wantErr := wire.Unmarshal(data, got.Interface()), json.Unmarshal(data, want.Interface())
		if tooDeep(err) {
			continue
		}
		if (err == nil) != (wantErr == nil) || err != nil && err.Error() != "wire: value: "+wantErr.Error() {
			t.Fatalf("%s into %T: %v, encoding/json: %v", data, zero, err, wantErr)
		}
		if !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Fatalf("%s into %T: -encoding/json +wire:\n%s", data, zero, cmp.Diff(want.Interface(), got.Interface(), cmp.AllowUnexported(shaped{})))
		}
	}
}

func TestUnmarshalIsAsEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range shapedTexts {
		sameAsEncodingJSON(t, []byte(text))
	}
}

// What is there already is kept, as encoding/json keeps it.
func TestUnmarshalIntoWhatIsThere(t *testing.T) {
	t.Parallel()
	got, want := shaped{Text: "kept", ByName: map[string]int{"a": 1}}, shaped{Text: "kept", ByName: map[string]int{"a": 1}}
	for _, text := range shapedTexts[:5] {
		if err := wire.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("-encoding/json +wire:\n%s", cmp.Diff(want, got, cmp.AllowUnexported(shaped{})))
	}
}

// A type that is inside of itself has no end.
func TestUnmarshalIntoTree(t *testing.T) {
	t.Parallel()
	type tree struct {
		Name string
		Sub  []tree
	}
	var got tree
	if err := wire.Unmarshal([]byte(`{"Name":"a","Sub":[{"Name":"b","Sub":[]}]}`), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree{"a", []tree{{"b", []tree{}}}}, got); diff != "" {
		t.Error(diff)
	}
}

// The usual arguments of a call, with text, numbers and a member that is not known here.
type usual struct {
	ID      string            `json:"id"`
	Host    string            `json:"host"`
	Size    int               `json:"size"`
	Force   bool              `json:"force"`
	Zones   []string          `json:"zones"`
	Options map[string]string `json:"options"`
	Object  json.RawMessage   `json:"object"`
}

const usualText = `{"id":"5f0c2c1e-7a55-4d9a-9d4f-3a3b2d1c0e9f","host":"compute-17.example.org","size":40,"force":true,"zones":["a","b"],` +
	`"options":{"tier":"fast"},"new":null,"object":{"nova_object.name":"Instance","nova_object.data":{"uuid":"x","vcpus":2}}}`

func BenchmarkUnmarshal(b *testing.B) {
	for name, f := range map[string]func([]byte, any) error{"wire": wire.Unmarshal, "encoding/json": json.Unmarshal} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var v usual
				if err := f([]byte(usualText), &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
