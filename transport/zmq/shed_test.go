//go:build zmq

package zmq

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

// What is handed over arrives as it came, with the reply address of who has sent it, also where another sender would have refused it.
func TestForwardedArrivesAsItCame(t *testing.T) {
	t.Parallel()
	l := &topicListener{from: transport.Address{Kind: transport.Topic, Topic: "work"}}
	for _, home := range []string{",id,h,,e", ""} { // what the sender has told its first server
		want := transport.Message{Method: "x", Version: "1.0", UniqueID: "u", ID: "id", ReplyTo: "7,id,h,,e", Monitor: time.Second, Args: json.RawMessage(`{`)}
		body := appendChecked(nil, &want, ",id,h,,e")
		want.ReplyTo = "7" + home
		for range 3 { // from server to server
			a := &arrival{listener: l, from: &session{home: home}, body: body}
			e := envelope{to: toTopic}
			var ok bool
			if body, ok = parseRequest(&envelope{}, newReader(a.forwarded(&e)), &recent{}); !ok {
				t.Fatal("it cannot be read")
			}
			home = ",other,h,,e"
		}
		var got transport.Message
		if err := parseMessage(&got, body, &recent{home: home}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-came +handed over:\n%s", diff)
		}
	}
}
