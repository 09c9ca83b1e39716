// Package api is the REST front: it turns HTTP requests into calls and casts, and answers at once where the
// work takes long. It owns routes, status codes and the request context; it starts no goroutine.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/goslo/goslo/examples/livemigration/computeapi"
	"github.com/goslo/goslo/examples/livemigration/conductor"
	"github.com/goslo/goslo/examples/livemigration/conductorapi"
	"github.com/goslo/goslo/rpc"
)

// Clients are the API's ways to the services behind it.
type Clients struct {
	Conductor, Compute *rpc.Client
}

// New returns the handler of all routes:
//
//	GET  /servers/{id}                   where an instance is and what is being done with it
//	POST /servers/{id}/action            {"os-migrateLive": {"host": null}}: 202, and it happens behind
//	GET  /os-hypervisors/{host}/uptime   asks that one host
//	POST /images/{id}/cache              tells every host: 202
//
// Each of around is put around all of them, and finds the request context in the request's, such as observe.Observer's HTTP.
func New(c Clients, around ...func(http.Handler) http.Handler) http.Handler {
	a := api{c}
	mux := http.NewServeMux()
	mux.Handle("GET /servers/{id}", route(a.show))
	mux.Handle("POST /servers/{id}/action", route(a.action))
	mux.Handle("GET /os-hypervisors/{host}/uptime", route(a.uptime))
	mux.Handle("POST /images/{id}/cache", route(a.cache))
	var routes http.Handler = mux
	for _, wrap := range around {
		routes = wrap(routes)
	}
	return identified(routes)
}

// identified gives each request its request context, with an id that is told in the answer.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newRequestID()
		w.Header().Set("X-Openstack-Request-Id", id)
		c, err := rpc.NewRequestContext(map[string]string{"request_id": id, "user_id": "demo", "project_id": "demo"})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r.WithContext(rpc.WithContext(r.Context(), c)))
	})
}

type api struct{ Clients }

// A route does one request's work. A nil body answers 202, anything else 200.
type route func(ctx context.Context, r *http.Request) (body any, err error)

// badRequest is an error of the one who asked.
type badRequest struct{ cause error }

func (e *badRequest) Error() string { return e.cause.Error() }

func (f route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := f(r.Context(), r)
	switch {
	case err != nil:
		respond(w, status(err), fault{Error: err.Error(), RequestID: rpc.ContextFrom(r.Context()).RequestID()})
	case body == nil:
		w.WriteHeader(http.StatusAccepted)
	default:
		respond(w, http.StatusOK, body)
	}
}

type fault struct {
	Error     string `json:"error"`
	RequestID string `json:"request_id"`
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The status is out: an error here is the peer's hanging up.
	_ = json.NewEncoder(w).Encode(body)
}

// status says what a failure behind the API means to the one in front of it.
func status(err error) int {
	var (
		bad      *badRequest
		noServer *rpc.NoServerError
		timeout  *rpc.TimeoutError
	)
	switch {
	case errors.As(err, &bad):
		return http.StatusBadRequest
	case errors.Is(err, computeapi.InstanceNotFound):
		return http.StatusNotFound
	case errors.Is(err, conductor.InstanceInvalidState):
		return http.StatusConflict
	case errors.As(err, &noServer):
		return http.StatusServiceUnavailable
	case errors.As(err, &timeout):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

func (a api) show(ctx context.Context, r *http.Request) (any, error) {
	return conductorapi.GetInstance.Call(ctx, a.Conductor, conductorapi.InstanceArgs{Instance: r.PathValue("id")})
}

func (a api) action(ctx context.Context, r *http.Request) (any, error) {
	var action struct {
		MigrateLive *struct {
			Host string `json:"host"`
		} `json:"os-migrateLive"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&action); err != nil {
		return nil, &badRequest{fmt.Errorf("read the action: %w", err)}
	}
	if action.MigrateLive == nil {
		return nil, &badRequest{errors.New(`the one action is {"os-migrateLive": {"host": null}}`)}
	}
	return nil, conductorapi.LiveMigrateInstance.Cast(ctx, a.Conductor, conductorapi.LiveMigrateArgs{
		Instance: r.PathValue("id"),
		Host:     action.MigrateLive.Host,
	})
}

func (a api) uptime(ctx context.Context, r *http.Request) (any, error) {
	uptime, err := computeapi.GetHostUptime.Call(ctx, a.Compute.To(r.PathValue("host")), struct{}{})
	return map[string]string{"uptime": uptime}, err
}

func (a api) cache(ctx context.Context, r *http.Request) (any, error) {
	return nil, computeapi.CacheImages.Cast(ctx, a.Compute.Fanout(), computeapi.CacheImagesArgs{ImageIDs: []string{r.PathValue("id")}})
}
