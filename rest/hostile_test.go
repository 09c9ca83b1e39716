package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/goslo/goslo/rest"
)

// Whatever a path is, the answer is the API's, and never a redirect of http.ServeMux's; an escaped slash separates, as it does for WSGI.
func TestOddPaths(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for path, want := range map[string]int{
		"/v1%2Forders":          200,
		"/v1/p-1%2Forders":      200,
		"/v1/p%2D1/orders/o-1":  200,
		"/v1/orders%2Fo-1":      404,
		"/v1/%2Forders":         404,
		"/v1/orders/":           404,
		"/v1/orders/..":         404,
		"/v1/orders/%2e%2e":     404,
		"/v1/%2e%2e/orders":     404,
		"/v1/orders/a%2F..":     404,
		"/v1/orders/%ff/track":  404,
		"/v1/orders?status=%ff": 400,
		"//v1/orders":           404,
	} {
		if w := s.ask(t, "POST", path, "{}"); w.Code/100 == 3 {
			t.Errorf("POST %s: %d to %s", path, w.Code, w.Header().Get("Location"))
		}
		if w := s.ask(t, "GET", path, ""); w.Code != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d, want %d: %s", path, w.Code, want, w.Body)
		}
	}
	// What others have taken off too much of is a fault as well.
	api, err := rest.New(rest.Config{}, rest.NewResource("orders", "order", rest.Index(s.orders.Index)))
	if err != nil {
		t.Fatal(err)
	}
	for prefix, path := range map[string]string{"/v1/": "/v1/orders", "/v1": "/v1%2Forders"} {
		w := (&shop{Handler: http.StripPrefix(prefix, api)}).ask(t, "GET", path, "")
		if w.Code != 404 || !strings.Contains(w.Body.String(), "itemNotFound") {
			t.Errorf("%s without %s: %d %s", path, prefix, w.Code, w.Body)
		}
	}
}
