package policy_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/policy"
	"github.com/goslo/goslo/rest"
)

func TestARefusalIsAForbiddenRequest(t *testing.T) {
	t.Parallel()
	e, err := policy.Load(policy.Config{Defaults: orders})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who    *rest.Context
		status int
	}{
		{&rest.Context{User: rest.Identity{ID: "u"}, Project: rest.Identity{ID: "p"}}, http.StatusOK},
		{&rest.Context{User: rest.Identity{ID: "u"}, Roles: []string{"Admin"}}, http.StatusOK},
		{&rest.Context{User: rest.Identity{ID: "u"}, Project: rest.Identity{ID: "q"}}, http.StatusForbidden},
		{&rest.Context{}, http.StatusInternalServerError},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/v1/orders/1", http.NoBody)
		r = r.WithContext(rest.WithContext(t.Context(), c.who))
		if err := e.Authorize(r.Context(), "orders:delete", policy.Target{"project_id": "p"}); err != nil {
			rest.WriteFault(w, r, err)
			refused, isRefusal := errors.AsType[*policy.NotAuthorizedError](err)
			if isRefusal != (c.status == http.StatusForbidden) {
				t.Errorf("%v: %v", refused, err)
			}
		}
		if w.Code != c.status {
			t.Errorf("%v: %d %s, want %d", c.who, w.Code, w.Body, c.status)
		}
	}
}

const valuesProgram = `
import json, sys
from oslo_context import context
given = json.load(sys.stdin)
json.dump(dict(context.RequestContext(**given).to_policy_values()), sys.stdout)
`

// The names are oslo.context's, and so is what is there when nothing is known.
func TestCredentialsAreThoseOfOsloContext(t *testing.T) {
	t.Parallel()
	domain := rest.Domain{ID: "d", Name: "Default"}
	for _, c := range []struct {
		given map[string]any
		who   rest.Context
	}{
		{map[string]any{}, rest.Context{}},
		{
			map[string]any{
				"user_id": "u", "user_domain_id": "d", "project_id": "p", "project_domain_id": "d", "roles": []string{"r"},
				"is_admin_project": false, "service_user_id": "s", "service_user_domain_id": "d", "service_project_id": "sp",
				"service_project_domain_id": "d", "service_roles": []string{"service"}, "domain_id": "x", "system_scope": "all",
			},
			rest.Context{
				User: rest.Identity{ID: "u", Domain: domain}, Project: rest.Identity{ID: "p", Domain: domain}, Roles: []string{"r"},
				Domain: rest.Domain{ID: "x"}, SystemScope: "all", OtherProject: true,
				Service: rest.Service{User: rest.Identity{ID: "s", Domain: domain}, Project: rest.Identity{ID: "sp", Domain: domain}, Roles: []string{"service"}},
			},
		},
	} {
		var want map[string]any
		python(t, valuesProgram, c.given, &want)
		want["is_admin"] = false // nova's and cinder's
		got := make(map[string]any)
		for name, value := range policy.CredentialsOf(&c.who) {
			if list, ok := value.([]string); ok {
				elements := []any{}
				for _, each := range list {
					elements = append(elements, each)
				}
				value = elements
			}
			got[name] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("oslo.context (-) and CredentialsOf (+):\n%s", diff)
		}
	}
}
