package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/notify/notifyhttp"
	"github.com/goslo/goslo/notify/notifyslog"
)

// notifier is ours, to the topic that the plaza's listeners listen to.
func (p *plaza) notifier(publisher string) *notify.Notifier {
	return notify.NewNotifier(notify.NotifierConfig{
		Publisher: publisher, Drivers: []notify.Driver{notify.NewMessaging(p.bus, notify.MessagingConfig{Topics: []string{"events"}})},
	})
}

// members decodes a payload.
func members(t *testing.T, payload string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		t.Fatalf("%v: %s", err, payload)
	}
	return m
}

// A record of a log is heard by Python's listener the same from Python's handlers and from ours, member by member.
//
// conforms: NLOG-01, NLOG-02, NLOG-04
func TestRecordsBetweenLanguages(t *testing.T) {
	t.Parallel()
	p := onPlaza(t)
	heard := p.pythonHears(t, "log", nil)
	p.python.Do(t, "log", map[string]any{"url": p.url, "topic": "events", "publisher": "shop.python"}, nil)
	for _, publishErrors := range []bool{false, true} {
		h := notifyslog.New(slog.DiscardHandler, notifyslog.Config{Notifier: p.notifier("shop.go"), PublishErrors: publishErrors})
		slog.New(h).Error("disk full", "logger", "shop.stock", "disk", "sda")
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	records := map[string]map[string]any{}
	for _, one := range awaitTold(t, heard, 4) {
		if one.Priority != "error" {
			t.Errorf("priority %s", one.Priority)
		}
		m := members(t, one.Payload)
		if one.Event != "error_notification" {
			records[one.Publisher] = m
			continue
		}
		if one.Publisher != "error.publisher" || !cmp.Equal(m, map[string]any{"error": "disk full"}) {
			t.Errorf("of %s: %s", one.Publisher, one.Payload)
		}
	}
	python, ours := records["shop.python"], records["shop.go"]
	if diff := cmp.Diff(slices.Sorted(maps.Keys(python)), slices.Sorted(maps.Keys(ours))); diff != "" {
		t.Fatalf("members (-Python +ours):\n%s", diff)
	}
	for name, value := range python {
		switch name {
		case "pathname", "lineno", "funcName", "process", "processName": // of either's own place
			if got, want := fmt.Sprintf("%T", ours[name]), fmt.Sprintf("%T", value); got != want {
				t.Errorf("%s is a %s, Python's a %s", name, got, want)
			}
		case "thread":
			if ours[name] != nil {
				t.Errorf("thread is %v, and Go tells none", ours[name])
			}
		default:
			if diff := cmp.Diff(value, ours[name]); diff != "" {
				t.Errorf("%s (-Python +ours):\n%s", name, diff)
			}
		}
	}
}

// A request over HTTP is heard by Python's listener the same from Python's middleware and from ours, member by member.
//
// conforms: NMW-01, NMW-02, NMW-03, NMW-04
func TestRequestsToldBetweenLanguages(t *testing.T) {
	t.Parallel()
	p := onPlaza(t)
	heard := p.pythonHears(t, "http", nil)
	m := notifyhttp.New(notifyhttp.Config{Notifier: p.notifier("front.go"), ServiceName: "shop", IgnoreMethods: []string{"put", " head"}})
	headers := map[string]string{
		"X-Auth-Token": "hunter2", "X-Service-Token": "hunter2", "Content-Type": "application/json", "X-Roles": "admin", "User-Agent": "curl", "Accept-Encoding": "identity",
	}
	for _, c := range []struct {
		method, path string
		fails        bool
	}{{"PUT", "/ignored", false}, {"POST", "/a%20b/c?x=1", false}, {"GET", "/fails", true}} {
		p.python.Do(t, "request", map[string]any{
			"url": p.url, "topic": "events", "publisher": "front.python", "service": "shop", "method": c.method, "path": c.path, "headers": headers, "fails": c.fails,
		}, nil)
		s := httptest.NewServer(outermost(m.Filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.fails {
				panic("it broke")
			}
			w.Header().Set("X-Colour", "red")
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, "hello")
		}))))
		r, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, strings.NewReader(`{"a":1}`))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		s.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Fatal(err)
	}
	told := map[string][]told{}
	for _, one := range awaitTold(t, heard, 8) {
		told[one.Publisher] = append(told[one.Publisher], one)
	}
	python, ours := told["front.python"], told["front.go"]
	if len(python) != 4 || len(ours) != 4 {
		t.Fatalf("Python told %d, and we %d; want 4", len(python), len(ours))
	}
	for i := range python {
		if python[i].Event != ours[i].Event || python[i].Priority != ours[i].Priority {
			t.Errorf("Python told %s %s, and we %s %s", python[i].Event, python[i].Priority, ours[i].Event, ours[i].Priority)
		}
		if diff := cmp.Diff(comparable(t, python[i].Payload), comparable(t, ours[i].Payload)); diff != "" {
			t.Errorf("%s (-Python +ours):\n%s", ours[i].Event, diff)
		}
	}
}

// outermost is what is behind an HTTP server: a panic is an answer.
func outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// comparable are the members of a payload that both languages can have the same, with types for the others. Python tells what else is in
// the environment of its process, and what is secret but for one header.
func comparable(t *testing.T, payload string) map[string]any {
	t.Helper()
	m := members(t, payload)
	request, _ := m["request"].(map[string]any)
	own := map[string]any{}
	for name, value := range request {
		switch {
		case name == "HTTP_HOST", name == "SERVER_NAME", name == "SERVER_PORT":
			own[name] = fmt.Sprintf("%T", value)
		case name == "HTTP_X_SERVICE_TOKEN":
			own[name] = "***"
		case strings.HasPrefix(name, "HTTP_"), strings.HasPrefix(name, "CONTENT_"), name == "PATH_INFO",
			name == "QUERY_STRING", name == "REQUEST_METHOD", name == "SCRIPT_NAME", name == "SERVER_PROTOCOL", name == "GATEWAY_INTERFACE", name == "REMOTE_ADDR":
			own[name] = value
		}
	}
	m["request"] = own
	if e, ok := m["exception"].(map[string]any); ok {
		lines, _ := e["traceback"].([]any)
		m["exception"] = map[string]any{"value": strings.Contains(fmt.Sprint(e["value"]), "it broke"), "traceback": len(lines) > 0}
	}
	return m
}
