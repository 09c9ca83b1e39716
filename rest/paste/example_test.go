package paste_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/goslo/goslo/rest/paste"
)

// A file says which filter stands before an API, and the program what the names in the file mean.
func Example() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "api-paste.ini")
	if err := os.WriteFile(path, []byte(`
[composite:shop]
use = egg:Paste#urlmap
/v1: shop_v1

[pipeline:shop_v1]
pipeline = greeting orders

[filter:greeting]
paste.filter_factory = shop.greeting:Greeting.factory
text = Hello

[app:orders]
paste.app_factory = shop.api:Orders.factory
`), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	greeting := func(s paste.Settings) (func(http.Handler) http.Handler, error) {
		var text string
		s.Text("text", &text)
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintln(w, text)
				next.ServeHTTP(w, r)
			})
		}, nil
	}
	orders := func(paste.Settings) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "orders at", r.URL.Path) }), nil
	}
	app, err := paste.Config{Path: path, Name: "shop", Factories: paste.Factories{
		Composites: map[string]paste.CompositeFactory{"egg:Paste#urlmap": paste.URLMap},
		Filters:    map[string]paste.FilterFactory{"shop.greeting:Greeting.factory": greeting},
		Apps:       map[string]paste.AppFactory{"shop.api:Orders.factory": orders},
	}}.App()
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := httptest.NewRecorder()
	app.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/v1/orders/17", nil))
	fmt.Print(answer.Body)
	// Output:
	// Hello
	// orders at /orders/17
}
