package rest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
)

func TestMicroversions(t *testing.T) {
	t.Parallel()
	const current, legacy = "OpenStack-API-Version", "X-Shop-API-Version"
	for _, test := range []struct {
		headers []header
		status  int
		version string
		answer  string
	}{
		{nil, 200, "1.0", `{"track":"o-1"}`},
		{[]header{{current, "shop 1.1"}}, 200, "1.1", `{"track":"o-1"}`},
		{[]header{{current, "shop 1.2"}}, 200, "1.2", `{"id":"/o-1"}`},
		{[]header{{current, "shop latest"}}, 200, "1.3", `{"id":"/o-1"}`},
		{[]header{{current, "compute 2.1, Shop 1.3,identity 3.0"}}, 200, "1.3", `{"id":"/o-1"}`},
		{[]header{{current, "compute 2.1"}}, 200, "1.0", `{"track":"o-1"}`},
		{[]header{{legacy, "1.2"}}, 200, "1.2", `{"id":"/o-1"}`},
		{[]header{{legacy, "1.2"}, {current, "shop 1.1"}}, 200, "1.1", `{"track":"o-1"}`},
		{[]header{{legacy, "1.1, 1.2"}}, 200, "1.2", `{"id":"/o-1"}`}, // the last one counts there, too
		{[]header{{current, "shop\t1.2"}}, 200, "1.2", `{"id":"/o-1"}`},
		{[]header{{legacy, "1.x"}, {current, "compute 2.1"}}, 400, "", legacy + `: \"1.x\" is no microversion`},
		{[]header{{current, "shop 1.4"}}, 406, "", `"min_version":"1.0","max_version":"1.3"`},
		{[]header{{current, "shop 0.9"}}, 400, "", `is no microversion`},
		{[]header{{current, "shop 1"}}, 400, "", `is no microversion`},
		{[]header{{current, "shop 1.03"}}, 400, "", `is no microversion`},
	} {
		w := newShop(t).ask(t, "GET", "/v1/orders/o-1/track", "", test.headers...)
		h := w.Header()
		want := ""
		if test.version != "" {
			want = "shop " + test.version
		}
		if w.Code != test.status || h.Get(current) != want || h.Get(legacy) != test.version || !strings.Contains(w.Body.String(), test.answer) {
			t.Errorf("%v: %d %s %v\nwant %d, version %q, %s", test.headers, w.Code, w.Body, h, test.status, test.version, test.answer)
		}
		if diff := cmp.Diff([]string{current, legacy}, h.Values("Vary")); diff != "" {
			t.Errorf("%v: Vary:\n%s", test.headers, diff)
		}
	}
}

// A route that another microversion has is not there; an action is the same.
func TestRoutesOfMicroversions(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(c *rest.Config) { c.Microversions.LegacyHeader = "" })
	w := s.ask(t, "POST", "/v1/orders/o-1/action", `{"getInvoice": {}}`, header{"OpenStack-API-Version", "shop 1.2"})
	if w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"invoice":"o-1","version":"1.2"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	o := &orders{}
	api, err := rest.New(rest.Config{Microversions: rest.Microversions{Service: "shop", Min: "1.0", Max: "1.9"}},
		rest.NewResource("orders", "order", rest.Show(o.Show).Since("1.5")))
	if err != nil {
		t.Fatal(err)
	}
	w = (&shop{Handler: rest.Versions(api)}).ask(t, "GET", "/v1/orders/o-1", "")
	if w.Code != 404 || !strings.Contains(w.Body.String(), "microversion 1.0") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestMicroversion(t *testing.T) {
	t.Parallel()
	v, err := rest.ParseMicroversion("2.53")
	if err != nil || v.String() != "2.53" || !v.AtLeast(2, 53) || !v.AtLeast(1, 99) || v.AtLeast(2, 54) || v.AtLeast(3, 0) {
		t.Errorf("%v, %v", v, err)
	}
	if s := (rest.Microversion{}).String(); s != "" {
		t.Errorf("none is %q", s)
	}
	if v := rest.MicroversionFrom(t.Context()); v != (rest.Microversion{}) {
		t.Errorf("outside of a handler: %v", v)
	}
}
