package notifyhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/notify/notifyhttp"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/paste"
)

// A world is a middleware and what it tells.
type world struct {
	*notifyhttp.Middleware
	told notify.Recorder
}

func newWorld(c notifyhttp.Config, publisher string, drivers ...notify.Driver) *world {
	w := new(world)
	c.Notifier = notify.NewNotifier(notify.NotifierConfig{Publisher: publisher, Drivers: append(drivers, &w.told)})
	w.Middleware = notifyhttp.New(c)
	return w
}

// all closes the middleware and returns what it has told.
func (w *world) all(t *testing.T) []notify.Raw {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
	return w.told.Notifications()
}

// ask sends one request to a server of the handler, and returns the body and status of the answer, or that there is none.
func ask(t *testing.T, h http.Handler, method, path string, header http.Header) (status int, body string, err error) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.Start()
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header, r.Host = header, "api.example.com"
	answer, err := s.Client().Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

type told struct {
	Request  map[string]string
	Response *struct {
		Status  string
		Headers map[string]string
	}
	Exception *struct {
		Value     string
		Traceback []string
	}
}

func payload(t *testing.T, n notify.Raw) told {
	t.Helper()
	var p told
	if err := json.Unmarshal(n.Payload, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// A request is told before and after, with who asks and without what is secret.
//
// conforms: NMW-01, NMW-02, NMW-03
func TestRequestIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(notifyhttp.Config{}, "")
	h := rest.RequestID(w.Filter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("X-Colour", "red")
		w.Header().Add("X-Colour", "blue")
		w.Header().Set("X-Subject-Token", "hunter2")
		w.WriteHeader(http.StatusAccepted)
		w.Header().Set("X-Late", "is not sent")
		_, _ = io.WriteString(w, "hello")
	})))
	status, body, err := ask(t, h, http.MethodPost, "/a%20b/c?x=1&auth_token=hunter2&y", http.Header{
		"X-Auth-Token": {"hunter2"}, "X-Service-Token": {"hunter2"}, "Authorization": {"Basic hunter2"}, "Cookie": {"session=hunter2"},
		"Content-Type": {"application/json"}, "X-Roles": {"admin", "member"}, "User-Agent": {"curl"}, "Referer": {"http://h/?token=hunter2"}, "Accept-Encoding": {"identity"},
	})
	if err != nil || status != http.StatusAccepted || body != "hello" {
		t.Errorf("answered %d %q (%v)", status, body, err)
	}
	all := w.all(t)
	if len(all) != 2 || all[0].Type != "http.request" || all[1].Type != "http.response" {
		t.Fatalf("told %v", all)
	}
	for _, n := range all {
		if n.Priority != notify.Info || n.Publisher != "notifyhttp.test" || n.Context.RequestID() == "" || strings.Contains(string(n.Payload), "hunter2") {
			t.Errorf("%s, priority %s, context %s: %s", n, n.Priority, n.Context.JSON(), n.Payload)
		}
	}
	before, after := payload(t, all[0]), payload(t, all[1])
	for _, name := range []string{"REMOTE_PORT", "SERVER_PORT"} {
		if before.Request[name] == "" {
			t.Errorf("no %s", name)
		}
		delete(before.Request, name)
		delete(after.Request, name)
	}
	want := map[string]string{
		"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/a b/c", "QUERY_STRING": "x=1&auth_token=***&y",
		"SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "7",
		"HTTP_HOST": "api.example.com", "HTTP_X_SERVICE_NAME": "api.example.com", "HTTP_X_ROLES": "admin, member", "HTTP_USER_AGENT": "curl",
		"HTTP_REFERER":         "http://h/?token=***",
		"HTTP_ACCEPT_ENCODING": "identity", "HTTP_AUTHORIZATION": "***", "HTTP_COOKIE": "***", "HTTP_X_SERVICE_TOKEN": "***",
	}
	if diff := cmp.Diff(want, before.Request); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before.Request, after.Request); diff != "" || before.Response != nil || after.Exception != nil {
		t.Errorf("request in the response (-before +after):\n%s", diff)
	}
	if after.Response == nil || after.Response.Status != "202 Accepted" || after.Response.Headers["X-Colour"] != "red, blue" ||
		after.Response.Headers["X-Subject-Token"] != "***" || after.Response.Headers["X-Late"] != "" {
		t.Errorf("response %+v", after.Response)
	}
}

