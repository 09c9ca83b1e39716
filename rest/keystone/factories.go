package keystone

import (
	"maps"
	"net/http"
	"reflect"
	"strings"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/rest/paste"
)

// FactoriesConfig is what the filters need that an api-paste.ini names.
type FactoriesConfig struct {
	Config
	ContextConfig
}

// Factories are the filters under the names that nova's, cinder's and manila's api-paste.ini have for them. Settings of a section
// of authtoken, and of [DEFAULT], take the place of options of their names, as in keystonemiddleware.
func Factories(c FactoriesConfig) paste.Factories {
	contexts := func(paste.Settings) (func(http.Handler) http.Handler, error) { return Context(c.ContextConfig), nil }
	noauth := func(everybody, inURL bool) paste.FilterFactory {
		return func(paste.Settings) (func(http.Handler) http.Handler, error) {
			return NoAuth(NoAuthConfig{ContextConfig: c.ContextConfig, EverybodyIsAdmin: everybody, ProjectInURL: inURL}), nil
		}
	}
	return paste.Factories{Filters: map[string]paste.FilterFactory{
		"keystonemiddleware.auth_token:filter_factory":                        c.authtoken,
		"keystoneclient.middleware.auth_token:filter_factory":                 c.authtoken,
		"nova.api.auth:NovaKeystoneContext.factory":                           contexts,
		"cinder.api.middleware.auth:CinderKeystoneContext.factory":            contexts,
		"manila.api.middleware.auth:ManilaKeystoneContext.factory":            contexts,
		"nova.api.openstack.auth:NoAuthMiddleware.factory":                    noauth(false, true),
		"nova.api.openstack.auth:NoAuthMiddlewareV2_18.factory":               noauth(false, false),
		"cinder.api.middleware.auth:NoAuthMiddleware.factory":                 noauth(true, false),
		"cinder.api.middleware.auth:NoAuthMiddlewareIncludeProjectID.factory": noauth(true, true),
		"manila.api.middleware.auth:NoAuthMiddleware.factory":                 noauth(true, true),
	}}
}

func (c FactoriesConfig) authtoken(s paste.Settings) (func(http.Handler) http.Handler, error) {
	own := c.Config
	old, current := optionFields(reflect.ValueOf(&own.Options).Elem())
	for _, fields := range []map[string]reflect.Value{old, current} { // of two names for one option, the newer counts
		for name, field := range fields {
			if err := store(s, name, field); err != nil {
				return nil, err
			}
		}
	}
	auth, err := New(own)
	if err != nil {
		return nil, s.Errorf("%w", err)
	}
	return auth.Filter, nil
}

// optionFields are the fields by the names of options, older and current ones.
func optionFields(v reflect.Value) (old, current map[string]reflect.Value) {
	old, current = make(map[string]reflect.Value), make(map[string]reflect.Value)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			innerOld, inner := optionFields(v.Field(i))
			maps.Copy(old, innerOld)
			maps.Copy(current, inner)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("config"), ",")
		current[name] = v.Field(i)
		if names := f.Tag.Get("deprecated"); names != "" {
			for each := range strings.SplitSeq(names, ",") {
				old[each] = v.Field(i)
			}
		}
	}
	return old, current
}

// store puts a setting, if there is one, into the field of an option.
func store(s paste.Settings, name string, field reflect.Value) error {
	switch to := field.Addr().Interface().(type) {
	case *string:
		s.Text(name, to)
	case *[]string:
		s.List(name, to)
	case *int:
		return s.Int(name, to)
	case *bool:
		return s.Bool(name, to)
	case *config.Secret:
		if found, ok := s.Lookup(name); ok {
			*to = config.NewSecret(found.Value)
		}
	}
	return nil
}
