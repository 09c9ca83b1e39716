package keystone_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/keystone"
)

var orders = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c := rest.ContextFrom(r.Context())
	fmt.Fprintf(w, "orders of %s, for %s\n", c.Project.ID, c.User.ID)
})

// A service in front of which Keystone says who asks.
func ExampleNew() {
	options := keystone.Defaults() // usually [keystone_authtoken] of a file
	options.AuthURL, options.Username, options.Password = "http://controller:5000", "shop", config.NewSecret("s3cret")
	options.ProjectName = "service"
	auth, err := keystone.New(keystone.Config{Options: options})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer auth.Close()
	handler := auth.Filter(keystone.Context(keystone.ContextConfig{})(orders))

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/v1/orders", http.NoBody))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Keystone uri="http://controller:5000"
}

// A service for development, which believes everybody.
func ExampleNoAuth() {
	handler := keystone.NoAuth(keystone.NoAuthConfig{})(orders)
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/v1/orders", http.NoBody)
	r.Header.Set("X-Auth-Token", "ann:shop")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Print(w.Body)
	// Output: orders of shop, for ann
}
