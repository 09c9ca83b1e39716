package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
)

// The contract of a shop, whose manager is the one side of the tests and whose API the other.
var (
	shopTarget  = rpc.Target{Topic: "shop", Version: "1.0"}
	getOrder    = rpc.NewCall[orderArgs, order](shopTarget, "get_order")
	buildOrder  = rpc.NewCast[order](shopTarget, "build_order")
	waitForever = rpc.NewCall[struct{}, string](shopTarget, "wait")
	noSuchOrder = rpc.ErrorClass{Module: "shop.exception", Name: "OrderNotFound"}
)

type orderArgs struct {
	ID string `json:"id"`
}

type order struct {
	ID     string `json:"id"`
	SKU    string `json:"sku"`
	N      int    `json:"n"`
	Status string `json:"status"`
}

type newOrder struct {
	SKU  string            `json:"sku"`
	N    int               `json:"n"`
	Tags map[string]string `json:"tags,omitempty"`
}

func (o newOrder) Validate() error {
	if o.N < 1 {
		return rest.FieldFault("n", "want at least 1, not %d", o.N)
	}
	return nil
}

type brief struct {
	ID string `json:"id"`
}

type listQuery struct {
	rest.Page

	Status []string `query:"status"`
}

type cancelArgs struct {
	Reason string `json:"reason,omitempty"`
}

// orders is the controller.
type orders struct {
	shop *rpc.Client

	mu  sync.Mutex
	all []order
	did []string
}

func (o *orders) Index(_ context.Context, q listQuery) (rest.List[brief], error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []brief
	for _, one := range o.all {
		if len(q.Status) == 0 || strings.Contains(strings.Join(q.Status, ","), one.Status) {
			found = append(found, brief{one.ID})
		}
	}
	return rest.Paginate(q.Page, found, func(b brief) string { return b.ID })
}

func (o *orders) Detail(_ context.Context, p rest.Page) (rest.List[order], error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return rest.Paginate(p, o.all, func(one order) string { return one.ID })
}

func (o *orders) Show(ctx context.Context, id string) (order, error) {
	return getOrder.Call(ctx, o.shop, orderArgs{id})
}

func (o *orders) Create(ctx context.Context, body newOrder) (order, error) {
	o.mu.Lock()
	made := order{ID: "o-" + strconv.Itoa(len(o.all)+1), SKU: body.SKU, N: body.N, Status: "NEW"}
	o.all = append(o.all, made)
	o.mu.Unlock()
	return made, buildOrder.Cast(ctx, o.shop, made)
}

func (o *orders) Update(_ context.Context, id string, body newOrder) (order, error) {
	return order{ID: id, SKU: body.SKU, N: body.N, Status: "NEW"}, nil
}

func (o *orders) Delete(_ context.Context, id string) error { return o.note("delete " + id) }

func (o *orders) Cancel(_ context.Context, id string, args cancelArgs) error {
	return o.note("cancel " + id + " " + args.Reason)
}

func (o *orders) Invoice(ctx context.Context, id string, _ rest.None) (map[string]string, error) {
	return map[string]string{"invoice": id, "version": rest.MicroversionFrom(ctx).String()}, nil
}

func (o *orders) Wait(ctx context.Context, _ rest.None) (string, error) {
	return waitForever.Call(ctx, o.shop, struct{}{})
}

func (o *orders) Ship(_ context.Context, id string, _ rest.None) (rest.None, error) {
	return rest.None{}, o.note("ship " + id)
}

func (o *orders) Panic(context.Context, string) (string, error) {
	panic("s3cret")
}

func (o *orders) Track(_ context.Context, id string) (map[string]string, error) {
	return map[string]string{"track": id}, nil
}

func (o *orders) Empty(context.Context, rest.None) (rest.None, error) {
	return rest.None{}, o.note("empty")
}

func (o *orders) Line(ctx context.Context, id string) (brief, error) {
	return brief{rest.PathValue(ctx, "project_id") + rest.PathValue(ctx, "order_id") + "/" + id}, nil
}

func (o *orders) Lines(context.Context, rest.Page) (rest.List[brief], error) {
	return rest.List[brief]{Items: []brief{{"l-1"}}}, nil
}

func (o *orders) note(s string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.did = append(o.did, s)
	return nil
}

