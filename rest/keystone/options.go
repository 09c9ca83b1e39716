package keystone

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/goslo/goslo/config"
)

// Group is the group of the options in files.
const Group = "keystone_authtoken"

// Options are those of [keystone_authtoken], as keystonemiddleware and its plugin "password" have them. A program embeds them
// in its own:
//
//	type Options struct {
//		Auth keystone.Options `config:"keystone_authtoken"`
//	}
type Options struct {
	ServiceUser
	Identity
	Checks
	Ignored
	Refused
}

// ServiceUser is the user as whom the service asks Keystone about tokens.
type ServiceUser struct {
	AuthURL           string        `config:"auth_url" sample:"http://controller:5000" help:"Keystone's URL, where the service logs in."`
	AuthType          string        `config:"auth_type" default:"password" deprecated:"auth_plugin" help:"How the service logs in: password (or v3password)."`
	Username          string        `config:"username" deprecated:"user_name" sample:"nova" help:"The service's user."`
	UserID            string        `config:"user_id" help:"Its id, in place of username."`
	Password          config.Secret `config:"password" help:"Its password."`
	UserDomainName    string        `config:"user_domain_name" sample:"Default" help:"The user's domain."`
	UserDomainID      string        `config:"user_domain_id" help:"Its id, in place of user_domain_name."`
	ProjectName       string        `config:"project_name" deprecated:"tenant_name" sample:"service" help:"The service's project."`
	ProjectID         string        `config:"project_id" deprecated:"tenant_id" help:"Its id, in place of project_name."`
	ProjectDomainName string        `config:"project_domain_name" sample:"Default" help:"The project's domain."`
	ProjectDomainID   string        `config:"project_domain_id" help:"Its id, in place of project_domain_name."`
	DefaultDomainName string        `config:"default_domain_name" help:"The domain of user and project, where nothing else says so."`
	DefaultDomainID   string        `config:"default_domain_id" help:"Its id, in place of default_domain_name."`
}

// Identity is how Keystone is reached.
type Identity struct {
	WWWAuthenticateURI string `config:"www_authenticate_uri" deprecated:"auth_uri" sample:"http://controller:5000" help:"Keystone's public URL, which clients are told that need a token. Default: auth_url."`
	Interface          string `config:"interface" default:"internal" help:"Which of Keystone's endpoints in the catalog is asked: internal, public or admin."`
	RegionName         string `config:"region_name" help:"The region of that endpoint. Any when empty."`
	Timeout            int    `config:"http_connect_timeout" default:"30" min:"1" help:"After how many seconds an answer is not waited for any more."`
	MaxRetries         int    `config:"http_request_max_retries" default:"3" min:"0" help:"How many more attempts there are when Keystone takes no connection, the first after half a second, each pause twice as long."`
	CAFile             string `config:"cafile" help:"The authorities that may have signed Keystone's certificate. The system's when empty."`
	CertFile           string `config:"certfile" help:"The service's own certificate, where Keystone asks for one."`
	KeyFile            string `config:"keyfile" help:"Its private key."`
	Insecure           bool   `config:"insecure" default:"false" help:"Whether Keystone's certificate is not verified."`
	AuthVersion        string `config:"auth_version" help:"Version of the API: v3, which is the only one."`
}

// Checks are what is asked of a request.
type Checks struct {
	DelayAuthDecision         bool     `config:"delay_auth_decision" default:"false" help:"Whether requests without a valid token go on, marked as such, for the service to decide."`
	TokenCacheTime            int      `config:"token_cache_time" default:"300" min:"-1" help:"For how many seconds Keystone's answer about a token counts, at most until the token expires. 0: until then. -1: not at all."`
	IncludeServiceCatalog     bool     `config:"include_service_catalog" default:"true" help:"Whether the catalog of the token is asked for, and passed on."`
	ServiceTokenRoles         []string `config:"service_token_roles" default:"service" help:"A service token with one of these roles makes up for the expiry of the user's token."`
	ServiceTokenRolesRequired bool     `config:"service_token_roles_required" default:"false" help:"Whether a service token without one of those roles is invalid."`
	EnforceTokenBind          string   `config:"enforce_token_bind" default:"permissive" choices:"permissive,disabled,strict,required,kerberos" help:"permissive refuses tokens that are bound to something, disabled takes them; the others are not supported."`
}

// Ignored are options of a cache that services share. This one has its cache in the process.
type Ignored struct {
	MemcachedServers []string      `config:"memcached_servers" deprecated:"memcache_servers" help:"Without effect: answers are kept in the process."`
	DeadRetry        int           `config:"memcache_pool_dead_retry" default:"300" help:"Without effect."`
	PoolMaxSize      int           `config:"memcache_pool_maxsize" default:"10" help:"Without effect."`
	SocketTimeout    int           `config:"memcache_pool_socket_timeout" default:"3" help:"Without effect."`
	UnusedTimeout    int           `config:"memcache_pool_unused_timeout" default:"60" help:"Without effect."`
	ConnGetTimeout   int           `config:"memcache_pool_conn_get_timeout" default:"10" help:"Without effect."`
	AdvancedPool     bool          `config:"memcache_use_advanced_pool" default:"true" help:"Without effect."`
	SecurityStrategy string        `config:"memcache_security_strategy" default:"None" help:"Without effect: nothing leaves the process."`
	SecretKey        config.Secret `config:"memcache_secret_key" help:"Without effect."`
}

