package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/bench"
	"github.com/goslo/goslo/internal/chart"
	"github.com/goslo/goslo/internal/load"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/transport"
)

// benchServerFlags are those of bench server.
type benchServerFlags struct {
	servers       benchServers
	server        string
	notifications bool
	batchTimeout  seconds
	requeue       bool
	duration      seconds
	untilDone     bool
	child         bool
}

func (a *app) benchServer() *cobra.Command {
	var flags benchServerFlags
	c := &cobra.Command{
		Use:   "server TOPIC",
		Short: "Run servers for benches that other hosts run",
		Long: `Serve TOPIC for goslo bench call, cast, fanout and, with --notifications, notify, which then are given TOPIC. Calls are answered with
what they carry. What the servers spend is told to those who ask, by a call, and at the end on standard output.

Unless --exchange says otherwise, all of it goes by the exchange goslo-bench, where nobody else is; queues on RabbitMQ are
declared to go with their servers. Several processes can serve one TOPIC, with names of their own (--server).

While something arrives, a line a second says how much. Ctrl-C, --duration and --until-done end the servers.`,
		Example: `  goslo bench server lab --url rabbit://guest:guest@bus/
  goslo bench server lab --servers 8 --workers 4 --wait 5ms
  goslo bench server lab --notifications --batch 1000 --batch-timeout 5s
  goslo bench server lab --until-done --json                                # ends with the bench that uses it`,
		Args:              arguments(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			to, err := parsePlace(args[0], false)
			if err != nil {
				return err
			}
			switch {
			case flags.servers.count < 1:
				return usagef("--servers is %d; at least 1 is needed", flags.servers.count)
			case flags.servers.workers < 1:
				return usagef("--workers is %d; at least 1 is needed", flags.servers.workers)
			case flags.servers.batch < 0:
				return usagef("--batch is %d; it cannot be negative", flags.servers.batch)
			case !flags.notifications && (flags.servers.batch > 0 || flags.requeue):
				return usagef("--batch and --requeue are about notifications; add --notifications")
			case flags.batchTimeout > 0 && flags.servers.batch == 0:
				return usagef("--batch-timeout has a meaning with --batch only")
			case flags.requeue && flags.servers.batch > 0:
				return usagef("--requeue and --batch exclude each other: a batch is given back as a whole")
			}
			return a.runBenchServer(c.Context(), to.topic, &flags)
		},
	}
	f := c.Flags()
	f.StringVar(&flags.server, "server", hostname(), "the first server's name on the topic; others have a number added")
	f.IntVar(&flags.servers.count, "servers", 1, "how many servers, on one connection")
	f.IntVar(&flags.servers.workers, "workers", 64, "how many requests each server runs at a time")
	f.Var((*pausing)(&flags.servers.wait), "wait", "how long each request takes")
	f.Lookup("wait").DefValue = ""
	f.BoolVar(&flags.notifications, "notifications", false, "listen for notifications of the topic, too")
	f.IntVar(&flags.servers.batch, "batch", 0, "handle so many notifications together (default: one by one)")
	f.Lookup("batch").DefValue = ""
	f.Var(&flags.batchTimeout, "batch-timeout", "with --batch, how long the first of a batch waits for the others")
	f.Lookup("batch-timeout").DefValue = "1s"
	f.BoolVar(&flags.requeue, "requeue", false, "give each notification back once, the first time")
	f.Var(&flags.duration, "duration", "end after so long")
	f.Lookup("duration").DefValue = "until Ctrl-C"
	f.BoolVar(&flags.untilDone, "until-done", false, "end when all benches that have begun here are done")
	f.BoolVar(&flags.child, "child", false, "serve the process that started this one, until standard input ends")
	_ = f.MarkHidden("child") // it is there
	return c
}

func (a *app) runBenchServer(ctx context.Context, topic string, flags *benchServerFlags) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	bus, err := a.openBench(opening, "goslo-bench-server")
	if err != nil {
		return err
	}
	defer a.closeAll(ctx, log, nil, bus)
	c := flags.servers.config(topic, flags.server)
	c.Notifications, c.Requeue, c.Logger = flags.notifications, flags.requeue, log
	c.Batch.Timeout = time.Duration(flags.batchTimeout)
	c.Silent = scheme(a.bus.url) == "kafka"
	server, err := bench.NewServer(bus, c)
	if err != nil {
		return &usageError{cause: err}
	}
	if err := server.Listen(opening); err != nil {
		return &busError{cause: err}
	}
	if flags.duration > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(flags.duration))
		defer cancel()
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	err = a.accompany(ctx, server, bus, topic, flags)
	stop()
	if runErr := withoutDrain(<-ended); err == nil {
		err = runErr
	}
	return err
}

