package middleware

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// CORS lets web pages of other origins use the API: oslo_middleware.cors. The fields are the options of [cors]; the zero value allows no
// origin, and changes no answer but that of OPTIONS.
type CORS struct {
	AllowedOrigin    []string `config:"allowed_origin" help:"Origins that may use the API, such as https://horizon.example.com, or * for all."`
	AllowCredentials bool     `config:"allow_credentials" default:"true" help:"Whether pages may send credentials."`
	ExposeHeaders    []string `config:"expose_headers" help:"Headers of answers that pages may read, beside the simple ones."`
	MaxAge           int      `config:"max_age" default:"3600" help:"For how many seconds a browser may remember what is allowed; 0: it is not told."`
	AllowMethods     []string `config:"allow_methods" default:"OPTIONS,GET,HEAD,POST,PUT,DELETE,TRACE,PATCH" help:"Methods that pages may use."`
	AllowHeaders     []string `config:"allow_headers" help:"Headers of requests that pages may set, beside the simple ones."`
}

// simple are headers that pages may always set.
var simple = []string{"Accept", "Accept-Language", "Content-Type", "Cache-Control", "Content-Language", "Expires", "Last-Modified", "Pragma"}

const (
	allowOrigin = "Access-Control-Allow-Origin"
	preflight   = "Access-Control-Request-Method"
)

// Filter adds the headers that browsers look for. An answer that has Access-Control-Allow-Origin is left alone. OPTIONS goes to the API
// as any request; where that answers with something else than 2xx, the answer is 200 without a body.
func (c CORS) Filter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before := w.Header().Clone()
		a := &answer{ResponseWriter: w}
		a.decide = func(status int) int {
			h := w.Header()
			switch {
			case h.Get(allowOrigin) != "":
			case r.Method != http.MethodOptions:
				c.expose(h, r)
			case status < 200 || status > 299:
				clear(h)
				maps.Copy(h, before)
				c.allow(h, r)
				w.WriteHeader(http.StatusOK)
				return 0
			default:
				c.allow(h, r)
			}
			return status
		}
		next.ServeHTTP(a, r)
		a.finish()
	})
}

// origin is what the answer allows to the request's origin: that origin, or "*"; "" = nothing.
func (c CORS) origin(r *http.Request) string {
	origin := r.Header.Get("Origin")
	switch {
	case origin == "":
	case slices.Contains(c.AllowedOrigin, origin):
		return origin
	case slices.Contains(c.AllowedOrigin, "*"):
		return "*"
	}
	return ""
}

// expose adds the headers of an answer.
func (c CORS) expose(h http.Header, r *http.Request) {
	origin := c.origin(r)
	if origin == "" {
		return
	}
	h.Set("Vary", strings.Join(append(h.Values("Vary"), "Origin"), ","))
	h.Set(allowOrigin, origin)
	if c.AllowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(c.ExposeHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposeHeaders, ","))
	}
}

// allow adds the headers of the answer to a browser that asks what it may do.
func (c CORS) allow(h http.Header, r *http.Request) {
	origin, method := c.origin(r), r.Header.Get(preflight)
	if origin == "" || !slices.Contains(c.AllowMethods, method) {
		return
	}
	var wanted []string
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		same := func(allowed string) bool { return strings.EqualFold(name, allowed) }
		if !slices.ContainsFunc(c.AllowHeaders, same) && !slices.ContainsFunc(simple, same) {
			return
		}
		wanted = append(wanted, name)
	}
	h.Set("Vary", "Origin")
	h.Set(allowOrigin, origin)
	if c.AllowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if c.MaxAge != 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(c.MaxAge))
	}
	h.Set("Access-Control-Allow-Methods", method)
	if wanted != nil {
		h.Set("Access-Control-Allow-Headers", strings.Join(wanted, ","))
	}
}
