// Command client calls the server beside it, and with the argument "stop" ends it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/rpc"
)

var (
	testMethod = rpc.NewCall[rpc.Args, any](rpc.Target{Topic: "test", Version: "1.0"}, "test")
	stopMethod = rpc.NewCast[rpc.Args](rpc.Target{Topic: "test", Namespace: "control", Version: "2.0"}, "stop")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	stop := slices.Equal(args, []string{"stop"})
	if len(args) > 0 && !stop {
		return fmt.Errorf("client: unknown arguments %q; there is stop, and none", args)
	}
	bus, err := goslo.Open(ctx, os.Getenv("GOSLO_URL"))
	if err != nil {
		return err
	}
	client := rpc.NewClient(bus, rpc.ClientConfig{})
	defer func() {
		last := context.WithoutCancel(ctx)
		err = errors.Join(err, client.Close(last), bus.Close(last))
	}()

	if stop {
		return stopMethod.Cast(ctx, client, nil)
	}
	result, err := testMethod.Call(ctx, client, rpc.Args{"arg": "hello"})
	if err != nil {
		return err
	}
	fmt.Println(result)
	return nil
}
