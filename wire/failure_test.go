package wire_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// raws makes a list of raw values.
func raws(values ...string) []json.RawMessage {
	list := make([]json.RawMessage, 0, len(values))
	for _, v := range values {
		list = append(list, json.RawMessage(v))
	}
	return list
}

// A goldenFailure is what a golden failure says, its traceback apart, of which last is the beginning of
// the last chunk.
type goldenFailure struct {
	want wire.Failure
	last string
}

func goldenFailures() map[string]goldenFailure {
	const (
		none       = "none left of \"café\" 😀"
		dispatcher = "oslo_messaging.rpc.dispatcher"
	)
	failure := func(module, class, message string, kwargs string, args ...string) wire.Failure {
		f := wire.Failure{Class: class, Module: module, Message: message, Kwargs: json.RawMessage(kwargs)}
		if len(args) > 0 {
			f.Args = raws(args...)
		}
		return f
	}
	passedOn := failure("shop.errors", "OutOfStock", none, `{"sku":7,"why":null}`, `"none left of \"café\" 😀"`)
	passedOn.Message = "" // It quotes the first traceback, which is not ours to predict.
	return map[string]goldenFailure{
		// conforms: EXC-01, EXC-03, EXC-04
		"failure-builtin":        {failure("builtins", "ValueError", "('bad quantity', 2)", `{}`, `"bad quantity"`, `2`), "ValueError: "},
		"failure-key-error":      {failure("builtins", "KeyError", "'sku'", `{}`, `"sku"`), "KeyError: "},
		"failure-chained":        {failure("builtins", "RuntimeError", "the effect", `{}`, `"the effect"`), "RuntimeError: "},
		"failure-custom":         {failure("shop.errors", "OutOfStock", none, `{"sku":7,"why":null}`, `"none left of \"café\" 😀"`), "shop.errors.OutOfStock: "},
		"failure-no-arguments":   {failure("shop.errors", "Plain", "", `{}`), "shop.errors.Plain\n"},
		"failure-many-arguments": {failure("shop.errors", "Plain", "('a', 1, None, [True, {'b': 2.5}])", `{}`, `"a"`, `1`, `null`, `[true,{"b":2.5}]`), "shop.errors.Plain: "},
		// conforms: EXC-06
		"failure-passed-on": {passedOn, "shop.errors_Remote.OutOfStock_Remote: "},
		"failure-no-such-method": {failure(dispatcher, "NoSuchMethod", "Endpoint does not support RPC method nothing_like_it", `{}`,
			`"Endpoint does not support RPC method nothing_like_it"`), dispatcher + ".NoSuchMethod: "},
		"failure-unsupported-version": {failure(dispatcher, "UnsupportedVersion", "Endpoint does not support RPC version 9.9. Attempted method: restock", `{}`,
			`"Endpoint does not support RPC version 9.9. Attempted method: restock"`), dispatcher + ".UnsupportedVersion: "},
	}
}

func TestGoldenFailures(t *testing.T) {
	t.Parallel()
	for file, g := range goldenFailures() {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			body := golden(t, file)
			m, err := wire.Parse(body)
			if err != nil {
				t.Fatal(err)
			}
			if m.Failure == nil || m.Result != nil || !m.Ending {
				t.Fatalf("not a failure that ends its call: %+v", m)
			}
			f, err := wire.ParseFailure(m.Failure)
			if err != nil {
				t.Fatal(err)
			}
			checkTraceback(t, f.Traceback, g.last)
			got := *f
			got.Traceback = nil
			if g.want.Message == "" && strings.Contains(f.Message, "\nTraceback ") {
				got.Message = ""
			}
			if diff := cmp.Diff(g.want, got, sameJSON(t)); diff != "" {
				t.Errorf("-want +parsed:\n%s", diff)
			}

			again, err := wire.AppendFailure(nil, f)
			if err != nil {
				t.Fatal(err)
			}
			sameText(t, body, &transport.Message{Failure: again, Ending: true, ID: m.ID, UniqueID: m.UniqueID})
		})
	}
}

// conforms: EXC-05
func checkTraceback(t *testing.T, tb []string, last string) {
	t.Helper()
	if len(tb) < 2 {
		t.Fatalf("the traceback has %d chunks: %q", len(tb), tb)
	}
	for _, chunk := range tb {
		if !strings.HasSuffix(chunk, "\n") {
			t.Errorf("chunk %q does not end in a newline", chunk)
		}
	}
	if end := tb[len(tb)-1]; !strings.HasPrefix(end, last) {
		t.Errorf("the last chunk is %q, want it to begin with %q", end, last)
	}
}

func TestParseFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want wire.Failure
	}{
		// conforms: EXC-05
		"traceback missing": {
			`{"class":"C","module":"m","message":"x","args":[],"kwargs":{}}`,
			wire.Failure{Class: "C", Module: "m", Message: "x", Kwargs: json.RawMessage(`{}`)},
		},
		// conforms: EXC-07
		"module of Python 2": {
			`{"class":"ValueError","module":"exceptions"}`,
			wire.Failure{Class: "ValueError", Module: "builtins"},
		},
		"empty":  {`{}`, wire.Failure{}},
		"spaced": {" { \"class\" : \"C\" , \"args\" : [ 1 , \"a\" ] , \"tb\" : [ \"l\\n\" ] } ", wire.Failure{Class: "C", Args: raws(`1`, `"a"`), Traceback: []string{"l\n"}}},
		"nulls":  {`{"class":null,"module":null,"message":null,"tb":null,"args":null,"kwargs":null}`, wire.Failure{}},
		"other kinds": {
			`{"class":5,"message":{"a":1},"tb":"all of it","args":"alone","kwargs":[1]}`,
			wire.Failure{Class: "5", Message: `{"a":1}`, Traceback: []string{"all of it"}, Args: raws(`"alone"`)},
		},
		"any list as traceback": {`{"tb":[1,null,"c",[2]]}`, wire.Failure{Traceback: []string{"1", "", "c", "[2]"}}},
		"given twice":           {`{"class":"A","class":"B","args":[1],"args":[2],"tb":["a"],"tb":["b"],"kwargs":{},"kwargs":3}`, wire.Failure{Class: "B", Args: raws(`2`), Traceback: []string{"b"}}},
		"escaped keys":          {`{"cl\u0061ss":"\u00e9\ud83d\ude00\ud83d"}`, wire.Failure{Class: "é😀\ufffd"}},
		"non-finite arguments":  {`{"args":[NaN,-Infinity]}`, wire.Failure{Args: raws(`NaN`, `-Infinity`)}},
		"unknown keys":          {`{"extra":[{}],"class":"C"}`, wire.Failure{Class: "C"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := wire.ParseFailure([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, f); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// conforms: EXC-14
func TestParseFailureRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                "wire: failure: byte 0: the text ends where an object belongs",
		"it broke":        "wire: failure: byte 0: 'i' where an object belongs",
		`"text"`:          `wire: failure: byte 0: '"' where an object belongs`,
		`{"class":"C"} x`: "wire: failure: byte 14: more text after the value",
		`{"args":[1,}`:    "wire: failure: byte 11: args: '}' where a value belongs",
		`{"class"`:        "wire: failure: byte 8: the text ends where ':' belongs",
	}
	for text, want := range tests {
		_, err := wire.ParseFailure([]byte(text))
		var parse *wire.ParseError
		if !errors.As(err, &parse) || err.Error() != want {
			t.Errorf("ParseFailure(%q): %v, want %s", text, err, want)
		}
	}
}

func TestAppendFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		failure wire.Failure
		want    string
	}{
		// conforms: EXC-01
		"nothing": {wire.Failure{}, `{"class":"","module":"","message":"","tb":[],"args":[],"kwargs":{}}`},
		"everything": {
			wire.Failure{Class: "C", Module: "m", Message: "é \"x\"\n", Args: raws(`1`, `null`, ` {"a" : [ ]}`), Kwargs: json.RawMessage("\n{\"k\":\tNaN}\n"), Traceback: []string{"a\n", "b\n"}},
			`{"class":"C","module":"m","message":"\u00e9 \"x\"\n","tb":["a\n","b\n"],"args":[1,null,{"a" : [ ]}],"kwargs":{"k":NaN}}`,
		},
		"empty argument": {wire.Failure{Args: make([]json.RawMessage, 1)}, `{"class":"","module":"","message":"","tb":[],"args":[null],"kwargs":{}}`},
		// conforms: EXC-06
		"passed on":          {wire.Failure{Class: "C_Remote", Module: "m_Remote"}, `{"class":"C","module":"m","message":"","tb":[],"args":[],"kwargs":{}}`},
		"only the class":     {wire.Failure{Class: "C_Remote", Module: "m"}, `{"class":"C_Remote","module":"m","message":"","tb":[],"args":[],"kwargs":{}}`},
		"only the module":    {wire.Failure{Class: "C", Module: "m_Remote"}, `{"class":"C","module":"m_Remote","message":"","tb":[],"args":[],"kwargs":{}}`},
		"invalid UTF-8":      {wire.Failure{Message: "a\xffb"}, `{"class":"","module":"","message":"a\ufffdb","tb":[],"args":[],"kwargs":{}}`},
		"not in the traces":  {wire.Failure{Class: "C_Remote", Module: "m_Remote", Traceback: []string{"m_Remote.C_Remote\n"}}, `{"class":"C","module":"m","message":"","tb":["m_Remote.C_Remote\n"],"args":[],"kwargs":{}}`},
		"null named as well": {wire.Failure{Kwargs: json.RawMessage("null")}, `{"class":"","module":"","message":"","tb":[],"args":[],"kwargs":{}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.AppendFailure([]byte("before"), &test.failure)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before"+test.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAppendFailureRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]wire.Failure{
		"wire: failure: args[1]: byte 1: the text ends where a key belongs": {Args: raws(`1`, `{`)},
		"wire: failure: kwargs: an array where an object belongs":           {Kwargs: json.RawMessage(`[]`)},
	}
	for want, f := range tests {
		got, err := wire.AppendFailure([]byte("before"), &f)
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if string(got) != "before" {
			t.Errorf("the bytes before became %q", got)
		}
	}
}
