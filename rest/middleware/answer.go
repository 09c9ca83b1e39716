package middleware

import "net/http"

// An answer is a http.ResponseWriter that is looked at when the status is known. Who makes it calls finish once the handler has returned.
type answer struct {
	http.ResponseWriter
	decide func(status int) (instead int) // may change headers; 0 drops the answer for good

	status  int // 0 = not known yet
	written int64
	dropped bool
}

// WriteHeader is part of http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	switch {
	case a.dropped:
		return
	case status < http.StatusOK && status != http.StatusSwitchingProtocols: // not the answer yet
		a.ResponseWriter.WriteHeader(status)
		return
	case a.status != 0:
		a.ResponseWriter.WriteHeader(status) // which says that there was one
		return
	}
	a.status = status
	if a.decide != nil {
		if a.status = a.decide(status); a.status == 0 {
			a.dropped = true
			return
		}
	}
	a.ResponseWriter.WriteHeader(a.status)
}

// Write is part of http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 && !a.dropped {
		a.WriteHeader(http.StatusOK)
	}
	if a.dropped {
		return len(b), nil
	}
	n, err := a.ResponseWriter.Write(b)
	a.written += int64(n)
	return n, err
}

// FlushError is what http.ResponseController asks for.
func (a *answer) FlushError() error {
	if a.status == 0 && !a.dropped {
		a.WriteHeader(http.StatusOK)
	}
	if a.dropped {
		return nil
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap is what http.ResponseController asks for.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// finish settles an answer of which the handler has said nothing.
func (a *answer) finish() {
	if a.status == 0 && !a.dropped {
		a.WriteHeader(http.StatusOK)
	}
}
