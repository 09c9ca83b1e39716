package keystone

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// A token is what Keystone says about one (identity API v3, GET /v3/auth/tokens). It does not hold the token itself.
type token struct {
	ExpiresAt time.Time `json:"expires_at"`
	User      owner     `json:"user"`
	Project   owner     `json:"project"`
	Domain    domain    `json:"domain"`
	System    struct {
		All bool `json:"all"`
	} `json:"system"`
	Roles          []domain       `json:"roles"` // they have names and ids as domains have
	IsAdminProject *bool          `json:"is_admin_project"`
	Bind           map[string]any `json:"bind"`
	Catalog        []service      `json:"catalog"`
}

type domain struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// An owner is a user or a project.
type owner struct {
	domain
	Domain domain `json:"domain"`
}

type service struct {
	Type      string     `json:"type"`
	Name      string     `json:"name"`
	Endpoints []endpoint `json:"endpoints"`
}

type endpoint struct {
	Region    string `json:"region"`
	RegionID  string `json:"region_id"`
	Interface string `json:"interface"`
	URL       string `json:"url"`
}

// hasRole reports whether the token has one of the roles. Case matters, as in keystonemiddleware.
func (t *token) hasRole(roles []string) bool {
	for _, has := range t.Roles {
		for _, want := range roles {
			if has.Name == want {
				return true
			}
		}
	}
	return false
}

// Names of headers between the filters (keystonemiddleware, auth_token/_request.py). In those of identity and roles, the
// service's have "-Service" behind the X.
const (
	headerToken         = "X-Auth-Token" //nolint:gosec // a header's name
	headerStorageToken  = "X-Storage-Token"
	headerServiceToken  = "X-Service-Token"
	headerStatus        = "X-Identity-Status"
	headerServiceStatus = "X-Service-Identity-Status"
	headerAdminProject  = "X-Is-Admin-Project"
	headerSystemScope   = "Openstack-System-Scope"
	headerCatalog       = "X-Service-Catalog"

	confirmed = "Confirmed"
	invalid   = "Invalid"
)

// identity is where the headers of a user, or of a service, get their values: the part of the name behind "X-" or "X-Service-".
var identity = []struct {
	name string
	of   func(*token) string
}{
	{"Domain-Id", func(t *token) string { return t.Domain.ID }},
	{"Domain-Name", func(t *token) string { return t.Domain.Name }},
	{"Project-Id", func(t *token) string { return t.Project.ID }},
	{"Project-Name", func(t *token) string { return t.Project.Name }},
	{"Project-Domain-Id", func(t *token) string { return t.Project.Domain.ID }},
	{"Project-Domain-Name", func(t *token) string { return t.Project.Domain.Name }},
	{"User-Id", func(t *token) string { return t.User.ID }},
	{"User-Name", func(t *token) string { return t.User.Name }},
	{"User-Domain-Id", func(t *token) string { return t.User.Domain.ID }},
	{"User-Domain-Name", func(t *token) string { return t.User.Domain.Name }},
	{"Roles", (*token).roleNames},
}

// roleNames are the names of the roles, with commas between. A name that would be read as others is left out:
// "odd,admin" makes nobody an administrator.
func (t *token) roleNames() string {
	var names []string
	for _, r := range t.Roles {
		if !strings.Contains(r.Name, ",") && strings.TrimSpace(r.Name) == r.Name {
			names = append(names, r.Name)
		}
	}
	return strings.Join(names, ",")
}

// legacy are older names, and those that took their place.
var legacy = map[string]string{
	"X-Role":        "X-Roles",
	"X-User":        "X-User-Name",
	"X-Tenant-Id":   "X-Project-Id",
	"X-Tenant-Name": "X-Project-Name",
	"X-Tenant":      "X-Project-Name",
}

// ours are all headers that only filters may set, in lower case.
var ours = func() map[string]bool {
	names := make(map[string]bool)
	for _, name := range []string{headerStatus, headerServiceStatus, headerAdminProject, headerSystemScope, headerCatalog} {
		names[strings.ToLower(name)] = true
	}
	for name := range legacy {
		names[strings.ToLower(name)] = true
	}
	for _, field := range identity {
		names[strings.ToLower("X-"+field.name)] = true
		names[strings.ToLower("X-Service-"+field.name)] = true
	}
	return names
}()

// stripped is the request without what the client may have sent to be taken for somebody, with a header of its own. Underscores
// count as dashes: what stands behind may be a WSGI application, which does not tell them apart. [http.Request.Clone] would lose the
// fields behind the body.
func stripped(ctx context.Context, r *http.Request) *http.Request {
	r = r.WithContext(ctx)
	r.Header = r.Header.Clone()
	for name := range r.Header {
		if ours[strings.ToLower(strings.ReplaceAll(name, "_", "-"))] {
			delete(r.Header, name)
		}
	}
	return r
}

// setUser says who asks.
func (t *token) setUser(h http.Header) {
	t.set(h, "X-")
	admin := "True" // what upstream takes for granted where Keystone does not say
	if t.IsAdminProject != nil && !*t.IsAdminProject {
		admin = "False"
	}
	h.Set(headerAdminProject, admin)
	if t.System.All {
		h.Set(headerSystemScope, "all")
	}
	for old, name := range legacy {
		if value := h.Get(name); value != "" {
			h.Set(old, value)
		}
	}
}

// setService says which service passes the request on.
func (t *token) setService(h http.Header) { t.set(h, "X-Service-") }

func (t *token) set(h http.Header, prefix string) {
	for _, field := range identity {
		if value := field.of(t); value != "" {
			h.Set(prefix+field.name, value)
		}
	}
}

// setCatalog passes the catalog on, in the form of Keystone's second API, which is what the header always had.
func (t *token) setCatalog(h http.Header) error {
	if t.Catalog == nil {
		return nil
	}
	type object = map[string]any
	services := make([]object, len(t.Catalog))
	for i, s := range t.Catalog {
		var regions []object
		byName := make(map[string]object)
		for _, e := range s.Endpoints {
			region, ok := byName[e.Region]
			if !ok {
				region = object{}
				if e.Region != "" {
					region["region"] = e.Region
				}
				byName[e.Region] = region
				regions = append(regions, region)
			}
			region[strings.ToLower(e.Interface)+"URL"] = e.URL
		}
		services[i] = object{"type": s.Type, "name": s.Name, "endpoints": append([]object{}, regions...)}
	}
	text, err := json.Marshal(services)
	if err != nil {
		return err
	}
	h.Set(headerCatalog, string(text))
	return nil
}
