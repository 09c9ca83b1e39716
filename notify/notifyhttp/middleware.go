package notifyhttp

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/mask"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rest/paste"
)

// Config configures a Middleware.
type Config struct {
	// Notifier tells the requests. Without a publisher of its own they are told of the program. Default: one that tells nobody.
	Notifier *notify.Notifier
	// ServiceName is told with each request, as HTTP_X_SERVICE_NAME. Default: the host that the request was sent to.
	ServiceName string
	// IgnoreMethods are methods of HTTP, in any case, whose requests are not told. Default: all are.
	IgnoreMethods []string
	// Queue is how many notifications may wait for the bus. Default: 1,000.
	Queue int
	// Logger hears, once, that notifications are lost. Default: nothing is logged.
	Logger *slog.Logger
}

// A Middleware tells requests. Make one with [New]. It is safe for concurrent use.
type Middleware struct {
	config  Config
	backlog *notify.Backlog
}

// New returns a middleware, which Close ends.
func New(c Config) *Middleware {
	if c.Notifier == nil {
		c.Notifier = notify.NewNotifier(notify.NotifierConfig{})
	}
	n := c.Notifier.As(cmp.Or(c.Notifier.Publisher(), filepath.Base(os.Args[0])))
	return &Middleware{c, notify.NewBacklog(n, notify.BacklogConfig{Size: c.Queue, Logger: c.Logger})}
}

// Filter tells the requests that next handles (NMW-01). A panic of next's is told, and goes on.
func (m *Middleware) Filter(next http.Handler) http.Handler {
	ignored := make([]string, len(m.config.IgnoreMethods))
	for i, method := range m.config.IgnoreMethods {
		ignored[i] = strings.ToUpper(strings.TrimSpace(method))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(ignored, strings.ToUpper(r.Method)) {
			next.ServeHTTP(w, r)
			return
		}
		told := payload{Request: environ(r, cmp.Or(m.config.ServiceName, r.Host))}
		m.tell(r, "http.request", told)
		a := &answer{ResponseWriter: w}
		defer func() {
			v := recover()
			if v == nil {
				told.Response = a.response()
			} else {
				told.Exception = &exception{Value: mask.Text(fmt.Sprint(v)), Traceback: traceback()}
			}
			m.tell(r, "http.response", told)
			if v != nil {
				panic(v) //nolint:forbidigo // it is the handler's, and whoever is outside decides
			}
		}()
		next.ServeHTTP(a, r)
	})
}

// tell has something told with the request's context. It cannot fail: the payload encodes.
func (m *Middleware) tell(r *http.Request, event string, p payload) {
	_ = m.backlog.Notify(r.Context(), notify.Info, event, p)
}

// Lost is how many notifications were lost; see [notify.Backlog].
func (m *Middleware) Lost() uint64 { return m.backlog.Lost() }

// Close tells what waits, until ctx ends; see [notify.Backlog].Close. Requests are served as before, and told no more. Close it after the server.
func (m *Middleware) Close(ctx context.Context) error { return m.backlog.Close(ctx) }

// Factory is the name that api-paste.ini knows the filter by.
const Factory = "oslo_messaging.notify.middleware:RequestNotifier.factory"

// Factories returns the filter under its Python name, to be added to the program's by [paste.Factories.With]. The settings service_name,
// ignore_req_list and publisher_id of a section come before those of the Config (NMW-04). A url is an error: the bus is the program's.
func (m *Middleware) Factories() paste.Factories {
	return paste.Factories{Filters: map[string]paste.FilterFactory{Factory: m.fromFile}}
}

func (m *Middleware) fromFile(s paste.Settings) (func(http.Handler) http.Handler, error) {
	own := *m
	if url, ok := s.Lookup("url"); ok {
		return nil, url.Errorf("the program has chosen the bus that requests are told over: take url out, and set transport_url in [oslo_messaging_notifications] of its configuration")
	}
	s.Text("service_name", &own.config.ServiceName)
	s.List("ignore_req_list", &own.config.IgnoreMethods)
	var publisher string
	if s.Text("publisher_id", &publisher); publisher != "" {
		own.backlog = m.backlog.As(publisher)
	}
	return own.Filter, nil
}

// traceback is where a panic was, and how it was come to, the innermost call last, as Python has it.
func traceback() []string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)]) // behind Callers, traceback, who recovers, and panic itself
	var all []string
	for {
		f, more := frames.Next()
		all = append(all, fmt.Sprintf("%s (%s:%d)", f.Function, f.File, f.Line))
		if !more {
			slices.Reverse(all)
			return all
		}
	}
}
