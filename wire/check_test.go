package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

func TestCheckRefusesWhatAppendMessageRefuses(t *testing.T) {
	t.Parallel()
	messages := map[string]transport.Message{
		"neither method nor id":          {},
		"negative monitor":               {Method: "x", ID: "1", Monitor: -time.Second},
		"negative monitor of a reply":    {ID: "1", Monitor: -time.Second},
		"bad arguments in a reply":       {ID: "1", Args: json.RawMessage(`{`)},
		"bad result in a request":        {Method: "x", Result: json.RawMessage(`{`)},
		"as good as a message can be":    {Method: "x", ID: "1", ReplyTo: "r", Monitor: time.Second, UniqueID: "u"},
		"as good as a reply can be":      {ID: "1", Ending: true},
		"a reply with result and reason": {ID: "1", Result: json.RawMessage(`[1]`), Failure: json.RawMessage(`{"class":"E"}`)},
	}
	for _, depth := range []int{wire.MaxDepth - 2, wire.MaxDepth - 1, wire.MaxDepth, wire.MaxDepth + 1} {
		nested := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		messages[fmt.Sprintf("result of depth %d", depth)] = transport.Message{ID: "1", Result: json.RawMessage(nested)}
		object := json.RawMessage(`{"a":` + nested + `}`)
		messages[fmt.Sprintf("arguments of depth %d", depth)] = transport.Message{Method: "x", Args: object}
		messages[fmt.Sprintf("context of depth %d", depth)] = transport.Message{Method: "x", Context: object}
		messages[fmt.Sprintf("failure of depth %d", depth)] = transport.Message{ID: "1", Failure: object}
		messages[fmt.Sprintf("payload of depth %d", depth)] = transport.Message{Event: &transport.Event{Payload: json.RawMessage(nested)}}
		messages[fmt.Sprintf("context of depth %d of a notification", depth)] = transport.Message{Event: &transport.Event{}, Context: object}
	}
	for _, text := range []string{``, `null`, ` null `, `{}`, ` {"a": NaN} `, `[]`, `1`, `"x"`, `{`, `{"a"}`, `{"a":1}x`, "{\"a\":\"\xff\"}", `{"a":"\x"}`, ` `, `nul`, `{"":1,}`} {
		value := json.RawMessage(text)
		messages[fmt.Sprintf("arguments %q", text)] = transport.Message{Method: "x", Args: value}
		messages[fmt.Sprintf("context %q", text)] = transport.Message{Method: "x", Context: value}
		messages[fmt.Sprintf("result %q", text)] = transport.Message{ID: "1", Result: value}
		messages[fmt.Sprintf("failure %q", text)] = transport.Message{ID: "1", Failure: value}
		messages[fmt.Sprintf("payload %q", text)] = transport.Message{Event: &transport.Event{Payload: value}}
		messages[fmt.Sprintf("context %q of a notification", text)] = transport.Message{Event: &transport.Event{}, Context: value}
	}
	var experienced wire.Checker
	for name, m := range messages {
		_, want := wire.AppendMessage(nil, &m)
		for range 2 { // the second time its context is known
			if got := experienced.Check(&m); (got == nil) != (want == nil) {
				t.Errorf("%s: Check says %v, AppendMessage %v", name, got, want)
			}
		}
	}
}

// A context that was good is good once more, for as long as it is the same memory, and as a context alone.
func TestCheckerKnowsContextsAlone(t *testing.T) {
	t.Parallel()
	var c wire.Checker
	deepest := json.RawMessage(`{"a":` + strings.Repeat("[", wire.MaxDepth-1) + strings.Repeat("]", wire.MaxDepth-1) + `}`)
	if err := c.Check(&transport.Message{Method: "x", Context: deepest}); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(&transport.Message{Method: "x", Args: deepest}); err == nil {
		t.Error("arguments are taken that are too deep, as they were a context before")
	}
	good := json.RawMessage(`{"a":1} {"a":2`)
	if err := c.Check(&transport.Message{Method: "x", Context: good[:7]}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []json.RawMessage{good[:6], good, good[7:], good[1:8]} {
		if err := c.Check(&transport.Message{Method: "x", Context: bad}); err == nil {
			t.Errorf("the context %q is taken, as %q was", bad, good[:7])
		}
	}
}
