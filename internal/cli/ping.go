package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goslo/goslo/internal/probe"
	"github.com/goslo/goslo/rpc"
)

// pong is the result of ping.
type pong struct {
	To    string  `json:"to"`
	Alive bool    `json:"alive"`
	RTTMS float64 `json:"rtt_ms"`
}

// pingTimeout is how long one server may take to refuse before it counts as dead. With --all it is rollTimeout.
const (
	pingTimeout = 10 * time.Second
	rollTimeout = 3 * time.Second
)

func (a *app) ping() *cobra.Command {
	var (
		flags requestFlags
		all   rollFlags
	)
	c := &cobra.Command{
		Use:   "ping TOPIC[/SERVER]",
		Short: "See whether servers answer, and how fast",
		Long: `Ask one server of TOPIC, or SERVER, for a method that it does not have. Its refusal is the answer: the server
takes requests off the bus, dispatches them and replies. Nothing needs to be enabled on it.

A Python server refuses in silence when it is asked for a namespace and a version that it speaks; otherwise it answers
just as well, and logs the unknown version as an error. Those of OpenStack's services are known; --namespace and
--version give others.

With --all every server of TOPIC is asked at once, on RabbitMQ:

  ok           it answered
  SLOW         it answered, later than --slow
  DEAF         it takes requests off the bus and does not answer, or holds them and takes none
  UNBOUND      its queue is there, and the exchange does not lead to it
  NO CONSUMER  its queue is there, and nobody consumes from it
  NO QUEUE     it is expected, and has no queue
  not asked    it listens; its version is not known, and it is not asked as it might log an error; see --version

Servers are those that have a queue, and those that --expect names: as a,b,c, or as a file with a name on each line. A server
that nobody consumes for, or that holds requests and takes none, is sent nothing. Exit code 6 says that some server is
not well. ` + managementHelp + ` Without it, servers have to be named, with --server or --expect.`,
		Example: `  goslo ping lab
  goslo ping compute/cmp-1 --version 6.0 --timeout 3s
  goslo ping compute --all -c /etc/nova/nova.conf --expect /etc/nova/hosts
  goslo ping warehouse --all --version 2.0 --watch 10s
  goslo ping compute --all --management off --server cmp-1 --server cmp-2`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			to, err := parsePlace(args[0], true)
			if err != nil {
				return err
			}
			if all.all && to.server != "" {
				return usagef("%q names a server, and --all asks all that the topic has; leave out /%s, or --all", args[0], to.server)
			}
			if err := all.check(c.Flags()); err != nil {
				return err
			}
			if all.all {
				return a.callRoll(c.Context(), to.topic, &flags, &all)
			}
			ctx, err := a.withContext(c.Context(), &flags)
			if err != nil {
				return err
			}
			return a.pingOne(ctx, to, &flags)
		},
	}
	flags.add(c.Flags())
	flags.timeout = 0
	c.Flags().Lookup("timeout").DefValue = fmt.Sprintf("%s, with --all %s", pingTimeout, rollTimeout)
	all.add(c)
	return c
}

func (a *app) pingOne(ctx context.Context, to place, flags *requestFlags) error {
	e := flags.endpoint()
	if e == (probe.Endpoint{}) {
		e = probe.Known(to.topic, "")
	}
	method := rpc.NewCall[struct{}, json.RawMessage](rpc.Target{Namespace: e.Namespace, Version: e.Version}, probe.Method)
	timeout := flags.timeout
	if timeout == 0 {
		timeout = seconds(pingTimeout)
	}
	return a.withClient(ctx, time.Duration(timeout), func(ctx context.Context, client *rpc.Client) error {
		start := time.Now()
		_, err := method.Call(ctx, to.client(client), struct{}{})
		rtt := time.Since(start)
		if err != nil && !answered(err) {
			return err
		}
		if a.json {
			return a.printLine(pong{To: to.String(), Alive: true, RTTMS: milliseconds(rtt)})
		}
		_, err = fmt.Fprintf(a.Out, "%s answers after %s\n", to, shown(rtt))
		return err
	})
}

// endpoint is the one that was asked for; zero = none was. A namespace without a version has oslo.messaging's first.
func (r *requestFlags) endpoint() probe.Endpoint {
	e := probe.Endpoint{Namespace: r.namespace, Version: r.version}
	if e.Namespace != "" && e.Version == "" {
		e.Version = "1.0"
	}
	return e
}

// rollFlags are those of ping --all.
type rollFlags struct {
	all     bool
	servers []string
	expect  string
	slow    seconds
	watch   seconds
	at      lookAt
}

func (r *rollFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&r.all, "all", false, "ask every server of the topic")
	flags.StringArrayVar(&r.servers, "server", nil, "with --all, a server to ask; repeatable (default: those that have a queue)")
	flags.StringVar(&r.expect, "expect", "", "with --all, the servers that should be there: a,b,c, or a file with a name on each line, or - for standard input")
	r.slow = seconds(time.Second)
	flags.Var(&r.slow, "slow", "with --all, answers that take longer are SLOW")
	flags.Var(&r.watch, "watch", "with --all, ask again so often, until it is interrupted")
	r.at.add(c)
}

// check refuses what has no meaning without --all.
func (r *rollFlags) check(flags *pflag.FlagSet) error {
	if r.all {
		return nil
	}
	for _, name := range []string{"server", "expect", "slow", "watch", "management"} {
		if flags.Changed(name) {
			return usagef("--%s has a meaning with --all only", name)
		}
	}
	return nil
}

// answered says whether a call's error came from a server.
func answered(err error) bool {
	var (
		remote   *rpc.RemoteError
		version  *rpc.VersionError
		noMethod *rpc.NoSuchMethodError
	)
	return errors.As(err, &remote) || errors.As(err, &noMethod) || errors.As(err, &version)
}
