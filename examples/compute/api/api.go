// Package api is the REST front: it turns HTTP requests into calls and casts, and answers at once where the work takes long. It owns
// routes, bodies and status codes; it starts no goroutine.
package api

import (
	"log/slog"
	"net/http"

	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/examples/compute/conductorapi"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
)

// Clients are the API's ways to the services behind it.
type Clients struct {
	Conductor, Compute *rpc.Client
}

// New returns the handler of all routes. Each of around is put around all of them, and finds the request context in the request's, such
// as observe.Observer's HTTP. log may be nil.
func New(c Clients, log *slog.Logger, around ...func(http.Handler) http.Handler) (http.Handler, error) {
	s, h, i := servers{c.Conductor}, hypervisors{c.Compute}, images{c.Compute}
	v1, err := rest.New(rest.Config{
		Version: rest.Version{ID: "v1.0", Updated: "2026-11-21T00:00:00Z"},
		Errors: rest.Errors{
			computeapi.InstanceNotFound:       http.StatusNotFound,
			conductorapi.InstanceInvalidState: http.StatusConflict,
		},
		Logger: log,
	},
		rest.NewResource("servers", "server",
			rest.Index(s.Index),                          // GET  /v1/servers
			rest.Show(s.Show),                            // GET  /v1/servers/{id}
			rest.Action("os-migrateLive", s.MigrateLive), // POST /v1/servers/{id}/action {"os-migrateLive": {"host": null}}
		),
		rest.NewResource("os-hypervisors", "hypervisor",
			rest.Member("uptime", h.Uptime), // GET /v1/os-hypervisors/{id}/uptime
		),
		rest.NewResource("images", "image",
			rest.MemberPost("cache", i.Cache).Accepted(), // POST /v1/images/{id}/cache
		),
	)
	if err != nil {
		return nil, err
	}
	front := rest.Versions(v1)
	for _, wrap := range around {
		front = wrap(front)
	}
	return rest.RequestID(front), nil
}
