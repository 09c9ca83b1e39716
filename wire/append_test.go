package wire_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	tests := map[string]struct {
		message transport.Message
		want    string
	}{
		// conforms: ENV-06
		"cast": {
			transport.Message{Method: "m", UniqueID: "u"},
			`{"method":"m","args":{},"_unique_id":"u"}`,
		},
		"cast with everything": {
			transport.Message{Method: "m", Namespace: "n", Version: "2.1", Args: raw(`{"a":1}`), Context: raw(`{"b":2}`), Monitor: time.Second, Expires: time.Second, UniqueID: "u"},
			`{"method":"m","args":{"a":1},"namespace":"n","version":"2.1","_unique_id":"u","_context_b":2}`,
		},
		// conforms: ENV-07
		"call": {
			transport.Message{Method: "m", ID: "i", ReplyTo: "q", UniqueID: "u"},
			`{"method":"m","args":{},"_msg_id":"i","_reply_q":"q","_timeout":null,"_unique_id":"u"}`,
		},
		"monitored": {
			transport.Message{Method: "m", ID: "i", ReplyTo: "q", Monitor: 10 * time.Second, UniqueID: "u"},
			`{"method":"m","args":{},"_msg_id":"i","_reply_q":"q","_timeout":10,"_unique_id":"u"}`,
		},
		"monitored by fractions": {
			transport.Message{Method: "m", ID: "i", ReplyTo: "q", Monitor: 1500 * time.Millisecond, UniqueID: "u"},
			`{"method":"m","args":{},"_msg_id":"i","_reply_q":"q","_timeout":1.5,"_unique_id":"u"}`,
		},
		"id alone": {
			transport.Message{Method: "m", ID: "i", UniqueID: "u"},
			`{"method":"m","args":{},"_msg_id":"i","_reply_q":"","_timeout":null,"_unique_id":"u"}`,
		},
		"nulls": {
			transport.Message{Method: "m", Args: raw(` null `), Context: raw("null\n"), UniqueID: "u"},
			`{"method":"m","args":{},"_unique_id":"u"}`,
		},
		"empty context": {
			transport.Message{Method: "m", Context: raw(" { } "), UniqueID: "u"},
			`{"method":"m","args":{},"_unique_id":"u"}`,
		},
		// conforms: CTX-01
		"context": {
			transport.Message{Method: "m", Context: raw("{\"\":0,\n\"é\\\"\" : {\"_context_x\":[NaN]}\t,\"a\":null,\"a\":1}"), UniqueID: "u"},
			`{"method":"m","args":{},"_unique_id":"u","_context_":0,"_context_\u00e9\"":{"_context_x":[NaN]},"_context_a":null,"_context_a":1}`,
		},
		// conforms: ENV-17
		"ASCII": {
			transport.Message{Method: "\x00\b\f\n\r\t\x1f\"\\/\x7fé\u2028😀\xff", Args: raw("{\"é\":\"😀\x7f\\ud83d\\/\"}"), UniqueID: "u"},
			`{"method":"\u0000\b\f\n\r\t\u001f\"\\/\u007f\u00e9\u2028\ud83d\ude00\ufffd","args":{"\u00e9":"\ud83d\ude00\u007f\ud83d\/"},"_unique_id":"u"}`,
		},
		// conforms: ENV-09
		"reply": {
			transport.Message{ID: "i", UniqueID: "u", Ending: true, Result: raw(`{"a": 1}`)},
			`{"result":{"a": 1},"failure":null,"ending":true,"_msg_id":"i","_unique_id":"u"}`,
		},
		// conforms: ENV-10
		"heartbeat": {
			transport.Message{ID: "i", UniqueID: "u"},
			`{"result":null,"failure":null,"ending":false,"_msg_id":"i","_unique_id":"u"}`,
		},
		// conforms: EXC-01
		"failure": {
			transport.Message{ID: "i", UniqueID: "u", Ending: true, Failure: raw(`{"class":"é\n\"\\"}`)},
			`{"result":null,"failure":"{\"class\":\"\\u00e9\\n\\\"\\\\\"}","ending":true,"_msg_id":"i","_unique_id":"u"}`,
		},
		"null failure": {
			transport.Message{ID: "i", UniqueID: "u", Ending: true, Failure: raw(`null`)},
			`{"result":null,"failure":null,"ending":true,"_msg_id":"i","_unique_id":"u"}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, err := json.Marshal(test.message.Method + string(test.message.Args) + string(test.message.Context))
			if err != nil {
				t.Fatal(err)
			}
			got, err := wire.AppendMessage(nil, &test.message)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			// conforms: ENV-01, ENV-23
			got, err = wire.AppendEnvelope(nil, &test.message)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, inner(t, got)); diff != "" {
				t.Errorf("-want +in the envelope:\n%s", diff)
			}
			// conforms: ODD-59
			after, err := json.Marshal(test.message.Method + string(test.message.Args) + string(test.message.Context))
			if err != nil || string(before) != string(after) {
				t.Errorf("the message was changed: %v\n%s\n%s", err, before, after)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	tests := []struct {
		message transport.Message
		want    string
	}{
		{transport.Message{}, "wire: a message with neither a method nor an id is no request and no reply"},
		{transport.Message{Method: "m", Monitor: -time.Second}, "wire: monitor: -1s is negative"},
		{transport.Message{Method: "m", Args: raw(`[]`)}, "wire: args: an array where an object belongs"},
		{transport.Message{Method: "m", Args: raw(`{`)}, "wire: args: byte 1: the text ends where a key belongs"},
		{transport.Message{Method: "m", Args: raw(`{} {}`)}, "wire: args: byte 3: more text after the value"},
		{transport.Message{Method: "m", Args: raw(` `)}, "wire: args: byte 1: the text ends where a value belongs"},
		{transport.Message{Method: "m", Args: raw("{\"a\":\"\xff\"}")}, "wire: args: byte 6: invalid UTF-8"},
		{transport.Message{Method: "m", Context: raw(`5`)}, "wire: context: byte 0: '5' where an object belongs"},
		{transport.Message{Method: "m", Context: raw(`nil`)}, "wire: context: byte 0: 'n' where a value belongs"},
		{transport.Message{Method: "m", Context: raw(` `)}, "wire: context: byte 1: the text ends where an object belongs"},
		{transport.Message{Method: "m", Context: raw(`{"a":1,"b":}`)}, "wire: context: byte 11: b: '}' where a value belongs"},
		{transport.Message{Method: "m", Context: raw(`{"a":1}]`)}, "wire: context: byte 7: more text after the value"},
		{transport.Message{ID: "i", Result: raw(`tru`)}, "wire: result: byte 0: 't' where a value belongs"},
		{transport.Message{ID: "i", Failure: raw(`"text"`)}, "wire: failure: a string where an object belongs"},
		{transport.Message{ID: "i", Failure: raw(`{]`)}, "wire: failure: byte 1: ']' where a key belongs"},
	}
	for _, test := range tests {
		for _, encode := range []func([]byte, *transport.Message) ([]byte, error){wire.AppendMessage, wire.AppendEnvelope} {
			got, err := encode([]byte("before"), &test.message)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if string(got) != "before" {
				t.Errorf("the bytes before became %q", got)
			}
		}
	}
}

// conforms: ENV-08
func TestEveryMessageHasAUniqueID(t *testing.T) {
	t.Parallel()
	for _, m := range []transport.Message{{Method: "m"}, {ID: "i"}} {
		seen := map[string]bool{}
		for range 100 {
			body, err := wire.AppendEnvelope(nil, &m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := wire.Parse(body)
			if err != nil {
				t.Fatal(err)
			}
			if !id32.MatchString(got.UniqueID) || seen[got.UniqueID] {
				t.Fatalf("unique id %q is not fresh and of 32 hexadecimal digits", got.UniqueID)
			}
			seen[got.UniqueID] = true
		}
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	uuid4 := regexp.MustCompile(`^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := wire.NewID()
		if !uuid4.MatchString(id) {
			t.Fatalf("%q is not a UUID of version 4 without dashes", id)
		}
		if seen[id] {
			t.Fatalf("%q came twice", id)
		}
		seen[id] = true
	}
}

// Messages are written with one allocation, the body (two under the race detector), and read with few.
//
// conforms: ODD-15
func TestAllocations(t *testing.T) { //nolint:paralleltest // It counts the allocations of the process.
	m := call2K()
	body, err := wire.AppendEnvelope(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, err = wire.AppendEnvelope(nil, m) }); n > 3 || err != nil {
		t.Errorf("AppendEnvelope allocates %v times, want 3 at most: %v", n, err)
	}
	if n := testing.AllocsPerRun(100, func() { _, err = wire.Parse(body) }); n > 12 || err != nil {
		t.Errorf("Parse allocates %v times, want 12 at most: %v", n, err)
	}
	for text, own := range map[string]float64{usualText: 14, `{"id":"x","size":1,"force":true,"new":[]}`: 2} {
		n := testing.AllocsPerRun(100, func() { err = wire.Unmarshal([]byte(text), new(usual)) })
		if n > own || err != nil {
			t.Errorf("Unmarshal of %s allocates %v times, want %v at most: %v", text, n, own, err)
		}
	}
	if strings.Count(string(body), "_context_") < 10 || len(body) < 1800 {
		t.Errorf("the message measured is too small: %s", body)
	}
}
