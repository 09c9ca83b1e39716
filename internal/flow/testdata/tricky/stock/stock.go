// Package stock serves stockapi, under an old namespace too.
package stock

import (
	"context"

	"github.com/goslo/goslo/internal/flow/testdata/tricky/stockapi"
	"github.com/goslo/goslo/rpc"
)

// Endpoints are functions.
func Endpoints(c *rpc.Client) []rpc.Endpoint {
	return []rpc.Endpoint{
		stockapi.Reserve.Handle(func(ctx context.Context, i stockapi.Item) (stockapi.Item, error) {
			return i, stockapi.Refill.Cast(ctx, c, i)
		}),
		stockapi.Release.Handle(release),
		stockapi.Refill.Handle(func(ctx context.Context, i stockapi.Item) error {
			_, err := stockapi.Reserve.Call(ctx, c, i)
			return err
		}),
		rpc.NewEndpoint(stockapi.Target, rpc.NewCast[stockapi.Item](stockapi.Target, "old").Handle(release)).Accept("old"),
	}
}

func release(context.Context, stockapi.Item) error { return nil }
