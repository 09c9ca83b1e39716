package middleware_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/middleware"
	"github.com/goslo/goslo/rest/paste"
)

// A whole file in front of an application: each filter does its part, and all see the same request.
func TestPipeline(t *testing.T) {
	t.Parallel()
	path := write(t, `[DEFAULT]
enable_proxy_headers_parsing = true

[composite:main]
use = egg:Paste#urlmap
/v1 = orders_v1
/healthcheck = health

[pipeline:orders_v1]
pipeline = cors http_proxy_to_wsgi request_id faultwrap sizelimit orders

[filter:cors]
paste.filter_factory = oslo_middleware.cors:filter_factory
oslo_config_project = shop

[filter:http_proxy_to_wsgi]
paste.filter_factory = oslo_middleware:HTTPProxyToWSGI.factory

[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory

[filter:faultwrap]
paste.filter_factory = oslo_middleware:CatchErrors.factory

[filter:sizelimit]
paste.filter_factory = oslo_middleware:RequestBodySizeLimiter.factory
max_request_body_size = 10

[app:orders]
paste.app_factory = shop.api:orders

[app:health]
paste.app_factory = oslo_middleware:Healthcheck.app_factory
`)
	orders := func(paste.Settings) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				panic(err)
			}
			_, _ = io.WriteString(w, rest.BaseURL(r)+" "+r.URL.Path+" "+r.RemoteAddr)
		}), nil
	}
	options := middleware.Defaults()
	options.CORS.AllowedOrigin = []string{"*"}
	h, err := paste.Config{
		Path:      path,
		Factories: middleware.Factories(middleware.Config{Options: options}).With(paste.Factories{Apps: map[string]paste.AppFactory{"shop.api:orders": orders}}),
	}.App()
	if err != nil {
		t.Fatal(err)
	}
	send := func(path, body string, length int64) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.ContentLength = length
		r.Header.Set("Origin", "https://horizon.example.com")
		r.Header.Set("Forwarded", "for=198.51.100.7;proto=https;host=cloud.example.com")
		r.Header.Set("X-Forwarded-Prefix", "/shop")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := send("/v1/orders", "short", 5)
	if diff := cmp.Diff("https://cloud.example.com/shop/v1 /orders 198.51.100.7", w.Body.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if w.Header().Get(rest.HeaderRequestID) == "" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("headers %v", w.Header())
	}
	for _, length := range []int64{11, -1} { // told, and not
		w := send("/v1/orders", "eleven bytes"[:11], length)
		var fault struct {
			OverLimit struct {
				Code int
				ID   string `json:"request_id"`
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &fault); err != nil || w.Code != http.StatusRequestEntityTooLarge || fault.OverLimit.Code != w.Code || fault.OverLimit.ID != w.Header().Get(rest.HeaderRequestID) {
			t.Errorf("length %d: %v, %d %s", length, err, w.Code, w.Body)
		}
	}
	if w := send("/healthcheck", "", 0); w.Code != http.StatusOK || w.Header().Get(rest.HeaderRequestID) != "" {
		t.Errorf("health: %d %v", w.Code, w.Header())
	}
}
