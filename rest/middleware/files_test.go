package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rest/middleware"
	"github.com/goslo/goslo/rest/paste"
)

// names are the factories that an error does not know, each with its line.
func names(t *testing.T, path string, err error) []string {
	t.Helper()
	text, readErr := os.ReadFile(path)
	if readErr != nil {
		t.Fatal(readErr)
	}
	lines := strings.Split(string(text), "\n")
	unknown := regexp.MustCompile(`^paste: \S+:(\d+): \[\S+\]: \S+: the \w+ factory (\S+) is not known to this program`)
	if err == nil {
		return nil
	}
	var all []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		m := unknown.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s: %s", filepath.Base(path), line)
			continue
		}
		var n int
		_, _ = fmt.Sscan(m[1], &n)
		if !strings.Contains(lines[n-1], m[2]) {
			t.Errorf("line %d is %q, not about %s", n, lines[n-1], m[2])
		}
		all = append(all, m[2])
	}
	return all
}

// Files with the names of OpenStack's services name the applications, and what is about authentication: nothing else is unknown.
func TestFilesOfOpenStack(t *testing.T) {
	t.Parallel()
	const authtoken = "keystonemiddleware.auth_token:filter_factory"
	for _, c := range []struct {
		file, app string
		unknown   []string
	}{
		{"nova", "metadata", []string{"nova.api.metadata.handler:MetadataRequestHandler.factory"}},
		{"nova", "osapi_compute", []string{
			authtoken, "nova.api.auth:NovaKeystoneContext.factory", "nova.api.openstack.compute:APIRouterV21.factory",
			"nova.api.openstack.compute.versions:Versions.factory", "nova.api.openstack.compute.versions:VersionsV2.factory",
		}},
		{"cinder", "osapi_volume", []string{
			authtoken, "cinder.api.middleware.auth:CinderKeystoneContext.factory", "cinder.api.v3.router:APIRouter.factory", "cinder.api.versions:Versions.factory",
		}},
		{"neutron", "neutron", []string{
			authtoken, "neutron.api.extensions:plugin_aware_extension_middleware_factory", "neutron.auth:NeutronKeystoneContext.factory",
			"neutron.api.v2.router:APIRouter.factory", "neutron.pecan_wsgi.app:versions_factory",
		}},
		{"heat", "heat-api", []string{
			authtoken, "heat.common.auth_url:filter_factory", "heat.common.context:ContextMiddleware_filter_factory",
			"heat.api.openstack:version_negotiation_filter", "heat.common.wsgi:app_factory",
		}},
		{"manila", "osapi_share", []string{
			authtoken, "manila.api.middleware.auth:ManilaKeystoneContext.factory", "manila.api.v2.router:APIRouter.factory", "manila.api.versions:VersionsRouter.factory",
		}},
	} {
		path := filepath.Join("testdata", c.file+".ini")
		config := paste.Config{Path: path, Name: c.app, Factories: middleware.Factories(middleware.Config{Options: middleware.Defaults(), NoRateLimit: true})}
		_, err := config.App()
		if diff := cmp.Diff(slices.Sorted(slices.Values(c.unknown)), slices.Sorted(slices.Values(names(t, path, err)))); diff != "" {
			t.Errorf("%s of %s, -want +got:\n%s", c.app, c.file, diff)
		}
		// With those it loads, and answers.
		own := paste.Factories{Filters: map[string]paste.FilterFactory{}, Apps: map[string]paste.AppFactory{}}
		for _, name := range c.unknown {
			own.Filters[name] = func(paste.Settings) (func(http.Handler) http.Handler, error) {
				return func(next http.Handler) http.Handler { return next }, nil
			}
			own.Apps[name] = func(s paste.Settings) (http.Handler, error) {
				for range s.Local() { // heat.app_factory
				}
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(w, "%s %s %s", s.Section(), rest.Mount(r.Context()), r.URL.Path)
				}), nil
			}
		}
		if c.file == "heat" {
			own.Filters["heat.common.wsgi:filter_factory"] = own.Filters[authtoken]
		}
		config.Factories = config.Factories.With(own)
		app, err := config.App()
		if err != nil {
			t.Errorf("%s of %s: %v", c.app, c.file, err)
			continue
		}
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if body, _ := io.ReadAll(w.Result().Body); w.Code != http.StatusOK || !strings.HasSuffix(string(body), " /") {
			t.Errorf("%s of %s: %d %s", c.app, c.file, w.Code, body)
		}
	}
}

// A pipeline with the filter that upstream gave up says so; the same file without it loads.
func TestRateLimitIsRemoved(t *testing.T) {
	t.Parallel()
	config := middleware.Config{Options: middleware.Defaults()}
	_, err := paste.Config{Path: "testdata/cinder.ini", Name: "openstack_volume_api_v3", Factories: middleware.Factories(config)}.App()
	if err == nil || !strings.Contains(err.Error(), "[filter:ratelimit]: cinder.api.v2.limits:RateLimitingMiddleware.factory: rates are not limited here") {
		t.Error(err)
	}
}
