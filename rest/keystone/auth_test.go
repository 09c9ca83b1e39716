package keystone_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rest/keystone"
)

// It runs alone, because it stops the Keystone that all share.
func TestWithoutKeystoneNobodyPasses(t *testing.T) {
	k := brokertest.Keystone(t)
	o := options(t, k)
	o.MaxRetries, o.Timeout = 0, 1
	ann := k.NewUser(t, "ann", "member")
	known, unknown := k.Token(t, ann), k.Token(t, ann)
	fresh, used := newAPI(t, o), newAPI(t, o)
	delayed := o
	delayed.DelayAuthDecision = true
	lenient := newAPI(t, delayed)
	brokertest.Await(t, "Keystone to answer within the timeout", func() bool {
		return used.get(t, "X-Auth-Token", known).status == http.StatusOK
	})
	nobodyPasses := func(when string) {
		t.Helper()
		var all sync.WaitGroup
		for name, api := range map[string]api{"fresh": fresh, "used": used, "lenient": lenient} {
			all.Go(func() {
				got := api.get(t, "X-Auth-Token", unknown, "X-User-Id", "root")
				if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `"serviceUnavailable"`) {
					t.Errorf("%s, %s: %d %s", when, name, got.status, got.body)
				}
			})
		}
		all.Go(func() {
			if got := used.get(t, "X-Auth-Token", known, "X-Service-Token", unknown); got.status != http.StatusServiceUnavailable {
				t.Errorf("%s: a service token that nobody knows: %d %s", when, got.status, got.body)
			}
		})
		all.Wait()
		// What Keystone said before still counts.
		if got := used.get(t, "X-Auth-Token", known); got.status != http.StatusOK {
			t.Errorf("%s: a token that was validated: %d %s", when, got.status, got.body)
		}
	}
	k.Pause(t)
	nobodyPasses("while Keystone hangs")
	k.Resume(t)
	k.Kill()
	nobodyPasses("while Keystone is down")
	if !strings.Contains(fresh.log.String(), "connection refused") || !strings.Contains(fresh.log.String(), "level=ERROR") {
		t.Errorf("the operator is not told why:\n%s", fresh.log)
	}
	// Attempts to connect are repeated.
	o.MaxRetries, o.Timeout = 8, 30
	patient := newAPI(t, o)
	done := make(chan answer)
	go func() { done <- patient.get(t, "X-Auth-Token", unknown) }()
	k.Restart(t)
	if got := <-done; got.status != http.StatusOK {
		t.Errorf("a request from before Keystone came back: %d %s\n%s", got.status, got.body, patient.log)
	}
	for name, api := range map[string]api{"fresh": fresh, "used": used, "lenient": lenient} {
		brokertest.Await(t, name+": the token to be valid again", func() bool {
			return api.get(t, "X-Auth-Token", unknown).status == http.StatusOK
		})
	}
}

func TestTokensThatAreNotValid(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	api := newAPI(t, options(t, k))
	ann := k.NewUser(t, "ann", "member")
	// A token that is over in a while is over then, also for the cache.
	short := k.TokenFor(t, ann, 5*time.Second)
	if got := api.get(t, "X-Auth-Token", short); got.status != http.StatusOK {
		t.Errorf("a short token: %d %s\n%s", got.status, got.body, api.log)
	}
	revoked := k.Token(t, ann)
	k.Revoke(t, revoked)
	for what, header := range map[string][]string{
		"no token":               nil,
		"an empty token":         {"X-Auth-Token", ""},
		"nonsense":               {"X-Auth-Token", "nonsense"},
		"a path":                 {"X-Auth-Token", "../../users"},
		"an expired token":       {"X-Auth-Token", k.TokenFor(t, ann, -time.Hour)},
		"a revoked token":        {"X-Auth-Token", revoked},
		"a service token only":   {"X-Service-Token", k.Token(t, ann)},
		"a bad service token":    {"X-Auth-Token", k.Token(t, ann), "X-Service-Token", "nonsense"},
		"two tokens":             {"X-Auth-Token", k.Token(t, ann), "X-Auth-Token", k.Token(t, k.NewUser(t, "bob", "member"))},
		"nothing and a token":    {"X-Auth-Token", "", "X-Auth-Token", k.Token(t, ann)},
		"two service tokens":     {"X-Auth-Token", k.Token(t, ann), "X-Service-Token", "", "X-Service-Token", k.Token(t, ann)},
		"headers of a valid one": {"X-Identity-Status", "Confirmed", "X-User-Id", ann.ID, "X-Project-Id", ann.ProjectID, "X-Roles", "admin"},
	} {
		for range 2 { // the second is answered by the cache
			got := api.get(t, header...)
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != `Keystone uri="https://public.example.com/identity"` ||
				!strings.Contains(got.body, `"error"`) {
				t.Errorf("%s: %d %v %s", what, got.status, got.header, got.body)
			}
		}
	}
	brokertest.Await(t, "the end of a short token", func() bool { return api.get(t, "X-Auth-Token", short).status == http.StatusUnauthorized })
}

