package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A flaky bus fails so many times to send, and remembers what it was asked.
type flaky struct {
	*memory.Transport
	fails int
	err   error
	tries int
	ids   map[string]bool
}

func (f *flaky) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	f.tries++
	f.ids[m.UniqueID] = true
	if f.tries <= f.fails {
		if f.err == nil { // the bus is away
			<-ctx.Done()
			return fmt.Errorf("%w: %w", transport.ErrNotSent, ctx.Err())
		}
		return f.err
	}
	return f.Transport.Send(ctx, to, m)
}

// conforms: NOTIFY-09, NOTIFY-10, NOTIFY-11, NOTIFY-16, ODD-57
func TestRetry(t *testing.T) {
	t.Parallel()
	lost := fmt.Errorf("%w: the bus is away", transport.ErrNotSent)
	for name, c := range map[string]struct {
		retry notify.Retry
		fails int
		err   error
		tries int
		ok    bool
	}{
		"never":                    {notify.Never, 1, lost, 1, false},
		"never, and it works":      {notify.Never, 0, lost, 1, true},
		"three times":              {notify.Times(3), 9, lost, 4, false},
		"the third time works":     {notify.Times(3), 3, lost, 4, true},
		"an attempt ends":          {notify.Times(1), 1, nil, 2, true},
		"for ever":                 {notify.Forever, 100, lost, 101, true},
		"not what was refused":     {notify.Forever, 1, transport.ErrRejected, 1, false},
		"nor what nobody hears":    {notify.Forever, 1, transport.ErrNoListener, 1, false},
		"nor what is unsupported":  {notify.Forever, 1, errors.ErrUnsupported, 1, false},
		"in doubt is tried again":  {notify.Times(1), 1, transport.ErrInDoubt, 2, true},
		"times of none is once":    {notify.Times(0), 9, lost, 2, false},
		"nor on a bus that closed": {notify.Forever, 1, transport.ErrClosed, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				bus := &flaky{Transport: memory.NewBus().Open(memory.Config{}), fails: c.fails, err: c.err, ids: map[string]bool{}}
				n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}}).Retrying(c.retry)
				err := sold.Emit(t.Context(), n, notify.Info, sale{})
				if (err == nil) != c.ok || bus.tries != c.tries {
					t.Errorf("%v after %d attempts, want success: %t after %d", err, bus.tries, c.ok, c.tries)
				}
				if len(bus.ids) != 1 {
					t.Errorf("%d unique ids, want one, by which duplicates are known", len(bus.ids))
				}
			})
		})
	}
}

func TestRetryEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := &flaky{Transport: memory.NewBus().Open(memory.Config{}), fails: 1 << 30, err: transport.ErrNotSent, ids: map[string]bool{}}
		n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := sold.Emit(ctx, n, notify.Info, sale{})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, transport.ErrNotSent) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// failing is a driver that fails.
type failing struct{}

func (failing) Notify(context.Context, *notify.Raw, notify.Retry) error { return errors.New("broken") }

// conforms: NOTIFY-06, NOTIFY-11, NOTIFY-12, NDRV-02
func TestSeveralDrivers(t *testing.T) {
	t.Parallel()
	var one, two notify.Recorder
	var log bytes.Buffer
	c := notify.NotifierConfig{Publisher: "p", Drivers: []notify.Driver{&one, failing{}, &two}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	n := notify.NewNotifier(c)
	if err := sold.Emit(t.Context(), n.As("q"), notify.Warn, sale{SKU: 7}); err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "item.sold") {
		t.Errorf("error: %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("logged and returned: %s", log.String())
	}
	c.Swallow = true
	if err := sold.Emit(t.Context(), notify.NewNotifier(c), notify.Warn, sale{SKU: 8}); err != nil || !strings.Contains(log.String(), "broken") {
		t.Errorf("swallowed: %v, log: %s", err, log.String())
	}
	for _, r := range []*notify.Recorder{&one, &two} {
		var got []string
		for _, one := range r.Notifications() {
			got = append(got, fmt.Sprintf("%s %s %s %s", one.Publisher, one.Type, one.Priority, one.Payload))
		}
		if diff := cmp.Diff([]string{`q item.sold warn {"sku":7}`, `p item.sold warn {"sku":8}`}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if r.Reset(); len(r.Notifications()) != 0 {
			t.Error("not reset")
		}
	}
	if notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.Noop{}}}).Enabled() {
		t.Error("noop alone is enabled")
	}
	if !notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.Noop{}, notify.Noop{}}}).Enabled() || !notify.NewNotifier(notify.NotifierConfig{}).Enabled() {
		t.Error("want it enabled unless noop is alone")
	}
	if err := n.Notify(t.Context(), notify.Info, "x", func() {}); err == nil || !strings.Contains(err.Error(), "encode the payload") {
		t.Errorf("payload that does not encode: %v", err)
	}
}

