package middleware_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/middleware"
	"github.com/goslo/goslo/rest/paste"
)

// Options are read from a program's files, by the names that they have there, the older ones included.
func TestOptions(t *testing.T) {
	t.Parallel()
	load := func(text string) middleware.Options {
		t.Helper()
		c, err := config.Load(config.Source{Files: []string{write(t, text)}}, struct{ middleware.Options }{})
		if err != nil {
			t.Fatal(err)
		}
		return c.Get().Options
	}
	if diff := cmp.Diff(middleware.Defaults(), load("")); diff != "" {
		t.Errorf("defaults, -Defaults +loaded:\n%s", diff)
	}
	const text = `[DEFAULT]
osapi_max_request_body_size = 10
[cors]
allowed_origin = https://a.example.com,https://b.example.com
[oslo_middleware]
enable_proxy_headers_parsing = true
[healthcheck]
detailed = yes
`
	want := middleware.Defaults()
	want.CORS.AllowedOrigin = []string{"https://a.example.com", "https://b.example.com"}
	want.Middleware.EnableProxyHeadersParsing = true
	want.Middleware.MaxRequestBodySize = 10
	want.Healthcheck.Detailed = true
	if diff := cmp.Diff(want, load(text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// serve answers one request over HTTP.
func serve(t *testing.T, h http.Handler, header http.Header) (status int, got http.Header, body string, err error) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close() // what was logged is there then
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/x?secret=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, string(all), err
}

func TestFaultWrap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value  any
		status int
		body   string
	}{
		"text":  {"the password is hunter2", http.StatusInternalServerError, `{"computeFault":{"code":500,`},
		"error": {errors.New("hunter2"), http.StatusInternalServerError, `{"computeFault":{"code":500,`},
		"fault": {rest.Faultf(http.StatusConflict, "order 7 is shipped"), http.StatusConflict, `{"conflictingRequest":{"code":409,"message":"order 7 is shipped"`},
	} {
		var log bytes.Buffer
		h := rest.RequestID(middleware.FaultWrap(slog.New(slog.NewTextHandler(&log, nil)))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "7")
			panic(c.value)
		})))
		status, header, body, err := serve(t, h, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if status != c.status || !strings.HasPrefix(body, c.body) || strings.Contains(body, "hunter2") {
			t.Errorf("%s: %d %s", name, status, body)
		}
		id := header.Get(rest.HeaderRequestID)
		if text := log.String(); id == "" || !strings.Contains(body, id) || !strings.Contains(text, id) || !strings.Contains(text, "middleware_test.go") {
			t.Errorf("%s: request %q, log %s", name, id, text)
		}
	}
}

// An answer that has begun does not look whole to the client, and one that aborts itself is no panic to be told of.
func TestFaultWrapCutsOff(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"panic": "late", "abort": http.ErrAbortHandler} {
		var log bytes.Buffer
		h := middleware.FaultWrap(slog.New(slog.NewTextHandler(&log, nil)))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half of it")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic(value)
		}))
		if _, _, body, err := serve(t, h, nil); err == nil {
			t.Errorf("%s: the client took %q for the whole answer", name, body)
		}
		if logged := log.Len() > 0; logged != (name == "panic") {
			t.Errorf("%s: logged %q", name, log.String())
		}
	}
}

func TestRequestLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := middleware.RequestLog(slog.New(slog.NewTextHandler(&log, nil)))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("OpenStack-API-Version", "compute 2.90")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short")
	}))
	if _, _, _, err := serve(t, h, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"remote=127.0.0.1:", "method=GET", "uri=/x ", "status=418", "len=5", `microversion="compute 2.90"`, "time="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the query is in %s", log.String())
	}
}

func TestLegacyV2(t *testing.T) {
	t.Parallel()
	h := middleware.LegacyV2(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"OpenStack-API-Version", "X-OpenStack-Nova-API-Version"} {
			if got := r.Header.Get(name); got != "" {
				t.Errorf("the app sees %s: %s", name, got)
			}
			w.Header().Set(name, "2.1")
			w.Header().Add("Vary", name)
		}
		w.Header().Add("Vary", "Accept")
	}))
	_, header, _, err := serve(t, h, http.Header{"Openstack-Api-Version": {"compute 2.90"}, "X-Openstack-Nova-Api-Version": {"2.90"}})
	if err != nil {
		t.Fatal(err)
	}
	if header.Get("OpenStack-API-Version") != "" || header.Get("X-OpenStack-Nova-API-Version") != "" || header.Get("Vary") != "Accept" {
		t.Errorf("the client sees %v", header)
	}
}

// osprofiler stands for whatever traces the program's requests.
func TestTrace(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{"": "traced", "enabled = no\n": ""} {
		path := write(t, "[pipeline:main]\npipeline = osprofiler app\n[filter:osprofiler]\npaste.filter_factory = osprofiler.web:WsgiMiddleware.factory\n"+settings+"[app:app]\nuse = egg:oslo.middleware#healthcheck\n")
		trace := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Trace", "traced")
				next.ServeHTTP(w, r)
			})
		}
		h, err := paste.Config{Path: path, Factories: middleware.Factories(middleware.Config{Trace: trace})}.App()
		if err != nil {
			t.Fatal(err)
		}
		if _, header, _, err := serve(t, h, nil); err != nil || header.Get("X-Trace") != want {
			t.Errorf("%q: %v %v", settings, header, err)
		}
	}
}

// What is wrong with a filter's settings is told with their lines.
func TestSettingsOfFilters(t *testing.T) {
	t.Parallel()
	path := write(t, `[pipeline:main]
pipeline = cors cors2 size proxy heat heat2 app
[filter:cors]
paste.filter_factory = oslo_middleware.cors:filter_factory
[filter:cors2]
paste.filter_factory = oslo_middleware.cors:filter_factory
allowed_origin = *
max_age = an hour
allow_credentials = maybe
[filter:size]
use = egg:oslo.middleware#sizelimit
max_request_body_size = 112k
[filter:proxy]
use = egg:oslo_middleware#http_proxy_to_wsgi
enable_proxy_headers_parsing = 2
[filter:heat]
paste.filter_factory = heat.common.wsgi:filter_factory
[filter:heat2]
paste.filter_factory = heat.common.wsgi:filter_factory
heat.filter_factory = heat.api.openstack:faultwrap_filtre
[app:app]
use = egg:oslo.middleware#healthcheck
backends = disable_by_fiel
`)
	_, err := paste.Config{Path: path, Factories: middleware.Factories(middleware.Config{Options: middleware.Defaults()})}.App()
	want := []string{
		"3: [filter:cors]: the section needs allowed_origin, or oslo_config_project, which leaves the options to the program's configuration",
		`8: [filter:cors2]: max_age: "an hour" is no integer`,
		`9: [filter:cors2]: allow_credentials: "maybe" is neither true nor false`,
		`12: [filter:size]: max_request_body_size: "112k" is no integer`,
		`15: [filter:proxy]: enable_proxy_headers_parsing: "2" is neither true nor false`,
		"16: [filter:heat]: the section needs heat.filter_factory, which names the filter",
		"20: [filter:heat2]: heat.filter_factory: the filter factory heat.api.openstack:faultwrap_filtre is not known to this program",
		`23: [app:app]: backends: there is no backend "disable_by_fiel"; there are disable_by_file and disable_by_files_ports`,
	}
	got := strings.Split(strings.ReplaceAll(err.Error(), "paste: "+path+":", ""), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
