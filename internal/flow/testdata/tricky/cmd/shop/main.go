// Command shop calls without anybody in front.
package main

import (
	"context"
	"os"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/flow/testdata/tricky/shopapi"
	"github.com/goslo/goslo/internal/flow/testdata/tricky/stockapi"
	"github.com/goslo/goslo/internal/flow/testdata/tricky/web"
	"github.com/goslo/goslo/rpc"
)

func main() {
	ctx := context.Background()
	bus, err := goslo.Open(ctx, os.Getenv("BUS"))
	if err != nil {
		os.Exit(1)
	}
	client := rpc.NewClient(bus, rpc.ClientConfig{})
	_ = web.New(&web.API{Client: client, Ship: shopapi.NewClient(client)})
	if err := stockapi.Old.Cast(ctx, client, stockapi.Item{}); err != nil {
		os.Exit(1)
	}
	if _, err := rpc.NewCall[rpc.Args, any](rpc.Target{Topic: os.Args[1]}, os.Args[2]).Call(ctx, client, nil); err != nil {
		os.Exit(1)
	}
}