type loyalty struct {
	Points int `json:"OS-LOYALTY:points"`
}

func points(_ context.Context, o order) (loyalty, error) { return loyalty{o.N * 10}, nil }

// A shop is an API with all that the package has, before a manager in the same process.
type shop struct {
	http.Handler

	orders *orders
	log    *bytes.Buffer
}

func (o *orders) parts() []rest.Part {
	return []rest.Part{
		rest.NewResource("orders", "order",
			rest.Index(o.Index),
			rest.Detail(o.Detail),
			rest.Show(o.Show),
			rest.Create(o.Create).Accepted(),
			rest.Update(o.Update),
			rest.Delete(o.Delete),
			rest.Action("cancel", o.Cancel),
			rest.ActionResult("getInvoice", o.Invoice).Since("1.2"),
			rest.Member("track", o.Track).Until("1.1"),
			rest.Member("track", o.Line).Since("1.2"),
			rest.Member("panic", o.Panic),
			rest.MemberPost("ship", o.Ship).Accepted(),
			rest.Collection("wait", o.Wait),
			rest.CollectionPost("empty", o.Empty),
		),
		rest.NewResource("orders/{order_id}/os-line", "orderLine", rest.Show(o.Line), rest.Index(o.Lines)).Plural("orderLines"),
		rest.NewExtension(rest.Extension{Alias: "os-loyalty", Description: "Points for orders.", Updated: "2026-11-21T00:00:00Z"},
			rest.Extend("orders", rest.Attributes(points), rest.Action("os-redeem", o.Cancel))),
	}
}

func newShop(t *testing.T, change ...func(*rest.Config)) *shop {
	t.Helper()
	o := &orders{all: []order{{"o-1", "A1", 2, "NEW"}, {"o-2", "A2", 1, "DONE"}, {"o-3", "A3", 1, "NEW"}}}
	o.shop = rpc.Local(
		getOrder.Handle(func(_ context.Context, args orderArgs) (order, error) {
			for _, one := range o.all {
				if one.ID == args.ID {
					return one, nil
				}
			}
			return order{}, noSuchOrder.Errorf("order %s could not be found", args.ID)
		}),
		buildOrder.Handle(func(_ context.Context, args order) error { return o.note("build " + args.ID) }),
		waitForever.Handle(func(ctx context.Context, _ struct{}) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}),
	)
	log := new(bytes.Buffer)
	config := rest.Config{
		Errors:        rest.Errors{noSuchOrder: http.StatusNotFound},
		Microversions: rest.Microversions{Service: "shop", Min: "1.0", Max: "1.3", LegacyHeader: "X-Shop-API-Version"},
		Logger:        slog.New(slog.NewTextHandler(log, nil)),
	}
	for _, f := range change {
		f(&config)
	}
	api, err := rest.New(config, o.parts()...)
	if err != nil {
		t.Fatal(err)
	}
	return &shop{rest.Versions(api), o, log}
}

type header [2]string

