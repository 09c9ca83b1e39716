package keystone

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/goslo/goslo/rest"
)

// ContextConfig is what [Context] and [NoAuth] need. The zero value is usable.
type ContextConfig struct {
	// IsAdmin decides who is an administrator: is_admin of the request context, which rules ask for with is_admin:True. It gets
	// the context as far as it was made. Default: who has the role admin, as in nova and cinder without a policy file.
	IsAdmin func(ctx context.Context, c *rest.Context) bool
}

func (c ContextConfig) isAdmin(ctx context.Context, asks *rest.Context) bool {
	if c.IsAdmin != nil {
		return c.IsAdmin(ctx, asks)
	}
	return asks.HasRole("admin")
}

// errUnchecked is about a pipeline, and no client: headers say who asks, and nobody has checked them.
var errUnchecked = errors.New("keystone: keystonecontext stands in a pipeline without authtoken before it, where clients could say that they are anybody")

// Context is the filter keystonecontext: it makes the request context of the headers that authtoken has set, and refuses requests
// without a user with 401: those that delay_auth_decision let through. The catalog and the client's address are
// [rest.Context.Extra] members, service_catalog and remote_address, as in nova's context. Behind anything but authtoken, where a client
// could have sent the headers, it answers all requests with 500.
func Context(config ContextConfig) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Value(authenticated{}) == nil {
				rest.WriteFault(w, r, &rest.Fault{Code: http.StatusInternalServerError, Cause: errUnchecked, Message: errUnchecked.Error()})
				return
			}
			c := *rest.ContextFrom(r.Context())
			c.User, c.Project, c.Roles = fromHeaders(r.Header, "X-")
			c.Domain = rest.Domain{ID: r.Header.Get("X-Domain-Id"), Name: r.Header.Get("X-Domain-Name")}
			c.SystemScope = r.Header.Get(headerSystemScope)
			c.OtherProject = strings.EqualFold(r.Header.Get(headerAdminProject), "false")
			c.AuthToken = strings.TrimSpace(cmp.Or(r.Header.Get(headerToken), r.Header.Get(headerStorageToken)))
			if r.Header.Get(headerServiceStatus) == confirmed {
				c.Service.User, c.Service.Project, c.Service.Roles = fromHeaders(r.Header, "X-Service-")
				c.Service.Token = strings.TrimSpace(r.Header.Get(headerServiceToken))
			}
			if r.Header.Get(headerStatus) != confirmed || c.User.ID == "" {
				rest.WriteFault(w, r, rest.Faultf(http.StatusUnauthorized, "This operation requires authentication."))
				return
			}
			if catalog := r.Header.Get(headerCatalog); catalog != "" {
				if err := c.SetExtra("service_catalog", json.RawMessage(catalog)); err != nil {
					rest.WriteFault(w, r, err)
					return
				}
			}
			serve(w, r, next, &c, config)
		})
	}
}

// serve goes on with a context, whose is_admin is still to be decided.
func serve(w http.ResponseWriter, r *http.Request, next http.Handler, c *rest.Context, config ContextConfig) {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	if err := c.SetExtra("remote_address", address); err != nil {
		rest.WriteFault(w, r, err)
		return
	}
	c.IsAdmin = c.IsAdmin || config.isAdmin(r.Context(), c)
	below := r.WithContext(rest.WithContext(r.Context(), c))
	defer func() { r.Pattern = below.Pattern }() // for those who trace it
	next.ServeHTTP(w, below)
}

// fromHeaders reads what set has written.
func fromHeaders(h http.Header, prefix string) (user, project rest.Identity, roles []string) {
	read := func(what string) rest.Identity {
		return rest.Identity{
			ID: h.Get(prefix + what + "-Id"), Name: h.Get(prefix + what + "-Name"),
			Domain: rest.Domain{ID: h.Get(prefix + what + "-Domain-Id"), Name: h.Get(prefix + what + "-Domain-Name")},
		}
	}
	for name := range strings.SplitSeq(h.Get(prefix+"Roles"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			roles = append(roles, name)
		}
	}
	return read("User"), read("Project"), roles
}
