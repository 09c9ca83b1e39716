package middleware_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goslo/goslo/rest/middleware"
)

// check asks a healthcheck.
func check(t *testing.T, c middleware.Healthcheck, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, r)
	return w
}

// Details are told where they are asked for, and what comes from a configuration is escaped.
func TestHealthcheckDetails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "<b>disabled")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := middleware.Healthcheck{Backends: []string{"disable_by_file"}, DisableByFilePath: file}
	for _, detailed := range []bool{false, true} {
		c.Detailed = detailed
		w := check(t, c, "text/html, application/json;q=0.9")
		page := w.Body.String()
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "text/html; charset=UTF-8" || !strings.Contains(page, "<td>DISABLED BY FILE</td>") {
			t.Errorf("HTML, detailed %v: %d %v %s", detailed, w.Code, w.Header(), page)
		}
		if strings.Contains(page, "&lt;b&gt;disabled") != detailed || strings.Contains(page, "<b>") {
			t.Errorf("HTML, detailed %v: %s", detailed, page)
		}
		w = check(t, c, "application/json")
		var got struct {
			Detailed bool
			Reasons  []any
			Now      string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Detailed != detailed || len(got.Reasons) != 1 || (got.Now != "") != detailed {
			t.Errorf("JSON, detailed %v: %v %s", detailed, err, w.Body)
		}
	}
	if w := check(t, c, "text/plain"); w.Body.String() != "DISABLED BY FILE" {
		t.Errorf("text: %s", w.Body)
	}
}

func TestHealthcheckCheck(t *testing.T) {
	t.Parallel()
	if err := middleware.Defaults().Healthcheck.Check(); err != nil {
		t.Error(err)
	}
	err := middleware.Healthcheck{Backends: []string{"statsd"}, DisableByFilePaths: []string{"80:/x", "/y"}}.Check()
	for _, want := range []string{`"statsd"`, `"/y"`, "disable_by_files_ports"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell of %s", err, want)
		}
	}
}

// FuzzHeaders sends whatever a client may into the filters that read headers.
func FuzzHeaders(f *testing.F) {
	f.Add("text/html;q=0.5,application/json", "for=1.2.3.4;proto=https", "/x", "https://a.example.com", "accept, ,x")
	f.Add(";;q=,*/*;q=nan", ",;=", "//", "*", ",")
	kinds := []string{"text/plain; charset=UTF-8", "text/html; charset=UTF-8", "application/json"}
	o := middleware.Defaults()
	o.CORS.AllowedOrigin = []string{"https://a.example.com"}
	h := o.CORS.Filter(middleware.Proxy{EnableProxyHeadersParsing: true}.Filter(middleware.LegacyV2(o.Healthcheck.Handler())))
	f.Fuzz(func(t *testing.T, accept, forwarded, prefix, origin, headers string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Accept", accept)
		r.Header.Set("Forwarded", forwarded)
		r.Header.Set("X-Forwarded-Prefix", prefix)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Headers", headers)
		r.Header.Set("Access-Control-Request-Method", http.MethodGet)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || !slices.Contains(kinds, w.Header().Get("Content-Type")) {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		if allowed := w.Header().Get("Access-Control-Allow-Origin"); allowed != "" && allowed != "https://a.example.com" {
			t.Errorf("allowed is %q", allowed)
		}
	})
}
