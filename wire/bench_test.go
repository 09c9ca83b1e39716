package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// call2K is a call whose body has about 2 KB, with the context of a usual OpenStack request.
func call2K() *transport.Message {
	args := fmt.Sprintf(`{"instance":{"uuid":"6f70656e-7374-6163-6b20-696e20676f21","name":"web-1","tags":["a","b","c"],"flavor":{"vcpus":4,"ram":8192,"disk":40}},"console":"%s"}`,
		strings.Repeat("kernel: eth0 up\\n", 30))
	context := `{"user":"7d1bb4a4c4a54e0d8f4d8a3f3a8c1f10","tenant":"0c2a9ad5f7bc4f3a8a2d6b3d9c3c8a55","system_scope":null,` +
		`"project":"0c2a9ad5f7bc4f3a8a2d6b3d9c3c8a55","domain":null,"user_domain":"default","project_domain":"default","is_admin":true,` +
		`"read_only":false,"show_deleted":false,"auth_token":"` + strings.Repeat("gAAAAABl", 24) + `","request_id":"req-3f1d7a0e-4a5e-4d0e-9c39-2f3c2a3b1d77",` +
		`"global_request_id":null,"resource_uuid":null,"roles":["member","reader","admin"],"user_identity":"7d1b 0c2a - default default",` +
		`"is_admin_project":true,"remote_address":"192.0.2.10","timestamp":"2026-05-01T10:11:12.131415","service_catalog":[{"type":"volumev3","name":"cinder"}]}`
	return &transport.Message{
		Method: "get_console_output", Version: "6.1", Args: json.RawMessage(args), Context: json.RawMessage(context),
		ID: wire.NewID(), ReplyTo: "reply_" + wire.NewID(), UniqueID: wire.NewID(),
	}
}

func BenchmarkAppendEnvelope(b *testing.B) {
	m := call2K()
	body, err := wire.AppendEnvelope(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.AppendEnvelope(nil, m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendEnvelopeReusing appends to the same buffer again and again, as a connection may.
func BenchmarkAppendEnvelopeReusing(b *testing.B) {
	m := call2K()
	var body []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if body, err = wire.AppendEnvelope(body[:0], m); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(body)))
}

func BenchmarkParse(b *testing.B) {
	body, err := wire.AppendEnvelope(nil, call2K())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodingJSON is the same work as a program would do it with encoding/json and maps of raw values.
func BenchmarkEncodingJSON(b *testing.B) {
	m := call2K()
	body, err := wire.AppendEnvelope(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := marshalEnvelope(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := unmarshalEnvelope(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func marshalEnvelope(m *transport.Message) ([]byte, error) {
	inner := map[string]any{
		"method": m.Method, "args": m.Args, "version": m.Version,
		"_msg_id": m.ID, "_reply_q": m.ReplyTo, "_timeout": nil, "_unique_id": m.UniqueID,
	}
	var context map[string]json.RawMessage
	if err := json.Unmarshal(m.Context, &context); err != nil {
		return nil, err
	}
	for k, v := range context {
		inner["_context_"+k] = v
	}
	text, err := json.Marshal(inner)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(text)})
}

func unmarshalEnvelope(body []byte) (map[string]json.RawMessage, error) {
	var outer map[string]string
	if err := json.Unmarshal(body, &outer); err != nil {
		return nil, err
	}
	var inner map[string]json.RawMessage
	if err := json.Unmarshal([]byte(outer["oslo.message"]), &inner); err != nil {
		return nil, err
	}
	context := map[string]json.RawMessage{}
	for k, v := range inner {
		if after, ok := strings.CutPrefix(k, "_context_"); ok {
			context[after] = v
		}
	}
	return inner, nil
}
