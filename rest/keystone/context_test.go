package keystone_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/keystone"
)

func TestContextIsMadeOfTheToken(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	o.IncludeServiceCatalog = false
	api := newAPI(t, o)
	ann := k.NewUser(t, "ann", "member", "reader")
	token := k.Token(t, ann)
	got := api.with(keystone.Context(keystone.ContextConfig{})).get(t, "X-Auth-Token", token)
	for name, want := range map[string]string{
		"user_id": ann.ID, "user": ann.ID, "user_name": ann.Name, "user_domain": "default", "user_domain_name": "Default",
		"project_id": ann.ProjectID, "tenant": ann.ProjectID, "project_name": ann.ProjectName, "project_domain": "default",
		"roles": "[member reader]", "auth_token": token, "is_admin": "false", "is_admin_project": "true", "domain": "<nil>",
		"system_scope": "<nil>", "remote_address": "192.0.2.1",
	} {
		roles := fmt.Sprint(got.Context[name])
		if roles == "[reader member]" {
			roles = "[member reader]"
		}
		if roles != want {
			t.Errorf("%s: %s, want %s", name, roles, want)
		}
	}
	root := k.Token(t, k.NewUser(t, "root", "admin"))
	if got := api.with(keystone.Context(keystone.ContextConfig{})).get(t, "X-Auth-Token", root); got.Context["is_admin"] != true {
		t.Errorf("an administrator: %v", got.Context)
	}
	own := keystone.ContextConfig{IsAdmin: func(_ context.Context, c *rest.Context) bool { return c.User.ID == ann.ID && c.HasRole("reader") }}
	if got := api.with(keystone.Context(own)).get(t, "X-Auth-Token", token); got.Context["is_admin"] != true {
		t.Errorf("an administrator by a rule of the program's own: %v", got.Context)
	}
}

// Headers that nobody checked are nobody's word.
func TestContextWantsAuthtoken(t *testing.T) {
	t.Parallel()
	got := api{keystone.Context(keystone.ContextConfig{}), new(log)}.get(t, "X-Identity-Status", "Confirmed", "X-User-Id", "root", "X-Roles", "admin")
	if got.status != http.StatusInternalServerError || !strings.Contains(got.body, "without authtoken") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestNoAuth(t *testing.T) {
	t.Parallel()
	nova := api{keystone.NoAuth(keystone.NoAuthConfig{}), new(log)}
	cinder := api{keystone.NoAuth(keystone.NoAuthConfig{EverybodyIsAdmin: true, ProjectInURL: true}), new(log)}
	for _, c := range []struct {
		api           api
		token         string
		user, project string
		admin         bool
	}{
		{nova, "ann:shop", "ann", "shop", false},
		{nova, "admin:shop", "admin", "shop", true},
		{nova, "ann", "ann", "ann", false},
		{nova, "ann:", "ann", "ann", false},
		{cinder, "ann:a:b", "ann", "a:b", true},
	} {
		got := c.api.get(t, "X-Auth-Token", c.token, "X-Roles", "forged")
		if got.Context["user_id"] != c.user || got.Context["project_id"] != c.project || got.Context["is_admin"] != c.admin ||
			got.Header.Get("X-Roles") != "" || fmt.Sprint(got.Context["roles"]) != "[]" {
			t.Errorf("%s: %v %v", c.token, got.Context, got.Header)
		}
	}
	offered := nova.get(t)
	if offered.status != http.StatusNoContent || offered.header.Get("X-Auth-Token") != "admin:admin" ||
		offered.header.Get("X-Server-Management-Url") != "http://example.com/v1/orders" {
		t.Errorf("%d %v", offered.status, offered.header)
	}
	offered = cinder.get(t, "X-Auth-User", "ann", "X-Auth-Project-Id", "shop")
	if offered.header.Get("X-Auth-Token") != "ann:shop" || offered.header.Get("X-Server-Management-Url") != "http://example.com/v1/orders/shop" {
		t.Errorf("%v", offered.header)
	}
}

// What a service answers by itself tells clients where to log in, too.
func TestTheServices401IsAChallenge(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	o.WWWAuthenticateURI, o.DelayAuthDecision = "", true
	auth, err := keystone.New(keystone.Config{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(auth.Close)
	w := httptest.NewRecorder()
	auth.Filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if !w.Flushed || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("a plain answer: flushed: %v, %v", w.Flushed, w.Header())
	}
	w = httptest.NewRecorder()
	auth.Filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })).
		ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	challenge := `Keystone uri="` + k.URL() + `"`
	if diff := cmp.Diff([]string{challenge}, w.Header()["Www-Authenticate"]); diff != "" {
		t.Error(diff)
	}
	w = httptest.NewRecorder()
	auth.Filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
	})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if diff := cmp.Diff([]string{"Basic", challenge}, w.Header()["Www-Authenticate"]); diff != "" {
		t.Error(diff)
	}
}
