package middleware

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/goslo/goslo/rest"
)

// Proxy believes the proxy in front of the API about what the client asked for: oslo_middleware.http_proxy_to_wsgi. The field is an
// option of [oslo_middleware]; the zero value believes nobody, as a client may send the same headers.
type Proxy struct {
	EnableProxyHeadersParsing bool `config:"enable_proxy_headers_parsing" default:"false" help:"Whether there is a proxy in front that sets, or removes, X-Forwarded-* and Forwarded of every request."`
}

// Filter takes scheme, host and client from Forwarded (RFC 7239) or else from X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-For,
// of several proxies from the first, into http.Request.URL.Scheme, Host and RemoteAddr (an address without a port), and what
// X-Forwarded-Prefix says into [rest.Mount].
func (p Proxy) Filter(next http.Handler) http.Handler {
	if !p.EnableProxyHeadersParsing {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if prefix := r.Header.Get("X-Forwarded-Prefix"); prefix != "" {
			ctx = rest.WithOuterMount(ctx, strings.TrimRight(prefix, "/"))
		}
		asked := r
		r = r.WithContext(ctx)
		defer func() { asked.Pattern = r.Pattern }() // for those who trace it
		r.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery, Scheme: r.URL.Scheme, Host: r.URL.Host}
		client := forwarded(r.Header)
		set(&r.URL.Scheme, client["proto"])
		set(&r.Host, client["host"])
		set(&r.RemoteAddr, client["for"])
		next.ServeHTTP(w, r)
	})
}

func set(target *string, value string) {
	if value != "" {
		*target = value
	}
}

// forwarded is what the first proxy says: proto, host and for.
func forwarded(h http.Header) map[string]string {
	said := make(map[string]string)
	if standard := h.Get("Forwarded"); standard != "" {
		one, _, _ := strings.Cut(standard, ",")
		for pair := range strings.SplitSeq(one, ";") {
			name, value, _ := strings.Cut(pair, "=")
			said[strings.ToLower(strings.TrimSpace(name))] = strings.Trim(strings.TrimSpace(value), `"`)
		}
		return said
	}
	for name, header := range map[string]string{"proto": "X-Forwarded-Proto", "host": "X-Forwarded-Host", "for": "X-Forwarded-For"} {
		one, _, _ := strings.Cut(h.Get(header), ",")
		said[name] = strings.TrimSpace(one)
	}
	return said
}
