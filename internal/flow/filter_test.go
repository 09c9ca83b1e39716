package flow_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/flow"
)

func roots(f *flow.Flow) []string {
	var names []string
	for _, r := range f.Roots {
		names = append(names, r.Name)
	}
	return names
}

// made is a flow of two routes, one of which leads to a method by a function.
func made() *flow.Flow {
	start := flow.Method{Contract: "serverapi.Start", ContractAt: "serverapi/a.go:1", Method: "start_server", Topic: "servers", Called: true, Handled: true}
	stop := flow.Method{Contract: "serverapi.Stop", ContractAt: "serverapi/a.go:2", Method: "stop_server", Topic: "servers", Called: true}
	message := func(m flow.Method, steps ...*flow.Step) *flow.Step {
		return &flow.Step{Kind: flow.Message, Name: m.Contract, At: "api/a.go:3", Sent: &flow.Sent{Method: m, Mode: "cast"}, Steps: steps}
	}
	return &flow.Flow{
		Packages: 3,
		Roots: []*flow.Step{
			{Kind: flow.Route, Name: "POST /v1/servers/{id}/action", At: "api/a.go:1", Steps: []*flow.Step{
				{Kind: flow.Function, Name: "api.action", At: "api/a.go:2", Steps: []*flow.Step{
					message(start, &flow.Step{Kind: flow.Handler, Name: "manager.Start", At: "manager/a.go:1", Steps: []*flow.Step{message(stop)}}),
					message(stop),
				}},
			}},
			{Kind: flow.Route, Name: "GET /v1/files/{path...}", At: "api/a.go:9"},
			{Kind: flow.Route, Name: "/any", At: "api/a.go:10"},
			{Kind: flow.Route, Name: `POST /v1/files/{id}/action {"os-stop": ...}`, At: "api/a.go:11"},
		},
		Methods: []*flow.Method{&start, &stop},
	}
}

func TestOfRoute(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]string{
		"POST /v1/servers/{id}/action":     "POST /v1/servers/{id}/action",
		"POST /v1/servers/42/action":       "POST /v1/servers/{id}/action",
		"/v1/servers/42/action/":           "POST /v1/servers/{id}/action",
		"/v1/files/a/b/c":                  "GET /v1/files/{path...}",
		"PUT /any":                         "/any",
		"POST /v1/files/7/action":          `POST /v1/files/{id}/action {"os-stop": ...}`,
		"POST /v1/files/7/action os-stop":  `POST /v1/files/{id}/action {"os-stop": ...}`,
		"POST /v1/files/7/action os-start": "",
		"GET /v1/servers/42/action":        "",
		"/v1/servers/42":                   "",
		"/v1/servers/42/action/more":       "",
	} {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			f, err := made().OfRoute(request)
			if want == "" {
				var none *flow.NoMatchError
				if !errors.As(err, &none) {
					t.Fatalf("error = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{want}, roots(f)); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoMatchNamesTheNearest(t *testing.T) {
	t.Parallel()
	_, err := made().OfMethod("start_serve")
	if err == nil || !strings.Contains(err.Error(), `did you mean "start_server"?`) {
		t.Errorf("error = %v", err)
	}
	_, err = made().OfRoute("/nowhere/at/all")
	if err == nil || !strings.Contains(err.Error(), "there are /any, GET /v1/files/{path...}, POST") {
		t.Errorf("error = %v", err)
	}
}

func TestOfMethodKeepsTheWayToIt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stop_server", "Stop", "serverapi.Stop"} {
		f, err := made().OfMethod(name)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimLeft(`
POST /v1/servers/{id}/action              api/a.go:1
└─ api.action                             api/a.go:2
   ├─ cast serverapi.Start                api/a.go:3      serverapi/a.go:1  start_server, topic servers
   │  └─ manager.Start                    manager/a.go:1
   │     └─ cast serverapi.Stop           api/a.go:3      serverapi/a.go:2  stop_server, topic servers
   └─ cast serverapi.Stop                 api/a.go:3      serverapi/a.go:2  stop_server, topic servers

Methods called, with no handler in these packages:

serverapi.Stop  serverapi/a.go:2    stop_server, topic servers
`, "\n")
		if diff := cmp.Diff(squeeze(want), squeeze(printed(t, f))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if f, err := made().OfMethod("start_server"); err != nil || len(f.Roots[0].Steps[0].Steps) != 1 || len(f.Roots[0].Steps[0].Steps[0].Steps[0].Steps) != 1 {
		t.Errorf("what follows the method is lost (%v):\n%s", err, printed(t, f))
	}
}

// gaps are between columns.
var gaps = regexp.MustCompile(`([^ │\n]) {2,}`)

// squeeze makes the gaps between columns alike; how columns are aligned is seen in the golden file of tricky shapes.
func squeeze(s string) string { return gaps.ReplaceAllString(s, "$1  ") }
