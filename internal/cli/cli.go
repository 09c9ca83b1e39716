// Package cli is the goslo command line, over the public packages.
//
// It owns flags, help, output and exit codes; what the commands do is done by packages goslo, rpc and notify, or, where it is about a
// project's source, by internal/flow; where it is about a broker as it stands, by internal/operator and what is built on it.
// Results go to standard output and everything else to standard error, so that a result can be piped. With
// --json each result is one JSON document on a line of standard output, and an error is one JSON object on
// a line of standard error.
//
// It starts goroutines in the demo, one for each service and one for HTTP, and one that says what takes long; it waits for them. In top there
// are three: one takes samples, one reads keys, one listens to the firehose; it waits for those too. One more
// reads the answer to a question on a terminal; interrupted, it is left to the end of the program, as nothing ends such a read.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo"
)

// Streams are the process's standard streams.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run carries out one command line, without the program's name, and returns the exit code. Environment
// variables come from lookup.
func Run(ctx context.Context, args []string, s Streams, lookup func(string) (string, bool)) int {
	a := &app{Streams: s, lookup: lookup}
	root := a.root() //nolint:contextcheck // the commands get it from ExecuteContextC
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	switch {
	case errors.Is(err, errFound):
		return codeFound // what it found is on standard output
	case errors.Is(err, errCutShort):
		return codeInterrupted
	}
	if !a.started {
		err = &usageError{cause: err}
		a.json = a.json || asksForJSON(args)
	}
	a.command = c.CommandPath()
	f := a.explain(ctx, err)
	a.printFailure(f)
	return f.Code
}

// asksForJSON reads the flag from a command line that was not understood, or not up to there.
func asksForJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// app is one run of the program: the global flags and the streams.
type app struct {
	Streams
	lookup func(env string) (string, bool)

	url         string
	configFiles []string
	exchange    string
	json        bool
	logLevel    string

	started bool          // the command line was understood
	command string        // as it was typed, less arguments
	options goslo.Options // of the files, once they were read
	bus     busChoice     // once it was made
}

const rootHelp = `goslo calls, serves and looks at services on a message bus, in oslo.messaging's wire format: RabbitMQ
shared with Python services, NATS, or a bus of its own that needs nothing installed.

The bus is --url, else $GOSLO_URL, else [DEFAULT] transport_url of --config-file, else embedded://. Of a configuration
file goslo also takes control_exchange, rpc_response_timeout where --timeout is not given, and the transport's group,
such as [oslo_messaging_rabbit]; options in the URL come first. With --config-file, variables named as
$OS_DEFAULT__TRANSPORT_URL and $OS_OSLO_MESSAGING_RABBIT__SSL win over the file, as they do for the service.

Exit codes, the same everywhere:
  0  done
  1  the remote method failed, the demo did not happen as it should, the source does not compile, or why does not know a line
  2  the command line is wrong
  3  nobody listens where the request, or a notification that is not kept, was sent
  4  no answer in time, from the server or from one that it asked in turn; not heard in time what was listened for
  5  the bus cannot be reached, or refuses
  6  the command looked, and found something bad: what, is in its result
  130  interrupted before the end`

const rootExample = `  goslo demo                                     a small cloud on the embedded bus, told as it happens
  goslo serve lab                                a server to try things on
  goslo call lab echo '{"arg": "hello"}'         in another terminal
  goslo call --config-file /etc/nova/nova.conf conductor ping '{"arg": 1}' --namespace baseapi
  goslo ping compute/cmp-1 --url rabbit://openstack:secret@ctl-1:5672/`

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:           "goslo",
		Short:         "RPC over a message bus, as in oslo.messaging",
		Long:          rootHelp,
		Example:       rootExample,
		Version:       buildVersion().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.started = true
			_, err := a.logger()
			return err
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	flags := c.PersistentFlags()
	flags.StringVar(&a.url, "url", "", "the bus: rabbit://user:password@host:5672/vhost, amqp://, nats://host:4222, embedded://, memory://")
	flags.StringArrayVarP(&a.configFiles, "config-file", "c", nil, "an oslo.config file that names the bus, such as /etc/nova/nova.conf, or a folder of *.conf; repeatable, later ones win")
	flags.StringVar(&a.exchange, "exchange", "", `the exchange of topics (default: control_exchange of --config-file, else "openstack")`)
	flags.BoolVar(&a.json, "json", false, "print results, and errors, as JSON")
	flags.StringVar(&a.logLevel, "log-level", "warn", "what to log on standard error: debug, info, warn, error or off")
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Try it:", []*cobra.Command{a.demo(), a.serve(), a.broker()}},
		{"Take part in the traffic of a bus:", []*cobra.Command{a.call(), a.cast(), a.fanout(), a.ping(), a.notify(), a.listen()}},
		{"See what is the matter with a RabbitMQ bus, and change nothing:", []*cobra.Command{
			a.doctor(), a.why(), a.ls(), a.describe(), a.who(), a.top(), a.tail(), a.trace(), a.plan(),
		}},
		{"Measure a bus:", []*cobra.Command{a.bench()}},
		{"Clear up queues:", []*cobra.Command{a.orphans(), a.drainQueue(), a.purge()}},
		{"Build and configure services:", []*cobra.Command{a.new(), a.flow(), a.config(), a.zmq()}},
	} {
		c.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, child := range g.commands {
			child.GroupID = g.title
		}
		c.AddCommand(g.commands...)
	}
	c.AddCommand(a.version(), a.guardFirehose())
	// The names and values are fixed, so that these cannot fail.
	_ = c.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(logLevels, cobra.ShellCompDirectiveNoFileComp))
	_ = c.MarkPersistentFlagFilename("config-file", "conf")
	refuseUnknown(c)
	return c
}

// refuseUnknown makes cobra's own commands fail on a name that they do not know, where they would print help and succeed.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, names []string) error {
				_, _, err := root.Find(names)
				return err
			}
		case "completion":
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
}

var logLevels = []string{"debug", "info", "warn", "error", "off"}

// logger writes to standard error what the packages below log.
func (a *app) logger() (*slog.Logger, error) {
	if a.logLevel == "off" {
		return slog.New(slog.DiscardHandler), nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, usagef("--log-level %q is not one of debug, info, warn, error and off", a.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	if a.json {
		return slog.New(slog.NewJSONHandler(a.Err, o)), nil
	}
	return slog.New(slog.NewTextHandler(a.Err, o)), nil
}

// arguments checks how many there are. Its error says how the command is called.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		var wrong string
		switch {
		case len(args) < least:
			wrong = "an argument is missing"
		case len(args) > most:
			wrong = fmt.Sprintf("%q is one argument too many", args[most])
		default:
			return nil
		}
		return fmt.Errorf("%s; usage: %s", wrong, strings.TrimSuffix(c.UseLine(), " [flags]"))
	}
}

// hostname is the machine's name, or "localhost" where it has none.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}