// ask makes one request.
func (s *shop) ask(t *testing.T, method, path, body string, headers ...header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for _, h := range headers {
		r.Header.Set(h[0], h[1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path, body string
		status             int
		answer             string // all of it, or, after three dots, a part
	}{
		{"GET", "/v1/orders", "", 200, `{"orders":[{"id":"o-1"},{"id":"o-2"},{"id":"o-3"}]}`},
		{"GET", "/v1/orders?status=NEW&limit=1", "", 200, `{"orders":[{"id":"o-1"}],"orders_links":[{"rel":"next","href":"http://example.com/v1/orders?limit=1&marker=o-1&status=NEW"}]}`},
		{"GET", "/v1/p-1/orders?limit=2", "", 200, `...http://example.com/v1/p-1/orders?limit=2&marker=o-2`},
		{"GET", "/v1/orders?limit=2&marker=o-2", "", 200, `{"orders":[{"id":"o-3"}]}`},
		{"GET", "/v1/orders?marker=o-9", "", 400, `...marker: there is no \"o-9\"`},
		{"GET", "/v1/orders?limit=-1", "", 400, `...limit: want 0 or more, not -1`},
		{"GET", "/v1/orders?limit=x", "", 400, `...limit: want a whole number, not \"x\"`},
		{"GET", "/v1/orders?limti=1", "", 400, `...limti: there is no such parameter; did you mean \"limit\"?`},
		{"GET", "/v1/orders/detail?limit=1", "", 200, `...{"id":"o-1","sku":"A1","n":2,"status":"NEW","OS-LOYALTY:points":20}]`},
		{"GET", "/v1/orders/o-2", "", 200, `{"order":{"id":"o-2","sku":"A2","n":1,"status":"DONE","OS-LOYALTY:points":10}}`},
		{"GET", "/v1/orders/o-9", "", 404, `...{"itemNotFound":{"code":404,"message":"order o-9 could not be found","request_id":"req-`},
		{"HEAD", "/v1/orders/o-2", "", 200, "..."},
		{"POST", "/v1/orders", `{"order": {"sku": "A9", "n": 3}}`, 202, `{"order":{"id":"o-4","sku":"A9","n":3,"status":"NEW","OS-LOYALTY:points":30}}`},
		{"PUT", "/v1/orders/o-2", `{"order": {"sku": "A9", "n": 3, "tags": {"a": "b"}}}`, 200, `...{"id":"o-2","sku":"A9","n":3`},
		{"DELETE", "/v1/orders/o-2", "", 204, ""},
		{"POST", "/v1/orders/o-2/action", `{"cancel": null}`, 202, ""},
		{"POST", "/v1/orders/o-2/action", `{"cancel": {"reason": "late"}}`, 202, ""},
		{"POST", "/v1/orders/o-2/action", `{"os-redeem": {}}`, 202, ""},
		{"POST", "/v1/orders/o-2/action", `{"cancle": {}}`, 400, `...order has no action \"cancle\"; did you mean \"cancel\"?`},
		{"POST", "/v1/orders/o-2/action", `{"cancel": {}, "os-redeem": {}}`, 400, `...exactly one action`},
		{"POST", "/v1/orders/o-2/action", `{}`, 400, `...exactly one action`},
		{"POST", "/v1/orders/o-2/action", `{"cancel": {"why": "late"}}`, 400, `...cancel.why: nothing is called that here`},
		{"POST", "/v1/orders/o-2/action", ``, 400, `...the body is empty`},
		{"POST", "/v1/orders/o-2/action", `[]`, 400, `...not a list`},
		{"POST", "/v1/orders/o-2/action", `{"getInvoice": {}}`, 400, `...order has no action \"getInvoice\"`},
		{"GET", "/v1/orders/o-2/track", "", 200, `{"track":"o-2"}`},
		{"GET", "/v1/orders/o-2/os-line/l-1", "", 200, `{"orderLine":{"id":"o-2/l-1"}}`},
		{"GET", "/v1/p-1/orders/o-2/os-line/l-1", "", 200, `{"orderLine":{"id":"p-1o-2/l-1"}}`},
		{"GET", "/v1/orders/o-2/os-line", "", 200, `{"orderLines":[{"id":"l-1"}]}`},
		{"POST", "/v1/orders/o-2/ship", "", 202, ""},
		{"POST", "/v1/orders/empty", "{}", 204, ""},
		{"POST", "/v1/orders/empty", `{"x": 1}`, 400, `...x: nothing is called that here`},
		{"PATCH", "/v1/orders/o-2", "", 405, `..."badMethod"`},
		{"GET", "/v1/nosuch", "", 404, `...there is nothing at /v1/nosuch`},
		{"GET", "/v1/p-1/ordres", "", 404, `...did you mean orders?`},
		{"GET", "/v1/orders/o-2/nosuch", "", 404, `...itemNotFound`},
		{"GET", "/v1//orders", "", 404, `...itemNotFound`},
		{"GET", "/v2/orders", "", 404, `...the versions of this API are at /`},
		{"GET", "/v1/extensions", "", 200, `{"extensions":[{"alias":"os-loyalty","name":"os-loyalty","description":"Points for orders.","updated":"2026-11-21T00:00:00Z","namespace":"","links":[]}]}`},
		{"GET", "/v1/extensions/os-loyalty", "", 200, `...{"extension":{"alias":"os-loyalty"`},
		{"GET", "/v1/extensions/nosuch", "", 404, `...no extension nosuch`},
		{"GET", "/", "", 300, `{"versions":[{"id":"v1.0","status":"CURRENT","version":"1.3","min_version":"1.0","links":[{"rel":"self","href":"http://example.com/v1/"}]}]}`},
		{"GET", "/v1", "", 200, `{"version":{"id":"v1.0","status":"CURRENT","version":"1.3","min_version":"1.0","links":[{"rel":"self","href":"http://example.com/v1/"}]}}`},
		{"GET", "/v1/", "", 200, `..."href":"http://example.com/v1/"`},
		{"POST", "/", "", 405, `..."badMethod"`},
	} {
		t.Run(test.method+" "+test.path+" "+test.body, func(t *testing.T) {
			t.Parallel()
			w := newShop(t).ask(t, test.method, test.path, test.body)
			part, isPart := strings.CutPrefix(test.answer, "...")
			body := strings.TrimSpace(w.Body.String())
			if w.Code != test.status || isPart && !strings.Contains(body, part) || !isPart && body != test.answer {
				t.Errorf("%d %s\nwant %d %s", w.Code, body, test.status, test.answer)
			}
			if id := w.Header().Get("X-Openstack-Request-Id"); !strings.HasPrefix(id, "req-") {
				t.Errorf("request id %q", id)
			}
		})
	}
}

// What was asked reaches the manager and the controller.
func TestWork(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	w := s.ask(t, "POST", "/v1/p-1/orders", `{"order": {"sku": "A9", "n": 3}}`)
	if got := w.Header().Get("Location"); got != "http://example.com/v1/p-1/orders/o-4" {
		t.Errorf("Location %q", got)
	}
	s.ask(t, "DELETE", "/v1/orders/o-2", "")
	s.ask(t, "POST", "/v1/orders/o-3/action", `{"cancel": {"reason": "late"}}`)
	if diff := cmp.Diff([]string{"build o-4", "delete o-2", "cancel o-3 late"}, s.orders.did); diff != "" {
		t.Errorf("want -, did +:\n%s", diff)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	large := `{"order": {"sku": "` + strings.Repeat("x", 200_000) + `", "n": 1}}`
	for body, want := range map[string]string{
		`{"order": {"sku": 5, "n": 1}}`:                         "400 order.sku: want a string, not a number",
		`{"order": {"sku": null, "n": 1}}`:                      "400 order.sku: want a string, not null",
		`{"order": {"sku": "A1"}}`:                              "400 order.n: is missing",
		`{"order": {"sku": "A1", "n": 1.5}}`:                    "400 order.n: want a whole number, not 1.5",
		`{"order": {"sku": "A1", "n": 0}}`:                      "400 order.n: want at least 1, not 0",
		`{"order": {"SKU": "A1", "n": 1}}`:                      `400 order.SKU: nothing is called that here; did you mean "sku"?`,
		`{"order": {"sku": "A1", "n": 1, "n": 2}}`:              "400 order.n: is there twice",
		`{"order": {"sku": "A1", "n": 1, "tags": {"a": true}}}`: "400 order.tags.a: want a string, not true",
		`{"order": []}`:                                         "400 order: want an object, not a list",
		`{"ordr": {}}`:                                          `400 ordr: nothing is called that here; did you mean "order"?`,
		`{}`:                                                    `400 order: is missing: want {"order": {...}}`,
		"{\"order\":\n {\"sku\": A1}":                           "400 the body is no JSON: line 2, column 10: invalid character 'A' looking for beginning of value",
		`{"order"`:                                              "400 the body is no JSON: line 1, column 8: unexpected end of JSON input",
		"\xff":                                                  "400 the body is no JSON: it is not UTF-8",
		large:                                                   "413 the body is larger than 114688 bytes",
	} {
		w := newShop(t).ask(t, "POST", "/v1/orders", body)
		var fault map[string]struct{ Message string }
		if err := json.Unmarshal(w.Body.Bytes(), &fault); err != nil {
			t.Errorf("%s", w.Body)
		}
		for _, f := range fault {
			if got := fmt.Sprint(w.Code, " ", f.Message); got != want {
				t.Errorf("%.60s\n got %s\nwant %s", body, got, want)
			}
		}
	}
	w := newShop(t).ask(t, "POST", "/v1/orders", `{"order": {"sku": 5, "n": 1}}`)
	if !strings.Contains(w.Body.String(), `"field":"order.sku"`) {
		t.Errorf("no field: %s", w.Body)
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int{
		"application/json": 202, "application/json; charset=UTF-8": 202, "application/vnd.openstack.shop+json": 202,
		"application/x-www-form-urlencoded": 415, "text/plain": 415, "nonsense/": 415,
	} {
		if w := newShop(t).ask(t, "POST", "/v1/orders", `{"order": {"sku": "A9", "n": 3}}`, header{"Content-Type", kind}); w.Code != want {
			t.Errorf("%s: %d, want %d: %s", kind, w.Code, want, w.Body)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for path, want := range map[string]string{
		"/v1/orders": "GET, HEAD, POST, OPTIONS", "/v1/orders/o-1": "GET, HEAD, PUT, DELETE, OPTIONS",
		"/v1/orders/o-1/action": "POST, OPTIONS", "/": "GET, HEAD, OPTIONS",
	} {
		if w := s.ask(t, "OPTIONS", path, ""); w.Code != 204 || w.Header().Get("Allow") != want {
			t.Errorf("OPTIONS %s: %d, %q; want %q", path, w.Code, w.Header().Get("Allow"), want)
		}
		if w := s.ask(t, "PATCH", path, ""); w.Code != 405 || w.Header().Get("Allow") != want {
			t.Errorf("PATCH %s: %d, %q; want %q", path, w.Code, w.Header().Get("Allow"), want)
		}
	}
}

// The project of the path is to be that of the token; without a user there is none to compare with.
func TestProjects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		segment rest.ProjectSegment
		path    string
		caller  rest.Context
		status  int
	}{
		{rest.ProjectOptional, "/v1/p-1/orders", rest.Context{User: rest.Identity{ID: "u"}, Project: rest.Identity{ID: "p-1"}}, 200},
		{rest.ProjectOptional, "/v1/p-2/orders", rest.Context{User: rest.Identity{ID: "u"}, Project: rest.Identity{ID: "p-1"}}, 400},
		{rest.ProjectOptional, "/v1/p-2/orders", rest.Context{User: rest.Identity{ID: "u"}}, 400},
		{rest.ProjectOptional, "/v1/orders", rest.Context{User: rest.Identity{ID: "u"}, Project: rest.Identity{ID: "p-1"}}, 200},
		{rest.ProjectOptional, "/v1/p-2/orders", rest.Context{}, 200},
		{rest.ProjectRequired, "/v1/orders", rest.Context{}, 404},
		{rest.ProjectRequired, "/v1/p-1/orders", rest.Context{}, 200},
		{rest.ProjectNone, "/v1/p-1/orders", rest.Context{}, 404},
		{rest.ProjectNone, "/v1/orders", rest.Context{}, 200},
	} {
		s := newShop(t, func(c *rest.Config) { c.Project = test.segment })
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(rest.WithContext(t.Context(), &test.caller), "GET", test.path, nil))
		if w.Code != test.status {
			t.Errorf("%d %s of %v: %d, want %d: %s", test.segment, test.path, test.caller, w.Code, test.status, w.Body)
		}
	}
}

// A failure that the client is told little about is in the log, with its cause.
func TestPanic(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	w := s.ask(t, "GET", "/v1/orders/o-1/panic", "")
	if w.Code != 500 || strings.Contains(w.Body.String(), "s3cret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if log := s.log.String(); !strings.Contains(log, "s3cret") || !strings.Contains(log, "shop_test.go") {
		t.Errorf("log: %s", log)
	}
}

// The deadline of a request is that of the calls it makes.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(c *rest.Config) { c.Timeout = 20 * time.Millisecond })
	w := s.ask(t, "GET", "/v1/orders/wait", "")
	if w.Code != 504 || !strings.Contains(w.Body.String(), "wait") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(c *rest.Config) { c.PublicURL = "https://cloud.example/shop/" })
	for path, want := range map[string]string{
		"/": `"https://cloud.example/shop/v1/"`, "/v1/": `"https://cloud.example/shop/v1/"`,
		"/v1/p/orders?limit=1": `"https://cloud.example/shop/v1/p/orders?limit=1&marker=o-1"`,
	} {
		if w := s.ask(t, "GET", path, ""); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s; want %s", path, w.Body, want)
		}
	}
}
