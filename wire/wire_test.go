package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// messages are whole messages that must survive a round trip.
func messages() map[string]*transport.Message {
	return map[string]*transport.Message{
		"cast": {Method: "restock", Version: "2.1", Args: json.RawMessage(`{"sku":7}`), UniqueID: "u1"},
		"call": {
			Method: "count", Namespace: "stock", Version: "2.1", Args: json.RawMessage(`{}`),
			Context: json.RawMessage(`{"user":"ann","":1,"roles":["a",{"b":null}],"big":123456789012345678901234567890}`),
			ID:      "m1", ReplyTo: "reply_1", Monitor: 10 * time.Second, UniqueID: "u2",
		},
		"fraction":   {Method: "m", Version: "1.0", Args: json.RawMessage(`{}`), ID: "m1", ReplyTo: "r", Monitor: 2500 * time.Millisecond, UniqueID: "u"},
		"unicode":    {Method: "m\u00e9\U0001F600\"\\\n\r\t\x00\x7f", Version: "1.0", Args: json.RawMessage(`{"a":"\"\\\u00e9\n"}`), UniqueID: "u"},
		"non-finite": {Method: "m", Version: "1.0", Args: json.RawMessage(`{"a":[NaN,Infinity,-Infinity,-0.5e+3]}`), UniqueID: "u"},
		"reply":      {Result: json.RawMessage(`{"left":3}`), Ending: true, ID: "m1", UniqueID: "u3"},
		"heartbeat":  {ID: "m1", UniqueID: "u4"},
		"failure":    {Failure: json.RawMessage(`{"class":"X","message":"a \"b\" \\ \u00e9"}`), Ending: true, ID: "m1", UniqueID: "u5"},
	}
}

// conforms: ENV-02, ENV-13
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	forms := map[string]func([]byte, *transport.Message) ([]byte, error){
		"envelope": wire.AppendEnvelope,
		"bare":     wire.AppendMessage,
	}
	for name, m := range messages() {
		for form, encode := range forms {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				body, err := encode([]byte("before"), m)
				if err != nil {
					t.Fatal(err)
				}
				body = body[len("before"):]
				for i, c := range body {
					if c < ' ' || c > '~' {
						t.Fatalf("byte %d of the body is %#x, want printable ASCII", i, c)
					}
				}
				got, err := wire.Parse(body)
				if err != nil {
					t.Fatalf("%v\n%s", err, body)
				}
				if diff := cmp.Diff(m, got); diff != "" {
					t.Errorf("-sent +received:\n%s\n%s", diff, body)
				}
			})
		}
	}
}
