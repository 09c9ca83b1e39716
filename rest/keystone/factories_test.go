package keystone_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/keystone"
	"github.com/goslo/goslo/rest/paste"
)

const pipelines = `
[composite:main]
use = egg:Paste#urlmap
/keystone: keystone
/noauth: noauth

[pipeline:keystone]
pipeline = authtoken keystonecontext app

[pipeline:noauth]
pipeline = noauth app

[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = https://from.paste.example.com
token_cache_time = 10
service_token_roles = a, b

[filter:keystonecontext]
paste.filter_factory = nova.api.auth:NovaKeystoneContext.factory

[filter:noauth]
paste.filter_factory = cinder.api.middleware.auth:NoAuthMiddleware.factory

[app:app]
paste.app_factory = shop:app
`

func factories(o keystone.Options) paste.Factories {
	whoami := func(paste.Settings) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(rest.ContextFrom(r.Context()).User.ID))
		}), nil
	}
	return keystone.Factories(keystone.FactoriesConfig{Config: keystone.Config{Options: o}}).With(paste.Factories{
		Apps:       map[string]paste.AppFactory{"shop:app": whoami},
		Composites: map[string]paste.CompositeFactory{"egg:Paste#urlmap": paste.URLMap},
	})
}

func load(t *testing.T, content string, f paste.Factories) (http.Handler, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api-paste.ini")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return paste.Config{Path: path, Name: "main", Factories: f}.App()
}

func TestFactories(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	ann := k.NewUser(t, "ann", "member")
	handler, err := load(t, pipelines, factories(options(t, k)))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path, token string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		r.Header.Set("X-Auth-Token", token)
		handler.ServeHTTP(w, r)
		return w
	}
	if w := ask("/keystone", k.Token(t, ann)); w.Body.String() != ann.ID {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask("/keystone", "nonsense"); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != `Keystone uri="https://from.paste.example.com"` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := ask("/noauth", "bob:shop"); w.Body.String() != "bob" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSettingsOfASectionAreOptions(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{ //nolint:gosec // a password that is not one, to be seen refused
		"token_cache_time = soon":    `api-paste.ini:16: [filter:authtoken]: token_cache_time: "soon" is no integer`,
		"insecure = perhaps":         `insecure: "perhaps" is neither true nor false`,
		"auth_host = 127.0.0.1":      `[filter:authtoken]: keystone: [keystone_authtoken] auth_host: not supported any more; use auth_url`,
		"auth_uri = x\nauth_url = y": `auth_url: no URL of the form`,
		"admin_password = s3cret":    `admin_password: not supported any more; use password`,
	} {
		_, err := load(t, strings.Replace(pipelines, "token_cache_time = 10", setting, 1), factories(complete()))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %s", setting, err, want)
		}
	}
}
