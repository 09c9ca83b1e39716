package rest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

// What is answered 5xx is logged: a fault without a status too, and a panic or a failure of something else although the client has hung up.
// That it hung up is not.
func TestLogOfFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fails  func(ctx context.Context) error
		gone   bool
		logged bool
	}{
		"no status":         {func(context.Context) error { return &rest.Fault{Message: "w0rds"} }, false, true},
		"client's mistake":  {func(context.Context) error { return rest.Faultf(http.StatusConflict, "w0rds") }, false, false},
		"panic":             {func(context.Context) error { panic("w0rds") }, true, true},
		"another failure":   {func(context.Context) error { return errors.New("w0rds") }, true, true},
		"the client's exit": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, true, false},
	} {
		var log bytes.Buffer
		api, err := rest.New(rest.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))},
			rest.NewResource("orders", "order", rest.Delete(func(ctx context.Context, _ string) error { return test.fails(ctx) })))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if test.gone {
			cancel()
		}
		api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "DELETE", "/orders/o-1", nil))
		cancel()
		if logged := log.Len() > 0; logged != test.logged || logged && !strings.Contains(log.String(), "w0rds") {
			t.Errorf("%s: logged %q", name, log.String())
		}
	}
}

// Of two APIs one of which is below the other, each is found in any order.
func TestVersionsAtPaths(t *testing.T) {
	t.Parallel()
	at := func(path string) *rest.API {
		api, err := rest.New(rest.Config{Version: rest.Version{Path: path}}, rest.NewResource("orders", "order",
			rest.Show(func(context.Context, string) (brief, error) { return brief{path}, nil })))
		if err != nil {
			t.Fatal(err)
		}
		return api
	}
	for _, h := range []http.Handler{rest.Versions(at("/v1"), at("/v1/beta")), rest.Versions(at("/v1/beta"), at("/v1"))} {
		for path, want := range map[string]string{"/v1/orders/o-1": `"/v1"`, "/v1/beta/orders/o-1": `"/v1/beta"`} {
			if w := (&shop{Handler: h}).ask(t, "GET", path, ""); !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d %s; want %s", path, w.Code, w.Body, want)
			}
		}
	}
}