// Refused are options that ask for what there is not. Giving them is an error.
type Refused struct {
	AuthSection     string        `config:"auth_section" help:"Not supported: the options stand in [keystone_authtoken]."`
	Cache           string        `config:"cache" help:"Not supported: there is no WSGI environment with a cache."`
	ServiceType     string        `config:"service_type" help:"Not supported: tokens with access rules are refused."`
	IdentityURI     string        `config:"identity_uri,retired" removal:"use auth_url"`
	AuthHost        string        `config:"auth_host,retired" removal:"use auth_url"`
	AuthPort        string        `config:"auth_port,retired" removal:"use auth_url"`
	AuthProtocol    string        `config:"auth_protocol,retired" removal:"use auth_url"`
	AuthAdminPrefix string        `config:"auth_admin_prefix,retired" removal:"use auth_url"`
	AdminToken      config.Secret `config:"admin_token,retired" removal:"use username and password"`
	AdminUser       string        `config:"admin_user,retired" removal:"use username"`
	AdminPassword   config.Secret `config:"admin_password,retired" removal:"use password"`
	AdminTenantName string        `config:"admin_tenant_name,retired" removal:"use project_name"`
}

// Defaults are the options as they are when a file says nothing.
func Defaults() Options {
	return Options{
		ServiceUser: ServiceUser{AuthType: "password"},
		Identity:    Identity{Interface: "internal", Timeout: 30, MaxRetries: 3},
		Checks: Checks{
			TokenCacheTime: 300, IncludeServiceCatalog: true, ServiceTokenRoles: []string{"service"}, EnforceTokenBind: "permissive",
		},
	}
}

// check names all options that are missing, or cannot be honoured.
func (o *Options) check() error {
	var problems []error
	refuse := func(option, why string) {
		problems = append(problems, fmt.Errorf("[%s] %s: %s", Group, option, why))
	}
	if u, err := url.Parse(o.AuthURL); o.AuthURL == "" {
		refuse("auth_url", "a value is required: Keystone's URL, such as http://controller:5000")
	} else if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		refuse("auth_url", "no URL of the form http://HOST:PORT or https://HOST:PORT")
	} else if u.User != nil { // clients are told the URL, and logs
		refuse("auth_url", "user and password do not stand in the URL; use username and password")
	}
	if o.Timeout < 0 {
		refuse("http_connect_timeout", "it is less than nothing")
	}
	if o.AuthType != "password" && o.AuthType != "v3password" {
		refuse("auth_type", fmt.Sprintf("%q is not supported; there is password", o.AuthType))
	}
	if o.Username == "" && o.UserID == "" {
		refuse("username", "a value is required: the user as whom tokens are validated")
	}
	if o.Password.Reveal() == "" {
		refuse("password", "a value is required: that of the service's user")
	}
	if v := strings.TrimPrefix(o.AuthVersion, "v"); v != "" && v != "3" && v != "3.0" {
		refuse("auth_version", fmt.Sprintf("%q is not supported; there is v3", o.AuthVersion))
	}
	if !slices.Contains([]string{"internal", "public", "admin"}, interfaceName(o.Interface)) {
		refuse("interface", fmt.Sprintf("%q is none of internal, public, admin", o.Interface))
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		refuse("certfile", "it goes with keyfile, and neither without the other")
	}
	switch o.EnforceTokenBind {
	case "", "permissive", "disabled":
	default:
		refuse("enforce_token_bind", fmt.Sprintf("%q is not supported; Keystone binds no tokens any more", o.EnforceTokenBind))
	}
	for _, r := range []struct {
		option, why string
		given       bool
	}{
		{"auth_section", "not supported; the options stand in this group", o.AuthSection != ""},
		{"cache", "not supported; there is no WSGI environment with a cache", o.Cache != ""},
		{"service_type", "not supported; tokens with access rules are refused", o.ServiceType != ""},
		{"identity_uri", "not supported any more; use auth_url", o.IdentityURI != ""},
		{"auth_host", "not supported any more; use auth_url", o.AuthHost != ""},
		{"auth_port", "not supported any more; use auth_url", o.AuthPort != ""},
		{"auth_protocol", "not supported any more; use auth_url", o.AuthProtocol != ""},
		{"auth_admin_prefix", "not supported any more; use auth_url", o.AuthAdminPrefix != ""},
		{"admin_token", "not supported any more; use username and password", o.AdminToken.Reveal() != ""},
		{"admin_user", "not supported any more; use username", o.AdminUser != ""},
		{"admin_password", "not supported any more; use password", o.AdminPassword.Reveal() != ""},
		{"admin_tenant_name", "not supported any more; use project_name", o.AdminTenantName != ""},
	} {
		if r.given {
			refuse(r.option, r.why)
		}
	}
	return errors.Join(problems...)
}

// interfaceName is without the ending that endpoints had in the second version of Keystone's API.
func interfaceName(name string) string { return strings.TrimSuffix(name, "URL") }
