package rest_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
)

// An API that does not fit together says which part it is.
func TestNewTellsMistakes(t *testing.T) {
	t.Parallel()
	o := &orders{}
	versioned := rest.Config{Microversions: rest.Microversions{Service: "shop", Min: "1.0", Max: "1.9"}}
	res := func(routes ...rest.Route) []rest.Part {
		return []rest.Part{rest.NewResource("orders", "order", routes...)}
	}
	for _, test := range []struct {
		config rest.Config
		parts  []rest.Part
		want   string
	}{
		{rest.Config{}, res(rest.Show(o.Show), rest.Show(o.Show)), "GET /orders/{id} is there twice"},
		{rest.Config{}, res(rest.Action("a", o.Cancel), rest.Action("a", o.Cancel)), "POST /orders/{id}/action a is there twice"},
		{versioned, res(rest.Show(o.Show).Until("1.5"), rest.Show(o.Show).Since("1.5")), "is there twice"},
		{versioned, res(rest.Show(o.Show).Since("1.x")), "1.x"},
		{rest.Config{}, res(rest.Show(o.Show).Since("1.5")), "Config.Microversions"},
		{versioned, res(rest.Show(o.Show).Since("1.10").Until("1.9")), "since 1.10 and until 1.9"},
		{rest.Config{}, res(rest.Route{}), "without a method"},
		{rest.Config{}, res(rest.Attributes(points)), "for Extend"},
		{rest.Config{}, res(rest.Collection("x", func(context.Context, string) (string, error) { return "", nil })), "a query is read into a struct"},
		{rest.Config{}, res(rest.Collection("x", func(context.Context, struct {
			M map[string]string `query:"m"`
		},
		) (string, error) {
			return "", nil
		})), "parameter m"},
		{rest.Config{}, append(res(), res()...), "use Extend"},
		{rest.Config{}, []rest.Part{rest.NewResource("/orders", "order")}, "want a path"},
		{rest.Config{}, []rest.Part{rest.NewResource("{x}/orders", "order")}, "want a path"},
		{rest.Config{}, []rest.Part{rest.NewResource("orders", "")}, "want the word"},
		{rest.Config{}, append(res(rest.Member("os-line", o.Track)), rest.NewResource("orders/{order_id}/os-line", "line", rest.Index(o.Lines))), "conflicts"},
		{rest.Config{}, append(res(rest.Show(o.Show)), rest.Extend("ordesr")), "did you mean orders?"},
		{rest.Config{}, append(res(rest.Index(o.Lines)), rest.Extend("orders", rest.Attributes(points))), "never answers with a rest_test.order"},
		{rest.Config{}, []rest.Part{rest.NewExtension(rest.Extension{Name: "x"})}, "alias"},
		{rest.Config{}, []rest.Part{rest.NewExtension(rest.Extension{Alias: "x"}), rest.NewExtension(rest.Extension{Alias: "x"})}, "twice"},
		{rest.Config{}, []rest.Part{rest.NewExtension(rest.Extension{Alias: "os-x"}, rest.NewResource("", "x"))}, "os-x"},
		{rest.Config{Microversions: rest.Microversions{Min: "1.0", Max: "1.1"}}, nil, "Microversions.Service"},
		{rest.Config{Microversions: rest.Microversions{Service: "shop", Min: "1.2", Max: "1.1"}}, nil, "below"},
		{rest.Config{Microversions: rest.Microversions{Service: "shop", Max: "1.1"}}, nil, "microversion"},
		{rest.Config{Version: rest.Version{Path: "/"}}, nil, "root"},
		{rest.Config{PublicURL: "cloud.example:8774/shop"}, nil, "Config.PublicURL"},
	} {
		if _, err := rest.New(test.config, test.parts...); err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "rest: ") {
			t.Errorf("%v; want %s", err, test.want)
		}
	}
}

// An API may be mounted by others, such as a pipeline; links know where.
func TestMount(t *testing.T) {
	t.Parallel()
	o := &orders{}
	api, err := rest.New(rest.Config{}, rest.NewResource("orders", "order", rest.Index(o.Index), rest.Create(o.Create)))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/v1/":       `200 "href":"https://shop.example/shop/v1/"`,
		"/v1":        `200 "href":"https://shop.example/shop/v1/"`,
		"/":          `300 "href":"https://shop.example/shop/v1/"`,
		"/v10":       "404 itemNotFound",
		"/v1/orders": `200 {"orders":[]}`,
	} {
		r := httptest.NewRequestWithContext(rest.WithMount(t.Context(), "/shop"), "GET", path, nil)
		r.Host, r.TLS = "shop.example", &tls.ConnectionState{}
		w := httptest.NewRecorder()
		rest.Versions(api).ServeHTTP(w, r)
		status, words, _ := strings.Cut(want, " ")
		if fmt.Sprint(w.Code) != status || !strings.Contains(w.Body.String(), words) {
			t.Errorf("%s: %d %s; want %s", path, w.Code, w.Body, want)
		}
	}
	r := httptest.NewRequestWithContext(rest.WithMount(t.Context(), "/cloud"), "GET", "/x", nil)
	r.URL.Scheme = "https"
	if got := rest.BaseURL(r); got != "https://example.com/cloud" {
		t.Errorf("base %s", got)
	}
}

