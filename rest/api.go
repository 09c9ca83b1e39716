package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/nearest"
)

// Config says what an API is. The zero value is one that can be mounted anywhere and has no microversions.
type Config struct {
	// Version is how the versions document calls the API, and where it is mounted; see [Versions].
	Version Version
	// Errors are the failures of the services behind it that clients are told as more than 500.
	Errors Errors
	// Microversions are those that requests can ask for. Default: none.
	Microversions Microversions
	// Project says whether paths have a project's id before the resource.
	Project ProjectSegment
	// PublicURL is what clients reach the root of the API's program under, for links. Default: the scheme and host of the request.
	PublicURL string
	// Timeout is how long a request may take: the ctx of handlers ends then, and with it the calls that they make. Default: 60 s.
	Timeout time.Duration
	// MaxBody is the largest body in bytes, beyond which a request is answered 413. Default: 114688, as in oslo.middleware.
	MaxBody int64
	// MaxLimit is the largest page, and the one that clients get who do not say. Default: 1000, as in nova.
	MaxLimit int
	// Logger hears about requests that were answered 5xx, which clients are told little about, and panics. Default: nothing is logged.
	Logger *slog.Logger
}

// A ProjectSegment says whether paths have a project's id before the resource. One that is not that of the request context is a
// 400, as in nova and cinder; a request without a user is not looked at, so that is for the filters in front.
type ProjectSegment uint8

// Where a project's id stands.
const (
	ProjectOptional ProjectSegment = iota // /v1/orders and /v1/PROJECT_ID/orders, as nova since 2.18
	ProjectRequired                       // /v1/PROJECT_ID/orders
	ProjectNone                           // /v1/orders
)

// An API answers the requests to the resources of one version. It is an http.Handler for the paths below its mount: mounted by
// [Versions] at /v1, it sees /orders and /PROJECT_ID/orders. It starts no goroutine.
type API struct {
	config     Config
	version    Version
	span       span
	mux        *http.ServeMux
	first      map[string]bool // the first elements of all paths
	extensions []Extension
}

// New puts an API together. An error names the part that does not fit: a path, method or action that is there twice, an extension of
// what is not there, a microversion that is none.
func New(config Config, parts ...Part) (*API, error) {
	config.Timeout = cmp.Or(config.Timeout, time.Minute)
	config.MaxBody = cmp.Or(config.MaxBody, 114688)
	config.MaxLimit = cmp.Or(config.MaxLimit, 1000)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if u, err := url.Parse(config.PublicURL); config.PublicURL != "" && (err != nil || u.Scheme == "" || u.Host == "") {
		return nil, fmt.Errorf("rest: Config.PublicURL %q: want one such as https://cloud.example/shop", config.PublicURL)
	}
	version, err := config.Version.complete()
	if err != nil {
		return nil, err
	}
	span, err := config.Microversions.parse()
	if err != nil {
		return nil, err
	}
	b := builder{span: span, resources: make(map[string]*resource)}
	for _, p := range parts {
		if err := p.addTo(&b); err != nil {
			return nil, err
		}
	}
	a := &API{config: config, version: version, span: span, mux: http.NewServeMux(), extensions: b.extensions}
	if a.first, err = b.build(a); err != nil {
		return nil, err
	}
	return a, nil
}

// A call is one request that an API answers.
type call struct {
	api      *API
	version  Microversion
	at       string        // where the API is mounted, and a project's id for "{project_id}"
	project  string        // of the path; "" = it has none
	pattern  string        // of the path, with the method, once it is known
	resource *resource     // once that is known
	request  *http.Request // with the ids in its path, once the resource is known
	raw      []byte        // the body of an action, which is read to know which
}

type callKey struct{}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

func (c *call) id() string { return c.request.PathValue("id") }

// PathValue returns the id of a path's element in braces, such as order_id of "orders/{order_id}/lines"; "" outside of a handler. A handler
// of this package is given {id} as an argument. project_id is that of the path, where it has one; who asks is in [ContextFrom].
func PathValue(ctx context.Context, name string) string {
	c := callFrom(ctx)
	switch {
	case c == nil || c.request == nil:
		return ""
	case name == "project_id":
		return c.project
	}
	return c.request.PathValue(name)
}

