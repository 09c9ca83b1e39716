package middleware

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/rest"
)

// Healthcheck answers load balancers: 200 and "OK", or 503 and why not: oslo_middleware.healthcheck. The fields are the options of
// [healthcheck]. The zero value is well, whatever happens.
type Healthcheck struct {
	// Path is where Filter answers; Handler answers everywhere.
	Path string `config:"path" default:"/healthcheck" help:"Where the filter of that name answers."`
	// Detailed answers tell what was looked at, and of the process.
	Detailed bool `config:"detailed" default:"false" help:"Whether answers tell of the process too; not for the eyes of strangers."`
	// Backends are what is looked at; see Check.
	Backends []string `config:"backends" help:"What is looked at: disable_by_file, disable_by_files_ports."`
	// DisableByFilePath is the file whose being there takes the service out of the balance, of the backend disable_by_file.
	DisableByFilePath string `config:"disable_by_file_path" help:"The file that disables the service while it is there; of disable_by_file."`
	// DisableByFilePaths are such files for ports, "8774:/run/shop/disable", of the backend disable_by_files_ports.
	DisableByFilePaths []string `config:"disable_by_file_paths" help:"Such files for ports, as in 8774:/run/shop/disable; of disable_by_files_ports."`
}

const (
	byFile  = "disable_by_file"
	byPorts = "disable_by_files_ports"
)

// Check returns what cannot be: a backend that there is not, or a path without a port.
func (c Healthcheck) Check() error {
	if err := errors.Join(c.checkBackends(), c.checkPaths()); err != nil {
		return fmt.Errorf("middleware: healthcheck: %w", err)
	}
	return nil
}

func (c Healthcheck) checkBackends() error {
	for _, b := range c.Backends {
		if b != byFile && b != byPorts {
			return fmt.Errorf("there is no backend %q; there are %s and %s", b, byFile, byPorts)
		}
	}
	return nil
}

func (c Healthcheck) checkPaths() error {
	for _, p := range c.DisableByFilePaths {
		port, path, _ := strings.Cut(p, ":")
		if _, err := strconv.ParseUint(port, 10, 16); err != nil || path == "" {
			return fmt.Errorf("%q is not written port:path", p)
		}
	}
	return nil
}

// Filter answers at Path, and lets everything else pass.
func (c Healthcheck) Filter(next http.Handler) http.Handler {
	own := c.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest.Mount(r.Context())+r.URL.Path == c.Path {
			own.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Handler answers at every path: as text, HTML or JSON, as the request's Accept has it, and as text where it has none of them. HEAD is
// answered by 204 instead of 200.
func (c Healthcheck) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := c.look(r)
		status := http.StatusOK
		if r.Method == http.MethodHead {
			status = http.StatusNoContent
		}
		for _, f := range found {
			if !f.available {
				status = http.StatusServiceUnavailable
			}
		}
		if r.Method == http.MethodHead {
			if status != http.StatusNoContent {
				w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
			}
			w.WriteHeader(status)
			return
		}
		kind := negotiate(strings.Join(r.Header.Values("Accept"), ","), "text/plain", "text/html", "application/json")
		body, err := c.render(kind, found)
		if err != nil {
			rest.WriteFault(w, r, err)
			return
		}
		if kind != "application/json" {
			kind += "; charset=UTF-8"
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write(body) // a balancer that hangs up has its answer
	})
}

// A finding is what one backend says.
type finding struct {
	available       bool
	Reason, Details string
}

func (c Healthcheck) look(r *http.Request) []finding {
	found := make([]finding, 0, len(c.Backends))
	for _, b := range c.Backends {
		path, unset := c.DisableByFilePath, "No 'disable_by_file_path' configuration value specified"
		if b == byPorts {
			path, unset = c.forPort(r), ""
		}
		switch _, err := os.Stat(path); {
		case path == "":
			found = append(found, finding{true, "OK", unset})
		case err != nil:
			found = append(found, finding{true, "OK", "Path '" + path + "' was not found"})
		default:
			found = append(found, finding{false, "DISABLED BY FILE", "Path '" + path + "' was found"})
		}
	}
	return found
}

// forPort is the file for the port at which the request arrived.
func (c Healthcheck) forPort(r *http.Request) string {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return ""
	}
	_, port, err := net.SplitHostPort(local.String())
	if err != nil {
		return "" // a Unix socket
	}
	for _, p := range slices.Backward(c.DisableByFilePaths) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(p), port+":"); ok {
			return path
		}
	}
	return ""
}

func (c Healthcheck) render(kind string, found []finding) ([]byte, error) {
	switch kind {
	case "application/json":
		return json.MarshalIndent(c.members(found), "", "    ")
	case "text/html":
		var b bytes.Buffer
		err := page.Execute(&b, c.members(found))
		return b.Bytes(), err
	}
	reasons := make([]string, len(found))
	for i, f := range found {
		reasons[i] = f.Reason
	}
	return []byte(strings.Join(reasons, "\n")), nil
}

// members are those of the answer as JSON.
func (c Healthcheck) members(found []finding) map[string]any {
	if !c.Detailed {
		reasons := make([]string, len(found))
		for i, f := range found {
			reasons[i] = f.Reason
		}
		return map[string]any{"detailed": false, "reasons": reasons}
	}
	reasons := make([]map[string]string, len(found))
	for i, f := range found {
		reasons[i] = map[string]string{"class": "HealthcheckResult", "reason": f.Reason, "details": f.Details}
	}
	return map[string]any{
		"detailed": true, "reasons": reasons, "now": time.Now().UTC().Format("2006-01-02 15:04:05.000000"),
		"platform": runtime.GOOS + "-" + runtime.GOARCH, "go_version": runtime.Version(), "goroutines": runtime.NumGoroutine(),
	}
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html><head><title>Health</title></head><body>
{{if .detailed}}<p>{{.now}}, {{.platform}}, {{.go_version}}, {{.goroutines}} goroutines</p>
{{end}}<table><tr><th>Reason</th>{{if .detailed}}<th>Details</th>{{end}}</tr>
{{$detailed := .detailed}}{{range .reasons}}<tr>{{if $detailed}}<td>{{.reason}}</td><td>{{.details}}</td>{{else}}<td>{{.}}</td>{{end}}</tr>
{{end}}</table></body></html>
`))

// negotiate returns the kind that an Accept header likes best; of those that it likes the same, and when it likes none, the first.
func negotiate(accept string, kinds ...string) string {
	best, most := kinds[0], 0.0
	for _, kind := range kinds {
		if q := quality(accept, kind); q > most {
			best, most = kind, q
		}
	}
	return best
}

// quality is that of the most specific range which a kind is in; 0 = not acceptable.
func quality(accept, kind string) float64 {
	found, specific := 0.0, 0
	major, _, _ := strings.Cut(kind, "/")
	for each := range strings.SplitSeq(accept, ",") {
		name, parameters, _ := strings.Cut(each, ";")
		level := 0
		switch strings.ToLower(strings.TrimSpace(name)) {
		case kind:
			level = 3
		case major + "/*":
			level = 2
		case "*/*":
			level = 1
		}
		if level <= specific {
			continue
		}
		q := 1.0
		for p := range strings.SplitSeq(parameters, ";") {
			if text, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(p)), "q="); ok {
				if parsed, err := strconv.ParseFloat(text, 64); err == nil {
					q = parsed
				}
			}
		}
		found, specific = q, level
	}
	return found
}
