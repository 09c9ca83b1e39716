package notify_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// conforms: NFIL-01, NFIL-02, NFIL-03, NFIL-04, NFIL-05, ODD-46
func TestFilters(t *testing.T) {
	t.Parallel()
	full := transport.Message{
		UniqueID: "u", Context: json.RawMessage(`{"project_id":"5f643cfc","roles":["private"],"user":null}`),
		Event: &transport.Event{
			ID: "m1", Publisher: "compute.host-1", Type: "compute.instance.create.end", Priority: "INFO",
			Payload: json.RawMessage(`{"state":"active","count":5,"nan":NaN,"multi":"a\nactive"}`), Timestamp: "2026-08-04 10:11:12",
		},
	}
	empty := transport.Message{UniqueID: "u", Event: &transport.Event{Priority: "INFO"}}
	text := transport.Message{UniqueID: "u", Event: &transport.Event{Priority: "INFO", Payload: json.RawMessage(`"the state is active"`)}}
	for name, c := range map[string]struct {
		message transport.Message
		filter  notify.Filter
		want    bool
	}{
		"no rules":              {empty, notify.Filter{}, true},
		"publisher":             {full, notify.Filter{Publisher: `^compute.*`}, true},
		"anchored at the start": {full, notify.Filter{Publisher: `host`}, false},
		"not at the end":        {full, notify.Filter{Type: `compute\.instance`}, true},
		"all alternatives are":  {full, notify.Filter{Type: `instance|create`}, false},
		"not at a line's start": {full, notify.Filter{Payload: map[string]string{"multi": `(?m)^active`}}, false},
		"all must match":        {full, notify.Filter{Publisher: `compute`, Type: `volume`}, false},
		"a payload's member":    {full, notify.Filter{Payload: map[string]string{"state": `^active$`}}, true},
		"another value":         {full, notify.Filter{Payload: map[string]string{"state": `^error$`}}, false},
		"a missing member":      {full, notify.Filter{Payload: map[string]string{"other": ``}}, false},
		"not a string":          {full, notify.Filter{Payload: map[string]string{"count": `5`}}, false},
		"the context's member":  {full, notify.Filter{Context: map[string]string{"project_id": `5f`}}, true},
		"null":                  {full, notify.Filter{Context: map[string]string{"user": ``}}, false},
		"a list":                {full, notify.Filter{Context: map[string]string{"roles": `private`}}, false},
		"metadata":              {full, notify.Filter{Metadata: map[string]string{"timestamp": `2026-08`, "message_id": `m`}}, true},
		"other metadata":        {full, notify.Filter{Metadata: map[string]string{"level": ``}}, false},
		"no publisher":          {empty, notify.Filter{Publisher: `.*`}, false},
		"no type":               {empty, notify.Filter{Type: `.*`}, false},
		"no payload":            {empty, notify.Filter{Payload: map[string]string{"state": ``}}, false},
		"no context":            {empty, notify.Filter{Context: map[string]string{"user": ``}}, false},
		"text for a payload":    {text, notify.Filter{Payload: map[string]string{"state": ``}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, w *world) {
				got := 0
				stop := w.run(notify.ListenerConfig{}, notify.Handle(func(context.Context, notify.Raw) error { got++; return nil }).Where(c.filter))
				if err := w.bus.Send(t.Context(), transport.Address{Kind: transport.Notification, Topic: "notifications.info"}, &c.message); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if err := stop(); err != nil {
					t.Error(err)
				}
				if (got == 1) != c.want {
					t.Errorf("handled %d times, want it: %t", got, c.want)
				}
				if n := w.waiting("notifications.info", ""); n != 0 {
					t.Error("not acknowledged")
				}
			})
		})
	}
}
