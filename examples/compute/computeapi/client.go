package computeapi

import (
	"context"
	"errors"

	"github.com/goslo/goslo/rpc"
)

// ErrBandwidthUnsupported says that a bandwidth was asked for while some hosts are too old to honour it.
var ErrBandwidthUnsupported = errors.New("computeapi: bandwidth_mbps needs compute 6.1, and this process is pinned below that")

// A Client is the caller's side where a method takes a decision: here, what to send while hosts of two
// versions are about (nova calls it rpcapi). Methods that need no decision are called by their descriptors.
type Client struct{ rpc *rpc.Client }

// NewClient returns a Client that sends with c. During a rolling upgrade c is pinned to the version of
// the oldest host: NewClient(c.Pin("6.0")).
func NewClient(c *rpc.Client) Client { return Client{c} }

// LiveMigration asks the host that has the instance to move it. Under a pin to 6.0 it sends what a 6.0
// host understands, and refuses what such a host would ignore.
func (c Client) LiveMigration(ctx context.Context, host string, args LiveMigrationArgs) error {
	if c.rpc.CanSend("6.1") {
		return LiveMigration.Cast(ctx, c.rpc.To(host), args)
	}
	if args.BandwidthMbps != 0 {
		return ErrBandwidthUnsupported
	}
	return liveMigration60.Cast(ctx, c.rpc.To(host), liveMigrationArgs60{Instance: args.Instance, Dest: args.Dest})
}
