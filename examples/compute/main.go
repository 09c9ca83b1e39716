// Command compute runs one service of a small cloud: the REST front, the conductor, the scheduler,
// a compute host, or a watcher that prints how migrations go on. See the README beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/rpc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "compute:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	url       string
	host      string
	hosts     string
	instances string
	listen    string
	pin       string
	copying   time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("compute api|conductor|scheduler|compute|watch", flag.ContinueOnError)
	flags.StringVar(&o.url, "url", "", "the bus (default: $GOSLO_URL, else the embedded one)")
	flags.StringVar(&o.host, "host", "localhost", "this service's server name on the bus")
	flags.StringVar(&o.hosts, "hosts", "cmp-1,cmp-2", "scheduler: the compute hosts")
	flags.StringVar(&o.instances, "instances", "", "compute: the instances that run here; conductor: id=host pairs")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8774", "api: where to take HTTP")
	flags.StringVar(&o.pin, "pin-compute", "", "send nothing that compute hosts of this version do not know")
	flags.DurationVar(&o.copying, "copying", 200*time.Millisecond, "compute: how long copying an instance takes")
	flags.SetOutput(stderr)
	if len(args) == 0 {
		flags.Usage()
		return errors.New("name the service to run")
	}
	serve, ok := map[string]func(*node, context.Context) error{
		"api": (*node).api, "conductor": (*node).conductor, "scheduler": (*node).scheduler, "compute": (*node).compute, "watch": (*node).watch,
	}[args[0]]
	if !ok {
		flags.Usage()
		return fmt.Errorf("no service %q; there are api, conductor, scheduler, compute and watch", args[0])
	}
	if err := flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown arguments %q", flags.Args())
	}
	if o.url == "" {
		o.url = os.Getenv("GOSLO_URL")
	}

	log := slog.New(slog.NewTextHandler(stderr, nil)).With("service", args[0], "host", o.host)
	bus, err := goslo.Config{URL: o.url, Program: "compute-" + args[0], Logger: log}.Open(ctx)
	if err != nil {
		return err
	}
	n := node{options: o, bus: bus, client: rpc.NewClient(bus, rpc.ClientConfig{Logger: log}), log: log, out: stdout}
	return errors.Join(serve(&n, ctx), n.close(ctx))
}

// fields splits a list at commas; "" is an empty list.
func fields(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