// conforms: NOTIFY-04, NOTIFY-05, NOTIFY-15
func TestTopics(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			topics []string
			want   map[string]int
		}{
			{nil, map[string]int{"notifications.sample": 1}},
			{[]string{"a", "b"}, map[string]int{"a.sample": 1, "b.sample": 1}},
			{[]string{}, map[string]int{"notifications.sample": 1}}, // as before
		} {
			n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewMessaging(w.bus, notify.MessagingConfig{Topics: c.topics})}})
			if err := sold.Emit(t.Context(), n, notify.Sample, sale{}); err != nil {
				t.Fatal(err)
			}
			for topic, want := range c.want {
				if got := w.waiting(topic, ""); got != want {
					t.Errorf("topics %v: %d at %s, want %d", c.topics, got, topic, want)
				}
			}
		}
	})
}

// conforms: NDRV-03, NDRV-04
func TestLogDriver(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{notify.NewLog(log)}})
	payload := map[string]any{"user": "ann", "admin_password": "hunter2", "deep": []any{map[string]any{"auth_token": "t", "Secret_UUID": 5}}}
	for priority, level := range map[notify.Priority]string{
		notify.Debug: "DEBUG", notify.Info: "INFO", notify.Audit: "INFO", notify.Sample: "INFO", notify.Warn: "WARN", notify.Error: "ERROR", notify.Critical: "ERROR+4",
	} {
		out.Reset()
		if err := n.Notify(t.Context(), priority, "x.y", payload); err != nil {
			t.Fatal(err)
		}
		var line struct{ Level, Payload, Priority, EventType string }
		if err := json.Unmarshal(bytes.ReplaceAll(out.Bytes(), []byte("event_type"), []byte("eventtype")), &line); err != nil {
			t.Fatal(err)
		}
		if line.Level != level || line.Priority != strings.ToUpper(string(priority)) || line.EventType != "x.y" {
			t.Errorf("%s: %+v", priority, line)
		}
		if want := `{"admin_password":"***","deep":[{"Secret_UUID":"***","auth_token":"***"}],"user":"ann"}`; line.Payload != want {
			t.Errorf("payload %s, want %s", line.Payload, want)
		}
	}
}