func TestWhatTheClientSaysAboutItselfIsRemoved(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	o.DelayAuthDecision = true
	api := newAPI(t, o)
	var forged []string
	for _, name := range []string{
		"X-Identity-Status", "X-Service-Identity-Status", "X-Is-Admin-Project", "X-Service-Catalog", "Openstack-System-Scope",
		"X-User-Id", "X-User-Name", "X-User-Domain-Id", "X-User-Domain-Name", "X-Project-Id", "X-Project-Name", "X-Project-Domain-Id",
		"X-Project-Domain-Name", "X-Domain-Id", "X-Domain-Name", "X-Roles", "X-Service-User-Id", "X-Service-User-Name", "X-Service-Roles",
		"X-Service-Project-Id", "X-Service-Domain-Id", "X-Role", "X-User", "X-Tenant", "X-Tenant-Id", "X-Tenant-Name",
	} {
		forged = append(forged, name, "forged", strings.ReplaceAll(strings.ToLower(name), "-", "_"), "forged")
	}
	got := api.get(t, append(forged, "X-Other", "kept")...)
	want := http.Header{"X-Identity-Status": {"Invalid"}, "X-Other": {"kept"}}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Error(diff)
	}
	got = api.with(keystone.Context(keystone.ContextConfig{})).get(t, forged...)
	if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("behind keystonecontext: %d %v %s", got.status, got.header, got.body)
	}
	got = api.get(t, append(forged, "X-Auth-Token", k.Token(t, k.NewUser(t, "ann", "member")))...)
	for name, values := range got.Header {
		if strings.Contains(strings.Join(values, " "), "forged") {
			t.Errorf("%s: %v", name, values)
		}
	}
}

func TestServiceTokens(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	required := o
	required.ServiceTokenRolesRequired = true
	plain, strict := newAPI(t, o), newAPI(t, required)
	ann := k.NewUser(t, "ann", "member")
	valid, expired := k.Token(t, ann), k.TokenFor(t, ann, -time.Minute)
	service := k.NewUser(t, "cinder", "service")
	ours, other := k.Token(t, service), k.Token(t, ann)
	for _, c := range []struct {
		what, user, service string
		plain, strict       int
	}{
		{"of a service", valid, ours, 200, 200},
		{"of a service, which makes up for an expiry", expired, ours, 200, 200},
		{"of anybody", valid, other, 200, 401},
		{"of anybody, for an expired token", expired, other, 401, 401},
		{"that has expired itself", valid, k.TokenFor(t, service, -time.Minute), 401, 401},
	} {
		for name, api := range map[string]struct {
			api
			want int
		}{"plain": {plain, c.plain}, "required": {strict, c.strict}} {
			got := api.get(t, "X-Auth-Token", c.user, "X-Service-Token", c.service)
			if got.status != api.want {
				t.Errorf("%s, a service token %s: %d, want %d: %s\n%s", name, c.what, got.status, api.want, got.body, api.log)
			}
		}
	}
	// What was valid together is not valid alone.
	if got := plain.get(t, "X-Auth-Token", expired); got.status != http.StatusUnauthorized {
		t.Errorf("an expired token: %d", got.status)
	}
	got := plain.with(keystone.Context(keystone.ContextConfig{})).get(t, "X-Auth-Token", valid, "X-Service-Token", ours)
	if got.Header.Get("X-Service-Identity-Status") != "Confirmed" || got.Header.Get("X-Service-User-Id") != service.ID ||
		got.Context["service_user_id"] != service.ID || fmt.Sprint(got.Context["service_roles"]) != "[service]" || got.Context["user_id"] != ann.ID {
		t.Errorf("%v\n%v", got.Header, got.Context)
	}
}

