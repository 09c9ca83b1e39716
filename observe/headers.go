package observe

import (
	"strconv"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// headerSent is the header with the time at which a request was sent: nanoseconds since 1970, by the sender's clock.
const headerSent = "goslo-sent"

// withSent returns a copy of the headers with the time added, and with room for those of a trace.
func withSent(headers map[string]string, at time.Time) map[string]string {
	all := make(map[string]string, len(headers)+4)
	for name, value := range headers {
		all[name] = value
	}
	all[headerSent] = strconv.FormatInt(at.UnixNano(), 10)
	return all
}

// fit leaves out of all headers what does not fit beside the caller's own, baggage first: the trace is worth more, and the request most.
func fit(all, own map[string]string) {
	for _, name := range []string{"baggage", "tracestate", "traceparent", headerSent} {
		if transport.CheckHeaders(all) == nil {
			return
		}
		delete(all, name)
		if value, ok := own[name]; ok {
			all[name] = value
		}
	}
}

// waited returns the time from sending to taking a request, which is negative where the sender's clock is ahead, and whether it is known: a Python
// peer does not tell.
func waited(r *rpc.Request) (time.Duration, bool) {
	ns, err := strconv.ParseInt(r.Headers[headerSent], 10, 64)
	if err != nil {
		return 0, false
	}
	return r.Received.Sub(time.Unix(0, ns)), true
}
