package keystone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/goslo/goslo/rest"
)

const (
	// mostTokens is how many answers are kept; of each kind, so that nobody drives out the valid ones with inventions.
	mostTokens = 10_000
	// longestToken is how many bytes may be a token: Keystone's have some hundred, and servers take about this much in one header.
	longestToken = 8192
	// invalidFor is how long a token that Keystone does not know is not asked about again, at most token_cache_time.
	invalidFor = 10 * time.Second
)

// Config is what an [Auth] needs.
type Config struct {
	// Options say how Keystone is asked. auth_url, username and password are required.
	Options Options
	// Logger hears when Keystone cannot be asked, when requests are refused, and of options without effect. Default: nothing is
	// logged.
	Logger *slog.Logger
}

// An Auth validates tokens: the filter authtoken. Its methods are safe for concurrent use.
type Auth struct {
	options   Options
	logger    *slog.Logger
	challenge string // of WWW-Authenticate
	session   *session
	valid     *cache
	invalid   *cache
	asking    singleflight.Group // by cache key
}

// New returns a filter. It reads certificates, and does not connect. The error names all options that are missing or cannot be
// honoured.
func New(c Config) (*Auth, error) {
	if err := c.Options.check(); err != nil {
		return nil, fmt.Errorf("keystone: %w", err)
	}
	session, err := newSession(c.Options)
	if err != nil {
		return nil, fmt.Errorf("keystone: %w", err)
	}
	logger := c.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	o := c.Options
	if o.WWWAuthenticateURI == "" {
		logger.Warn("clients without a token are sent to auth_url, which may be out of their reach; set www_authenticate_uri", "auth_url", o.AuthURL)
	}
	if len(o.MemcachedServers) > 0 {
		logger.Info("memcached_servers has no effect: answers about tokens are kept in the process")
	}
	if o.Insecure {
		logger.Warn("insecure: the certificate of Keystone is not verified, so whoever is between can be anybody")
	}
	return &Auth{
		options: o, logger: logger, session: session,
		challenge: fmt.Sprintf("Keystone uri=%q", cmp.Or(o.WWWAuthenticateURI, o.AuthURL)),
		valid:     newCache(mostTokens), invalid: newCache(mostTokens),
	}, nil
}

// Close ends the connections to Keystone that are not in use. The filter can be used on.
func (a *Auth) Close() { a.session.client.CloseIdleConnections() }

// authenticated marks requests that went through a filter of this package, whatever it found.
type authenticated struct{}

// Filter is authtoken. A request without a valid token, or with a service token that is not valid, is answered with 401, unless
// delay_auth_decision has it go on with X-Identity-Status: Invalid; one whose tokens Keystone could not be asked about
// with 503 in any case.
func (a *Auth) Filter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r
		r = stripped(context.WithValue(r.Context(), authenticated{}, true), r)
		defer func() { asked.Pattern = r.Pattern }() // for those who trace it
		user, service, err := a.check(r)
		switch {
		case err != nil && !errors.Is(err, errInvalid):
			a.logger.ErrorContext(r.Context(), "a request is refused, since Keystone cannot be asked about its token", "error", err)
			rest.WriteFault(w, r, rest.Faultf(http.StatusServiceUnavailable, "The Keystone service is temporarily unavailable."))
			return
		case err != nil && !a.options.DelayAuthDecision:
			a.logger.InfoContext(r.Context(), "a request is refused", "reason", err, "method", r.Method, "path", r.URL.Path)
			rest.WriteFault(w, r, &rest.Fault{
				Code: http.StatusUnauthorized, Title: "error", Message: "The request you have made requires authentication.",
				Header: http.Header{"Www-Authenticate": {a.challenge}}, Cause: err,
			})
			return
		}
		if err := a.tell(r.Header, user, service); err != nil {
			rest.WriteFault(w, r, err)
			return
		}
		next.ServeHTTP(&challenger{ResponseWriter: w, challenge: a.challenge}, r)
	})
}