func TestKeystoneIsAskedOnce(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	way := newWindow(t, k, &o)
	ann := k.NewUser(t, "ann", "member")
	api := newAPI(t, o)

	token := k.Token(t, ann)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if got := api.get(t, "X-Auth-Token", token); got.status != http.StatusOK || got.Header.Get("X-User-Id") != ann.ID {
				t.Errorf("%d %s\n%s", got.status, got.body, api.log)
			}
		})
	}
	all.Wait()
	if logins, validations := way.seen(); logins != 1 || validations != 1 {
		t.Errorf("100 requests at once: %d logins, %d validations", logins, validations)
	}
	for range 5 {
		api.get(t, "X-Auth-Token", token)
		api.get(t, "X-Auth-Token", "nonsense")
	}
	if _, validations := way.seen(); validations != 2 {
		t.Errorf("%d validations of two tokens", validations)
	}
	// A token that was revoked counts until the answer is old, as it does upstream.
	k.Revoke(t, token)
	if got := api.get(t, "X-Auth-Token", token); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}

	uncached := o
	uncached.TokenCacheTime = -1
	api = newAPI(t, uncached)
	second := k.Token(t, ann)
	if got := api.get(t, "X-Auth-Token", second); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
	k.Revoke(t, second)
	if got := api.get(t, "X-Auth-Token", second); got.status != http.StatusUnauthorized {
		t.Errorf("a revoked token without a cache: %d", got.status)
	}
	if _, validations := way.seen(); validations != 4 {
		t.Errorf("%d validations, want 2 more without a cache", validations-2)
	}
}

