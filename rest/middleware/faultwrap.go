package middleware

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"

	"github.com/goslo/goslo/rest"
)

// FaultWrap answers a request whose handler panics with a fault: that of the error that it panics with, by [rest.WriteFault], or else
// 500. The panic is logged with its stack and the request's id. An answer that had begun is cut off. It stands for nova's, cinder's and
// manila's FaultWrapper, and for oslo_middleware.catch_errors. log may be nil.
func FaultWrap(log *slog.Logger) func(http.Handler) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			before := w.Header().Clone()
			a := &answer{ResponseWriter: w}
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				err, ok := v.(error)
				if !ok {
					err = fmt.Errorf("middleware: the handler panicked: %v", v)
				}
				if errors.Is(err, http.ErrAbortHandler) {
					panic(v) //nolint:forbidigo // it is how a handler cuts its answer off
				}
				log.ErrorContext(r.Context(), "request: handler panicked", "method", r.Method, "path", r.URL.Path,
					"request_id", rest.ContextFrom(r.Context()).RequestID, "error", err, "stack", string(debug.Stack()))
				if a.status != 0 {
					panic(http.ErrAbortHandler) //nolint:forbidigo // the client must not take it for the whole answer
				}
				clear(w.Header()) // it speaks of an answer that does not come
				maps.Copy(w.Header(), before)
				rest.WriteFault(w, r, err)
			}()
			next.ServeHTTP(a, r)
		})
	}
}
