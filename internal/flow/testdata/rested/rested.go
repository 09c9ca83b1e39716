// Package rested is an API of package rest, put together in all the ways that there are.
package rested

import (
	"context"
	"net/http"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
)

// The contract.
var (
	Target = rpc.Target{Topic: "servers", Version: "5.0"}

	Build  = rpc.NewCast[Server](Target, "build")
	List   = rpc.NewCall[struct{}, []Server](Target, "list")
	Stop   = rpc.NewCast[Server](Target.Since("4.2"), "stop")
	Shelve = rpc.NewCast[Server](Target, "shelve")
	Host   = rpc.NewCall[Server, string](Target, "host")
)

// Server is an item.
type Server struct {
	ID string `json:"id"`
}

// HostAttributes are added to it.
type HostAttributes struct {
	Host string `json:"OS-EXT-SRV-ATTR:host"`
}

type servers struct{ client *rpc.Client }

// Front mounts two APIs.
func Front(c *rpc.Client) (http.Handler, error) {
	s := &servers{c}
	config := rest.Config{Version: rest.Version{ID: "v2.1"}, Microversions: rest.Microversions{Service: "compute", Min: "2.1", Max: "2.9"}}
	v2, err := rest.New(config, append(s.parts(), extensions(s)...)...)
	if err != nil {
		return nil, err
	}
	old, err := rest.New(rest.Config{Version: rest.Version{Path: "legacy"}, Project: rest.ProjectRequired},
		rest.NewResource("servers", "server", rest.Index(s.index)))
	if err != nil {
		return nil, err
	}
	return rest.RequestID(rest.Versions(v2, old)), nil
}

func (s *servers) parts() []rest.Part {
	routes := []rest.Route{
		rest.Index(s.index),
		rest.Create(s.create).Accepted(),
		rest.Show(s.show),
	}
	for _, name := range []string{"os-stop", "os-halt"} {
		routes = append(routes, rest.Action(name, s.stop).Since("2.3").Until("2.8"))
	}
	return []rest.Part{
		rest.NewResource("servers", "server", routes...).Plural("servers"),
		rest.NewResource("servers/{server_id}/os-volume", "volume", rest.Member("state", s.state), rest.CollectionPost("sync", s.sync)),
	}
}

func extensions(s *servers) []rest.Part {
	return []rest.Part{
		rest.NewExtension(rest.Extension{Alias: "os-shelve"},
			rest.Extend("servers", rest.ActionResult("shelve", s.shelve), rest.Attributes(s.host))),
	}
}

// Unmounted is a resource for which no API is seen.
func Unmounted(c *rpc.Client) rest.Resource {
	return rest.NewResource("images", "image", rest.Delete(func(ctx context.Context, id string) error {
		return Stop.Cast(ctx, c, Server{ID: id})
	}))
}

func (s *servers) index(ctx context.Context, _ rest.Page) (rest.List[Server], error) {
	all, err := List.Call(ctx, s.client, struct{}{})
	return rest.List[Server]{Items: all}, err
}

func (s *servers) create(ctx context.Context, body Server) (Server, error) {
	return body, Build.Cast(ctx, s.client, body)
}

func (s *servers) show(_ context.Context, id string) (Server, error) { return Server{ID: id}, nil }

func (s *servers) stop(ctx context.Context, id string, _ rest.None) error {
	return Stop.Cast(ctx, s.client, Server{ID: id})
}

func (s *servers) state(_ context.Context, id string) (string, error) { return id, nil }

func (s *servers) sync(ctx context.Context, _ rest.None) (rest.None, error) {
	return rest.None{}, Build.Cast(ctx, s.client.Fanout(), Server{})
}

func (s *servers) shelve(ctx context.Context, id string, _ rest.None) (Server, error) {
	return Server{ID: id}, Shelve.Cast(ctx, s.client, Server{ID: id})
}

func (s *servers) host(ctx context.Context, one Server) (HostAttributes, error) {
	host, err := Host.Call(ctx, s.client, one)
	return HostAttributes{host}, err
}

// Manager serves the contract, but for one method.
type Manager struct{}

// Endpoints are in order.
func (m *Manager) Endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{
		Build.Handle(m.Build), List.Handle(m.List), Stop.Handle(m.Stop), Host.Handle(m.Host),
	}
}

// Build does nothing.
func (m *Manager) Build(context.Context, Server) error { return nil }

// List returns none.
func (m *Manager) List(context.Context, struct{}) ([]Server, error) { return nil, nil }

// Stop does nothing.
func (m *Manager) Stop(context.Context, Server) error { return nil }

// Host returns none.
func (m *Manager) Host(context.Context, Server) (string, error) { return "", nil }
