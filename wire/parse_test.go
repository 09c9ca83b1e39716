package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// enveloped puts text in an envelope, with encoding/json.
func enveloped(tb testing.TB, text string) []byte {
	tb.Helper()
	body, err := json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": text})
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func TestParseRequest(t *testing.T) {
	t.Parallel()
	request := func(change func(m *transport.Message)) transport.Message {
		m := transport.Message{Method: "m", Version: "1.0", Args: json.RawMessage(`{}`)}
		change(&m)
		return m
	}
	tests := map[string]struct {
		text string
		want transport.Message
	}{
		"no version":   {`{"method":"m"}`, request(func(*transport.Message) {})},
		"null version": {`{"method":"m","version":null,"namespace":null}`, request(func(m *transport.Message) { m.Version = "" })},
		"null ids":     {`{"method":"m","_msg_id":null,"_reply_q":null,"_unique_id":null,"_timeout":null}`, request(func(*transport.Message) {})},
		"null args":    {`{"method":"m","args":null}`, request(func(m *transport.Message) { m.Args = json.RawMessage(`null`) })},
		"array args":   {`{"method":"m","args":[1, 2]}`, request(func(m *transport.Message) { m.Args = json.RawMessage(`[1, 2]`) })},
		"numbers for text": {
			`{"method":5,"namespace":{"a":1},"version":2.0,"_msg_id":"i","_reply_q":"q"}`,
			transport.Message{Method: "5", Namespace: `{"a":1}`, Version: "2.0", Args: json.RawMessage(`{}`), ID: "i", ReplyTo: "q"},
		},
		"no method": {
			`{"args":{},"_msg_id":"i","_reply_q":"q","failure":"x","ending":true}`,
			transport.Message{Version: "1.0", Args: json.RawMessage(`{}`), ID: "i", ReplyTo: "q"},
		},
		"null method": {`{"method":null}`, transport.Message{Version: "1.0", Args: json.RawMessage(`{}`)}},
		// conforms: ENV-16
		"unknown keys": {`{"method":"m","extra":[1,{"a":"b"}],"_other":null,"oslo.version":"2.0"}`, request(func(*transport.Message) {})},
		"escaped keys": {`{"\u006dethod":"m","_conte\u0078t_a\u00e9":1,"_unique\u005fid":"u"}`, request(func(m *transport.Message) {
			m.UniqueID = "u"
			m.Context = json.RawMessage(`{"a\u00e9":1}`)
		})},
		"given twice": {`{"method":"a","_timeout":5,"args":{"a":1},"_timeout":null,"args":{},"version":"3.0","version":"2.0","method":"m"}`, request(func(m *transport.Message) { m.Version = "2.0" })},
		"white space": {"\r\n\t {\t\"method\" :\n\"m\" , \"args\" : { } , \"_context_a\" : [ ] }\n", request(func(m *transport.Message) {
			m.Args = json.RawMessage(`{ }`)
			m.Context = json.RawMessage(`{"a":[ ]}`)
		})},
		// conforms: CTX-03
		"context keys": {`{"_context_":0,"method":"m","_context__context_":1,"_context":2,"context_a":3,"_context_a\"\u00e9":4}`, request(func(m *transport.Message) {
			m.Context = json.RawMessage(`{"":0,"_context_":1,"a\"\u00e9":4}`)
		})},
		// conforms: CTX-05
		"hidden context keys": {`{"method":"m","_context_msg_id":0,"_context_reply_q":1,"_context_client_timeout":2}`, request(func(*transport.Message) {})},
		"surrogates": {`{"method":"\ud83d\ude00 \ud83d \ude00\ud83d\u0041","args":{"a":"\ud83d"}}`, request(func(m *transport.Message) {
			m.Method = "😀 \ufffd \ufffd\ufffdA"
			m.Args = json.RawMessage(`{"a":"\ud83d"}`)
		})},
		// conforms: ENV-18
		"non-finite": {`{"method":"m","args":{"a":NaN},"_context_b":[-Infinity,Infinity],"extra":NaN}`, request(func(m *transport.Message) {
			m.Args = json.RawMessage(`{"a":NaN}`)
			m.Context = json.RawMessage(`{"b":[-Infinity,Infinity]}`)
		})},
		"plain UTF-8": {`{"method":"mé😀","args":{"é":"😀"}}`, request(func(m *transport.Message) {
			m.Method = "mé😀"
			m.Args = json.RawMessage(`{"é":"😀"}`)
		})},
	}
	for name, test := range tests {
		// conforms: ENV-02
		forms := map[string][]byte{"bare": []byte(test.text), "envelope": enveloped(t, test.text)}
		for form, body := range forms {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				before := bytes.Clone(body)
				m, err := wire.Parse(body)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&test.want, m); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if !bytes.Equal(before, body) {
					t.Errorf("Parse changed the body to %s", body)
				}
			})
		}
	}
}

