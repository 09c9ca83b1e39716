package notifyhttp

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/goslo/goslo/internal/mask"
	"github.com/goslo/goslo/rest"
)

// A payload is what is told of a request, and afterwards of its answer, or of why there is none (NMW-02, NMW-03).
type payload struct {
	Request   map[string]string `json:"request"`
	Response  *response         `json:"response,omitempty"`
	Exception *exception        `json:"exception,omitempty"`
}

// A response is the answer without its body.
type response struct {
	Status  string            `json:"status"` // "200 OK"
	Headers map[string]string `json:"headers"`
}

// An exception is a panic.
type exception struct {
	Value     string   `json:"value"`
	Traceback []string `json:"traceback"`
}

// environ is the request in the names of CGI, as WSGI has it; upstream tells of those in capitals. The token is left out, and other secrets
// are masked. Where upstream's server adds the environment of its process, this does not.
func environ(r *http.Request, service string) map[string]string {
	e := map[string]string{
		"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": r.Method, "SCRIPT_NAME": rest.Mount(r.Context()), "PATH_INFO": r.URL.Path,
		"QUERY_STRING": query(r.URL.RawQuery), "SERVER_PROTOCOL": r.Proto,
	}
	e["REMOTE_ADDR"], e["REMOTE_PORT"] = hostPort(r.RemoteAddr)
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		e["SERVER_NAME"], e["SERVER_PORT"] = hostPort(at.String())
	}
	if r.ContentLength > 0 {
		e["CONTENT_LENGTH"] = strconv.FormatInt(r.ContentLength, 10)
	}
	for name, text := range headers(r.Header) {
		switch name = strings.ToUpper(strings.ReplaceAll(name, "-", "_")); name {
		case "CONTENT_TYPE", "CONTENT_LENGTH":
			e[name] = text
		case "X_AUTH_TOKEN":
		default:
			e["HTTP_"+name] = text
		}
	}
	if r.Host != "" {
		e["HTTP_HOST"] = r.Host
	}
	e["HTTP_X_SERVICE_NAME"] = service
	return e
}

func hostPort(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, ""
	}
	return host, port
}

// headers are masked, and one that comes several times is one.
func headers(h http.Header) map[string]string {
	all := make(map[string]string, len(h))
	for name, values := range h {
		all[name] = mask.Text(strings.Join(values, ", "))
		if mask.Secret(name) {
			all[name] = mask.Stars
		}
	}
	return all
}

// query is masked.
func query(raw string) string {
	parts := strings.Split(raw, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || mask.Secret(plain) {
			parts[i] = name + "=" + mask.Stars
		}
	}
	if len(raw) == 0 {
		return ""
	}
	return strings.Join(parts, "&")
}

// An answer is an http.ResponseWriter that takes note of what was answered.
type answer struct {
	http.ResponseWriter
	status  int // 0 = not known yet
	headers map[string]string
}

// WriteHeader is part of http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		a.status, a.headers = status, headers(a.Header())
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write is part of http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController asks for.
func (a *answer) FlushError() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap is what http.ResponseController asks for.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// response is what was answered; to who said nothing, net/http says 200.
func (a *answer) response() *response {
	if a.status == 0 {
		a.status, a.headers = http.StatusOK, headers(a.Header())
	}
	text := cmp.Or(http.StatusText(a.status), "Unknown")
	return &response{Status: strconv.Itoa(a.status) + " " + text, Headers: a.headers}
}
