package wire_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// goldenNotifications are what the golden files of notifications say, ids apart; each is there in both formats.
func goldenNotifications() map[string]transport.Message {
	event := func(kind, payload string) transport.Message {
		return transport.Message{Event: &transport.Event{
			Publisher: "inventory.host-3", Type: kind, Priority: "INFO", Payload: json.RawMessage(payload), Timestamp: "2026-05-04 10:11:12.000345",
		}}
	}
	changed := func(m transport.Message, change func(m *transport.Message)) transport.Message {
		change(&m)
		return m
	}
	all := map[string]transport.Message{
		// conforms: NOTIFY-03
		"warning": changed(event("item.sold", `{"sku":7}`), func(m *transport.Message) { m.Event.Priority = "WARN" }),
		// conforms: CTX-08
		"context": changed(event("item.sold", `{}`), func(m *transport.Message) {
			m.Context = json.RawMessage(`{"user":"7d1bb4a4c4a54e0d8f4d8a3f3a8c1f10","project_id":"0c2a9ad5f7bc4f3a8a2d6b3d9c3c8a55","system_scope":null,` +
				`"domain":null,"user_domain":"default","is_admin":true,"request_id":"req-3f1d7a0e-4a5e-4d0e-9c39-2f3c2a3b1d77","roles":["member","reader"]}`)
		}),
		"text":       event("item.\u00e9\U0001f600", text),
		"null":       event("item.sold", `null`),
		"numbers":    event("item.sold", numbers),
		"non-finite": event("item.sold", nonFinite),
		"nested":     event("item.sold", `{"left":3,"rows":[[1,2.5,null],{"deep":{"er":[true]}}]}`),
		// conforms: NOTIFY-08
		"nobody": changed(event("item.sold", `{}`), func(m *transport.Message) { m.Event.Publisher = "" }),
		// conforms: NOTIFY-02
		"whole-second": changed(event("item.sold", `{}`), func(m *transport.Message) { m.Event.Timestamp = "2026-05-04 10:11:12" }),
	}
	for _, priority := range []string{"audit", "debug", "info", "warn", "error", "critical", "sample"} {
		all[priority] = changed(event("item.sold", `{"sku":7}`), func(m *transport.Message) { m.Event.Priority = strings.ToUpper(priority) })
	}
	return all
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func goldenNotification(tb testing.TB, name string) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "notifications", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// conforms: NOTIFY-01, NDRV-01, NOTIFY-14
func TestGoldenNotifications(t *testing.T) {
	t.Parallel()
	for name, want := range goldenNotifications() {
		for _, form := range []string{"bare", "enveloped"} {
			t.Run(form+"-"+name, func(t *testing.T) {
				t.Parallel()
				body := goldenNotification(t, form+"-"+name)
				got, err := wire.ParseNotification(body)
				if err != nil {
					t.Fatal(err)
				}
				if !uuid.MatchString(got.Event.ID) || !id32.MatchString(got.UniqueID) {
					t.Errorf("ids %q and %q, want a UUID with dashes and one without", got.Event.ID, got.UniqueID)
				}
				event := *want.Event
				event.ID, event.Bare = got.Event.ID, form == "bare"
				want := transport.Message{Event: &event, Context: want.Context, UniqueID: got.UniqueID}
				if diff := cmp.Diff(&want, got, sameJSON(t)); diff != "" {
					t.Errorf("-want +parsed:\n%s", diff)
				}
				ours, err := wire.AppendNotification(nil, &want) // got has Python's blanks in its payload
				if err != nil {
					t.Fatal(err)
				}
				python, text := string(body), string(ours)
				if form == "enveloped" {
					python, text = inner(t, body), inner(t, ours)
				}
				if diff := cmp.Diff(short(python), text); diff != "" {
					t.Errorf("-Python's text +ours:\n%s", diff)
				}
			})
		}
	}
}

func TestGoldenNotificationsAreAllUsed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "notifications", "*.json"))
	if err != nil || len(files) != 2*len(goldenNotifications()) {
		t.Errorf("%d files, %v; want one in each format for each of the %d expectations", len(files), err, len(goldenNotifications()))
	}
}

