// Package web registers routes in all the ways that there are.
package web

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/flow/testdata/tricky/shopapi"
	"github.com/goslo/goslo/internal/flow/testdata/tricky/stockapi"
	"github.com/goslo/goslo/rpc"
)

// Shipper has one implementation, in another package.
type Shipper interface {
	Ship(ctx context.Context, o shopapi.Order) error
}

// Store has two implementations.
type Store interface {
	Keep(ctx context.Context) error
}

// API is the controller.
type API struct {
	Client *rpc.Client
	Ship   Shipper
	Store  Store
	hook   func(context.Context) error
}

const prefix = "/v1"

// New returns all routes.
func New(a *API) http.Handler {
	a.hook = func(ctx context.Context) error {
		return shopapi.Methods.Pack.Cast(ctx, a.Client, shopapi.Order{})
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+prefix+"/orders", http.TimeoutHandler(logged(http.HandlerFunc(a.create)), time.Second, "late"))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("POST /ships", answering(a.ship))
	mux.Handle("/recount", &recount{client: a.Client})
	add(mux, "PUT", "/orders/{id}", a.keep)
	add(mux, "DELETE", "/orders/{id}", a.purge)
	for _, r := range []struct {
		pattern string
		h       http.HandlerFunc
	}{
		{"POST /packs", a.pack},
		{"DELETE /packs", a.unpack},
	} {
		mux.Handle(r.pattern, r.h)
	}
	for pattern, h := range map[string]answering{"POST /audits": a.audit, "POST /retries": a.retried} {
		mux.Handle(pattern, h)
	}
	outer := http.NewServeMux()
	outer.Handle("/shop/", http.StripPrefix("/shop", mux))
	return outer
}

func add(mux *http.ServeMux, verb, path string, h answering) {
	mux.Handle(verb+" "+prefix+path, logged(h))
}

// logged is middleware.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
	})
}

// answering adapts a function.
type answering func(ctx context.Context) error

func (f answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (a *API) create(w http.ResponseWriter, r *http.Request) {
	order, err := shopapi.Create.Call(r.Context(), a.Client.To("shop-1"), shopapi.Order{})
	if err != nil {
		return
	}
	defer func() { go a.release(context.WithoutCancel(r.Context()), order) }()
	w.WriteHeader(http.StatusCreated)
}

func (a *API) release(ctx context.Context, o shopapi.Order) {
	_ = stockapi.Release.Cast(ctx, a.Client.Fanout(), stockapi.Item{Name: o.ID})
}

func (a *API) ship(ctx context.Context) error { return a.Ship.Ship(ctx, shopapi.Order{}) }

func (a *API) keep(ctx context.Context) error { return a.Store.Keep(ctx) }

func (a *API) purge(ctx context.Context) error {
	return sent(ctx, shopapi.Purge, a.Client.On("shop-archive").In("attic"))
}

// sent is generic.
func sent[A any](ctx context.Context, m rpc.Cast[A], c *rpc.Client) error {
	var args A
	return m.Cast(ctx, c, args)
}

func (a *API) pack(_ http.ResponseWriter, r *http.Request) {
	if a.hook != nil {
		_ = a.hook(r.Context())
	}
}

func (a *API) unpack(_ http.ResponseWriter, r *http.Request) {
	cast := shopapi.Methods.Unpack.Cast
	_ = cast(r.Context(), a.Client, shopapi.Order{})
}

func (a *API) audit(ctx context.Context) error {
	var once sync.Once
	var err error
	once.Do(func() { err = shopapi.Audit.Cast(ctx, a.Client, shopapi.Order{}) })
	return err
}

func (a *API) retried(ctx context.Context) error {
	return retry(func() error {
		return retry(func() error {
			_, err := stockapi.Count.Call(ctx, a.Client, stockapi.Item{})
			return err
		})
	})
}

func retry(f func() error) error {
	if f() == nil {
		return nil
	}
	return f()
}

// recount is a handler of its own type.
type recount struct{ client *rpc.Client }

func (h *recount) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	h.all(r.Context(), 3)
}

func (h *recount) all(ctx context.Context, n int) {
	if n == 0 {
		return
	}
	_ = stockapi.Refill.Cast(ctx, h.client, stockapi.Item{})
	h.all(ctx, n-1)
}
