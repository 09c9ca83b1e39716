package notify

import (
	"context"
	"encoding/json"

	"github.com/goslo/goslo/rpc"
)

// told are the members of a request context that a notification carries; a token, or a service catalogue, is not among them
// (CTX-08; oslo_messaging/notify/notifier.py).
var told = map[string]bool{
	"user_id": true, "project_id": true, "domain_id": true, "user_domain_id": true, "project_domain_id": true,
	"is_admin": true, "request_id": true, "global_request_id": true, "roles": true, "system_scope": true,
	"user_name": true, "project_name": true, "domain_name": true, "user_domain_name": true, "project_domain_name": true,
	"service_user_id": true, "service_user_domain_id": true, "service_user_domain_name": true,
	"service_project_id": true, "service_project_name": true, "service_project_domain_id": true, "service_project_domain_name": true,
	"service_roles": true,
	"user":          true, "domain": true, "user_domain": true, "project_domain": true,
}

// tellable is the request context of ctx without what is not to be told.
func tellable(ctx context.Context) rpc.RequestContext {
	var members map[string]json.RawMessage
	if rpc.ContextFrom(ctx).Decode(&members) != nil {
		return rpc.RequestContext{}
	}
	for name := range members {
		if !told[name] {
			delete(members, name)
		}
	}
	c, err := rpc.NewRequestContext(members)
	if err != nil { // there are texts in it that only Python reads
		return rpc.RequestContext{}
	}
	return c
}

// withContext is ctx with the request context of a notification.
func withContext(ctx context.Context, n *Raw) context.Context { return rpc.WithContext(ctx, n.Context) }
