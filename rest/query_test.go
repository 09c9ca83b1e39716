package rest_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
)

type filters struct {
	rest.Page

	Name   string    `query:"name"`
	All    bool      `query:"all_tenants"`
	Since  time.Time `query:"changes-since"`
	Ratio  float32   `query:"ratio"`
	Small  uint8     `query:"small"`
	Ages   []int     `query:"age"`
	Tag    *string   `query:"tag"`
	Unread string
}

func TestQuery(t *testing.T) {
	t.Parallel()
	search := func(_ context.Context, q filters) (filters, error) { return q, nil }
	api, err := rest.New(rest.Config{MaxLimit: 50}, rest.NewResource("orders", "order", rest.Collection("search", search)))
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{Handler: rest.Versions(api)}
	tag := ""
	for query, want := range map[string]any{
		"": filters{Page: rest.Page{Limit: 50}},
		"limit=500&name=a%20b&all_tenants=1&changes-since=2026-11-21T10:00:00Z&ratio=0.5&small=7&age=1&age=2&tag=&marker=m": filters{
			Page: rest.Page{Limit: 50, Marker: "m"}, Name: "a b", All: true, Since: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
			Ratio: 0.5, Small: 7, Ages: []int{1, 2}, Tag: &tag,
		},
		"limit=3":             filters{Page: rest.Page{Limit: 3}},
		"all_tenants=perhaps": `all_tenants: want true or false, not \"perhaps\"`,
		"changes-since=now":   `changes-since: want a date and time such as 2006-01-02T15:04:05Z, not \"now\"`,
		"ratio=x":             `ratio: want a number, not \"x\"`,
		"small=300":           `small: want a whole number, not \"300\"`,
		"age=1&age=x":         `age: want a whole number, not \"x\"`,
		"name=a&name=b":       "name: is there 2 times",
		"Unread=x":            "Unread: there is no such parameter",
		"a;b":                 "the query cannot be read",
	} {
		w := s.ask(t, "GET", "/v1/orders/search?"+query, "")
		if text, bad := want.(string); bad {
			if w.Code != 400 || !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %d %s; want %s", query, w.Code, w.Body, text)
			}
			continue
		}
		var got filters
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
		if diff := cmp.Diff(want, any(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

// No request is a 500, and what is answered is JSON.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/v1/p-1/orders?limit=1&marker=o-1", "", "shop 1.1")
	f.Add("POST", "/v1/orders", `{"order": {"sku": "A9", "n": 3, "tags": {"a": "b"}}}`, "shop latest")
	f.Add("POST", "/v1/orders/o-1/action", `{"cancel": {"reason": "late"}}`, "")
	f.Add("OPTIONS", "/v1/orders/%2F/os-line/x", "", "other 1.2")
	f.Fuzz(func(t *testing.T, method, target, body, version string) {
		if strings.Contains(target, "panic") || strings.Contains(target, "wait") {
			return // which are meant to fail
		}
		path, query, _ := strings.Cut(target, "?")
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header.Set("OpenStack-API-Version", version)
		w := httptest.NewRecorder()
		newShop(t).ServeHTTP(w, r)
		if w.Code >= 500 || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
	})
}
