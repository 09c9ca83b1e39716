package amqp1

import (
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

// What we write the library reads: each section, and texts of any length.
func TestSectionsAreReadByTheLibrary(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 200)
	expiry := time.Now().Add(time.Minute).Truncate(time.Millisecond).UTC()
	for name, test := range map[string]struct {
		message transport.Message
		label   label
		want    amqp.Message
	}{
		"a call": {
			transport.Message{Method: "m", ID: "id", UniqueID: "u", Expires: time.Minute, ReplyTo: "r"},
			label{to: "to", subject: "s", replyTo: "r", expiry: expiry},
			amqp.Message{
				Header: &amqp.MessageHeader{Priority: 4, TTL: time.Minute}, Value: `{"request":{"method":"m","args":{}},"context":{}}`,
				Properties:            &amqp.MessageProperties{MessageID: "id", To: new("to"), Subject: new("s"), ReplyTo: new("r"), AbsoluteExpiryTime: &expiry},
				ApplicationProperties: map[string]any{uniqueID: "u"},
			},
		},
		"a cast to be kept, with long texts": {
			transport.Message{Method: "m", Headers: map[string]string{"h": long}},
			label{to: long, durable: true},
			amqp.Message{
				Header: &amqp.MessageHeader{Priority: 4, Durable: true}, Value: `{"request":{"method":"m","args":{}},"context":{}}`,
				Properties: &amqp.MessageProperties{To: &long}, ApplicationProperties: map[string]any{"h": long},
			},
		},
		"a reply":     {transport.Message{ID: "id", Ending: true}, label{to: "r"}, amqp.Message{Value: `{"response":null}`, Properties: &amqp.MessageProperties{CorrelationID: "id", To: new("r")}}},
		"a heartbeat": {transport.Message{ID: "id", Monitor: time.Second}, label{to: "r"}, amqp.Message{Header: &amqp.MessageHeader{Priority: 4, TTL: time.Second}, Properties: &amqp.MessageProperties{CorrelationID: "id", To: new("r")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got amqp.Message
			if err := got.UnmarshalBinary(encoded(t, &test.message, test.label)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(amqp.Message{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func encoded(tb testing.TB, m *transport.Message, l label) []byte {
	tb.Helper()
	head, err := appendHead(nil, m, l)
	if err != nil {
		tb.Fatal(err)
	}
	whole, err := appendBody(head, m)
	if err != nil {
		tb.Fatal(err)
	}
	return whole
}

// An id that peers could not read is refused, as the library does.
func TestIDThatIsNoText(t *testing.T) {
	t.Parallel()
	if _, err := appendHead(nil, &transport.Message{Method: "m", ID: "\xff", ReplyTo: "r"}, label{to: "to"}); err == nil {
		t.Error("no error")
	}
}

// What the library reads of a message we read, too, and as it does.
func FuzzSections(f *testing.F) {
	f.Add(encoded(f, &transport.Message{Method: "m", ID: "id", UniqueID: "u", Expires: time.Minute, ReplyTo: "r", Headers: map[string]string{"h": "v"}}, label{to: "to", replyTo: "r", expiry: time.Now()}))
	f.Add(encoded(f, &transport.Message{ID: "id", Ending: true, Result: []byte(`[1]`)}, label{to: "to"}))
	for _, m := range []amqp.Message{
		{Value: amqp.Null{}, Properties: &amqp.MessageProperties{MessageID: amqp.UUID{1}, CorrelationID: uint64(7), UserID: []byte("u"), ContentType: new("t"), GroupID: new("g")}},
		{Data: [][]byte{{1}}, Annotations: amqp.Annotations{"x": 1}, DeliveryAnnotations: amqp.Annotations{"y": "z"}, Footer: amqp.Annotations{"f": []byte{1}}},
		{Data: [][]byte{{1}, {2}}, Header: &amqp.MessageHeader{FirstAcquirer: true, DeliveryCount: 3, Priority: 9}},
		{Value: 42, ApplicationProperties: map[string]any{"n": 1, "s": "t", "b": true, "t": time.Now()}},
		{Sequence: [][]any{{1, "a"}}},
	} {
		data, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, err := readSections(data)
		var theirs amqp.Message
		if theirs.UnmarshalBinary(data) != nil || err != nil {
			return
		}
		if h := theirs.Header; h != nil && (h.TTL != ours.lives || h.FirstAcquirer != ours.firstAcquirer || h.DeliveryCount != ours.deliveries) {
			t.Errorf("header %+v, and ours %+v", h, ours)
		}
		if p := theirs.Properties; p != nil {
			if id, ok := p.MessageID.(string); ok && id != ours.id {
				t.Errorf("message-id %q, and ours %q", id, ours.id)
			}
			if p.ReplyTo != nil && *p.ReplyTo != string(ours.replyTo) {
				t.Errorf("reply-to %q, and ours %q", *p.ReplyTo, ours.replyTo)
			}
		}
		if body, ok := theirs.Value.(string); ok && body != string(ours.body) {
			t.Errorf("body %q, and ours %q", body, ours.body)
		}
		if u, ok := theirs.ApplicationProperties[uniqueID].(string); ok && u != ours.unique {
			t.Errorf("unique id %q, and ours %q", u, ours.unique)
		}
	})
}
