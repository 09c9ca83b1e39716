// Package shopapi declares methods in all the ways that there are.
package shopapi

import (
	"fmt"

	"github.com/goslo/goslo/rpc"
)

const service = "shop"

// Target is put together of constants.
var Target = rpc.Target{Topic: service + "-" + "orders", Version: "2.3"}

// Admin is a changed copy.
var Admin = admin()

func admin() rpc.Target {
	t := Target
	t.Namespace = "admin"
	t.Version = "1.1"
	return t
}

// Of derived targets.
var (
	Create    = rpc.NewCall[Order, Order](Target.Since("2.0"), "create_order")
	Ship      = rpc.NewCast[Order](Target.Since("2.3"), "ship_order")
	ship20    = rpc.NewCast[oldOrder](Target.Since("2.0"), "ship_order")
	Purge     = rpc.NewCast[Order](Admin, "purge")
	Forgotten = rpc.NewCast[Order](Target, "forgotten")
	Audit     = rpc.NewCast[Order](rpc.Target{Topic: fmt.Sprintf("%s-audit", service), Exchange: "books"}, "audit")
)

// Methods is a contract in a struct.
var Methods = struct{ Pack, Unpack rpc.Cast[Order] }{
	Pack:   method("pack"),
	Unpack: method("unpack"),
}

func method(name string) rpc.Cast[Order] { return rpc.NewCast[Order](Target, name) }

// Order is what all methods take.
type Order struct {
	ID string `json:"id"`
}

type oldOrder struct {
	Number string `json:"number"`
}
