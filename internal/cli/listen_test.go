package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/goslo/goslo/notify"
)

// What a stranger has put into a notification plays no tricks with a terminal, takes one line for its payload, and no more than some.
func TestNotificationsAreShownPlainly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{Streams: Streams{Out: &out}}
	n := &notify.Raw{
		Type: "x\x1b[2J\u202e", Publisher: "a\nb" + strings.Repeat("c", 10_000), Priority: notify.Info,
		Payload: json.RawMessage("{\"a\":\n\"\u009b31m\", \"n\": NaN, \"long\": \"" + strings.Repeat("é", 1000) + "\"}"),
	}
	if err := a.printNotification(n); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `x\u001b[2J\u202e`) || !strings.Contains(lines[0], `a\u000ab`) ||
		!strings.Contains(lines[1], `\u009b31m`) || !strings.HasSuffix(lines[1], " bytes; --json shows all)") || len(lines[0]) > 1000 || len(lines[1]) > 1000 {
		t.Errorf("shown as %q", lines)
	}
	a.json = true
	out.Reset()
	if err := a.printNotification(n); err != nil || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), `"n": NaN`) {
		t.Errorf("in JSON %q (%v)", out.String(), err)
	}
}

// A filter that is accepted can be listened with.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{"publisher=a", `event_type=vm\.,payload.state=^a{1,3}$`, "context.a=b,metadata.timestamp=2", "=", "payload.=x", "publisher=a,b,event_type=c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := filter(text)
		if err != nil {
			return
		}
		l := notify.NewListener(nil, notify.ListenerConfig{}, notify.Handle(nil).Where(got), notify.Handle(nil).On("none")) // which is what is wrong
		if err := l.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), `no priority "none"`) {
			t.Errorf("%q: %v", text, err)
		}
		if got.Publisher == "" && got.Type == "" && len(got.Context)+len(got.Payload)+len(got.Metadata) == 0 {
			t.Errorf("%q filters nothing", text)
		}
	})
}
