package middleware

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/goslo/goslo/rest"
)

// RequestLog logs each request once it is answered, at level info: nova.api.openstack.requestlog. The attributes are those of nova's line:
// remote, method, uri, status, len (of the body, in bytes), microversion (of the answer's header) and time (in seconds). The query is not
// logged: it may hold what nobody else should see. log may be nil, and nothing is done then.
func RequestLog(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if log == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			a := &answer{ResponseWriter: w}
			status := http.StatusInternalServerError // of a panic
			defer func() {
				log.InfoContext(r.Context(), "request", "remote", r.RemoteAddr, "method", r.Method, "uri", rest.Mount(r.Context())+r.URL.Path,
					"status", status, "len", a.written, "microversion", w.Header().Get("OpenStack-API-Version"), "time", time.Since(start).Seconds())
			}()
			next.ServeHTTP(a, r)
			a.finish()
			status = a.status
		})
	}
}