// ServeHTTP answers a request. Whatever goes wrong is a fault, a handler's panic included.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	RequestID(http.HandlerFunc(a.identified)).ServeHTTP(w, r)
}

func (a *API) identified(w http.ResponseWriter, r *http.Request) {
	c := &call{api: a, at: Mount(r.Context())}
	ctx, cancel := context.WithTimeout(r.Context(), a.config.Timeout)
	defer cancel()
	whole := r
	r = r.WithContext(context.WithValue(ctx, callKey{}, c))
	defer func() {
		whole.Pattern = c.pattern
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v) //nolint:forbidigo // net/http's own way to hang up
		}
		a.fail(w, r, fmt.Errorf("rest: panic: %v\n%s", v, debug.Stack()))
	}()
	var err error
	if c.version, err = a.span.negotiate(w.Header(), r); err != nil {
		a.fail(w, r, err)
		return
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, a.config.MaxBody)
	}
	a.route(w, r)
}

// fail answers with a fault, and logs what the client is not told.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	hungUp := errors.Is(err, context.Canceled) && errors.Is(r.Context().Err(), context.Canceled)
	if f := FaultFrom(r.Context(), err); f.Code >= http.StatusInternalServerError && !hungUp {
		a.config.Logger.ErrorContext(r.Context(), "a request failed", "method", r.Method, "path", Mount(r.Context())+r.URL.Path, "status", f.Code, "error", err)
	}
	WriteFault(w, r, err)
}

// route finds the resource of a path: directly, or after a project's id.
func (a *API) route(w http.ResponseWriter, r *http.Request) {
	at := r.URL.Path
	first, after, _ := strings.Cut(strings.TrimPrefix(at, "/"), "/")
	second, _, _ := strings.Cut(after, "/")
	switch {
	case first == "" && after == "":
		methods{http.MethodGet: a.document}.ServeHTTP(w, r)
	case path.Clean(at) != at, !strings.HasPrefix(r.URL.EscapedPath(), "/"), !utf8.ValidString(at): // of which http.ServeMux redirects the first two
		a.fail(w, r, noResource(r, ""))
	case a.first[first] && a.config.Project != ProjectRequired:
		a.mux.ServeHTTP(w, r)
	case a.first[second] && a.config.Project != ProjectNone:
		if c := ContextFrom(r.Context()); c.User.ID != "" && c.Project.ID != first {
			a.fail(w, r, Faultf(http.StatusBadRequest, "project %s of the path is not that of the token, %s", first, cmp.Or(c.Project.ID, "which has none")))
			return
		}
		c := callFrom(r.Context())
		c.project, c.at = first, c.at+"/{project_id}"
		mounted("/"+first, a.mux).ServeHTTP(w, r)
	default:
		a.fail(w, r, noResource(r, a.hint(first, second)))
	}
}

// hint suggests the resource that may have been meant.
func (a *API) hint(words ...string) string {
	known := make([]string, 0, len(a.first))
	for name := range a.first {
		known = append(known, name)
	}
	for _, word := range words {
		if name, ok := nearest.To(word, known); ok {
			return fmt.Sprintf("; did you mean %s?", name)
		}
	}
	return ""
}

// methods are what can be done at one path. HEAD is GET without the body, which net/http leaves out; OPTIONS tells what there is.
type methods map[string]http.HandlerFunc

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if serve, ok := m[method]; ok {
		serve(w, r)
		return
	}
	w.Header().Set("Allow", m.allow())
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	WriteFault(w, r, Faultf(http.StatusMethodNotAllowed, "%s is not for %s, but %s", r.Method, Mount(r.Context())+r.URL.Path, m.allow()))
}

func (m methods) allow() string {
	var names []string
	for _, name := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if _, ok := m[name]; ok || name == http.MethodHead && m[http.MethodGet] != nil {
			names = append(names, name)
		}
	}
	return strings.Join(append(names, http.MethodOptions), ", ")
}

// location is the URL of an item just made.
func location(r *http.Request, id string) string {
	return BaseURL(r) + r.URL.EscapedPath() + "/" + url.PathEscape(id)
}