// A panic is told in place of the response, and goes on.
//
// conforms: NMW-03
func TestPanicIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(notifyhttp.Config{ServiceName: "shop"}, "shop.host-1")
	got := make(chan any, 1)
	inner := w.Filter(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { failHere() }))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { got <- recover() }()
		inner.ServeHTTP(w, r)
	})
	if _, _, err := ask(t, h, http.MethodGet, "/", http.Header{}); err != nil {
		t.Fatal(err)
	}
	if v := <-got; v != errBroken { //nolint:errorlint // the very value
		t.Errorf("outside came %v", v)
	}
	all := w.all(t)
	p := payload(t, all[len(all)-1])
	if len(all) != 2 || all[1].Publisher != "shop.host-1" || p.Request["HTTP_X_SERVICE_NAME"] != "shop" || p.Response != nil ||
		p.Exception == nil || p.Exception.Value != "it broke: token=***" || !strings.Contains(p.Exception.Traceback[len(p.Exception.Traceback)-1], "failHere") {
		t.Errorf("told %s", all[len(all)-1].Payload)
	}
}

var errBroken = errors.New("it broke: token=hunter2")

func failHere() { panic(errBroken) }

// What a file says of the filter counts before what the program says; other requests are told.
//
// conforms: NMW-04
func TestSettings(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"": "GET of shop.host-1 for the host, PUT of shop.host-1 for the host, ",
		"ignore_req_list = get , head\nservice_name = stock": "PUT of shop.host-1 for stock, ",
		"ignore_req_list = Put,DELETE\npublisher_id = front": "GET of front for the host, ",
		"url = rabbit://u:hunter2@h/":                        "error",
	} {
		t.Run(strings.ReplaceAll(settings, "hunter2", "secret"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(notifyhttp.Config{}, "shop.host-1")
			path := filepath.Join(t.TempDir(), "api-paste.ini")
			if err := os.WriteFile(path, []byte(`[pipeline:main]
pipeline = notify app
[filter:notify]
paste.filter_factory = `+notifyhttp.Factory+`
`+settings+`
[app:app]
paste.app_factory = shop:app
`), 0o600); err != nil {
				t.Fatal(err)
			}
			app := paste.Factories{Apps: map[string]paste.AppFactory{"shop:app": func(paste.Settings) (http.Handler, error) {
				return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil
			}}}
			h, err := paste.Config{Path: path, Factories: w.Factories().With(app)}.App()
			if want == "error" {
				if err == nil || !strings.Contains(err.Error(), "api-paste.ini:5") || !strings.Contains(err.Error(), "transport_url") || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error: %v", err)
				}
				w.all(t)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"GET", "PUT"} {
				if status, _, err := ask(t, h, method, "/", http.Header{}); err != nil || status != http.StatusOK {
					t.Errorf("%s: %d (%v)", method, status, err)
				}
			}
			var got string
			for _, n := range w.all(t) {
				if p := payload(t, n); p.Response == nil {
					got += p.Request["REQUEST_METHOD"] + " of " + n.Publisher + " for " + strings.ReplaceAll(p.Request["HTTP_X_SERVICE_NAME"], "api.example.com", "the host") + ", "
				} else if p.Response.Status != "200 OK" {
					t.Errorf("response %+v", p.Response)
				}
			}
			if got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		})
	}
}

// stuck waits for as long as it may.
type stuck struct{}

func (stuck) Notify(ctx context.Context, _ *notify.Raw, _ notify.Retry) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// A bus that does not answer, or refuses, is nothing that a request notices.
//
// conforms: NMW-05
func TestRequestsDoNotWait(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := newWorld(notifyhttp.Config{Queue: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))}, "", stuck{})
	h := w.Filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}))
	for range 5 {
		if status, _, err := ask(t, h, http.MethodGet, "/", http.Header{}); err != nil || status != http.StatusOK {
			t.Errorf("%d (%v)", status, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Close(ctx); err == nil || w.Lost() != 10 {
		t.Errorf("closed: %v; %d were lost, want 10", err, w.Lost())
	}
	if strings.Count(log.String(), "notification lost") != 1 {
		t.Errorf("log, want one line that some are lost:\n%s", log.String())
	}
}
