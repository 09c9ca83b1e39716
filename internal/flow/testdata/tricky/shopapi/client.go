package shopapi

import (
	"context"

	"github.com/goslo/goslo/rpc"
)

// Client decides between two versions of a method.
type Client struct{ rpc *rpc.Client }

// NewClient pins.
func NewClient(c *rpc.Client) *Client { return &Client{rpc: c.Pin("2.3")} }

// Ship sends what the oldest server knows.
func (c *Client) Ship(ctx context.Context, o Order) error {
	if c.rpc.CanSend("2.3") {
		return Ship.Cast(ctx, c.rpc, o)
	}
	return ship20.Cast(ctx, c.rpc, oldOrder{Number: o.ID})
}
