package keystone_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/policy"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/keystone"
)

type object = map[string]any

// What a token is for reaches the rules: a project, a domain, the system, or nothing.
func TestScopesOfTokens(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	ann := k.NewUser(t, "ann", "member")
	k.Grant(t, ann, "reader", "domains/default")
	k.Grant(t, ann, "admin", "system")
	rules, err := policy.Load(policy.Config{Defaults: []policy.Default{
		{Name: "in project", Check: "@", ScopeTypes: []string{"project"}},
		{Name: "in domain", Check: "@", ScopeTypes: []string{"domain"}},
		{Name: "in system", Check: "@", ScopeTypes: []string{"system"}},
		{Name: "for all", Check: "system_scope:all and role:admin"},
		{Name: "for domain", Check: "domain_id:%(domain_id)s and role:reader and not role:member"},
		{Name: "for project", Check: "project_id:%(project_id)s and role:member"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var asked *rest.Context
	keep := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = rest.ContextFrom(r.Context())
			next.ServeHTTP(w, r)
		})
	}
	context1 := keystone.Context(keystone.ContextConfig{})
	api := newAPI(t, options(t, k)).with(func(next http.Handler) http.Handler { return context1(keep(next)) })
	for _, c := range []struct {
		scope  any
		header string // the only one of those that name a scope
		is     string // project, domain and system
		admin  bool
		allows string
	}{
		{object{"project": object{"id": ann.ProjectID}}, "X-Project-Id", ann.ProjectID + "//", false, "in project, for project"},
		{object{"domain": object{"id": "default"}}, "X-Domain-Id", "/default/", false, "in domain, for domain"},
		{object{"system": object{"all": true}}, "Openstack-System-Scope", "//all", true, "in system, for all"},
		{"unscoped", "", "//", false, "in project"}, // where oslo.policy counts what it has no name for
	} {
		asked = nil
		got := api.get(t, "X-Auth-Token", k.ScopedToken(t, ann, c.scope), "X-Domain-Id", "forged", "Openstack-System-Scope", "all", "X-Project-Id", "forged")
		if got.status != http.StatusOK {
			t.Errorf("%v: %d %s\n%s", c.scope, got.status, got.body, api.log)
			continue
		}
		for _, name := range []string{"X-Project-Id", "X-Domain-Id", "Openstack-System-Scope", "X-Tenant-Id"} {
			wanted := name == c.header || name == "X-Tenant-Id" && c.header == "X-Project-Id"
			if (got.Header.Get(name) != "") != wanted {
				t.Errorf("%v: %s: %q", c.scope, name, got.Header.Get(name))
			}
		}
		if is := asked.Project.ID + "/" + asked.Domain.ID + "/" + asked.SystemScope; is != c.is || asked.IsAdmin != c.admin || asked.User.ID != ann.ID {
			t.Errorf("%v: %s, admin: %v, user: %s, want %s", c.scope, is, asked.IsAdmin, asked.User.ID, c.is)
		}
		var allowed []string
		ctx := rest.WithContext(context.Background(), asked)
		for _, rule := range []string{"in project", "in domain", "in system", "for all", "for domain", "for project"} {
			if rules.Authorize(ctx, rule, policy.Target{"project_id": ann.ProjectID, "domain_id": "default"}) == nil {
				allowed = append(allowed, rule)
			}
		}
		if strings.Join(allowed, ", ") != c.allows {
			t.Errorf("%v: the rules %v allow it, want %s", c.scope, allowed, c.allows)
		}
	}
}

// Roles stand in one header with commas between. A role whose name holds one is not two.
func TestARoleIsNotReadAsOthers(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	api := newAPI(t, options(t, k)).with(keystone.Context(keystone.ContextConfig{}))
	eve := k.NewUser(t, "eve", "odd,admin", " admin ", "odd role")
	got := api.get(t, "X-Auth-Token", k.Token(t, eve))
	if got.status != http.StatusOK || got.Context["is_admin"] != false || fmt.Sprint(got.Context["roles"]) != "[odd role]" ||
		got.Header.Get("X-Roles") != "odd role" || got.Header.Get("X-Role") != "odd role" {
		t.Errorf("%d %v %v", got.status, got.Context, got.Header)
	}
	service := api.get(t, "X-Auth-Token", k.Token(t, eve), "X-Service-Token", k.Token(t, eve))
	if fmt.Sprint(service.Context["service_roles"]) != "[odd role]" {
		t.Errorf("of the service: %v", service.Context)
	}
}

// What no Keystone would issue is not asked about: Keystone would answer that it cannot read the request, for which clients
// are told that it is down.
func TestWhatIsNoTokenIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	way := newWindow(t, k, &o)
	api := newAPI(t, o)
	token := k.Token(t, k.NewUser(t, "ann", "member"))
	for what, text := range map[string]string{
		"a line break":      token[:20] + "\n" + token[20:],
		"another header":    "x\r\nX-Auth-Token: y",
		"a control":         token + "\x01",
		"a zero":            token + "\x00expired",
		"a blank":           token[:20] + " " + token[20:],
		"what is not ASCII": token + "\u00e9",
		"too much":          strings.Repeat("a", 70_000),
		"far too much":      strings.Repeat("a", 4_000_000),
	} {
		for _, header := range [][]string{{"X-Auth-Token", text}, {"X-Storage-Token", text}, {"X-Auth-Token", text, "X-Service-Token", text}} {
			if got := api.get(t, header...); got.status != http.StatusUnauthorized {
				t.Errorf("%s in %s: %d %s", what, header[0], got.status, got.body)
			}
		}
	}
	if logins, validations := way.seen(); logins+validations != 0 {
		t.Errorf("%d logins, %d validations", logins, validations)
	}
	if strings.Contains(api.log.String(), "ERROR") {
		t.Errorf("clients can have errors logged:\n%.4000s", api.log)
	}
}
