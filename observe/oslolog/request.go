package oslolog

import (
	"encoding/json"
	"strings"

	"github.com/goslo/goslo/rpc"
)

// A request is what a log shows of a request context: the values that oslo.context gives to oslo.log (RequestContext.get_logging_values). nil = no request.
type request struct {
	values map[string]any // JSON's: string, bool, nil, json.Number, []any, map[string]any
}

// members are the values, each with the members of a request context that it is taken from. Where a project's own context
// class writes another name, that counts after oslo.context's.
var members = map[string][]string{
	"user_name": {"user_name"}, "project_name": {"project_name"}, "domain_name": {"domain_name"},
	"user_domain_name": {"user_domain_name"}, "project_domain_name": {"project_domain_name"},
	"user": {"user", "user_id"}, "project_id": {"project_id", "tenant"}, "project": {"project_id", "tenant"},
	"system_scope": {"system_scope"}, "domain": {"domain", "domain_id"},
	"user_domain": {"user_domain", "user_domain_id"}, "project_domain": {"project_domain", "project_domain_id"},
	"request_id": {"request_id"}, "global_request_id": {"global_request_id"}, "resource_uuid": {"resource_uuid"},
	"is_admin": {"is_admin"}, "read_only": {"read_only"}, "show_deleted": {"show_deleted"}, "is_admin_project": {"is_admin_project"},
	"roles": {"roles"}, "auth_token": {"auth_token"},
}

// requestOf reads a request context. One that is no context of OpenStack's, or none at all, is nil.
func requestOf(c rpc.RequestContext) *request {
	var all map[string]any
	if c.Decode(&all) != nil {
		return nil
	}
	delete(all, "client_timeout") // which is of the call
	if len(all) == 0 {
		return nil
	}
	r := &request{values: map[string]any{
		"is_admin": false, "read_only": false, "show_deleted": false, "is_admin_project": true, "roles": []any{},
	}}
	for name, sources := range members {
		if _, ok := r.values[name]; !ok {
			r.values[name] = nil
		}
		for _, source := range sources {
			if v := all[source]; v != nil {
				r.values[name] = v
				break
			}
		}
	}
	if r.values["auth_token"] != nil {
		r.values["auth_token"] = "***"
	}
	identity := make([]string, 0, 5)
	for _, name := range []string{"user", "project_id", "domain", "user_domain", "project_domain"} {
		identity = append(identity, r.orDash(name))
	}
	r.values["user_identity"] = strings.Join(identity, " ")
	return r
}

// text is a value as Python prints it.
func (r *request) text(name string) string { return pythonText(r.values[name]) }

// orDash is the same, and a dash for what Python takes for false.
func (r *request) orDash(name string) string {
	v := r.values[name]
	if list, ok := v.([]any); ok && len(list) == 0 {
		return "-"
	}
	switch v {
	case nil, false, "", json.Number("0"):
		return "-"
	}
	return pythonText(v)
}

func pythonText(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case []any:
		parts := make([]string, len(v))
		for i, part := range v {
			parts[i] = pythonText(part)
			if text, ok := part.(string); ok {
				parts[i] = "'" + strings.ReplaceAll(text, "'", `\'`) + "'"
			}
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
