package keystone

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/goslo/goslo/rest"
)

// NoAuthConfig is what [NoAuth] needs. The zero value is as nova has it.
type NoAuthConfig struct {
	ContextConfig
	// EverybodyIsAdmin is cinder's way. Default: the user admin is, as in nova, and who IsAdmin says.
	EverybodyIsAdmin bool
	// ProjectInURL has the URL that clients without a token are told end with their project. Default: it does not.
	ProjectInURL bool
}

// NoAuth is the filter noauth, which is for development: it takes everybody's word. The token is user:project, or a user whose
// project has the same name. A request without one is answered with 204 and a token in X-Auth-Token, for
// X-Auth-User and X-Auth-Project-Id, both "admin" if they are missing, and the service's URL in X-Server-Management-Url.
func NoAuth(config NoAuthConfig) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked := r
			r = stripped(r.Context(), r)
			defer func() { asked.Pattern = r.Pattern }() // for those who trace it
			text := r.Header.Get(headerToken)
			if text == "" {
				config.offer(w, r)
				return
			}
			user, project, _ := strings.Cut(text, ":")
			c := *rest.ContextFrom(r.Context())
			c.User, c.Project = rest.Identity{ID: user}, rest.Identity{ID: cmp.Or(project, user)}
			c.AuthToken = text
			c.IsAdmin = config.EverybodyIsAdmin || user == "admin"
			serve(w, r, next, &c, config.ContextConfig)
		})
	}
}

// offer answers with a token.
func (config NoAuthConfig) offer(w http.ResponseWriter, r *http.Request) {
	user := cmp.Or(r.Header.Get("X-Auth-User"), "admin")
	project := cmp.Or(r.Header.Get("X-Auth-Project-Id"), "admin")
	here := url.URL{Scheme: "http", Host: r.Host, Path: strings.TrimRight(r.URL.Path, "/")}
	if r.TLS != nil {
		here.Scheme = "https"
	}
	if config.ProjectInURL {
		here.Path += "/" + project
	}
	w.Header().Set(headerToken, user+":"+project)
	w.Header().Set("X-Server-Management-Url", here.String())
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusNoContent)
}
