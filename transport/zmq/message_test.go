//go:build zmq

package zmq

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

func messages() map[string]transport.Message {
	return map[string]transport.Message{
		"a call": {
			Method: "do_it", Namespace: "control", Version: "2.7", ID: "id", ReplyTo: "1,ü", UniqueID: "u", Monitor: 1500 * time.Millisecond,
			Args: json.RawMessage(`{"a":[NaN]}`), Context: json.RawMessage(`{"user":"u"}`),
		},
		"a cast":    {Method: "x", Version: "1.0", UniqueID: "u"},
		"a result":  {ID: "id", UniqueID: "u", Ending: true, Result: json.RawMessage(`"text"`)},
		"a failure": {ID: "id", UniqueID: "u", Ending: true, Failure: json.RawMessage(`{"class":"E"}`)},
		"a sign":    {ID: "id", UniqueID: "u"},
		"unmarked":  {ID: "id", Ending: true, Result: json.RawMessage(`1`)},
		"a notification": {
			UniqueID: "u", Context: json.RawMessage(`{"user":"u"}`),
			Event: &transport.Event{ID: "i", Publisher: "p", Type: "t", Priority: "INFO", Timestamp: "now", Payload: json.RawMessage(`[NaN]`), Bare: true},
		},
		"an empty notification": {UniqueID: "u", Event: &transport.Event{Payload: json.RawMessage(`null`)}},
	}
}

func TestMessageSurvives(t *testing.T) {
	t.Parallel()
	for name, want := range messages() {
		body, err := appendMessage(nil, &want, &wire.Checker{}, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got transport.Message
		if err := parseMessage(&got, body, &recent{}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-sent +arrived):\n%s", name, diff)
		}
		for n := range body {
			var m transport.Message
			if err := parseMessage(&m, body[:n], &recent{}); err == nil {
				t.Errorf("%s: the first %d of %d bytes are taken for %+v", name, n, len(body), m)
			}
		}
	}
}

func TestMessageIsFilledIn(t *testing.T) {
	t.Parallel()
	body, err := appendMessage([]byte("before"), &transport.Message{Method: "x", Args: json.RawMessage("null")}, &wire.Checker{}, "")
	if err != nil {
		t.Fatal(err)
	}
	var got transport.Message
	if err := parseMessage(&got, body[len("before"):], &recent{}); err != nil {
		t.Fatal(err)
	}
	if got.Version != "1.0" || got.UniqueID == "" || got.Args != nil {
		t.Errorf("arrived: %+v", got)
	}
}

func TestMessageThatCannotTravel(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]transport.Message{
		"nothing":       {},
		"bad arguments": {Method: "x", Args: json.RawMessage(`{"a":}`)},
		"bad payload":   {Event: &transport.Event{Payload: json.RawMessage(`{`)}},
		"bad result":    {ID: "1", Result: json.RawMessage(`nul`)},
	} {
		if body, err := appendMessage([]byte("before"), &m, &wire.Checker{}, ""); err == nil || string(body) != "before" {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
}

// Whatever a peer sends, reading it ends, and another server reads the same.
func FuzzMessage(f *testing.F) {
	for _, m := range messages() {
		body, err := appendMessage(nil, &m, &wire.Checker{}, "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var m transport.Message
		if parseMessage(&m, body, &recent{}) != nil {
			return
		}
		if n := len(m.Args) + len(m.Context) + len(m.Result) + len(m.Failure) + len(m.Method) + len(m.ReplyTo) + len(m.ID); n > len(body) {
			t.Fatalf("%d bytes from %d", n, len(body))
		}
		for _, home := range []string{"", ",h"} { // as it is handed over, and as it is sent
			var again transport.Message
			if err := parseMessage(&again, appendChecked(nil, &m, home), &recent{home: home}); err != nil || again.ReplyTo != m.ReplyTo || again.ID != m.ID || again.Method != m.Method {
				t.Fatalf("home %q: got %+v, %v, want %+v", home, again, err, m)
			}
		}
	})
}

// Whatever is given as a reply address arrives, and the next one after it, also where it looks like half of one.
func TestReplyAddressSurvives(t *testing.T) {
	t.Parallel()
	home := replyAddress{member: member{ID: "id", Host: "h", Endpoints: []string{"ipc:///x"}}}.home()
	for _, client := range []string{home, ""} {
		k := &recent{home: client}
		for _, want := range []string{"1" + home, "7", "", "2" + home, "_INBOX.x", home, ",", "3,id", "4," + home, ",5" + home, "1,other,h,,ipc:///y", "1" + home, "1" + home + home} {
			body, err := appendMessage(nil, &transport.Message{Method: "x", ReplyTo: want}, &wire.Checker{}, client)
			if err != nil {
				t.Fatal(err)
			}
			var got transport.Message
			if err := parseMessage(&got, body, k); err != nil || got.ReplyTo != want {
				t.Errorf("home %q: got %q, %v, want %q", client, got.ReplyTo, err, want)
			}
		}
	}
}

// What a client may have its server remember, and repeat for each of its requests, is short.
func TestReplyAddressesAreShort(t *testing.T) {
	t.Parallel()
	k := &recent{home: ",id"}
	long := bytes.Repeat([]byte("1"), recentMost+1)
	if got := k.replyTo(long); got != string(long)+",id" || len(k.reply)+len(k.listener) > 0 {
		t.Errorf("got %d bytes, and %d are remembered", len(got), len(k.reply))
	}
	l := &loop{conn: &Conn{log: slog.New(slog.DiscardHandler)}, sessions: map[string]*session{}}
	hello := appendText(appendHeader(nil, header{kind: kindHello, number: 1}), string(make([]byte, homeMost+1)))
	if l.fromClient("id", hello); len(l.sessions) != 0 {
		t.Error("a hello with a long home is welcome")
	}
}
