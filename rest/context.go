package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"github.com/goslo/goslo/rpc"
)

// A Context says who asks, for which project, and in which request: OpenStack's request context, as oslo.context has it. Filters make it
// of what Keystone knows; handlers, and the managers behind the bus, find it with [ContextFrom].
//
// As JSON its members have the names of oslo.context's to_dict (version 5.0, context.py) and of nova's (nova/context.py), the older names
// beside the newer: user and user_id, project, project_id and tenant. What is empty is null.
type Context struct { //nolint:recvcheck // by value where it is shown, so that no copy shows the token
	User    Identity // who asks
	Project Identity // on behalf of which project; empty when the token is for a domain or the system
	Domain  Domain   // of a token for a whole domain
	// SystemScope is "all" for a token that is for the whole deployment. Default: "".
	SystemScope string
	Roles       []string
	IsAdmin     bool
	// OtherProject is is_admin_project the other way around: it is not Keystone's admin project that the token is for. Upstream takes it
	// for that where nobody says otherwise.
	OtherProject bool

	AuthToken string  // never shown, but sent along on the bus, as upstream does
	Service   Service // who passed the request on, when a service did

	RequestID       string // of this request to this service: "req-" and a UUID
	GlobalRequestID string // of the request that led to it, when the client said so

	extra map[string]json.RawMessage
}

// An Identity is a user or a project.
type Identity struct {
	ID, Name string
	Domain   Domain // that it belongs to
}

// A Domain is Keystone's: what users and projects belong to.
type Domain struct{ ID, Name string }

// A Service is one that passes a user's request on, of X-Service-Token.
type Service struct { //nolint:recvcheck // by value where it is shown, as Context is
	User, Project Identity
	Roles         []string
	Token         string `json:"-"` // never shown, and never sent on the bus
}

// String returns the ids, without the token. It is what logs and %v show.
func (s Service) String() string {
	return fmt.Sprintf("service of user %s in project %s", cmp.Or(s.User.ID, "-"), cmp.Or(s.Project.ID, "-"))
}

// GoString returns String.
func (s Service) GoString() string { return s.String() }

// LogValue returns String, where a log would show the members.
func (s Service) LogValue() slog.Value { return slog.StringValue(s.String()) }

// SetExtra adds a member that has no field, such as read_deleted or service_catalog. It fails where v does not encode to JSON,
// or where there is a field for it.
func (c *Context) SetExtra(name string, v any) error {
	if c.has(name) {
		return fmt.Errorf("rest: request context: %s is a field", name)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("rest: request context: %s: %w", name, err)
	}
	extra := maps.Clone(c.extra) // copies of c have the same map
	if extra == nil {
		extra = make(map[string]json.RawMessage)
	}
	extra[name] = raw
	c.extra = extra
	return nil
}

// Extra stores a member that has no field in v, a pointer. ok is false where there is none.
func (c *Context) Extra(name string, v any) (ok bool, err error) {
	raw, ok := c.extra[name]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return true, fmt.Errorf("rest: request context: %s: %w", name, err)
	}
	return true, nil
}

// HasRole reports whether one of the roles is role. Case does not matter, as in oslo.policy.
func (c *Context) HasRole(role string) bool {
	for _, r := range c.Roles {
		if strings.EqualFold(r, role) {
			return true
		}
	}
	return false
}

// A text is a member that is a string. Of several with one value the first is read before the others.
type text struct {
	name  string
	value *string
}

func (c *Context) texts() []text {
	return []text{
		{"user_id", &c.User.ID},
		{"user", &c.User.ID},
		{"user_name", &c.User.Name},
		{"user_domain", &c.User.Domain.ID},
		{"user_domain_name", &c.User.Domain.Name},
		{"project_id", &c.Project.ID},
		{"project", &c.Project.ID},
		{"tenant", &c.Project.ID},
		{"project_name", &c.Project.Name},
		{"project_domain", &c.Project.Domain.ID},
		{"project_domain_name", &c.Project.Domain.Name},
		{"domain", &c.Domain.ID},
		{"domain_name", &c.Domain.Name},
		{"system_scope", &c.SystemScope},
		{"auth_token", &c.AuthToken},
		{"request_id", &c.RequestID},
		{"global_request_id", &c.GlobalRequestID},
	}
}

// texts of a service have upstream's names of attributes, which its to_dict leaves out.
func (s *Service) texts() []text {
	return []text{
		{"service_user_id", &s.User.ID},
		{"service_user_name", &s.User.Name},
		{"service_user_domain_id", &s.User.Domain.ID},
		{"service_user_domain_name", &s.User.Domain.Name},
		{"service_project_id", &s.Project.ID},
		{"service_project_name", &s.Project.Name},
		{"service_project_domain_id", &s.Project.Domain.ID},
		{"service_project_domain_name", &s.Project.Domain.Name},
	}
}

