// Command goslo calls, serves and looks at services on a message bus. See goslo --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/goslo/goslo/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the process at once
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.LookupEnv))
}
