package keystone

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"golang.org/x/sync/singleflight"
)

const (
	// firstPause is before the second attempt to connect (keystoneauth1, session.py).
	firstPause = 500 * time.Millisecond
	// refusedFor is how long a login that Keystone refused is not tried again: accounts are locked after too many.
	refusedFor = 10 * time.Second
)

// errInvalid says that Keystone knows no such token, or not any more.
var errInvalid = errors.New("the token is not valid")

// A session is the service's own user, who may ask Keystone about tokens. It logs in when it must.
type session struct {
	options Options
	client  http.Client
	login   atomic.Pointer[gophercloud.ServiceClient] // with a token and an endpoint, neither of which change; nil = log in
	logins  singleflight.Group
	refused atomic.Pointer[refusal] // nil = none
}

type refusal struct {
	err   error
	until time.Time
}

func newSession(o Options) (*session, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.IdleConnTimeout = 30 * time.Second
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure} //nolint:gosec // the operator's choice
	if o.CAFile != "" {
		authorities, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("[%s] cafile: %w", Group, err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("[%s] cafile: %s holds no certificate in PEM form", Group, o.CAFile)
		}
	}
	if o.CertFile != "" {
		own, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("[%s] certfile, keyfile: %w", Group, err)
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{own}
	}
	s := &session{options: o}
	s.client.Transport = transport
	s.client.Timeout = time.Duration(cmp.Or(o.Timeout, 30)) * time.Second
	// Tokens go to Keystone, and not where somebody sends us to.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s, nil
}

// validate asks Keystone about a token. It returns errInvalid if Keystone says no, and any other error if it said nothing.
func (s *session) validate(ctx context.Context, text string, allowExpired bool) (*token, error) {
	for attempt := 0; ; attempt++ {
		in, err := s.in(ctx)
		if err != nil {
			return nil, err
		}
		t, err := s.ask(ctx, in, text, allowExpired)
		var unexpected gophercloud.ErrUnexpectedResponseCode
		switch {
		case err == nil:
			return t, nil
		case !errors.As(err, &unexpected):
			return nil, fmt.Errorf("ask Keystone about a token: %w", err)
		case unexpected.Actual == http.StatusNotFound && isKeystones(unexpected.Body):
			return nil, errInvalid
		case unexpected.Actual == http.StatusUnauthorized && attempt == 0:
			s.login.CompareAndSwap(in, nil) // our own token has expired, or was revoked
		default: // the body is not told: it can hold the token
			return nil, fmt.Errorf("ask Keystone about a token: it answered %d %s%s",
				unexpected.Actual, http.StatusText(unexpected.Actual), advice(unexpected.Actual, in.Endpoint))
		}
	}
}

// isKeystones reports whether the body of an error is Keystone's. 404 is also what another server says that has no such page.
func isKeystones(body []byte) bool {
	var said struct{ Error *struct{ Code int } }
	return json.Unmarshal(body, &said) == nil && said.Error != nil
}

// advice is what to do about an answer from the endpoint that is none about the token.
func advice(code int, endpoint string) string {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("; may the user in [%s] validate tokens?", Group)
	case http.StatusNotFound:
		return fmt.Sprintf("; is %s Keystone? See interface and region_name in [%s]", endpoint, Group)
	default:
		return ""
	}
}

func (s *session) ask(ctx context.Context, in *gophercloud.ServiceClient, text string, allowExpired bool) (*token, error) {
	query := make([]string, 0, 2)
	if !s.options.IncludeServiceCatalog {
		query = append(query, "nocatalog")
	}
	if allowExpired {
		query = append(query, "allow_expired=1")
	}
	url := in.ServiceURL("auth", "tokens")
	if len(query) > 0 {
		url += "?" + strings.Join(query, "&")
	}
	var said struct{ Token *token }
	options := &gophercloud.RequestOpts{MoreHeaders: map[string]string{"X-Subject-Token": text}}
	if _, err := in.Get(ctx, url, &said, options); err != nil { //nolint:bodyclose // it is closed, since it was decoded
		return nil, err
	}
	if said.Token == nil || said.Token.User.ID == "" || said.Token.ExpiresAt.IsZero() {
		return nil, errors.New("the answer is no token; is the URL that of Keystone's API, version 3?")
	}
	return said.Token, nil
}

