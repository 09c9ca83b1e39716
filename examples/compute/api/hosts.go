package api

import (
	"context"

	"github.com/goslo/goslo/examples/compute/computeapi"
	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
)

// hypervisors are compute hosts, by name.
type hypervisors struct{ compute *rpc.Client }

// Uptime asks that one host.
func (h hypervisors) Uptime(ctx context.Context, host string) (Uptime, error) {
	text, err := computeapi.GetHostUptime.Call(ctx, h.compute.To(host), struct{}{})
	return Uptime{text}, err
}

// Uptime is how long a host has been up.
type Uptime struct {
	Uptime string `json:"uptime"`
}

// images are what servers start from.
type images struct{ compute *rpc.Client }

// Cache tells every host to fetch one, before it is needed.
func (i images) Cache(ctx context.Context, id string, _ rest.None) (rest.None, error) {
	return rest.None{}, computeapi.CacheImages.Cast(ctx, i.compute.Fanout(), computeapi.CacheImagesArgs{ImageIDs: []string{id}})
}
