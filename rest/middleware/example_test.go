package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/goslo/goslo/rest/middleware"
	"github.com/goslo/goslo/rest/paste"
)

// A filter is a func(http.Handler) http.Handler, and needs no file.
func ExampleCORS() {
	cors := middleware.Defaults().CORS
	cors.AllowedOrigin = []string{"https://horizon.example.com"}
	api := cors.Filter(http.NotFoundHandler())

	r := httptest.NewRequestWithContext(context.Background(), http.MethodOptions, "/v1/orders", nil)
	r.Header.Set("Origin", "https://horizon.example.com")
	r.Header.Set("Access-Control-Request-Method", http.MethodPost)
	answer := httptest.NewRecorder()
	api.ServeHTTP(answer, r)
	fmt.Println(answer.Code, answer.Header().Get("Access-Control-Allow-Methods"))
	// Output: 200 POST
}

// An operator's file names the filters as for any service of OpenStack; the program adds its own applications.
func ExampleFactories() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "api-paste.ini")
	if err := os.WriteFile(path, []byte(`
[pipeline:main]
pipeline = request_id faultwrap sizelimit orders

[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory

[filter:faultwrap]
paste.filter_factory = nova.api.openstack:FaultWrapper.factory

[filter:sizelimit]
paste.filter_factory = oslo_middleware:RequestBodySizeLimiter.factory
max_request_body_size = 1048576

[app:orders]
paste.app_factory = shop.api:Orders.factory
`), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	orders := func(paste.Settings) (http.Handler, error) {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("out of stock") }), nil
	}
	app, err := paste.Config{
		Path: path,
		Factories: middleware.Factories(middleware.Config{Options: middleware.Defaults()}).With(paste.Factories{
			Apps: map[string]paste.AppFactory{"shop.api:Orders.factory": orders},
		}),
	}.App()
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := httptest.NewRecorder()
	app.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/orders", nil))
	fmt.Println(answer.Code, answer.Header().Get("X-Openstack-Request-Id") != "")
	// Output: 500 true
}
