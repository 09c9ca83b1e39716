// Package shop serves shopapi, and asks the stock in turn.
package shop

import (
	"context"

	"github.com/goslo/goslo/internal/flow/testdata/tricky/shopapi"
	"github.com/goslo/goslo/internal/flow/testdata/tricky/stockapi"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/service"
)

// Manager is the shop.
type Manager struct{ Client *rpc.Client }

// Endpoints are of three kinds: gathered, by a helper, and as they are.
func (m *Manager) Endpoints() []rpc.Endpoint {
	endpoints := []rpc.Endpoint{
		rpc.NewEndpoint(shopapi.Admin, shopapi.Purge.Handle(m.purge)),
		shopapi.Create.Handle(m.Create).Expect(context.Canceled),
		shopapi.Methods.Pack.Handle(func(ctx context.Context, o shopapi.Order) error { return m.Ship(ctx, o) }),
	}
	return append(endpoints, served(shopapi.Ship, m.Ship), served(shopapi.Forgotten, m.forgotten))
}

func served[A any](c rpc.Cast[A], f func(context.Context, A) error) rpc.Endpoint { return c.Handle(f) }

// Tasks are periodic.
func (m *Manager) Tasks() []*service.Task {
	return []*service.Task{
		service.Every(service.Periodic{Name: "stock"}, m.count),
		service.Every(service.Periodic{Name: "idle"}, func(context.Context) error { return nil }),
	}
}

// Create asks the stock.
func (m *Manager) Create(ctx context.Context, o shopapi.Order) (shopapi.Order, error) {
	_, err := stockapi.Reserve.Call(ctx, m.Client, stockapi.Item{Name: o.ID})
	return o, err
}

// Ship asks for itself again, when it has to wait.
func (m *Manager) Ship(ctx context.Context, o shopapi.Order) error {
	return shopapi.NewClient(m.Client).Ship(ctx, o)
}

func (m *Manager) purge(context.Context, shopapi.Order) error { return nil }

func (m *Manager) forgotten(ctx context.Context, o shopapi.Order) error {
	return stockapi.Release.Cast(ctx, m.Client, stockapi.Item{Name: o.ID})
}

func (m *Manager) count(ctx context.Context) error {
	_, err := stockapi.Count.Call(ctx, m.Client, stockapi.Item{})
	return err
}
