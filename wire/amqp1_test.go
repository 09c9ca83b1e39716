package wire_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// conforms: AMQP1-01, AMQP1-02
func TestAppendAMQP1(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		message transport.Message
		want    string
	}{
		"bare request": {transport.Message{Method: "m"}, `{"request":{"method":"m","args":{}},"context":{}}`},
		"full request": {
			transport.Message{
				Method: "m", Namespace: "n", Version: "1.2", Args: json.RawMessage(`{"a":"é"}`), Context: json.RawMessage(`{"u":null}`),
				ReplyTo: "r", ID: "i", UniqueID: "u", Monitor: 5 * time.Second, Expires: time.Minute,
			},
			`{"request":{"method":"m","args":{"a":"\u00e9"},"namespace":"n","version":"1.2"},"context":{"u":null},"call_monitor_timeout":5}`,
		},
		"notification": {
			transport.Message{
				Context: json.RawMessage(`{"user_id":"ann"}`), UniqueID: "u",
				Event: &transport.Event{ID: "i", Publisher: "p", Type: "item.sold", Priority: "INFO", Payload: json.RawMessage(`{"a":"é\""}`), Timestamp: "2026-05-04 10:11:12"},
			},
			`{"request":{"oslo.version":"2.0","oslo.message":"{\"message_id\":\"i\",\"publisher_id\":\"p\",\"event_type\":\"item.sold\",\"priority\":\"INFO\",\"payload\":{\"a\":\"\\u00e9\\\"\"},\"timestamp\":\"2026-05-04 10:11:12\"}"},"context":{"user_id":"ann"}}`,
		},
		"notification in format 1.0": {
			transport.Message{Event: &transport.Event{Bare: true, Type: "t", Payload: json.RawMessage(`"x"`)}},
			`{"request":{"message_id":null,"publisher_id":null,"event_type":"t","priority":null,"payload":"x","timestamp":null},"context":{}}`,
		},
		"result":    {transport.Message{ID: "i", Ending: true, Result: json.RawMessage(`[1]`)}, `{"response":[1]}`},
		"no result": {transport.Message{ID: "i", Ending: true}, `{"response":null}`},
		"failure":   {transport.Message{ID: "i", Ending: true, Failure: json.RawMessage(`{"class":"E"}`)}, `{"failure":"{\"class\":\"E\"}"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.AppendAMQP1([]byte("before "), &test.message)
			if err != nil || string(got) != "before "+test.want {
				t.Errorf("got %s, %v\nwant before %s", got, err, test.want)
			}
		})
	}
}

func TestAppendAMQP1Refuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		message transport.Message
		want    string
	}{
		"heartbeat":         {transport.Message{ID: "i"}, "a heartbeat has no body"},
		"args are no JSON":  {transport.Message{Method: "m", Args: json.RawMessage(`{`)}, "args"},
		"context is a list": {transport.Message{Method: "m", Context: json.RawMessage(`[]`)}, "context: an array where an object belongs"},
		"failure is a text": {transport.Message{Ending: true, Failure: json.RawMessage(`"x"`)}, "failure: a string where an object belongs"},
		"monitor":           {transport.Message{Method: "m", Monitor: -1}, "monitor"},
		"payload":           {transport.Message{Event: &transport.Event{Payload: json.RawMessage(`{`)}}, "payload"},
		"its context":       {transport.Message{Event: &transport.Event{}, Context: json.RawMessage(`[]`)}, "context: an array where an object belongs"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.AppendAMQP1([]byte("before"), &test.message)
			if err == nil || !strings.Contains(err.Error(), test.want) || string(got) != "before" {
				t.Errorf("got %s, %v, want an error about %q", got, err, test.want)
			}
		})
	}
}

// conforms: AMQP1-01, AMQP1-02
func TestParseAMQP1(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want transport.Message
	}{
		"as Python writes it": {
			`{"request": {"method": "m", "args": {"a": 1}, "version": "2.0"}, "context": {"user": "u"}, "call_monitor_timeout": 10}`,
			transport.Message{Method: "m", Version: "2.0", Args: json.RawMessage(`{"a": 1}`), Context: json.RawMessage(`{"user": "u"}`), Monitor: 10 * time.Second},
		},
		"no context, no version": {`{"request":{"method":"m"}}`, transport.Message{Method: "m", Version: "1.0", Args: json.RawMessage(`{}`)}},
		"null context":           {`{"request":{"method":"m"},"context":null}`, transport.Message{Method: "m", Version: "1.0", Args: json.RawMessage(`{}`)}},
		"in an envelope": {
			`{"request":{"oslo.version":"2.0","oslo.message":"{\"method\":\"m\",\"_context_x\":1}"},"context":{"y":2}}`,
			transport.Message{Method: "m", Version: "1.0", Args: json.RawMessage(`{}`), Context: json.RawMessage(`{"y":2}`)},
		},
		"response":       {`{"response": {"a": [1]}}`, transport.Message{Ending: true, Result: json.RawMessage(`{"a": [1]}`)}},
		"null response":  {`{"response":null,"failure":null}`, transport.Message{Ending: true}},
		"failure":        {`{"failure": "{\"class\": \"E\"}"}`, transport.Message{Ending: true, Failure: json.RawMessage(`{"class": "E"}`)}},
		"failure object": {`{"failure":{"class":"E"}}`, transport.Message{Ending: true, Failure: json.RawMessage(`{"class":"E"}`)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.ParseAMQP1([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseAMQP1Refuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                             "body",
		`[]`:                           "body",
		`{"request":[]}`:               "request",
		`{"request":null}`:             "request",
		`{"request":{"method":"m"},`:   "body",
		`{"request":{"method":"m"}} x`: "more text",
		`{"request":{},"context":[]}`:  "context: an array where an object belongs",
		`{"request":{"oslo.version":"3.0","oslo.message":"{}"}}`: "not the version 2.0",
		`{"request":{"oslo.version":"2.0","oslo.message":"["}}`:  "oslo.message",
	} {
		m, err := wire.ParseAMQP1([]byte(body))
		var parse *wire.ParseError
		if m != nil || !errors.As(err, &parse) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseAMQP1(%s): %v, %v, want a ParseError about %q", body, m, err, want)
		}
	}
}

// conforms: AMQP1-01
func TestParseAMQP1Notification(t *testing.T) {
	t.Parallel()
	event := &transport.Event{ID: "6e9f", Publisher: "shop.host", Type: "item.sold", Priority: "INFO", Payload: json.RawMessage(`{"a": "\u00e9\"", "n": [1, null]}`), Timestamp: "2026-05-04 10:11:12.000345"}
	bare := *event
	bare.Bare = true
	for name, test := range map[string]struct {
		body string
		want transport.Message
	}{
		"format 2.0, as Python writes it": {
			`{"request": {"oslo.version": "2.0", "oslo.message": "{\"message_id\": \"6e9f\", \"publisher_id\": \"shop.host\", \"event_type\": \"item.sold\", \"priority\": \"INFO\", \"payload\": {\"a\": \"\\u00e9\\\"\", \"n\": [1, null]}, \"timestamp\": \"2026-05-04 10:11:12.000345\"}"}, "context": {"user_id": "ann"}}`,
			transport.Message{Context: json.RawMessage(`{"user_id": "ann"}`), Event: event},
		},
		"format 1.0, as Python writes it": {
			`{"request": {"message_id": "6e9f", "publisher_id": "shop.host", "event_type": "item.sold", "priority": "INFO", "payload": {"a": "\u00e9\"", "n": [1, null]}, "timestamp": "2026-05-04 10:11:12.000345"}, "context": {"user_id": "ann"}}`,
			transport.Message{Context: json.RawMessage(`{"user_id": "ann"}`), Event: &bare},
		},
		"one that says nothing": {`{"request":{"_unique_id":"u","_context_x":1}}`, transport.Message{Event: &transport.Event{Bare: true, Payload: json.RawMessage(`null`)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := wire.ParseAMQP1Notification([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	for body, want := range map[string]string{
		`x`:                           "body",
		`{"response":1}`:              "request: missing",
		`{"request":[]}`:              "request",
		`{"request":{},"context":[]}`: "context: an array where an object belongs",
		`{"request":{"oslo.version":"3.0","oslo.message":"{}"}}`: "not the version 2.0",
		`{"request":{"oslo.version":"2.0","oslo.message":"["}}`:  "oslo.message",
	} {
		m, err := wire.ParseAMQP1Notification([]byte(body))
		var parse *wire.ParseError
		if m != nil || !errors.As(err, &parse) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseAMQP1Notification(%s): %v, %v, want a ParseError about %q", body, m, err, want)
		}
	}
}

// What is read as a notification reads the same when it is written and read again.
func FuzzParseAMQP1Notification(f *testing.F) {
	f.Add([]byte(`{"request":{"event_type":"t","payload":{"a":[1,NaN]}},"context":{"u":null}}`))
	f.Add([]byte(`{"request":{"oslo.version":"2.0","oslo.message":"{\"priority\":\"INFO\"}"},"context":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := wire.ParseAMQP1Notification(body)
		if err != nil {
			return
		}
		text, err := wire.AppendAMQP1(nil, m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := wire.ParseAMQP1Notification(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		once, err := wire.AppendAMQP1(nil, again)
		if err != nil || string(once) != string(text) {
			t.Errorf("%v\n%s\n%s", err, text, once)
		}
	})
}
