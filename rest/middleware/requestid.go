package middleware

import (
	"net/http"

	"github.com/goslo/goslo/rest"
)

// ComputeRequestID is [rest.RequestID] with nova's older header beside the newer: X-Compute-Request-Id.
func ComputeRequestID(next http.Handler) http.Handler {
	return rest.RequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Compute-Request-Id", rest.ContextFrom(r.Context()).RequestID)
		next.ServeHTTP(w, r)
	}))
}