// Members that are not strings, and those that are made anew wherever a context goes.
const (
	roles          = "roles"
	serviceRoles   = "service_roles"
	isAdmin        = "is_admin"
	isAdminProject = "is_admin_project"
	userIdentity   = "user_identity"
	clientTimeout  = "client_timeout"
)

// has reports whether there is a field for a member, or whether it is made anew.
func (c *Context) has(name string) bool {
	switch name {
	case roles, serviceRoles, isAdmin, isAdminProject, userIdentity, clientTimeout:
		return true
	}
	for _, t := range append(c.texts(), c.Service.texts()...) {
		if t.name == name {
			return true
		}
	}
	return false
}

// MarshalJSON returns the context as Python services have it, the token included. The token of a service is not.
func (c Context) MarshalJSON() ([]byte, error) {
	members := make(map[string]any, len(c.extra)+32)
	for name, raw := range c.extra {
		members[name] = raw
	}
	for _, t := range c.texts() {
		members[t.name] = nil
		if *t.value != "" {
			members[t.name] = *t.value
		}
	}
	for _, t := range c.Service.texts() {
		if *t.value != "" {
			members[t.name] = *t.value
		}
	}
	members[roles] = append([]string{}, c.Roles...)
	if len(c.Service.Roles) > 0 {
		members[serviceRoles] = c.Service.Roles
	}
	members[isAdmin] = c.IsAdmin
	members[isAdminProject] = !c.OtherProject
	members[userIdentity] = c.identity()
	return json.Marshal(members)
}

// identity is oslo.context's user_identity.
func (c *Context) identity() string {
	parts := []string{c.User.ID, c.Project.ID, c.Domain.ID, c.User.Domain.ID, c.Project.Domain.ID}
	for i := range parts {
		parts[i] = cmp.Or(parts[i], "-")
	}
	return strings.Join(parts, " ")
}

// UnmarshalJSON reads what MarshalJSON or a Python service wrote. A member of another type than upstream's counts as absent; those without a
// field are kept, see [Context.Extra].
func (c *Context) UnmarshalJSON(b []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return fmt.Errorf("rest: request context: %w", err)
	}
	*c = Context{}
	for _, t := range append(c.texts(), c.Service.texts()...) {
		var value string
		if raw, ok := members[t.name]; ok && json.Unmarshal(raw, &value) == nil {
			*t.value = cmp.Or(*t.value, value)
		}
	}
	c.Roles = member[[]string](members, roles)
	c.Service.Roles = member[[]string](members, serviceRoles)
	c.IsAdmin = member[bool](members, isAdmin)
	other := member[*bool](members, isAdminProject)
	c.OtherProject = other != nil && !*other
	for name, raw := range members {
		if !c.has(name) {
			if c.extra == nil {
				c.extra = make(map[string]json.RawMessage)
			}
			c.extra[name] = raw
		}
	}
	return nil
}

func member[T any](members map[string]json.RawMessage, name string) T {
	var value T
	if json.Unmarshal(members[name], &value) != nil {
		var none T
		return none
	}
	return value
}

// String returns the ids, without the token. It is what logs and %v show.
func (c Context) String() string {
	return fmt.Sprintf("request context %s of user %s in project %s", cmp.Or(c.RequestID, "-"), cmp.Or(c.User.ID, "-"), cmp.Or(c.Project.ID, "-"))
}

// GoString returns String.
func (c Context) GoString() string { return c.String() }

// LogValue returns String, where a JSON log would show the members.
func (c Context) LogValue() slog.Value { return slog.StringValue(c.String()) }

type contextKey struct{}

// carried is a context, and how rpc has it, which is how it goes on.
type carried struct {
	context *Context
	raw     []byte
}

// WithContext returns a ctx whose calls and casts carry a copy of c. nil is an empty one.
func WithContext(ctx context.Context, c *Context) context.Context {
	var kept Context
	if c != nil {
		kept = *c
	}
	on, err := rpc.NewRequestContext(kept)
	if err != nil {
		return ctx // it does not come to that: all that a Context holds encodes
	}
	return context.WithValue(rpc.WithContext(ctx, on), contextKey{}, &carried{&kept, on.JSON()})
}

// ContextFrom returns the request context that ctx carries: in a handler of this package what the filters made, in one of package rpc the
// caller's, be that Go or Python. Without one it is empty, never nil. It is shared: to change it, copy it, and use [WithContext].
func ContextFrom(ctx context.Context) *Context {
	raw := rpc.ContextFrom(ctx).JSON()
	if k, ok := ctx.Value(contextKey{}).(*carried); ok && bytes.Equal(k.raw, raw) {
		return k.context
	}
	var c Context
	if json.Unmarshal(raw, &c) != nil {
		return &Context{}
	}
	return &c
}