// Who asks first may go away: those who wait for the same answer get it.
func TestTheFirstToAskMayGiveUp(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	way := newWindow(t, k, &o)
	api := newAPI(t, o)
	token := k.Token(t, k.NewUser(t, "ann", "member"))
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	asked, goOn := make(chan struct{}), make(chan struct{})
	way.before(func() {
		close(asked)
		<-goOn
	})
	var all sync.WaitGroup
	all.Go(func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
		r.Header.Set("X-Auth-Token", token)
		api.filter(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	})
	<-asked
	for range 20 {
		all.Go(func() {
			if got := api.get(t, "X-Auth-Token", token); got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	giveUp()
	close(goOn)
	all.Wait()
	if _, validations := way.seen(); validations != 1 {
		t.Errorf("%d validations", validations)
	}
}

func TestTheServiceLogsInAgain(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	way := newWindow(t, k, &o)
	api := newAPI(t, o)
	ann := k.NewUser(t, "ann", "member")
	if got := api.get(t, "X-Auth-Token", k.Token(t, ann)); got.status != http.StatusOK {
		t.Fatalf("%d\n%s", got.status, api.log)
	}
	k.Revoke(t, way.asked[0].Get("X-Auth-Token"))
	if got := api.get(t, "X-Auth-Token", k.Token(t, ann)); got.status != http.StatusOK {
		t.Errorf("after its own token was revoked: %d\n%s", got.status, api.log)
	}
	if logins, validations := way.seen(); logins != 2 || validations != 3 {
		t.Errorf("%d logins, %d validations, one of which was refused", logins, validations)
	}
}

func TestAServiceThatMayNotAsk(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	token := k.Token(t, k.NewUser(t, "ann", "member"))
	for what, c := range map[string]struct {
		change func(*keystone.Options)
		said   string
	}{
		"wrong password": {func(o *keystone.Options) { o.Password = config.NewSecret("wrong-s3cret") }, "401 Unauthorized; are username, password"},
		"no such user":   {func(o *keystone.Options) { o.Username = "nobody" }, "401 Unauthorized; are username, password"},
		"no such domain": {func(o *keystone.Options) { o.UserDomainName = "nowhere" }, "401 Unauthorized; are username, password"},
		"no endpoint":    {func(o *keystone.Options) { o.RegionName = "nowhere" }, "no internal endpoint of type identity in region \\\"nowhere\\\""},
		"no role": {func(o *keystone.Options) {
			user := k.NewUser(t, "weak", "member")
			o.Username, o.Password, o.ProjectName = user.Name, config.NewSecret(user.Password), user.ProjectName
		}, "403 Forbidden; may the user in [keystone_authtoken] validate tokens?"},
	} {
		o := options(t, k)
		way := newWindow(t, k, &o)
		c.change(&o)
		api := newAPI(t, o)
		for range 3 {
			if got := api.get(t, "X-Auth-Token", token); got.status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", what, got.status, got.body)
			}
		}
		if !strings.Contains(api.log.String(), c.said) || strings.Contains(api.log.String(), "s3cret") {
			t.Errorf("%s: logged, and want %s:\n%s", what, c.said, api.log)
		}
		if logins, _ := way.seen(); strings.Contains(c.said, "401") && logins != 1 {
			t.Errorf("%s: %d logins, with which an account can be locked", what, logins)
		}
	}
}

// Whatever comes back that is not Keystone's word for a valid token is none.
func TestAnswersThatAreNoAnswers(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	way := newWindow(t, k, &o)
	token := k.Token(t, k.NewUser(t, "ann", "member"))
	api := newAPI(t, o)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirection was followed, with the tokens %v", r.Header)
	}))
	defer elsewhere.Close()
	write := func(code int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	for what, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   int
	}{
		"a page":           {write(200, "<html>Welcome</html>"), 503},
		"nothing":          {write(200, ""), 503},
		"an empty object":  {write(200, "{}"), 503},
		"null":             {write(200, `{"token": null}`), 503},
		"no user":          {write(200, `{"token": {"expires_at": "2100-01-01T00:00:00Z", "roles": [{"name": "admin"}]}}`), 503},
		"no expiry":        {write(200, `{"token": {"user": {"id": "root"}}}`), 503},
		"half of it":       {write(200, `{"token": {"user": {"id": "root"}, "expires_at": "2100-01-01T00:00:00Z"`), 503},
		"an old token":     {write(200, `{"token": {"user": {"id": "root"}, "expires_at": "2000-01-01T00:00:00Z"}}`), 401},
		"a bound token":    {write(200, `{"token": {"user": {"id": "root"}, "expires_at": "2100-01-01T00:00:00Z", "bind": {"kerberos": "root"}}}`), 401},
		"no such page":     {write(404, "<html>Not Found</html>"), 503}, // of something else than Keystone
		"no such thing":    {write(404, `{"message": "no Route matched"}`), 503},
		"no such token":    {write(404, `{"error": {"code": 404, "message": "Failed to validate token", "title": "Not Found"}}`), 401},
		"an error":         {write(500, `{"error": {}}`), 503},
		"gateway timeout":  {write(504, ""), 503},
		"never authorized": {write(401, ""), 503},
		"forbidden":        {write(403, ""), 503},
		"no content":       {write(204, ""), 503},
		"too many":         {write(429, ""), 503},
		"elsewhere": {func(w http.ResponseWriter) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusFound)
		}, 503},
		"hanging up": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 503},
	} {
		way.answer(c.answer)
		fresh := newAPI(t, o)
		if got := fresh.get(t, "X-Auth-Token", token); got.status != c.want {
			t.Errorf("%s: %d, want %d: %s", what, got.status, c.want, got.body)
		}
	}
	way.answer(nil)
	if got := api.get(t, "X-Auth-Token", token); got.status != http.StatusOK {
		t.Errorf("%d %s\n%s", got.status, got.body, api.log)
	}
}

func TestTheCatalogIsPassedOnOrNotAskedFor(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	token := k.Token(t, k.NewUser(t, "ann", "member"))
	got := newAPI(t, o).with(keystone.Context(keystone.ContextConfig{})).get(t, "X-Auth-Token", token)
	if catalog := got.Header.Get("X-Service-Catalog"); !strings.Contains(catalog, `"internalURL":"`+k.URL()) ||
		!strings.Contains(fmt.Sprint(got.Context["service_catalog"]), k.URL()) {
		t.Errorf("catalog: %s\n%v", catalog, got.Context)
	}
	o.IncludeServiceCatalog = false
	got = newAPI(t, o).with(keystone.Context(keystone.ContextConfig{})).get(t, "X-Auth-Token", token)
	if got.status != http.StatusOK || got.Header.Get("X-Service-Catalog") != "" || got.Context["service_catalog"] != nil {
		t.Errorf("%d %v", got.status, got.Header)
	}
}
