package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goslo/goslo/internal/bench"
	"github.com/goslo/goslo/internal/load"
	"github.com/goslo/goslo/rpc"
)

// benchFlags are those of the commands that make load.
type benchFlags struct {
	plan    load.Plan
	size    int
	sizes   string // a file of them
	keys    int
	svg     string
	linger  seconds
	direct  bool
	servers benchServers
	request requestFlags
	method  string
	args    string
}

// benchServers are the flags about servers that the commands start themselves.
type benchServers struct {
	count     int
	workers   int
	wait      seconds
	inProcess bool
	topic     string
	batch     int
}

const benchHelp = `Where the servers run: without TOPIC the command starts them itself, in a process of their own on this machine, which ends with it;
on a bus inside this process (memory://), and on Kafka, in this process. With TOPIC it uses those that goslo bench server
serves there, on whichever hosts.

How the load is made: without --rate each of --callers starts its next %[1]s when the last has ended (a closed loop), which finds
out how much the bus can do. A bus that stalls looks good then: it holds few %[1]ss up, since the callers wait with it. With
--rate %[1]ss are due at fixed times, and the latency of each counts from when it was due, also if no caller was free: so a
stall shows in the latency of all that were due meanwhile. (Not to count those is known as coordinated omission.)

What is told, on standard output: %[1]ss a second, errors by kind, latency percentiles and their histogram, and of both sides CPU
time, memory and the bytes that their TCP connections carried, by the kernel's counters (on Linux; what is not known is said
to be so). Servers tell theirs over the bus. Progress is on standard error. Ctrl-C ends early, with what was measured so far.

Unless --exchange says otherwise, all of it goes by the exchange goslo-bench, where nobody else is; queues on RabbitMQ are
declared to go with their servers. --size is that of the text in each message, which has a request context of --context-keys besides.
%[2]s
Exit code 6 says that some %[1]ss failed, or that servers did not receive all of them, 130 that the run was interrupted; the result was
printed. When all failed, it is the code of the first failure.`

// benches are the commands that make load.
var benches = []struct {
	kind           bench.Kind
	use, short     string
	more, examples string
}{
	{
		bench.Call, "call [TOPIC[/SERVER]]", "Measure calls that are answered with what they carry", `
--method sends calls of a method of your own service instead, with --args, to TOPIC, on the exchange that its requests go by; what its servers spend is
not known then.
`,
		`  goslo bench call
  goslo bench call --callers 64 --size 4096 --duration 30s --svg calls.svg
  goslo bench call --rate 1000 --callers 256                            # open loop: stalls show
  goslo bench call --url nats://localhost --servers 4 --workers 8 --wait 5ms
  goslo bench call lab --url rabbit://guest:guest@bus/                  # with goslo bench server lab on other hosts
  goslo bench call conductor --method ping --namespace baseapi --args '{"arg": 1}' -c /etc/nova/nova.conf`,
	},
	{
		bench.Cast, "cast [TOPIC[/SERVER]]", "Measure casts, until the bus has them and until servers do", `
The latency is until the bus has a cast; the delay, which servers tell, until one of them has it, by the clocks of both.
`,
		`  goslo bench cast --callers 64
  goslo bench cast --count 100000 --sizes messages_length.yaml`,
	},
	{
		bench.Fanout, "fanout [TOPIC]", "Measure fanouts to every server of a topic", `
The latency is until the bus has a fanout; the delay, which servers tell, until each of them has it, by the clocks of both.
`,
		`  goslo bench fanout --servers 100 --rate 50
  goslo bench fanout lab --servers 8            # of goslo bench server lab, somewhere else`,
	},
	{
		bench.Notify, "notify [TOPIC]", "Measure notifications, until the bus has them and until listeners do", `
The latency is until the bus has confirmed a notification; the delay, which listeners tell, until one of them has it, by the clocks
of both. On NATS and Kafka the streams and topics of what was told stay, empty or not.
`,
		`  goslo bench notify --callers 64 --size 2000
  goslo bench notify --batch 100 --rate 5000
  goslo bench notify lab                        # with goslo bench server lab --notifications, somewhere else`,
	},
}

