package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/middleware"
	"github.com/goslo/goslo/rest/paste"
)

type order struct {
	ID string `json:"id"`
}

// front is an API behind filters that change requests, as a file has them.
func front(t *testing.T) http.Handler {
	t.Helper()
	show := func(_ context.Context, id string) (order, error) { return order{id}, nil }
	api, err := rest.New(rest.Config{Microversions: rest.Microversions{Service: "shop", Min: "1.0", Max: "1.3", LegacyHeader: "X-Shop-API-Version"}},
		rest.NewResource("orders", "order", rest.Show(show)))
	if err != nil {
		t.Fatal(err)
	}
	options := middleware.Defaults()
	options.CORS.AllowedOrigin = []string{"https://horizon.example.com"}
	options.Middleware.EnableProxyHeadersParsing = true
	h, err := paste.Config{
		Path: write(t, `[composite:main]
use = egg:Paste#urlmap
/v1 = shop
[pipeline:shop]
pipeline = cors http_proxy_to_wsgi request_id legacy orders
[filter:cors]
paste.filter_factory = oslo_middleware.cors:filter_factory
oslo_config_project = shop
[filter:http_proxy_to_wsgi]
paste.filter_factory = oslo_middleware:HTTPProxyToWSGI.factory
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
[filter:legacy]
paste.filter_factory = nova.api.openstack:LegacyV2CompatibleWrapper.factory
[app:orders]
paste.app_factory = shop.api:orders
`),
		Factories: middleware.Factories(middleware.Config{Options: options}).With(paste.Factories{Apps: map[string]paste.AppFactory{
			"shop.api:orders": func(paste.Settings) (http.Handler, error) { return api, nil },
		}}),
	}.App()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// What traces requests around a file's application learns the pattern of the route, as without a file.
func TestPatternPassesFilters(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/orders/o-1", nil)
	w := httptest.NewRecorder()
	front(t).ServeHTTP(w, r)
	if want := "GET /v1/orders/{id}"; w.Code != http.StatusOK || r.Pattern != want {
		t.Errorf("%d, pattern %q, want %q", w.Code, r.Pattern, want)
	}
}

// A cache has to know all headers that an answer depends on, also those that CORS found there.
func TestVary(t *testing.T) {
	t.Parallel()
	h := middleware.CORS{AllowedOrigin: []string{"https://horizon.example.com"}}.Filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Vary", "OpenStack-API-Version")
		w.Header().Add("Vary", "X-Shop-API-Version")
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Origin", "https://horizon.example.com")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if diff := cmp.Diff([]string{"OpenStack-API-Version,X-Shop-API-Version,Origin"}, w.Header().Values("Vary")); diff != "" {
		t.Errorf("Vary, -want +got:\n%s", diff)
	}
}
