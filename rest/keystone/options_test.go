package keystone_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rest/keystone"
)

func complete() keystone.Options {
	o := keystone.Defaults()
	o.AuthURL, o.Username, o.Password = "http://127.0.0.1:1", "nova", config.NewSecret("s3cret")
	return o
}

func TestOptionsThatCannotBeHonouredAreRefusedByName(t *testing.T) {
	t.Parallel()
	if _, err := keystone.New(keystone.Config{Options: complete()}); err != nil {
		t.Fatal(err)
	}
	for option, change := range map[string]func(*keystone.Options){
		"auth_url":             func(o *keystone.Options) { o.AuthURL = "" },
		"auth_url: no URL":     func(o *keystone.Options) { o.AuthURL = "controller:5000" },
		"auth_url: user":       func(o *keystone.Options) { o.AuthURL = "http://nova:s3cret@controller:5000" },
		"http_connect_timeout": func(o *keystone.Options) { o.Timeout = -1 },
		"auth_type":            func(o *keystone.Options) { o.AuthType = "v3token" },
		"username":             func(o *keystone.Options) { o.Username = "" },
		"password":             func(o *keystone.Options) { o.Password = config.Secret{} },
		"auth_version":         func(o *keystone.Options) { o.AuthVersion = "v2.0" },
		"interface":            func(o *keystone.Options) { o.Interface = "secret" },
		"certfile":             func(o *keystone.Options) { o.CertFile = "x" },
		"certfile, keyfile":    func(o *keystone.Options) { o.CertFile, o.KeyFile = "nosuch", "nosuch" },
		"cafile":               func(o *keystone.Options) { o.CAFile = "nosuch" },
		"cafile: options_test": func(o *keystone.Options) { o.CAFile = "options_test.go" },
		"enforce_token_bind":   func(o *keystone.Options) { o.EnforceTokenBind = "required" },
		"auth_section":         func(o *keystone.Options) { o.AuthSection = "x" },
		"cache":                func(o *keystone.Options) { o.Cache = "swift.cache" },
		"service_type":         func(o *keystone.Options) { o.ServiceType = "compute" },
		"identity_uri":         func(o *keystone.Options) { o.IdentityURI = "x" },
		"auth_host":            func(o *keystone.Options) { o.AuthHost = "x" },
		"auth_port":            func(o *keystone.Options) { o.AuthPort = "x" },
		"auth_protocol":        func(o *keystone.Options) { o.AuthProtocol = "x" },
		"auth_admin_prefix":    func(o *keystone.Options) { o.AuthAdminPrefix = "x" },
		"admin_token":          func(o *keystone.Options) { o.AdminToken = config.NewSecret("s3cret") },
		"admin_user":           func(o *keystone.Options) { o.AdminUser = "x" },
		"admin_password":       func(o *keystone.Options) { o.AdminPassword = config.NewSecret("s3cret") },
		"admin_tenant_name":    func(o *keystone.Options) { o.AdminTenantName = "x" },
	} {
		o := complete()
		change(&o)
		_, err := keystone.New(keystone.Config{Options: o})
		if err == nil || !strings.Contains(err.Error(), "keystone: [keystone_authtoken] "+option) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", option, err)
		}
	}
	all := complete()
	all.AuthURL, all.Cache, all.AdminUser = "", "x", "x"
	if _, err := keystone.New(keystone.Config{Options: all}); err == nil || strings.Count(err.Error(), "[keystone_authtoken]") != 3 {
		t.Errorf("not all at once: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v", complete(), complete(), complete()); strings.Contains(text, "s3cret") {
		t.Error(text)
	}
}

func TestKeystoneBehindTLS(t *testing.T) {
	t.Parallel()
	k := brokertest.Keystone(t)
	o := options(t, k)
	there, err := url.Parse(k.URL())
	if err != nil {
		t.Fatal(err)
	}
	safe := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(there))
	t.Cleanup(safe.Close)
	o.AuthURL, o.RegionName = safe.URL, k.NewEndpoint(t, safe.URL+"/v3/")
	token := k.Token(t, k.NewUser(t, "ann", "member"))
	if got := newAPI(t, o).get(t, "X-Auth-Token", token); got.status != http.StatusServiceUnavailable {
		t.Errorf("an unknown authority: %d", got.status)
	}
	o.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: safe.Certificate().Raw})
	if err := os.WriteFile(o.CAFile, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := newAPI(t, o).get(t, "X-Auth-Token", token); got.status != http.StatusOK {
		t.Errorf("a known authority: %d %s", got.status, got.body)
	}
	o.CAFile, o.Insecure = "", true
	api := newAPI(t, o)
	if got := api.get(t, "X-Auth-Token", token); got.status != http.StatusOK || !strings.Contains(api.log.String(), "not verified") {
		t.Errorf("insecure: %d %s\n%s", got.status, got.body, api.log)
	}
}
