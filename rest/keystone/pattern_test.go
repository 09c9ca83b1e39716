package keystone_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/rest/keystone"
)

// What traces requests around the filters learns the pattern that one has matched behind them.
func TestPatternPassesFilters(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	o := keystone.Defaults()
	o.AuthURL, o.Username, o.Password = "http://127.0.0.1:1", "shop", config.NewSecret("x")
	o.ProjectName, o.DelayAuthDecision = "service", true // and nobody is asked about a request without a token
	auth, err := keystone.New(keystone.Config{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(auth.Close)
	for name, filter := range map[string]func(http.Handler) http.Handler{
		"authtoken": auth.Filter,
		"noauth":    keystone.NoAuth(keystone.NoAuthConfig{}),
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders/o-1", nil)
		if name == "noauth" {
			r.Header.Set("X-Auth-Token", "ann:engines")
		}
		w := httptest.NewRecorder()
		filter(mux).ServeHTTP(w, r)
		if want := "GET /orders/{id}"; w.Code != http.StatusOK || r.Pattern != want {
			t.Errorf("%s: %d, pattern %q, want %q", name, w.Code, r.Pattern, want)
		}
	}
}
