package policy

import (
	"context"
	"errors"

	"github.com/goslo/goslo/rest"
)

// errNobody is not a refusal: somebody forgot the filter that says who asks.
var errNobody = errors.New("policy: the request has no user: put a filter that makes a request context (keystonecontext, noauth) before it")

// Authorize is [Enforcer.Check] for the request that ctx belongs to: its [rest.Context] says who asks.
//
// It returns a [*NotAuthorizedError], which a REST API answers with 403, or another error if there is no request context:
// nobody is asked for then.
func (e *Enforcer) Authorize(ctx context.Context, rule string, target Target) error {
	c := rest.ContextFrom(ctx)
	if c.User.ID == "" && !c.IsAdmin {
		return errNobody
	}
	return e.Check(ctx, rule, CredentialsOf(c), target)
}

// CredentialsOf are the credentials of a request context, under the names of oslo.context's policy values, and is_admin, which
// nova and cinder add. What is empty is None.
func CredentialsOf(c *rest.Context) Credentials {
	who := Credentials{
		"roles":            c.Roles,
		"service_roles":    c.Service.Roles,
		"is_admin":         c.IsAdmin,
		"is_admin_project": !c.OtherProject,
	}
	for name, value := range map[string]string{
		"user_id":                   c.User.ID,
		"user_domain_id":            c.User.Domain.ID,
		"system_scope":              c.SystemScope,
		"domain_id":                 c.Domain.ID,
		"project_id":                c.Project.ID,
		"project_domain_id":         c.Project.Domain.ID,
		"service_user_id":           c.Service.User.ID,
		"service_user_domain_id":    c.Service.User.Domain.ID,
		"service_project_id":        c.Service.Project.ID,
		"service_project_domain_id": c.Service.Project.Domain.ID,
	} {
		who[name] = nil
		if value != "" {
			who[name] = value
		}
	}
	return who
}