// check validates the tokens of a request. nil is one that is not valid, or was not sent. The error is about the request as a
// whole.
func (a *Auth) check(r *http.Request) (user, service *token, err error) {
	allowExpired := false
	if text := sent(r.Header, headerServiceToken); text != "" {
		service, err = a.validate(r.Context(), text, false)
		if err != nil && !errors.Is(err, errInvalid) {
			return nil, nil, err
		}
		if service != nil {
			allowExpired = service.hasRole(a.options.ServiceTokenRoles)
			if a.options.ServiceTokenRolesRequired && !allowExpired {
				service, err = nil, fmt.Errorf("the service token has none of the roles %s: %w", strings.Join(a.options.ServiceTokenRoles, ", "), errInvalid)
			}
		}
		if err != nil {
			err = fmt.Errorf("X-Service-Token: %w", err)
		}
	}
	text := cmp.Or(sent(r.Header, headerToken), sent(r.Header, headerStorageToken))
	if text == "" {
		return nil, service, errors.Join(err, fmt.Errorf("there is no X-Auth-Token: %w", errInvalid))
	}
	user, userErr := a.validate(r.Context(), text, allowExpired)
	if userErr != nil && !errors.Is(userErr, errInvalid) {
		return nil, nil, userErr
	}
	if userErr != nil {
		userErr = fmt.Errorf("X-Auth-Token: %w", userErr)
	}
	return user, service, errors.Join(err, userErr)
}

// sent is the token in a header. Several are one text, as to WSGI applications, which is no token: it would be unclear whose
// request that is.
func sent(h http.Header, name string) string {
	return strings.TrimSpace(strings.Join(h.Values(name), ","))
}

// wellFormed reports whether a text can be a token. What cannot is not asked about: where Keystone's server refuses to read
// the request, or the client to send it, it would look as if Keystone were down.
func wellFormed(text string) bool {
	return len(text) <= longestToken && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' })
}

// tell says in headers what was found out.
func (a *Auth) tell(h http.Header, user, service *token) error {
	status := func(name string, t *token) {
		h.Set(name, invalid)
		if t != nil {
			h.Set(name, confirmed)
		}
	}
	status(headerStatus, user)
	if user != nil {
		user.setUser(h)
		if a.options.IncludeServiceCatalog {
			if err := user.setCatalog(h); err != nil {
				return err
			}
		}
	}
	if sent(h, headerServiceToken) != "" {
		status(headerServiceStatus, service)
		if service != nil {
			service.setService(h)
		}
	}
	return nil
}

// validate is what Keystone says about a token, or said a while ago. Those who ask about the same token meanwhile wait for the
// same answer, which therefore does not end with the request that asked first.
func (a *Auth) validate(ctx context.Context, text string, allowExpired bool) (*token, error) {
	if !wellFormed(text) {
		return nil, errInvalid
	}
	k := keyOf(text, allowExpired)
	if t, ok := a.valid.get(k); ok {
		return t, nil
	}
	if _, ok := a.invalid.get(k); ok {
		return nil, errInvalid
	}
	made, err, _ := a.asking.Do(string(k[:]), func() (any, error) {
		if t, ok := a.valid.get(k); ok { // somebody was faster, and is done
			return t, nil
		}
		t, err := a.session.validate(context.WithoutCancel(ctx), text, allowExpired)
		if err == nil {
			err = a.acceptable(t, allowExpired)
		}
		a.keep(k, t, err, allowExpired)
		return t, err
	})
	if err != nil {
		return nil, err
	}
	return made.(*token), nil
}

// acceptable finds what is wrong with a token that Keystone takes for valid.
func (a *Auth) acceptable(t *token, allowExpired bool) error {
	switch {
	case !allowExpired && !time.Now().Before(t.ExpiresAt):
		return fmt.Errorf("it has expired: %w", errInvalid)
	case len(t.Bind) > 0 && a.options.EnforceTokenBind != "disabled":
		return fmt.Errorf("it is bound to something else (enforce_token_bind): %w", errInvalid)
	}
	return nil
}

// keep remembers an answer. That there was none is not one.
func (a *Auth) keep(k key, t *token, err error, allowExpired bool) {
	lifetime := time.Duration(a.options.TokenCacheTime) * time.Second
	now := time.Now()
	switch {
	case lifetime < 0:
	case errors.Is(err, errInvalid):
		if lifetime == 0 || lifetime > invalidFor {
			lifetime = invalidFor
		}
		a.invalid.put(k, nil, now.Add(lifetime))
	case err == nil:
		until := now.Add(lifetime)
		if !allowExpired && (lifetime == 0 || until.After(t.ExpiresAt)) {
			until = t.ExpiresAt
		}
		a.valid.put(k, t, until)
	}
}

// A challenger tells clients where to log in, when what stands behind answers 401.
type challenger struct {
	http.ResponseWriter
	challenge string
}

// WriteHeader adds the header WWW-Authenticate to 401, beside the service's own.
func (c *challenger) WriteHeader(code int) {
	if code == http.StatusUnauthorized {
		c.Header().Add("WWW-Authenticate", c.challenge)
	}
	c.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (c *challenger) Unwrap() http.ResponseWriter { return c.ResponseWriter }
