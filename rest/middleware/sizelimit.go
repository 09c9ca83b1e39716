package middleware

import (
	"net/http"

	"github.com/goslo/goslo/rest"
)

// Limit refuses bodies that are too large: oslo_middleware.sizelimit. The field is an option of [oslo_middleware].
type Limit struct {
	MaxRequestBodySize int `config:"max_request_body_size" default:"114688" deprecated:"DEFAULT.osapi_max_request_body_size,DEFAULT.max_request_body_size" help:"How large the body of a request may be, in bytes."`
}

// Filter answers 413 to a request whose Content-Length is larger, and lets nobody read more than the limit of one that does not tell:
// reading fails with a *http.MaxBytesError, which [rest.WriteFault] answers with 413.
func (l Limit) Filter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := int64(l.MaxRequestBodySize)
		if r.ContentLength > most {
			rest.WriteFault(w, r, rest.Faultf(http.StatusRequestEntityTooLarge, "the body of the request has %d bytes; %d are allowed (max_request_body_size)", r.ContentLength, most))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		next.ServeHTTP(w, r)
	})
}