func (a *app) bench() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast a bus is",
		Long: `Measure calls, casts, fanouts and notifications on any bus that goslo opens: how many a second, how long they take, and what that
costs callers and servers. docs/bench.md says how to read the results.`,
		Example: `  goslo bench call
  goslo bench call --url rabbit://guest:guest@localhost/ --callers 64 --rate 2000 --svg calls.svg
  goslo bench server lab            # on another host, for goslo bench call lab`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, b := range benches {
		flags := benchFlags{}
		command := &cobra.Command{
			Use:     b.use,
			Short:   b.short,
			Long:    b.short + ".\n\n" + fmt.Sprintf(benchHelp, benchWord(b.kind), b.more),
			Example: b.examples,
			Args:    arguments(0, 1),
			RunE: func(c *cobra.Command, args []string) error {
				return a.runBench(c, b.kind, &flags, args)
			},
			ValidArgsFunction: cobra.NoFileCompletions,
		}
		flags.add(command, b.kind)
		c.AddCommand(command)
	}
	c.AddCommand(a.benchServer())
	return c
}

func (f *benchFlags) add(c *cobra.Command, kind bench.Kind) {
	flags, what := c.Flags(), benchWord(kind)+"s"
	flags.IntVar(&f.plan.Callers, "callers", 16, "how many "+what+" run at a time, at the most")
	flags.Float64Var(&f.plan.Rate, "rate", 0, "so many "+what+" a second, due at fixed times (default: a closed loop)")
	flags.Lookup("rate").DefValue = ""
	f.plan.Duration, f.plan.Warmup, f.plan.Timeout = 10*time.Second, time.Second, 10*time.Second
	flags.Var((*seconds)(&f.plan.Duration), "duration", "how long to measure")
	flags.Int64Var(&f.plan.Count, "count", 0, "end after so many "+what+"; without --duration, only then")
	flags.Lookup("count").DefValue = ""
	flags.Var((*pausing)(&f.plan.Warmup), "warmup", "load before anything is measured; 0 = none")
	flags.Var((*seconds)(&f.plan.Timeout), "timeout", "how long each may take")
	flags.Var((*pausing)(&f.plan.Pause), "pause", "how long each caller waits between two "+what)
	flags.Lookup("pause").DefValue = ""
	flags.Var(&f.linger, "linger", "keep the connections open so long afterwards")
	flags.Lookup("linger").DefValue = ""
	flags.IntVar(&f.size, "size", 200, "bytes of text that each carries")
	flags.StringVar(&f.sizes, "sizes", "", "a file of sizes to draw from, whole numbers; such as upstream's messages_length.yaml")
	flags.IntVar(&f.keys, "context-keys", 10, "how many keys the request context has")
	flags.StringVar(&f.svg, "svg", "", "also draw the result into this file")
	flags.IntVar(&f.servers.count, "servers", 1, "how many servers; with TOPIC, how many are expected (default there: those that answer)")
	flags.StringVar(&f.servers.topic, "own-topic", "", "the topic of servers that the command starts (default: goslo-bench-HOST)")
	flags.IntVar(&f.servers.workers, "workers", 64, "how many requests each server that the command starts runs at a time")
	flags.Var((*pausing)(&f.servers.wait), "wait", "how long servers that the command starts take for each")
	flags.Lookup("wait").DefValue = ""
	flags.BoolVar(&f.servers.inProcess, "in-process", false, "start the servers in this process")
	_ = c.MarkFlagFilename("svg", "svg")
	_ = c.MarkFlagFilename("sizes")
	if kind == bench.Call || kind == bench.Cast {
		flags.BoolVar(&f.direct, "direct", false, "send to servers by their names, caller by caller in turn (default: the bus chooses)")
	}
	if kind == bench.Notify {
		flags.IntVar(&f.servers.batch, "batch", 0, "listeners handle so many together (default: one by one)")
		flags.Lookup("batch").DefValue = ""
	}
	if kind == bench.Call {
		f.addMethod(flags)
	}
}

func (f *benchFlags) addMethod(flags *pflag.FlagSet) {
	flags.StringVar(&f.method, "method", "", "call this method of TOPIC's own service")
	flags.StringVar(&f.args, "args", "{}", "with --method, its arguments: a JSON object, @file, or - for standard input")
	flags.StringVar(&f.request.namespace, "namespace", "", "with --method, the endpoint's namespace")
	flags.StringVar(&f.request.version, "version", "", "with --method, the version asked for")
}

// pausing is a duration that may be 0.
type pausing time.Duration

func (p *pausing) String() string { return time.Duration(*p).String() }

// Type is shown in the help.
func (p *pausing) Type() string { return "duration" }

