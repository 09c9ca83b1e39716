package rest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
)

// HeaderRequestID is the header in which a service tells the id of a request, and in which a client may have told the id of the
// request that led to it (oslo.middleware, request_id.py).
const HeaderRequestID = "X-Openstack-Request-Id"

// NewRequestID returns a fresh id in OpenStack's form: "req-" and a random UUID (RFC 9562, version 4).
func NewRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it is documented never to fail
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("req-%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// requestIDs are those that count as ids of other requests (oslo.middleware, request_id.py).
var requestIDs = regexp.MustCompile(`^req-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$`)

// RequestID is the filter that gives a request its id, tells it in the header X-Openstack-Request-Id, and puts it into the request
// context. An id in the request's own header is kept as the global one; anything else there is ignored. A request that has an id goes on as
// it is, so the filter may stand in a pipeline more than once.
func RequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := *ContextFrom(r.Context())
		if c.RequestID != "" {
			w.Header().Set(HeaderRequestID, c.RequestID)
			next.ServeHTTP(w, r)
			return
		}
		c.RequestID = NewRequestID()
		if global := r.Header.Get(HeaderRequestID); requestIDs.MatchString(global) {
			c.GlobalRequestID = global
		}
		w.Header().Set(HeaderRequestID, c.RequestID)
		passOn(next, w, r, r.WithContext(WithContext(r.Context(), &c)))
	})
}
