package wire_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// The envelope is there whatever the format, the context is one object, and there is no unique id.
//
// conforms: KAFKA-04, CTX-07
func TestKafkaRecord(t *testing.T) {
	t.Parallel()
	event := transport.Event{
		ID: "7b0d61b6-2b3e-4a8e-9d58-0d1c0c6f2a11", Publisher: "inventory.host-3", Type: "item.sold", Priority: "INFO",
		Payload: json.RawMessage(`{"text": "\"ü\""}`), Timestamp: "2026-05-04 10:11:12.000345",
	}
	bare := event
	bare.Bare = true
	for name, e := range map[string]transport.Event{"2.0": event, "1.0": bare} {
		body, err := wire.AppendKafka(nil, &transport.Message{UniqueID: "u", Context: json.RawMessage(`{"user_id": "ann", "roles": ["r"]}`), Event: &e})
		if err != nil {
			t.Fatal(err)
		}
		var envelope map[string]string
		if err := json.Unmarshal(body, &envelope); err != nil {
			t.Fatal(err)
		}
		if envelope["oslo.version"] != "2.0" || len(envelope) != 2 {
			t.Errorf("%s: envelope %v", name, envelope)
		}
		var got, want any
		if err := json.Unmarshal([]byte(envelope["oslo.message"]), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(`{"message_id": "7b0d61b6-2b3e-4a8e-9d58-0d1c0c6f2a11", "publisher_id": "inventory.host-3", "event_type": "item.sold",
			"priority": "INFO", "payload": {"text": "\"ü\""}, "timestamp": "2026-05-04 10:11:12.000345", "_context": {"user_id": "ann", "roles": ["r"]}}`), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		m, err := wire.ParseKafka(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&transport.Message{Context: json.RawMessage(`{"user_id": "ann", "roles": ["r"]}`), Event: &event}, m, sameJSON(t)); diff != "" {
			t.Errorf("%s: read (-want +got):\n%s", name, diff)
		}
	}
	if body, err := wire.AppendKafka([]byte("x"), &transport.Message{Method: "m"}); err == nil || string(body) != "x" {
		t.Errorf("a request: %s, %v", body, err)
	}
	if body, err := wire.AppendKafka([]byte("x"), &transport.Message{Context: json.RawMessage(`[]`), Event: &event}); err == nil || string(body) != "x" {
		t.Errorf("a list for context: %s, %v", body, err)
	}
}

// conforms: KAFKA-05
func TestParseKafka(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		context string
		bare    bool
	}{
		`{"event_type": "e", "_context": {"a": 1}}`:                                         {`{"a": 1}`, true},
		`{"event_type": "e", "_context": null}`:                                             {"", true},
		`{"event_type": "e", "_context_a": 1}`:                                              {"", true},
		`{"oslo.version": "2.0", "oslo.message": "{\"event_type\": \"e\"}"}`:                {"", false},
		`{"oslo.version": "2.0", "oslo.message": "{\"event_type\":\"e\",\"_context\":{}}"}`: {"{}", false},
	} {
		m, err := wire.ParseKafka([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if m.Event.Type != "e" || string(m.Context) != want.context || m.Event.Bare != want.bare || string(m.Event.Payload) != "null" {
			t.Errorf("%s: context %q, event %+v, want %+v", body, m.Context, m.Event, want)
		}
	}
	for _, body := range []string{`[]`, `{`, `{"_context": []}`, `{"oslo.version": "3.0", "oslo.message": "{}"}`, `{"oslo.version": "2.0", "oslo.message": "{\"_context\": 1}"}`} {
		var p *wire.ParseError
		if m, err := wire.ParseKafka([]byte(body)); !errors.As(err, &p) {
			t.Errorf("%s: %+v, %v, want a ParseError", body, m, err)
		}
	}
}

func FuzzParseKafka(f *testing.F) {
	f.Add([]byte(`{"event_type": "e", "_context": {"a": 1}}`))
	f.Add([]byte(`{"oslo.version": "2.0", "oslo.message": "{\"payload\": [1, NaN], \"_context\": {\"a\": \"\\u00fc\"}}"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := wire.ParseKafka(body)
		if err != nil {
			return
		}
		again, err := wire.AppendKafka(nil, m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		got, err := wire.ParseKafka(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, again)
		}
		if m.Context == nil {
			m.Context = json.RawMessage("{}")
		}
		m.Event.Bare = false
		if diff := cmp.Diff(m, got, sameJSON(t)); diff != "" {
			t.Errorf("-read +read again:\n%s\n%s", diff, again)
		}
	})
}