// conforms: NLIS-04
func TestParseNotification(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]transport.Event{
		`{}`: {Payload: json.RawMessage("null")},
		`{"message_id":null,"publisher_id":null,"event_type":null,"priority":null,"payload":null,"timestamp":null}`: {Payload: json.RawMessage("null")},
		`{"message_id":1,"publisher_id":["a"],"event_type":{"a":1},"priority":true,"payload":"p","timestamp":1.5}`:  {Payload: json.RawMessage(`"p"`)},
		`{"event_type":"a","event_\u0074ype":"b","method":"m","args":{},"failure":"f","priority":"info"}`:           {Type: "b", Priority: "info", Payload: json.RawMessage("null")},
	} {
		for form, body := range map[string][]byte{"bare": []byte(text), "enveloped": enveloped(t, text)} {
			m, err := wire.ParseNotification(body)
			if err != nil {
				t.Errorf("%s: %v", body, err)
				continue
			}
			want.Bare = form == "bare"
			if diff := cmp.Diff(&transport.Message{Event: &want}, m); diff != "" {
				t.Errorf("%s: -want +parsed:\n%s", body, diff)
			}
		}
	}
	for _, text := range []string{`[]`, `5`, `{"payload":}`, `{"_unique_id":5}`, `{"a":1}{`} {
		var p *wire.ParseError
		if m, err := wire.ParseNotification([]byte(text)); !errors.As(err, &p) {
			t.Errorf("%s: %+v, %v; want a ParseError", text, m, err)
		}
	}
}

func TestAppendNotificationErrors(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]*transport.Message{
		"without an event":          {Method: "m"},
		"wire: payload: byte 1":     {Event: &transport.Event{Payload: json.RawMessage(`{`)}},
		"wire: context: byte 0":     {Event: &transport.Event{}, Context: json.RawMessage(`[]`)},
		"payload.image alone takes": {Event: &transport.Event{Payload: json.RawMessage(`{"image":"` + strings.Repeat("x", wire.MaxSize) + `"}`)}},
	} {
		before := []byte("before")
		body, err := wire.AppendNotification(before, m)
		if err == nil || !strings.Contains(err.Error(), want) || string(body) != "before" {
			t.Errorf("appended %d bytes, %v; want an error with %q", len(body)-len(before), err, want)
		}
	}
}

// conforms: NOTIFY-02
func TestNotificationTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 10, 11, 12, 345_000, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-05-04 10:11:12.000345":       at,
		"2026-05-04 10:11:12.100000":       at.Truncate(time.Second).Add(100 * time.Millisecond),
		"2026-05-04 10:11:12":              at.Truncate(time.Second),
		"2026-05-04T10:11:12.000345":       at,
		"2026-05-04T12:11:12.000345+02:00": at,
		"2026-05-04 10:11:12.000345Z":      at,
	} {
		got, err := wire.ParseNotificationTime(text)
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
		if written := wire.NotificationTime(want.In(time.FixedZone("", 7200)).Add(999)); len(text) <= 26 && text[10] == ' ' && written != text {
			t.Errorf("%v is written as %q, want %q", want, written, text)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-05-04", "2026-05-04 10:11", "2026-13-04 10:11:12", "10:11:12"} {
		if got, err := wire.ParseNotificationTime(text); err == nil {
			t.Errorf("%q reads %v, want an error", text, got)
		}
	}
}

// What is read of a body in either format is what is read of it after it was written again.
func FuzzParseNotification(f *testing.F) {
	for name := range goldenNotifications() {
		f.Add(goldenNotification(f, "bare-"+name))
		f.Add(goldenNotification(f, "enveloped-"+name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := wire.ParseNotification(body)
		if _, other := wire.Parse(body); err != nil {
			if other == nil {
				t.Errorf("refused as a notification, taken as a request: %v", err)
			}
			return
		}
		if m.UniqueID == "" {
			m.UniqueID = "u"
		}
		again, err := wire.AppendNotification(nil, m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		got, err := wire.ParseNotification(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, again)
		}
		if diff := cmp.Diff(m, got, sameJSON(t)); diff != "" {
			t.Errorf("-read +read again:\n%s\n%s", diff, again)
		}
	})
}
