// Command server is the server that everyone learns oslo.messaging from: an endpoint with one method, and
// another in a namespace with a version.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/rpc"
)

type testArgs struct {
	Arg json.RawMessage `json:"arg"` // whatever it is
}

// test returns its argument.
func test(_ context.Context, args testArgs) (json.RawMessage, error) { return args.Arg, nil }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, stop); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stop func()) (err error) {
	bus, err := goslo.Open(ctx, os.Getenv("GOSLO_URL")) // such as rabbit://guest:guest@localhost:5672/; none is the embedded bus
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close(context.WithoutCancel(ctx))) }()

	control := rpc.Target{Namespace: "control", Version: "2.0"}
	server := rpc.NewServer(bus, rpc.ServerConfig{Target: rpc.Target{Topic: "test"}, Server: "server1"},
		rpc.NewCall[testArgs, json.RawMessage](rpc.Target{Version: "1.0"}, "test").Handle(test),
		rpc.NewCast[struct{}](control, "stop").Handle(func(context.Context, struct{}) error { stop(); return nil }),
	)
	if err := server.Listen(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	return server.Run(ctx)
}
