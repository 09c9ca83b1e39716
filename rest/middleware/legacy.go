package middleware

import (
	"net/http"
	"slices"
	"strings"
)

// microversions are the headers in which nova's clients ask for a microversion, and are told which it was.
var microversions = []string{"OpenStack-API-Version", "X-OpenStack-Nova-API-Version"}

// LegacyV2 hides microversions from clients of nova's v2.0: nova.api.openstack:LegacyV2CompatibleWrapper. What the client asks for is
// ignored, and the answer tells none.
func LegacyV2(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r
		r = r.Clone(r.Context())
		defer func() { asked.Pattern = r.Pattern }() // for those who trace it
		for _, name := range microversions {
			r.Header.Del(name)
		}
		a := &answer{ResponseWriter: w}
		a.decide = func(status int) int {
			h := w.Header()
			for _, name := range microversions {
				h.Del(name)
			}
			varyWithout(h, microversions)
			return status
		}
		next.ServeHTTP(a, r)
		a.finish()
	})
}

// varyWithout takes names out of the header Vary.
func varyWithout(h http.Header, names []string) {
	var kept []string
	for name := range strings.SplitSeq(strings.Join(h.Values("Vary"), ","), ",") {
		name = strings.TrimSpace(name)
		if name != "" && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			kept = append(kept, name)
		}
	}
	h.Del("Vary")
	if kept != nil {
		h.Set("Vary", strings.Join(kept, ","))
	}
}
