// Package stockapi is the contract of a service behind the service.
package stockapi

import "github.com/goslo/goslo/rpc"

// Target has no version.
var Target = rpc.Target{Topic: "stock"}

// The methods, of which Count is served in Python.
var (
	Reserve = rpc.NewCall[Item, Item](Target, "reserve")
	Release = rpc.NewCast[Item](Target, "release")
	Refill  = rpc.NewCast[Item](Target, "refill")
	Count   = rpc.NewCall[Item, int](Target, "count")
	Old     = rpc.NewCast[Item](rpc.Target{Topic: "stock", Namespace: "old", Version: "1.0"}, "old")
)

// Item is what all methods take.
type Item struct {
	Name string `json:"name"`
}