// conforms: NOTIFY-07, NDRV-11
func TestDriversByName(t *testing.T) {
	t.Parallel()
	bus := memory.NewBus().Open(memory.Config{})
	var recorder notify.Recorder
	file := write(t, "g: {test: , noop: }")
	all, err := notify.NewDrivers([]string{"messaging", "messagingv2", "log", "noop", "test", "routing"}, notify.DriverConfig{Bus: bus, Recorder: &recorder, Routing: file})
	if err != nil || len(all) != 6 {
		t.Fatalf("%v, %v", all, err)
	}
	if err := notify.NewNotifier(notify.NotifierConfig{Drivers: all}).Notify(t.Context(), notify.Info, "x", nil); err != nil {
		t.Fatal(err)
	}
	if n := len(recorder.Notifications()); n != 2 {
		t.Errorf("recorded %d times, want it by test and by routing", n)
	}
	l, err := bus.Listen(t.Context(), transport.Address{Kind: transport.Notification, Topic: "notifications.info"}, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bare := range []bool{true, false} {
		if d, err := l.Next(t.Context()); err != nil || d.Message.Event.Bare != bare {
			t.Errorf("%+v, %v; want format 1.0: %t", d.Message.Event, err, bare)
		}
	}
	for want, c := range map[string]struct {
		name string
		notify.DriverConfig
	}{
		"did you mean messagingv2?":   {"mesagingv2", notify.DriverConfig{}},
		"there is no bus":             {"messaging", notify.DriverConfig{}},
		"set routing_config":          {"routing", notify.DriverConfig{}},
		"no such file":                {"routing", notify.DriverConfig{Routing: filepath.Join(t.TempDir(), "none")}},
		`no driver "routing" to rout`: {"routing", notify.DriverConfig{Routing: write(t, "g: {routing: {}}")}},
	} {
		if _, err := notify.NewDrivers([]string{c.name}, c.DriverConfig); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", c.name, err, want)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "routing.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const routes = `
meters:
  one:
    accepted_events: [foo.*, "blah.zoo.*", "zip"]
    accepted_priorities: [INFO, "s*"]
  two:
    accepted_events: ["[a-c]?d", "[!x]yz"]
others:
  one:
    accepted_priorities: [critical]
  three:
  four:
    accepted_events: []
`

// What is rejected is not accepted by the same group, whatever it accepts; another may.
func TestRoutingRejects(t *testing.T) {
	t.Parallel()
	var recorder notify.Recorder
	r, err := notify.NewRouting(write(t, `
meters:
  test:
    accepted_events: ["compute.*"]
    rejected_events: ["*.start", "compute.[sS]ecret"]
    rejected_priorities: [DEBUG, "s?mple"]
rest:
  test:
    accepted_priorities: [critical]
    rejected_events: []
none:
  test:
    accepted_priorities: [critical]
    rejected_priorities: ["*"]
`), func(string) (notify.Driver, error) { return &recorder, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		event    string
		priority notify.Priority
		want     int
	}{
		{"compute.end", notify.Info, 1},
		{"compute.start", notify.Info, 0},
		{"compute.Secret", notify.Info, 0},
		{"compute.SECRET", notify.Info, 1},
		{"compute.end", notify.Debug, 0},
		{"compute.end", notify.Sample, 0},
		{"image.end", notify.Info, 0},
		{"compute.start", notify.Critical, 1},
	} {
		recorder.Reset()
		if err := r.Notify(t.Context(), &notify.Raw{Type: c.event, Priority: c.priority}, notify.Never); err != nil {
			t.Fatal(err)
		}
		if got := len(recorder.Notifications()); got != c.want {
			t.Errorf("%s %s came %d times, want %d", c.event, c.priority, got, c.want)
		}
	}
}

// conforms: NDRV-06, NDRV-07, NDRV-08, NDRV-09, NDRV-10, NDRV-12, NDRV-14, ODD-44
func TestRouting(t *testing.T) {
	t.Parallel()
	made := map[string]*notify.Recorder{}
	r, err := notify.NewRouting(write(t, routes), func(name string) (notify.Driver, error) {
		if made[name] != nil {
			t.Errorf("driver %s is made twice", name)
		}
		made[name] = new(notify.Recorder)
		return made[name], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{r}})
	for _, c := range []struct {
		event    string
		priority notify.Priority
		want     string
	}{
		{"foo.1", notify.Info, "one three"},
		{"foo.bar.1", notify.Sample, "one three"},
		{"foo", notify.Info, "three"},
		{"Foo.1", notify.Info, "three"},
		{"foo.1", notify.Error, "three"},
		{"blah.zoo.zing", notify.Info, "one three"},
		{"blah.zip", notify.Info, "three"},
		{"zip", notify.Info, "one three"},
		{"zipp", notify.Info, "three"},
		{"foo.1", notify.Critical, "one three"},
		{"nothing", notify.Critical, "one three"},
		{"bxd", notify.Info, "two three"},
		{"dxd", notify.Info, "three"},
		{"ayz", notify.Debug, "two three"},
		{"xyz", notify.Debug, "three"},
	} {
		if err := n.Notify(t.Context(), c.priority, c.event, nil); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range []string{"one", "two", "three", "four"} {
			if k := len(made[name].Notifications()); k > 0 {
				got = append(got, name)
				if k > 1 {
					t.Errorf("%s %s: %s got it %d times", c.event, c.priority, name, k)
				}
			}
			made[name].Reset()
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %s went to %q, want %q", c.event, c.priority, got, c.want)
		}
	}
}

// conforms: NDRV-05, NDRV-13
func TestRoutingMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "there is no group in it",
		"{}":                                 "there is no group in it",
		"g: [log]":                           "line 1:",
		"g:\n  log:\n    accepted_event: []": "line 3: field accepted_event not found",
		"g:\n  log:\n    accepted_events: x": "line 3:",
		"g: {log: }\ng: {log: }":             `line 2: mapping key "g" already defined at line 1`,
		"g: {other: }":                       "group g: no other",
	} {
		_, err := notify.NewRouting(write(t, text), func(name string) (notify.Driver, error) {
			if name == "log" {
				return notify.Noop{}, nil
			}
			return nil, errors.New("no " + name)
		})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "routing.yaml") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Any pattern can be compiled, and matches itself where it has no wildcards.
func FuzzRouting(f *testing.F) {
	for _, p := range []string{"foo.*", "[a-c]?d", "[!x]yz", "[", "[]", "[]]", "[!]", "[z-a]", "[!z-a]", `\`, "[a-]", "[--z]", "a.b", "é[é-ü]"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		text, err := json.Marshal(map[string]any{"g": map[string]any{"test": map[string]any{"accepted_events": []string{pattern}}}})
		if err != nil {
			t.Fatal(err)
		}
		var recorder notify.Recorder
		r, err := notify.NewRouting(write(t, string(text)), func(string) (notify.Driver, error) { return &recorder, nil })
		if err != nil {
			return // not all of JSON is YAML
		}
		if err := r.Notify(t.Context(), &notify.Raw{Type: pattern, Priority: notify.Info}, notify.Never); err != nil {
			t.Fatal(err)
		}
		if !strings.ContainsAny(pattern, "*?[\ufffd") && len(recorder.Notifications()) != 1 {
			t.Errorf("%q does not match itself", pattern)
		}
	})
}

// A queue that fills up because nobody reads it is told of, by name, every ten minutes and no more.
//
// conforms: NPOOL-03
func TestUnreadQueue(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		n := notify.NewNotifier(notify.NotifierConfig{Drivers: []notify.Driver{
			notify.NewMessaging(w.bus, notify.MessagingConfig{Logger: slog.New(slog.NewTextHandler(w.log, nil))}),
		}})
		warned := func(minutes int) int {
			t.Helper()
			w.log.Reset()
			for range 2 * minutes {
				sleep(30 * time.Second)
				if err := sold.Emit(t.Context(), n, notify.Info, sale{}); err != nil {
					t.Fatal(err)
				}
			}
			return strings.Count(w.log.String(), "nobody reads a queue of notifications")
		}
		if k := warned(9); k != 0 {
			t.Errorf("warned %d times within 9 minutes, want not yet", k)
		}
		if k := warned(21); k != 2 || !strings.Contains(w.log.String(), "topic=notifications.info") {
			t.Errorf("warned %d times within 21 minutes more, want twice: %s", k, w.log.String())
		}
		l, err := w.bus.Listen(t.Context(), transport.Address{Kind: transport.Notification, Topic: "notifications.info"}, transport.ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if k := warned(30); k != 0 {
			t.Errorf("warned %d times although somebody listens", k)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
