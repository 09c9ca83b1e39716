package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/examples/livemigration/api"
	"github.com/goslo/goslo/examples/livemigration/computeapi"
	"github.com/goslo/goslo/examples/livemigration/conductor"
	"github.com/goslo/goslo/examples/livemigration/conductorapi"
	"github.com/goslo/goslo/examples/livemigration/scheduler"
	"github.com/goslo/goslo/rpc"
)

// migrations records what the source host is asked to do.
type migrations []computeapi.LiveMigrationArgs

// front is the API before a real conductor and a real scheduler, all in this process.
func front(asked *migrations) http.Handler {
	hosts := rpc.Local(
		computeapi.LiveMigration.Handle(func(_ context.Context, args computeapi.LiveMigrationArgs) error {
			*asked = append(*asked, args)
			return nil
		}),
		computeapi.GetHostUptime.Handle(func(context.Context, struct{}) (string, error) { return "up 1s", nil }),
	)
	scheduling := scheduler.Manager{Hosts: []string{"cmp-1", "cmp-2"}}
	manager := conductor.New(
		conductor.Clients{Compute: computeapi.NewClient(hosts), Scheduler: rpc.Local(scheduling.Endpoints()...)},
		conductorapi.Instance{ID: "vm-1", Host: "cmp-1", Status: conductorapi.StatusActive},
	)
	return api.New(api.Clients{Conductor: rpc.Local(manager.Endpoints()...), Compute: hosts})
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{http.MethodGet, "/servers/vm-1", "", http.StatusOK, `"host":"cmp-1"`},
		{http.MethodGet, "/servers/nosuch", "", http.StatusNotFound, "nova.exception.InstanceNotFound"},
		{http.MethodPost, "/servers/vm-1/action", "{", http.StatusBadRequest, "read the action"},
		{http.MethodPost, "/servers/vm-1/action", `{"reboot": {}}`, http.StatusBadRequest, "os-migrateLive"},
		{http.MethodGet, "/os-hypervisors/cmp-1/uptime", "", http.StatusOK, "up 1s"},
		{http.MethodPost, "/images/debian/cache", "", http.StatusAccepted, ""},
		{http.MethodDelete, "/servers/vm-1", "", http.StatusMethodNotAllowed, ""},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			var asked migrations
			w := httptest.NewRecorder()
			front(&asked).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body)))
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.answer) {
				t.Errorf("status %d, body %s; want %d and %q", w.Code, w.Body, test.status, test.answer)
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	var asked migrations
	handler := front(&asked)
	post := func(body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/servers/vm-1/action", strings.NewReader(body)))
		return w
	}
	w := post(`{"os-migrateLive": {"host": null}}`)
	if id := w.Header().Get("X-Openstack-Request-Id"); w.Code != http.StatusAccepted || len(id) != len("req-00000000-0000-4000-8000-000000000000") {
		t.Errorf("status %d, request id %q", w.Code, id)
	}
	if diff := cmp.Diff(migrations{{Instance: "vm-1", Dest: "cmp-2"}}, asked); diff != "" {
		t.Errorf("asked of the source (-want +got):\n%s", diff)
	}
	// The instance is on its way: a second migration does not reach the source.
	post(`{"os-migrateLive": {"host": "cmp-2"}}`)
	if len(asked) != 1 {
		t.Errorf("asked %d times", len(asked))
	}
	var instance conductorapi.Instance
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/servers/vm-1", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &instance); err != nil || instance.Status != conductorapi.StatusMigrating {
		t.Errorf("instance %+v, %v", instance, err)
	}
}
