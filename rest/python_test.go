package rest_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/rest"
)

// osloProgram finds an API as clients of OpenStack do, and has a request context there and back.
const osloProgram = `
import json, sys
from keystoneauth1 import adapter, discover, session, token_endpoint
from oslo_context import context

given = json.load(sys.stdin)
s = session.Session(auth=token_endpoint.Token(given["url"], "t"))
found = {}
for path in ("/", "/v1", "/v1/"):
    [v] = discover.Discover(s, given["url"] + path).version_data()
    found[path] = [v["url"], list(v["version"]), list(v["min_microversion"]), list(v["max_microversion"]), v["status"]]
shop = adapter.Adapter(s, service_type="shop", endpoint_override=given["url"] + "/v1")
r = shop.get("/orders/o-1/track", microversion="1.2")
old = context.RequestContext.from_dict(given["context"])
json.dump({"found": found, "track": r.json(), "version": r.headers["OpenStack-API-Version"], "context": old.to_dict()}, sys.stdout)
`

func TestOpenStackClients(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newShop(t))
	defer server.Close()
	sent := ada()
	sent.Domain.ID, sent.SystemScope, sent.GlobalRequestID, sent.IsAdmin, sent.OtherProject = "d-1", "all", "req-2", true, true
	in, err := json.Marshal(map[string]any{"url": server.URL, "context": sent})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", osloProgram)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oslo.context and keystoneauth did not run: %v\n%s\ninstall them: apt-get install python3-oslo.context python3-keystoneauth1", err, stderr.String())
	}
	var got struct {
		Found   map[string][]any
		Track   map[string]string
		Version string
		Context rest.Context
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	v1 := []any{server.URL + "/v1/", []any{1.0, 0.0}, []any{1.0, 0.0}, []any{1.0, 3.0}, "CURRENT"}
	if diff := cmp.Diff(map[string][]any{"/": v1, "/v1": v1, "/v1/": v1}, got.Found); diff != "" {
		t.Errorf("keystoneauth found (-want +got):\n%s", diff)
	}
	if got.Version != "shop 1.2" || !strings.HasSuffix(got.Track["id"], "o-1") {
		t.Errorf("microversion: %q, %v", got.Version, got.Track)
	}
	// What oslo.context's own to_dict has; services such as nova add the names.
	sent.User.Name, sent.Project.Name, sent.User.Domain.Name, sent.Service = "", "", "", rest.Service{}
	if diff := cmp.Diff(sent, &got.Context, cmpopts.IgnoreUnexported(rest.Context{})); diff != "" {
		t.Errorf("a context through Python (-sent +got):\n%s", diff)
	}
}