func TestParseTimeout(t *testing.T) {
	t.Parallel()
	tests := map[string]time.Duration{
		`10`: 10 * time.Second, `2.5`: 2500 * time.Millisecond, `1e1`: 10 * time.Second, `0.000000001`: 1,
		`0`: 0, `-1`: 0, `-0.0`: 0, `NaN`: 0, `Infinity`: 0, `-Infinity`: 0, `null`: 0, `true`: 0, `false`: 0, `[5]`: 0, `{}`: 0,
		`1e300`: math.MaxInt64, `1e999`: math.MaxInt64, `99999999999999999999999`: math.MaxInt64,
		`"10"`: 10 * time.Second, `" +1_0\n"`: 10 * time.Second, `"007"`: 7 * time.Second, `"1e1"`: 0, `"2.5"`: 0, `"-5"`: 0,
		`""`: 0, `"x"`: 0, `"1__0"`: 0, `"_1"`: 0, `"1_"`: 0, `"0x10"`: 0, `"NaN"`: 0,
	}
	for text, want := range tests {
		m, err := wire.Parse([]byte(`{"method":"m","_timeout":` + strings.ReplaceAll(text, "\n", `\n`) + `}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if m.Monitor != want {
			t.Errorf("_timeout %s reads %v, want %v", text, m.Monitor, want)
		}
	}
}

func TestParseReply(t *testing.T) {
	t.Parallel()
	missing := json.RawMessage(`{"class":"KeyError","module":"builtins","message":"the reply has no failure field","tb":[],"args":["failure"],"kwargs":{}}`)
	tests := map[string]struct {
		text string
		want transport.Message
	}{
		// conforms: ENV-09
		"success": {`{"result":{"left": 3},"failure":null,"ending":true,"_msg_id":"i","_unique_id":"u"}`, transport.Message{Result: json.RawMessage(`{"left": 3}`), Ending: true, ID: "i", UniqueID: "u"}},
		// conforms: ENV-10
		"heartbeat": {`{"result":null,"failure":null,"ending":false,"_msg_id":"i","_unique_id":"u"}`, transport.Message{ID: "i", UniqueID: "u"}},
		// conforms: ENV-11
		"no failure field": {`{"result":1,"_msg_id":"i"}`, transport.Message{ID: "i", Result: json.RawMessage(`1`), Failure: missing, Ending: true}},
		"no ending":        {`{"result":1,"failure":null,"_msg_id":"i"}`, transport.Message{ID: "i", Result: json.RawMessage(`1`)}},
		"no result":        {`{"failure":null,"ending":true,"_msg_id":"i"}`, transport.Message{ID: "i", Ending: true}},
		// conforms: ENV-12
		"empty failure":        {`{"failure":"","ending":true,"result":1}`, transport.Message{Result: json.RawMessage(`1`), Ending: true}},
		"false failure":        {`{"failure":false,"ending":true}`, transport.Message{Ending: true}},
		"zero failure":         {`{"failure":0.0,"ending":true}`, transport.Message{Ending: true}},
		"empty object failure": {`{"failure":{ },"ending":true}`, transport.Message{Ending: true}},
		"empty array failure":  {`{"failure":[],"ending":1}`, transport.Message{Ending: true}},
		// conforms: EXC-01
		"failure": {`{"result":null,"failure":"{\"class\": \"C\u00e9\"}","ending":true,"_msg_id":"i"}`, transport.Message{ID: "i", Failure: json.RawMessage(`{"class": "Cé"}`), Ending: true}},
		// conforms: EXC-14
		"failure that is no JSON":   {`{"failure":"it broke","ending":true}`, transport.Message{Failure: json.RawMessage(`it broke`), Ending: true}},
		"failure as an object":      {`{"failure":{"class":"C"},"ending":true}`, transport.Message{Failure: json.RawMessage(`{"class":"C"}`), Ending: true}},
		"failure as something else": {`{"failure":-5,"ending":NaN}`, transport.Message{Failure: json.RawMessage(`-5`), Ending: true}},
		"ending as text":            {`{"failure":null,"ending":"no"}`, transport.Message{Ending: true}},
		"ending as a list":          {`{"failure":null,"ending":[ 0 ]}`, transport.Message{Ending: true}},
		"ending as empty text":      {`{"failure":null,"ending":""}`, transport.Message{}},
		// conforms: ENV-14
		"first of two parts":  {`{"result":[1],"failure":null,"ending":false,"_msg_id":"i"}`, transport.Message{ID: "i", Result: json.RawMessage(`[1]`)}},
		"second of two parts": {`{"failure":null,"ending":true,"_msg_id":"i"}`, transport.Message{ID: "i", Ending: true}},
		"nothing":             {`{}`, transport.Message{Failure: missing, Ending: true}},
	}
	for name, test := range tests {
		// conforms: ENV-13
		for form, body := range map[string][]byte{"bare": []byte(test.text), "envelope": enveloped(t, test.text)} {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				m, err := wire.Parse(body)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&test.want, m); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

func TestParseEnvelope(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"members swapped":   `{"oslo.message":"{\"method\":\"m\"}","oslo.version":"2.0"}`,
		"escaped keys":      `{"oslo.ver\u0073ion":"2.\u0030","oslo.me\u0073sage":"{\"method\":\"m\"}"}`,
		"more members":      `{"oslo.version":"2.0","method":"other","oslo.message":"{\"method\":\"m\"}","x":[]}`,
		"version given 2x":  `{"oslo.version":"3.0","oslo.version":"2.0","oslo.message":"{\"method\":\"m\"}"}`,
		"message given 2x":  `{"oslo.version":"2.0","oslo.message":{},"oslo.message":"{\"method\":\"m\"}"}`,
		"revision":          `{"oslo.version":"2.0.0","oslo.message":"{\"method\":\"m\"}"}`,
		"escapes of others": `{"oslo.version":"2.0","oslo.message":"\u007b\u0022m\u0065thod\":\t\"m\"}"}`,
		// conforms: ENV-02
		"version alone":          `{"oslo.version":"9","method":"m"}`,
		"message alone":          `{"oslo.message":"{\"method\":\"other\"}","method":"m"}`,
		"message alone, no text": `{"oslo.message":5,"method":"m"}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := wire.Parse([]byte(strings.ReplaceAll(body, "\t", `\t`)))
			if err != nil {
				t.Fatal(err)
			}
			if m.Method != "m" {
				t.Errorf("method %q, want m", m.Method)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const version = "not the version 2.0 that is read here: "
	tests := []struct{ body, want string }{
		// conforms: ENV-03
		{`{"oslo.version":"1.0","oslo.message":"{}"}`, "wire: body: byte 16: oslo.version: " + version + "1.0"},
		{`{"oslo.version":"2.1","oslo.message":"{}"}`, "wire: body: byte 16: oslo.version: " + version + "2.1"},
		{`{"oslo.version":"3.0","oslo.message":"{}"}`, "wire: body: byte 16: oslo.version: " + version + "3.0"},
		{`{"oslo.version":"2.0.1","oslo.message":"{}"}`, "wire: body: byte 16: oslo.version: " + version + "2.0.1"},
		{`{"oslo.version":"2","oslo.message":"{}"}`, "wire: body: byte 16: oslo.version: " + version + "2"},
		{`{"oslo.version":null,"oslo.message":"{}"}`, "wire: body: byte 16: oslo.version: " + version},
		{`{"oslo.version":2.0,"oslo.message":"{}"}`, "wire: body: byte 16: oslo.version: a number where a string belongs"},
		// conforms: ENV-04
		{`{"oslo.version":"2.0","oslo.message":{"method":"m"}}`, "wire: body: byte 37: oslo.message: an object where a string belongs"},
		{`{"oslo.version":"2.0","oslo.message":null}`, "wire: body: byte 37: oslo.message: null where a string belongs"},
		{`{"oslo.version":"2.0","oslo.message":"{}","oslo.message":[]}`, "wire: body: byte 57: oslo.message: an array where a string belongs"},
		// conforms: ENV-05
		{`"text"`, `wire: body: byte 0: '"' where an object belongs`},
		{`[{}]`, "wire: body: byte 0: '[' where an object belongs"},
		{`null`, "wire: body: byte 0: 'n' where an object belongs"},
		{``, "wire: body: byte 0: the text ends where an object belongs"},
		{`{"oslo.version":"2.0","oslo.message":"[1]"}`, "wire: oslo.message: byte 0: '[' where an object belongs"},
		{`{"oslo.version":"2.0","oslo.message":""}`, "wire: oslo.message: byte 0: the text ends where an object belongs"},

		{`{"method":"m","_msg_id":5}`, "wire: body: byte 24: _msg_id: a number where a string belongs"},
		{`{"method":"m","_reply_q":["q"]}`, "wire: body: byte 25: _reply_q: an array where a string belongs"},
		{`{"oslo.version":"2.0","oslo.message":"{\"_unique_id\":true}"}`, "wire: oslo.message: byte 14: _unique_id: a boolean where a string belongs"},
		{`{"oslo.version":"2.0","oslo.message":"{\"method\":\"m\",\"args\":{\"a\":nul}}"}`, "wire: oslo.message: byte 26: args: 'n' where a value belongs"},

		{`{"method":"m"} {}`, "wire: body: byte 15: more text after the value"},
		{`{"method":"m",}`, "wire: body: byte 14: '}' where a key belongs"},
		{`{,"method":"m"}`, "wire: body: byte 1: ',' where a key belongs"},
		{`{"method" "m"}`, "wire: body: byte 10: '\"' where ':' belongs"},
		{`{"method":"m" "args":{}}`, "wire: body: byte 14: '\"' where ',' or '}' belongs"},
		{`{"method":"m","args":{"a":1,}}`, "wire: body: byte 28: args: '}' where a key belongs"},
		{`{"method":"m","args":{"a" 1}}`, "wire: body: byte 26: args: '1' where ':' belongs"},
		{`{"method":"m","args":{"a":1 2}}`, "wire: body: byte 28: args: '2' where ',' or '}' belongs"},
		{`{"method":"m","args":[1 2]}`, "wire: body: byte 24: args: '2' where ',' or ']' belongs"},
		{`{"method":"m","args":[1,]}`, "wire: body: byte 24: args: ']' where a value belongs"},
		{`{"method":"m","args":01}`, "wire: body: byte 21: args: a number with a leading zero"},
		{`{"method":"m","args":-}`, "wire: body: byte 22: args: '}' where a digit belongs"},
		{`{"method":"m","args":1.}`, "wire: body: byte 23: args: '}' where a digit belongs"},
		{`{"method":"m","args":1e+}`, "wire: body: byte 24: args: '}' where a digit belongs"},
		{`{"method":"m","args":-NaN}`, "wire: body: byte 22: args: 'N' where a digit belongs"},
		{`{"method":"m","args":nan}`, "wire: body: byte 21: args: 'n' where a value belongs"},
		{`{"method":"m","args":Inf}`, "wire: body: byte 21: args: 'I' where a value belongs"},
		{`{"method":"m","args":'a'}`, `wire: body: byte 21: args: '\'' where a value belongs`},
		{`{"method":"\x"}`, "wire: body: byte 11: method: an escape that JSON does not have"},
		{`{"method":"\u12g4"}`, "wire: body: byte 11: method: an escape that JSON does not have"},
		{`{"method":"a` + "\n" + `"}`, "wire: body: byte 12: method: a control character inside a string"},
		{`{"method":"a` + "\xff" + `"}`, "wire: body: byte 12: method: invalid UTF-8"},
		{`{"method":"a` + "\xed\xa0\x80" + `"}`, "wire: body: byte 12: method: invalid UTF-8"},
		{`{"method":"a`, "wire: body: byte 12: method: the text ends inside a string"},
		{`{"method":"a\`, "wire: body: byte 12: method: an escape that JSON does not have"},
		{`{"oslo.message":"a` + "\xff" + `"}`, "wire: body: byte 18: oslo.message: invalid UTF-8"},
		{`{"oslo.message":"a\q"}`, "wire: body: byte 18: oslo.message: an escape that JSON does not have"},
		{`{"oslo.message":"a` + "\x01" + `"}`, "wire: body: byte 18: oslo.message: a control character inside a string"},
		{`{"oslo.message":"a\n`, "wire: body: byte 20: oslo.message: the text ends inside a string"},
		{`{"` + strings.Repeat("k", 100) + `\u0000":x}`, `wire: body: byte 110: ` + strings.Repeat("k", 48) + `: 'x' where a value belongs`},
		{`{"a\u0000\n😀":x}`, `wire: body: byte 17: a\x00\n\U0001f600: 'x' where a value belongs`},
	}
	for _, test := range tests {
		m, err := wire.Parse([]byte(test.body))
		var parse *wire.ParseError
		if m != nil || !errors.As(err, &parse) || err.Error() != test.want {
			t.Errorf("Parse(%q)\n got %v\nwant %s", test.body, err, test.want)
		}
	}
}

// nested is a request whose args hold n arrays in each other.
func nested(n int) []byte {
	return []byte(`{"method":"m","args":{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}`)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	// The message and its args are two levels.
	m, err := wire.Parse(nested(wire.MaxDepth - 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Parse(nested(wire.MaxDepth - 1)); err == nil || !strings.Contains(err.Error(), "args: nested deeper than 1000 (wire.MaxDepth)") {
		t.Errorf("too deep: %v", err)
	}
	body, err := wire.AppendMessage(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Parse(body); err != nil {
		t.Errorf("what is written cannot be read: %v", err)
	}
	m.Args = json.RawMessage(`{"b":[` + string(m.Args) + `]}`)
	if _, err := wire.AppendMessage(nil, m); err == nil || !strings.Contains(err.Error(), "wire: args: byte 1007: nested deeper than 1000 (wire.MaxDepth)") {
		t.Errorf("too deep to send: %v", err)
	}

	long := make([]byte, wire.MaxSize+1)
	if _, err := wire.Parse(long); err == nil || !strings.Contains(err.Error(), "wire.MaxSize") {
		t.Errorf("too long: %v", err)
	}
	m.Args = append(append(json.RawMessage(`{"a":"`), bytes.Repeat([]byte("x"), wire.MaxSize)...), `"}`...)
	if err := new(wire.Checker).Check(m); err == nil || !strings.Contains(err.Error(), "wire.MaxSize") {
		t.Errorf("check of a long message: %v", err)
	}
	if got, err := wire.AppendMessage([]byte("before"), m); err == nil || !strings.Contains(err.Error(), "wire.MaxSize) is the most; args.a alone takes 134217732: ") || string(got) != "before" {
		t.Errorf("too long to send: %v", err)
	}
}
