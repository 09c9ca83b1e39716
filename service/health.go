package service

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/goslo/goslo/rpc"
)

// A Check is a condition for being ready, beyond those of the runners. Ready returns nil, or why not; it does no I/O. An error
// that wraps a *ReasonError has a code for machines.
type Check struct {
	Name  string
	Ready func() error
}

// The codes of reasons in /readyz and /startupz. docs/operating.md has what each means and what is to be done.
const (
	ReasonStarting     = "starting"      // not all runners are up
	ReasonDraining     = "draining"      // the service stops
	ReasonNotListening = "not_listening" // requests do not reach a server
	ReasonDisconnected = "disconnected"  // the bus cannot be reached
	ReasonBlocked      = "blocked"       // the bus takes no messages
	ReasonFailed       = "failed"        // any other check
)

// A ReasonError is why something is not ready, with a code.
type ReasonError struct {
	Code  string
	Cause error
}

func (e *ReasonError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *ReasonError) Unwrap() error { return e.Cause }

// A health is what the probes answer.
type health struct {
	Status string       `json:"status"` // "ok" or "unavailable"
	Phase  Phase        `json:"phase"`
	Checks []healthItem `json:"checks,omitempty"`
}

type healthItem struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Handler answers probes about the service with JSON, 200 or 503:
//
//	/livez           200 while the process can answer at all
//	/startupz        200 once all runners have been started and hooks have returned
//	/readyz          200 while requests reach all servers and the checks agree; not while it starts or drains
//	/debug/requests  what runs now, for how long and for whom, and the periodic tasks
//
// It does no I/O: probes may come as often as they like.
func (s *Service) Handler(checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, health{Status: "ok", Phase: s.Phase()})
	})
	mux.HandleFunc("GET /startupz", func(w http.ResponseWriter, _ *http.Request) {
		h := s.phaseCheck(func(p Phase) bool { return p == Running || s.wasUp() })
		h.respond(w)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		h := s.readiness(checks)
		h.respond(w)
	})
	mux.HandleFunc("GET /debug/requests", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.activity()) })
	return mux
}

// respond says ok where all checks do.
func (h *health) respond(w http.ResponseWriter) {
	h.Status = "ok"
	code := http.StatusOK
	for _, c := range h.Checks {
		if !c.OK {
			h.Status, code = "unavailable", http.StatusServiceUnavailable
		}
	}
	answer(w, code, h)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the prober has gone
}

// phaseCheck is what the phase alone tells.
func (s *Service) phaseCheck(well func(Phase) bool) health {
	h := health{Phase: s.Phase()}
	item := healthItem{Name: "service", OK: well(h.Phase)}
	switch {
	case item.OK:
	case h.Phase == Starting:
		item.Reason, item.Detail = ReasonStarting, "still to be started: "+s.startingNow()
	default:
		item.Reason, item.Detail = ReasonDraining, fmt.Sprintf("%d requests are running", len(s.Running()))
	}
	h.Checks = []healthItem{item}
	return h
}

// wasUp is false for a service that stops before it has started.
func (s *Service) wasUp() bool {
	select {
	case <-s.up:
		return true
	default:
		return false
	}
}

func (s *Service) readiness(checks []Check) health {
	h := s.phaseCheck(func(p Phase) bool { return p == Running })
	add := func(name, code string, err error) {
		item := healthItem{Name: name, OK: err == nil}
		if err != nil {
			var reason *ReasonError
			if errors.As(err, &reason) {
				code = reason.Code
			}
			item.Reason, item.Detail = code, err.Error()
		}
		h.Checks = append(h.Checks, item)
	}
	if h.Phase == Running { // before and after a server has its own words for what the phase says
		for m := range s.parts {
			if r, ok := m.Runner.(readier); ok {
				add(m.name, ReasonNotListening, r.Ready())
			}
		}
	}
	for _, c := range checks {
		add(c.Name, ReasonFailed, c.Ready())
	}
	return h
}

// activity is what /debug/requests shows.
type activity struct {
	Phase    Phase         `json:"phase"`
	Requests []requestItem `json:"requests"`
	Tasks    []taskItem    `json:"tasks"`
}

type requestItem struct {
	Method      string    `json:"method"`
	Namespace   string    `json:"namespace,omitempty"`
	Version     string    `json:"version,omitempty"`
	Topic       string    `json:"topic"`
	Server      string    `json:"server"`
	Mode        string    `json:"mode"`
	ID          string    `json:"id,omitempty"`
	RequestID   string    `json:"request_id,omitempty"`
	User        string    `json:"user,omitempty"`
	Project     string    `json:"project,omitempty"`
	Since       time.Time `json:"since"`
	Seconds     float64   `json:"seconds"`
	Redelivered bool      `json:"redelivered,omitempty"`
}

type taskItem struct {
	Name    string     `json:"name"`
	Active  bool       `json:"active"`
	Runs    int        `json:"runs"`
	Failed  int        `json:"failed"`
	Missed  int        `json:"missed"`
	Began   *time.Time `json:"began,omitempty"`
	Seconds float64    `json:"seconds"` // of the last run that has ended
	Error   string     `json:"error,omitempty"`
	Next    *time.Time `json:"next,omitempty"`
}

// who are the members of a request context that say for whom a request runs: oslo.context's names, old and new.
type who struct {
	UserID    string `json:"user_id"`
	User      string `json:"user"`
	ProjectID string `json:"project_id"`
	Project   string `json:"project"`
	Tenant    string `json:"tenant"`
}

func (s *Service) activity() activity {
	a := activity{Phase: s.Phase(), Requests: []requestItem{}, Tasks: []taskItem{}}
	for _, r := range s.Running() {
		a.Requests = append(a.Requests, newRequestItem(r))
	}
	for _, t := range s.Tasks() {
		item := taskItem{Name: t.Name, Active: t.Active, Runs: t.Runs, Failed: t.Failed, Missed: t.Missed, Seconds: t.Took.Seconds(), Began: moment(t.Began), Next: moment(t.Next)}
		if t.Err != nil {
			item.Error = t.Err.Error()
		}
		a.Tasks = append(a.Tasks, item)
	}
	return a
}

func newRequestItem(r rpc.RunningRequest) requestItem {
	var w who
	_ = r.Context.Decode(&w) // a context of another shape says nothing about whom
	return requestItem{
		Method: r.Method, Namespace: r.Target.Namespace, Version: r.Target.Version, Topic: r.Target.Topic, Server: r.Server,
		Mode: r.Mode.String(), ID: r.ID, RequestID: r.Context.RequestID(),
		User: cmp.Or(w.UserID, w.User), Project: cmp.Or(w.ProjectID, w.Project, w.Tenant),
		Since: r.Received, Seconds: r.For.Seconds(), Redelivered: r.Redelivered,
	}
}

// moment leaves out what has not been.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Tasks returns what the service's periodic tasks have done.
func (s *Service) Tasks() []TaskState {
	var all []TaskState
	for m := range s.parts {
		if t, ok := m.Runner.(*Task); ok {
			all = append(all, t.State())
		}
	}
	return all
}
