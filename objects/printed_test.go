package objects_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/objects"
)

// Fields are printed and logged as their values, and a secret by no verb and no handler.
func TestPrinted(t *testing.T) {
	t.Parallel()
	b := Box{
		Text: objects.Of("hello"), Secret: objects.NullableOf(objects.Sensitive("swordfish")), Notes: objects.Of(map[string]*string{}),
		At: objects.Null[time.Time](), ID: objects.ReadOnlyOf(7),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for name, v := range map[string]any{"object": b, "pointer": &b, "field": b.Secret, "value": b.Secret.Get()} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "swordfish") || strings.Contains(text, fmt.Sprintf("%x", "swordfish")) {
				t.Errorf("%s of an %s shows it: %s", verb, name, text)
			}
		}
	}
	if got, want := fmt.Sprintf("%#v %#v %#v %#v", b.Text, b.At, b.Count, b.ID), `"hello" null unset 7`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(out *bytes.Buffer) slog.Handler { return slog.NewTextHandler(out, nil) },
		"JSON": func(out *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(out, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("printed", "text", b.Text, "at", b.At, "count", b.Count, "id", b.ID, "secret", b.Secret, "value", b.Secret.Get())
		got := strings.NewReplacer(`"`, "", ":", "=", ",", " ", "\n", "", "}", "").Replace(out.String())
		if want := "msg=printed text=hello at=null count=unset id=7 secret=*** value=***"; !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
