package web

import (
	"context"

	"github.com/goslo/goslo/internal/flow/testdata/tricky/stockapi"
	"github.com/goslo/goslo/rpc"
)

// Near is the first implementation of Store.
type Near struct{}

// Keep sends nothing.
func (Near) Keep(context.Context) error { return nil }

// Far is the second.
type Far struct{ client *rpc.Client }

// Keep sends.
func (f *Far) Keep(ctx context.Context) error {
	return stockapi.Release.Cast(ctx, f.client, stockapi.Item{})
}

// Farther is the third.
type Farther struct{ *Far }

// Keep sends more.
func (f Farther) Keep(ctx context.Context) error {
	_, err := stockapi.Reserve.Call(ctx, f.client, stockapi.Item{})
	return err
}
