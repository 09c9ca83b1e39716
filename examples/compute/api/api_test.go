package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/examples/compute/api"
	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductor"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/examples/compute/scheduler"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
)

// A front is the API before a real conductor and a real scheduler, all in this process; compute hosts only record what they are asked.
type front struct {
	http.Handler

	asked []computeapi.LiveMigrationArgs
	ids   []string // of the requests that led to it
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := new(front)
	hosts := rpc.Local(
		computeapi.LiveMigration.Handle(func(ctx context.Context, args computeapi.LiveMigrationArgs) error {
			f.asked = append(f.asked, args)
			f.ids = append(f.ids, rest.ContextFrom(ctx).RequestID)
			return nil
		}),
		computeapi.GetHostUptime.Handle(func(context.Context, struct{}) (string, error) { return "up 1s", nil }),
		computeapi.CacheImages.Handle(func(context.Context, computeapi.CacheImagesArgs) error { return nil }),
	)
	scheduling := scheduler.Manager{Hosts: []string{"cmp-1", "cmp-2"}}
	manager := conductor.New(
		conductor.Clients{Compute: computeapi.NewClient(hosts), Scheduler: rpc.Local(scheduling.Endpoints()...)},
		conductorapi.Instance{ID: "vm-1", Host: "cmp-1", Status: conductorapi.StatusActive},
		conductorapi.Instance{ID: "vm-2", Host: "cmp-2", Status: conductorapi.StatusActive},
	)
	routes, err := api.New(api.Clients{Conductor: rpc.Local(manager.Endpoints()...), Compute: hosts}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Handler = routes
	return f
}

func (f *front) ask(t *testing.T, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{http.MethodGet, "/", "", http.StatusMultipleChoices, `"id":"v1.0"`},
		{http.MethodGet, "/v1/servers?limit=1", "", http.StatusOK, `{"servers":[{"id":"vm-1","host":"cmp-1","status":"ACTIVE"}],"servers_links":[{"rel":"next"`},
		{http.MethodGet, "/v1/demo/servers/vm-1", "", http.StatusOK, `{"server":{"id":"vm-1","host":"cmp-1"`},
		{http.MethodGet, "/v1/servers/nosuch", "", http.StatusNotFound, `"itemNotFound":{"code":404,"message":"instance nosuch could not be found"`},
		{http.MethodPost, "/v1/servers/nosuch/action", `{"os-migrateLive": {"host": null}}`, http.StatusNotFound, "itemNotFound"},
		{http.MethodPost, "/v1/servers/vm-1/action", "{", http.StatusBadRequest, "line 1, column 1"},
		{http.MethodPost, "/v1/servers/vm-1/action", `{"migrateLive": {}}`, http.StatusBadRequest, `did you mean \"os-migrateLive\"?`},
		{http.MethodPost, "/v1/servers/vm-1/action", `{"os-migrateLive": {"host": 2}}`, http.StatusBadRequest, "os-migrateLive.host: want a string, not a number"},
		{http.MethodGet, "/v1/os-hypervisors/cmp-1/uptime", "", http.StatusOK, `{"uptime":"up 1s"}`},
		{http.MethodPost, "/v1/images/debian/cache", "", http.StatusAccepted, ""},
		{http.MethodDelete, "/v1/servers/vm-1", "", http.StatusMethodNotAllowed, "badMethod"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			w := newFront(t).ask(t, test.method, test.path, test.body)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.answer) {
				t.Errorf("status %d, body %s; want %d and %q", w.Code, w.Body, test.status, test.answer)
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	w := f.ask(t, http.MethodPost, "/v1/servers/vm-1/action", `{"os-migrateLive": {"host": null}}`)
	if w.Code != http.StatusAccepted {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]computeapi.LiveMigrationArgs{{Instance: "vm-1", Dest: "cmp-2"}}, f.asked); diff != "" {
		t.Errorf("asked of the source (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{w.Header().Get("X-Openstack-Request-Id")}, f.ids); diff != "" {
		t.Errorf("request id (-answered +at the host):\n%s", diff)
	}
	// The server is on its way: a second migration is refused at once.
	if w := f.ask(t, http.MethodPost, "/v1/servers/vm-1/action", `{"os-migrateLive": {"host": "cmp-2"}}`); w.Code != http.StatusConflict || len(f.asked) != 1 {
		t.Errorf("status %d: %s; asked %d times", w.Code, w.Body, len(f.asked))
	}
	var found struct{ Server conductorapi.Instance }
	w = f.ask(t, http.MethodGet, "/v1/servers/vm-1", "")
	if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil || found.Server.Status != conductorapi.StatusMigrating {
		t.Errorf("server %+v, %v", found, err)
	}
	// One that is told where to goes there.
	f.ask(t, http.MethodPost, "/v1/servers/vm-2/action", `{"os-migrateLive": {"host": "cmp-1"}}`)
	if len(f.asked) != 2 || f.asked[1].Dest != "cmp-1" {
		t.Errorf("asked %+v", f.asked)
	}
}