// An id may have any characters.
func TestEscapedPath(t *testing.T) {
	t.Parallel()
	echo := func(_ context.Context, id string) (brief, error) { return brief{id}, nil }
	api, err := rest.New(rest.Config{}, rest.NewResource("orders", "order", rest.Show(echo)))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/orders/a%2Fb%20c", "/v1/p-1/orders/a%2Fb%20c"} {
		w := (&shop{Handler: rest.Versions(api)}).ask(t, "GET", path, "")
		if got := strings.TrimSpace(w.Body.String()); got != `{"order":{"id":"a/b c"}}` {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// A peer that hangs up is a server's own way to say so.
func TestAbort(t *testing.T) {
	t.Parallel()
	abort := func(context.Context, string) (brief, error) { panic(http.ErrAbortHandler) }
	api, err := rest.New(rest.Config{}, rest.NewResource("orders", "order", rest.Show(abort)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // a panic's value
			t.Errorf("panic %v", v)
		}
	}()
	(&shop{Handler: rest.Versions(api)}).ask(t, "GET", "/v1/orders/o-1", "")
}

// What cannot be encoded is a 500, and an extension may fail.
func TestAnswersThatFail(t *testing.T) {
	t.Parallel()
	type unencodable struct{ F func() }
	bad := func(context.Context, string) (unencodable, error) { return unencodable{}, nil }
	good := func(context.Context, string) (brief, error) { return brief{"x"}, nil }
	text := func(context.Context, brief) (string, error) { return "no object", nil }
	fails := func(context.Context, brief) (brief, error) {
		return brief{}, rest.Faultf(http.StatusConflict, "not now")
	}
	for _, test := range []struct {
		parts  []rest.Part
		status int
	}{
		{[]rest.Part{rest.NewResource("orders", "order", rest.Show(bad))}, 500},
		{[]rest.Part{rest.NewResource("orders", "order", rest.Member("x", bad), rest.Show(bad))}, 500},
		{[]rest.Part{rest.NewResource("orders", "order", rest.Show(good)), rest.Extend("orders", rest.Attributes(text))}, 500},
		{[]rest.Part{rest.NewResource("orders", "order", rest.Show(good)), rest.Extend("orders", rest.Attributes(fails))}, 409},
	} {
		api, err := rest.New(rest.Config{}, test.parts...)
		if err != nil {
			t.Fatal(err)
		}
		if w := (&shop{Handler: rest.Versions(api)}).ask(t, "GET", "/v1/orders/o-1", ""); w.Code != test.status {
			t.Errorf("%d %s; want %d", w.Code, w.Body, test.status)
		}
	}
}

// The controller of a thing that a manager behind the bus looks after.
type parcels struct{ depot *rpc.Client }

var getParcel = rpc.NewCall[parcelArgs, parcel](rpc.Target{Topic: "depot"}, "get_parcel")

type parcelArgs struct {
	ID string `json:"id"`
}

type parcel struct {
	ID    string `json:"id"`
	Shelf int    `json:"shelf"`
}

func (p *parcels) Show(ctx context.Context, id string) (parcel, error) {
	return getParcel.Call(ctx, p.depot, parcelArgs{id})
}

func Example() {
	manager := rpc.Local(getParcel.Handle(func(_ context.Context, args parcelArgs) (parcel, error) {
		return parcel{args.ID, 7}, nil
	}))
	controller := &parcels{depot: manager}
	v1, err := rest.New(rest.Config{},
		rest.NewResource("parcels", "parcel",
			rest.Show(controller.Show),
		),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(rest.Versions(v1)) // in a program: service.HTTPServer
	defer server.Close()

	answer, err := http.Get(server.URL + "/v1/parcels/p-1") //nolint:noctx // short is what an example is
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	var body map[string]parcel
	err = json.NewDecoder(answer.Body).Decode(&body)
	fmt.Println(answer.StatusCode, body, err)
	// Output: 200 map[parcel:{p-1 7}] <nil>
}

// What traces requests learns which pattern one has matched, as from http.ServeMux.
func TestPattern(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for path, want := range map[string]string{
		"/v1/orders/o-1":             "GET /v1/orders/{id}",
		"/v1/p-1/orders/o-1":         "GET /v1/{project_id}/orders/{id}",
		"/v1/orders/o-1/os-line/l-1": "GET /v1/orders/{order_id}/os-line/{id}",
		"/v1/orders/o-1/panic":       "GET /v1/orders/{id}/panic",
		"/v1/nosuch":                 "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		s.ServeHTTP(httptest.NewRecorder(), r)
		if r.Pattern != want {
			t.Errorf("%s: pattern %q, want %q", path, r.Pattern, want)
		}
	}
}
