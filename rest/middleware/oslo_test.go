package middleware_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/middleware"
	"github.com/goslo/goslo/rest/paste"
)

// An exchange is one request, the app's answer, and how both sides are asked for it.
type exchange struct {
	Filter   string            `json:"filter"`
	Settings map[string]string `json:"settings"`
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Chunked  bool              `json:"chunked"`
	Mount    string            `json:"mount"` // what was taken off the path before
	Answer   struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
	} `json:"answer"`
}

// An outcome is what the app saw and the client got.
type outcome struct {
	Seen *struct {
		Scheme, Host, Remote, Mount, Path string
		Body                              int
		Global                            string `json:"global_id"`
	} `json:"seen"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func exchanges(t *testing.T) []exchange {
	var all []exchange
	add := func(filter, settings, method, path, headers string) *exchange {
		e := exchange{Filter: filter, Settings: pairs(settings), Method: method, Path: path, Headers: pairs(headers)}
		e.Answer.Status, e.Answer.Headers = http.StatusOK, map[string]string{}
		all = append(all, e)
		return &all[len(all)-1]
	}
	const origin = "Origin: https://h.example.com"
	for _, settings := range []string{
		"allowed_origin: https://h.example.com",
		"allowed_origin: https://x.example.com, https://h.example.com\nallow_credentials: False\nmax_age: 0\nexpose_headers: X-A, X-B\nallow_methods: GET,PATCH\nallow_headers: X-Auth-Token",
		"allowed_origin: *",
		"allowed_origin:",
	} {
		for _, request := range [][2]string{
			{"GET", ""},
			{"GET", origin},
			{"GET", "Origin: https://nobody.example.com"},
			{"OPTIONS", ""},
			{"OPTIONS", origin},
			{"OPTIONS", origin + "\nAccess-Control-Request-Method: GET"},
			{"OPTIONS", origin + "\nAccess-Control-Request-Method: DELETE\nAccess-Control-Request-Headers: content-type, ,Accept"},
			{"OPTIONS", origin + "\nAccess-Control-Request-Method: PATCH\nAccess-Control-Request-Headers: x-auth-token"},
			{"OPTIONS", origin + "\nAccess-Control-Request-Method: get"},
		} {
			for _, answer := range []struct {
				status  int
				headers string
			}{{200, "Vary: Accept"}, {204, ""}, {404, "Vary: Accept\nX-App: 1"}, {200, "Access-Control-Allow-Origin: own"}} {
				e := add("cors", settings, request[0], "/", request[1])
				e.Answer.Status, e.Answer.Headers = answer.status, pairs(answer.headers)
			}
		}
	}
	for _, settings := range []string{"", "enable_proxy_headers_parsing: true"} {
		for _, headers := range []string{
			"",
			"X-Forwarded-Proto: https\nX-Forwarded-Host: front.example.com:8443\nX-Forwarded-For: 198.51.100.7",
			"X-Forwarded-Prefix: /front",
			"Forwarded: for=198.51.100.7; proto=https;Host=front.example.com, for=192.0.2.60;proto=http\nX-Forwarded-Host: other",
			"Forwarded: by=10.0.0.1",
		} {
			add("http_proxy_to_wsgi", settings, "GET", "/v1/x", headers).Mount = "/v2"
		}
	}
	for _, settings := range []string{"max_request_body_size: 4", ""} {
		for _, body := range []string{"", "1234", "12345"} {
			for _, chunked := range []bool{false, true} {
				e := add("sizelimit", settings, "POST", "/", "")
				e.Body, e.Chunked = body, chunked
			}
		}
	}
	for _, filter := range []string{"request_id", "compute_req_id"} {
		for _, id := range []string{"", "req-0f6b1d42-9d5c-4f2e-8f5a-1d2c3b4a5968", "req-0F6B1D42-9d5c-4f2e-8f5a-1d2c3b4a5968", "forged"} {
			add(filter, "", "GET", "/", "X-Openstack-Request-Id: "+id)
		}
		add(filter, "", "GET", "/", "").Answer.Headers = pairs("X-Openstack-Request-Id: own")
	}
	disabled := filepath.Join(t.TempDir(), "disabled")
	if err := os.WriteFile(disabled, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, settings := range []string{"", "backends: disable_by_file", "backends: disable_by_file\ndisable_by_file_path: " + disabled, "backends: disable_by_file\ndisable_by_file_path: " + disabled + "no", "path: /up\nbackends: disable_by_file,disable_by_files_ports\ndisable_by_file_paths: 80:" + disabled} {
		for _, accept := range []string{"", "*/*", "application/json", "text/plain;q=0.5, application/json;q=0.9", "application/*;q=0.2,text/plain;q=0.1", "image/png", "application/json;q=0"} {
			for _, method := range []string{"GET", "HEAD"} {
				headers := ""
				if accept != "" {
					headers = "Accept: " + accept
				}
				add("healthcheck_app", settings, method, "/anywhere", headers)
			}
		}
		add("healthcheck", settings, "GET", "/healthcheck", "")
		add("healthcheck", settings, "GET", "/up", "")
	}
	return all
}

// pairs reads "name: value" lines.
func pairs(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		all[name] = strings.TrimSpace(value)
	}
	return all
}

// load makes the filter that an exchange is about, before that app, by a file.
func load(t *testing.T, e exchange, app http.Handler) http.Handler {
	t.Helper()
	python := map[string]string{
		"cors": "oslo_middleware.cors:filter_factory", "http_proxy_to_wsgi": "oslo_middleware:HTTPProxyToWSGI.factory",
		"sizelimit": "oslo_middleware:RequestBodySizeLimiter.factory", "request_id": "oslo_middleware:RequestId.factory",
		"compute_req_id": "nova.api.compute_req_id:ComputeReqIdMiddleware.factory",
		"healthcheck":    "oslo_middleware:Healthcheck.factory", "healthcheck_app": "oslo_middleware:Healthcheck.app_factory",
	}[e.Filter]
	text := "[pipeline:main]\npipeline = it app\n[app:app]\nuse = call:t:app\n[filter:it]\npaste.filter_factory = " + python + "\n"
	if e.Filter == "healthcheck_app" {
		text = "[app:main]\npaste.app_factory = " + python + "\n"
	}
	for name, value := range e.Settings {
		text += name + " = " + value + "\n"
	}
	path := write(t, text)
	own := paste.Factories{Apps: map[string]paste.AppFactory{"t:app": func(paste.Settings) (http.Handler, error) { return app, nil }}}
	h, err := paste.Config{Path: path, Factories: middleware.Factories(middleware.Config{Options: middleware.Defaults()}).With(own)}.App()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func run(t *testing.T, e exchange) outcome {
	t.Helper()
	var o outcome
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			rest.WriteFault(w, r, err)
			return
		}
		o.Seen = &struct {
			Scheme, Host, Remote, Mount, Path string
			Body                              int
			Global                            string `json:"global_id"`
		}{r.URL.Scheme, r.Host, r.RemoteAddr, rest.Mount(r.Context()), r.URL.Path, len(body), rest.ContextFrom(r.Context()).GlobalRequestID}
		for name, value := range e.Answer.Headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(e.Answer.Status)
		_, _ = io.WriteString(w, "the app")
	})
	h := load(t, e, app)
	arrived := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{Port: 80}) // as net/http does
	r := httptest.NewRequestWithContext(rest.WithMount(arrived, e.Mount), e.Method, e.Path, strings.NewReader(e.Body))
	r.URL.Scheme, r.Host, r.RemoteAddr = "http", "api.example.com", "192.0.2.1"
	if e.Chunked {
		r.ContentLength = -1
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	o.Status, o.Body, o.Headers = w.Code, w.Body.String(), map[string]string{}
	for name, values := range w.Header() {
		o.Headers[name] = strings.Join(values, ",")
	}
	return o
}

// normal leaves what the filters are about.
func (o outcome) normal(e exchange) outcome {
	kept := map[string]string{}
	for name, value := range o.Headers {
		name = http.CanonicalHeaderKey(name)
		about := name == "Vary" || strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "X-") ||
			name == "Content-Type" && o.Seen == nil && strings.HasPrefix(e.Filter, "healthcheck")
		if about {
			kept[name] = value
		}
		if strings.HasSuffix(name, "-Request-Id") && strings.HasPrefix(value, "req-") {
			kept[name] = "req-"
		}
	}
	if o.Status == http.StatusRequestEntityTooLarge {
		o.Body, o.Seen = "", nil // each in a format of its own
		delete(kept, "Vary")
	}
	if e.Method == http.MethodHead || o.Status == http.StatusNoContent {
		o.Body = ""
	}
	o.Headers = kept
	return o
}

//go:embed testdata/oslo.py
var osloProgram string

func TestAgreesWithOsloMiddleware(t *testing.T) {
	t.Parallel()
	all := exchanges(t)
	input, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", osloProgram)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oslo.middleware did not run: %v\n%s\ninstall it: apt-get install python3-oslo.middleware", err, stderr.String())
	}
	var want []outcome
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, e := range all {
		if diff := cmp.Diff(want[i].normal(e), run(t, e).normal(e)); diff != "" {
			t.Errorf("%+v: oslo.middleware (-) and this package (+) disagree:\n%s", e, diff)
		}
	}
}

// write returns the path of a file with that text.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api-paste.ini")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