// accompany tells what servers do until they are to end.
func (a *app) accompany(ctx context.Context, server *bench.Server, bus transport.Transport, topic string, flags *benchServerFlags) error {
	if flags.child {
		if err := a.printLine(map[string][]string{"servers": server.Names()}); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, a.In)
		return err
	}
	w := serverWatch{app: a, server: server, bus: bus, started: time.Now(), used: load.Used(), traffic: load.ReadTraffic(bench.Hosting(bus))}
	if err := w.printServing(topic); err != nil {
		return err
	}
	done := server.Done()
	if !flags.untilDone {
		done = nil
	}
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	for {
		select {
		case <-seconds.C:
			if err := w.printSecond(); err != nil {
				return err
			}
		case <-ctx.Done():
			return w.printEnd()
		case <-done:
			waitFor(ctx, time.Second) // for those that begin right now
			return w.printEnd()
		}
	}
}

// A serverWatch tells what servers do.
type serverWatch struct {
	*app
	server  *bench.Server
	bus     transport.Transport
	started time.Time
	used    load.Usage
	traffic load.Traffic

	told int64 // requests
	last time.Time
}

func (w *serverWatch) printServing(topic string) error {
	w.last = time.Now()
	if w.json {
		return w.printLine(map[string]any{"event": "serving", "topic": topic, "servers": w.server.Names(), "pid": os.Getpid(), "bus": w.app.bus.String()})
	}
	names := w.server.Names()
	_, err := fmt.Fprintf(w.Out, "serving %s as %s, the first being %s, in process %d\n  bus  %s\nCtrl-C stops\n",
		topic, amount(len(names), "server"), names[0], os.Getpid(), w.app.bus)
	return err
}

// printSecond says how much has arrived since the last time, if anything has.
func (w *serverWatch) printSecond() error {
	now, total := time.Now(), w.server.Total()
	rate := float64(total-w.told) / now.Sub(w.last).Seconds()
	arrived := total > w.told
	w.told, w.last = total, now
	if !arrived {
		return nil
	}
	used := load.Used()
	if w.json {
		return w.printLine(map[string]any{"event": "second", "time": now.Format(time.RFC3339Nano), "received": total, "rate": rate, "rss_bytes": used.RSS})
	}
	_, err := fmt.Fprintf(w.Out, "%s  %s/s  %s in all, %s of memory\n", now.Format(clock), chart.Number(rate), chart.Number(float64(total)), memory(used.RSS))
	return err
}

// benchServed is the end of bench server.
type benchServed struct {
	Event     string    `json:"event"`
	Received  int64     `json:"received"`
	ElapsedMS float64   `json:"elapsed_ms"`
	Spent     benchSide `json:"spent"`
}

func (w *serverWatch) printEnd() error {
	side := bench.Side{Usage: load.Used().Since(w.used), Hosting: bench.Hosting(w.bus), PIDs: []int{os.Getpid()}}
	side.Carried, side.Untold = load.ReadTraffic(side.Hosting).Since(w.traffic)
	took, total := time.Since(w.started), w.server.Total()
	if w.json {
		return w.printLine(benchServed{"stopped", total, milliseconds(took), sideJSON(side, total)})
	}
	t := newTable("RECEIVED", "CPU", "PER MESSAGE", "MEMORY", "SENT", "RECEIVED")
	sent, got := "not known", "not known"
	if side.Untold == nil {
		sent, got = size(operator.Count(side.Carried.Sent)), size(operator.Count(side.Carried.Received))
	}
	t.row(chart.Number(float64(total)), cpu(side.Usage.CPU), cpuEach(side.Usage.CPU, total), memory(side.Usage.Peak), sent, got)
	_, err := fmt.Fprintf(w.Out, "stopped after %s\n%s", shown(took), t.text(w.screen()))
	return err
}