// Set reads what seconds reads, and 0.
func (p *pausing) Set(text string) error {
	if text == "0" {
		*p = 0
		return nil
	}
	return (*seconds)(p).Set(text)
}

// check refuses what cannot be carried out, and reads what flags name.
func (f *benchFlags) check(a *app, c *cobra.Command, kind bench.Kind, to place) (bench.Config, error) {
	changed := c.Flags().Changed
	config := bench.Config{Kind: kind}
	for name, n := range map[string]int{"callers": f.plan.Callers, "servers": f.servers.count, "workers": f.servers.workers} {
		if n < 1 {
			return config, usagef("--%s is %d; at least 1 is needed", name, n)
		}
	}
	switch {
	case changed("rate") && !(f.plan.Rate > 0 && f.plan.Rate <= load.MostRate):
		return config, usagef("--rate is %g; a rate is above zero and at most %g, and a closed loop has none", f.plan.Rate, load.MostRate)
	case f.plan.Rate > 0 && f.plan.Pause > 0:
		return config, usagef("--pause and --rate exclude each other: at a rate, callers do not choose when they start")
	case f.plan.Count < 0 || f.plan.Count == 0 && changed("count"):
		return config, usagef("--count is %d; at least 1 is needed", f.plan.Count)
	case f.keys < 0:
		return config, usagef("--context-keys is %d; it cannot be negative", f.keys)
	case changed("size") && f.sizes != "":
		return config, usagef("--size and --sizes exclude each other")
	case f.servers.batch < 0:
		return config, usagef("--batch is %d; it cannot be negative", f.servers.batch)
	case f.method != "" && to.topic == "":
		return config, usagef("--method needs the TOPIC that has it")
	case f.direct && to.server != "":
		return config, usagef("--direct and a server's name exclude each other")
	}
	for _, name := range []string{"workers", "wait", "in-process", "own-topic", "batch"} {
		if to.topic != "" && changed(name) {
			return config, usagef("--%s is of servers that the command starts itself, and those of %s run already", name, to)
		}
	}
	for _, name := range []string{"args", "namespace", "version"} {
		if f.method == "" && changed(name) {
			return config, usagef("--%s has a meaning with --method only", name)
		}
	}
	for _, name := range []string{"size", "sizes", "direct", "servers"} {
		if f.method != "" && changed(name) {
			return config, usagef("--%s has no meaning with --method", name)
		}
	}
	if f.plan.Count > 0 && !changed("duration") {
		f.plan.Duration = 0
	}
	return config, f.read(a, &config)
}

// read reads what is sent.
func (f *benchFlags) read(a *app, config *bench.Config) (err error) {
	if config.Context, err = bench.Context(f.keys); err != nil {
		return err
	}
	if f.method != "" {
		args, err := a.object("--args", f.args)
		if err != nil {
			return err
		}
		config.Request = &bench.Request{Target: rpc.Target{Namespace: f.request.namespace, Version: f.request.version}, Method: f.method, Args: args}
		return nil
	}
	sizes := []int{f.size}
	if f.sizes != "" {
		file, err := os.Open(f.sizes)
		if err != nil {
			return usagef("--sizes: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		if sizes, err = bench.ReadSizes(file); err != nil {
			return usagef("--sizes %s: %w", f.sizes, err)
		}
	}
	if config.Cargo, err = bench.NewCargo(sizes...); err != nil {
		return usagef("--size: %w", err)
	}
	return nil
}

// runBench does what a bench command does.
func (a *app) runBench(c *cobra.Command, kind bench.Kind, flags *benchFlags, args []string) error {
	var to place
	if len(args) > 0 {
		var err error
		if to, err = parsePlace(args[0], kind == bench.Call || kind == bench.Cast); err != nil {
			return err
		}
	}
	config, err := flags.check(a, c, kind, to)
	if err != nil {
		return err
	}
	b := benchRun{app: a, flags: flags, config: config, to: to, expected: flags.servers.count, next: time.Second}
	if to.topic != "" && !c.Flags().Changed("servers") {
		b.expected = 0
	}
	return b.run(c.Context())
}

// benchOutcome is what the exit code says of a run whose result was printed.
func benchOutcome(ctx context.Context, r *bench.Run) error {
	switch {
	case r.Interrupted && ctx.Err() != nil:
		return errCutShort
	case r.Operations == 0 && r.Failed > 0:
		return r.Errors[0].Example
	case r.Failed > 0, r.Received >= 0 && r.Received < r.Expected, r.Lost != nil:
		return errFound
	}
	return nil
}