// in is a client that is logged in.
func (s *session) in(ctx context.Context) (*gophercloud.ServiceClient, error) {
	if in := s.login.Load(); in != nil {
		return in, nil
	}
	if r := s.refused.Load(); r != nil && time.Now().Before(r.until) {
		return nil, r.err
	}
	made, err, _ := s.logins.Do("", func() (any, error) {
		if in := s.login.Load(); in != nil {
			return in, nil
		}
		in, err := s.logIn(ctx)
		if err != nil {
			return nil, err
		}
		s.login.Store(in)
		return in, nil
	})
	if err != nil {
		return nil, err
	}
	return made.(*gophercloud.ServiceClient), nil
}

func (s *session) logIn(ctx context.Context) (*gophercloud.ServiceClient, error) {
	failed := func(err error) error { return fmt.Errorf("log in to Keystone at %s: %w", s.options.AuthURL, err) }
	provider, err := openstack.NewClient(s.options.AuthURL)
	if err != nil {
		return nil, failed(err)
	}
	provider.HTTPClient = s.client
	provider.UserAgent.Prepend("goslo")
	provider.RetryFunc = s.again
	in := &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: versioned(s.options.AuthURL), Type: "identity"}
	result := tokens.Create(ctx, in, s.credentials())
	if err := provider.SetTokenAndAuthResult(result); err != nil {
		var unexpected gophercloud.ErrUnexpectedResponseCode
		if !errors.As(err, &unexpected) {
			return nil, failed(err)
		}
		err = failed(fmt.Errorf("it answered %d %s; are username, password, project_name and their domains in [%s] right?",
			unexpected.Actual, http.StatusText(unexpected.Actual), Group))
		if unexpected.Actual == http.StatusUnauthorized {
			s.refused.Store(&refusal{err, time.Now().Add(refusedFor)})
		}
		return nil, err
	}
	catalog, err := result.ExtractServiceCatalog()
	if err != nil {
		return nil, failed(err)
	}
	in.Endpoint, err = s.endpoint(catalog)
	return in, err
}

// credentials are those of the service's user, and the project for which it logs in; none if there is none.
func (s *session) credentials() *tokens.AuthOptions {
	o := s.options
	credentials := &tokens.AuthOptions{UserID: o.UserID, Username: o.Username, Password: o.Password.Reveal()}
	if o.UserID == "" {
		credentials.DomainID, credentials.DomainName = domainOf(o.UserDomainID, o.UserDomainName, o)
	} else {
		credentials.Username = ""
	}
	switch {
	case o.ProjectID != "":
		credentials.Scope.ProjectID = o.ProjectID
	case o.ProjectName != "":
		credentials.Scope.ProjectName = o.ProjectName
		credentials.Scope.DomainID, credentials.Scope.DomainName = domainOf(o.ProjectDomainID, o.ProjectDomainName, o)
	}
	return credentials
}

// domainOf is a domain by id or name: its own, or the default. One that nobody names is Keystone's own.
func domainOf(id, name string, o Options) (string, string) {
	switch {
	case id != "":
		return id, ""
	case name != "":
		return "", name
	case o.DefaultDomainName != "" && o.DefaultDomainID == "":
		return "", o.DefaultDomainName
	default:
		return cmp.Or(o.DefaultDomainID, "default"), ""
	}
}

// endpoint is Keystone's in the catalog, where tokens are validated.
func (s *session) endpoint(catalog *tokens.ServiceCatalog) (string, error) {
	availability := interfaceName(s.options.Interface)
	for _, entry := range catalog.Entries {
		if entry.Type != "identity" {
			continue
		}
		for _, e := range entry.Endpoints {
			region := s.options.RegionName
			if e.Interface == availability && (region == "" || region == e.RegionID || region == e.Region) {
				return versioned(e.URL), nil
			}
		}
	}
	return "", fmt.Errorf("find Keystone in its catalog: there is no %s endpoint of type identity in region %q; see interface and region_name in [%s]",
		availability, s.options.RegionName, Group)
}

// versioned is the URL of the third version of the API.
func versioned(url string) string {
	url = strings.TrimRight(url, "/")
	for _, version := range []string{"/v3", "/v2.0"} {
		url = strings.TrimSuffix(url, version)
	}
	return url + "/v3/"
}

// again waits before another attempt, if there was no connection. Anything else is not tried again.
func (s *session) again(ctx context.Context, _, _ string, _ *gophercloud.RequestOpts, err error, attempt uint) error {
	var network *net.OpError
	if !errors.As(err, &network) || network.Op != "dial" || network.Timeout() || int(attempt) > s.options.MaxRetries {
		return err
	}
	pause := time.NewTimer(firstPause << (attempt - 1))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
