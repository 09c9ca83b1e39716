package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

func TestLargest(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 10_000)
	// Of three bytes each, which are six in ASCII, and seven in the envelope.
	wide := strings.Repeat("\u20ac", 10_000)
	for name, c := range map[string]struct {
		m     transport.Message
		field string
		bytes int
	}{
		"an argument":     {transport.Message{Method: "m", Args: raw(`{"id":1,"image":"` + big + `"}`), Context: raw(`{"user":"x"}`)}, "args.image", 10_004},
		"a context key":   {transport.Message{Method: "m", Args: raw(`{"id":1}`), Context: raw(`{"token":"` + big + `"}`)}, "context.token", 10_004},
		"many small ones": {transport.Message{Method: "m", Args: raw(`{"a":"` + big[:100] + `","b":"` + big[:100] + `","c":"` + big[:100] + `"}`)}, "args", 334},
		"a result":        {transport.Message{ID: "1", Result: raw(`["` + big + `"]`)}, "result", 10_006},
		"of a result":     {transport.Message{ID: "1", Result: raw(`{"disk":"` + big + `"}`)}, "result.disk", 10_004},
		"a failure":       {transport.Message{ID: "1", Failure: raw(`{"tb":["` + big + `"]}`)}, "failure.tb", 10_010},
		"escapes count":   {transport.Message{Method: "m", Args: raw(`{"euro":"` + wide + `"}`)}, "args.euro", 70_004},
		"no JSON":         {transport.Message{Method: "m", Args: raw(`{"a":"` + big)}, "args", 10_009},
		"nothing":         {transport.Message{Method: "m"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field, bytes := wire.Largest(&c.m)
			if field != c.field || bytes != c.bytes {
				t.Errorf("%s takes %d, want %s %d", field, bytes, c.field, c.bytes)
			}
		})
	}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }
