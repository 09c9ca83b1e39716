package rest

import (
	"context"
	"net/http"
	"strings"
)

type mountKey struct{}

// WithMount returns the ctx of a request of which the beginning of the path was taken off, as by a map of paths to APIs (rest/paste) or by a
// proxy: "/v2.1", without a slash at its end. It comes after what was taken off before.
func WithMount(ctx context.Context, prefix string) context.Context {
	return context.WithValue(ctx, mountKey{}, Mount(ctx)+prefix)
}

// WithOuterMount is [WithMount] for a prefix that comes before all that was taken off here: one that a proxy in front took off.
func WithOuterMount(ctx context.Context, prefix string) context.Context {
	return context.WithValue(ctx, mountKey{}, prefix+Mount(ctx))
}

// Mount returns what was taken off the beginning of the request's path: what the paths of links begin with, before that of
// http.Request.URL. It is "" when nothing was. It is WSGI's SCRIPT_NAME.
func Mount(ctx context.Context) string {
	prefix, _ := ctx.Value(mountKey{}).(string)
	return prefix
}

// mounted is http.StripPrefix that remembers the prefix; the path is known to begin with it.
func mounted(prefix string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := *r.URL
		u.Path, u.RawPath = strings.TrimPrefix(u.Path, prefix), strings.TrimPrefix(u.RawPath, prefix)
		if !strings.HasPrefix(u.RawPath, "/") {
			u.RawPath = "" // the slash behind the prefix is an escaped one: net/url makes it of Path
		}
		below := r.WithContext(WithMount(r.Context(), prefix))
		below.URL = &u
		passOn(h, w, r, below)
	})
}

// passOn has next answer a copy of a request, and tells the request which pattern it has matched, for those who trace it.
func passOn(next http.Handler, w http.ResponseWriter, r, changed *http.Request) {
	defer func() { r.Pattern = changed.Pattern }()
	next.ServeHTTP(w, changed)
}

// BaseURL returns the URL below which the handler of the request is, without a slash at its end: http://127.0.0.1:8774/v1. Its host is the one
// that was asked for; a filter that knows better, such as one behind a proxy, sets r.Host and r.URL.Scheme. Within an API, Config.PublicURL
// stands in place of scheme and host.
func BaseURL(r *http.Request) string {
	prefix := Mount(r.Context())
	if c := callFrom(r.Context()); c != nil && c.api.config.PublicURL != "" {
		return strings.TrimSuffix(c.api.config.PublicURL, "/") + prefix
	}
	scheme := r.URL.Scheme
	switch {
	case scheme != "":
	case r.TLS != nil:
		scheme = "https"
	default:
		scheme = "http"
	}
	return scheme + "://" + r.Host + prefix
}

func noResource(r *http.Request, hint string) *Fault {
	return Faultf(http.StatusNotFound, "there is nothing at %s%s", Mount(r.Context())+r.URL.Path, hint)
}
