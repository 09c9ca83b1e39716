package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/bench"
	"github.com/goslo/goslo/internal/chart"
	"github.com/goslo/goslo/internal/load"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// benchExchange is where benches are by themselves.
const benchExchange = "goslo-bench"

// Where servers of a bench run.
const (
	inChild   = "child"      // a process of their own on this machine
	inProcess = "in-process" // the callers' process
	elsewhere = "elsewhere"  // started by somebody else
)

// A benchRun is one of the commands that make load, from its beginning to its end.
type benchRun struct {
	*app
	flags    *benchFlags
	config   bench.Config
	to       place // of servers that run already; no topic = they have to be started
	expected int   // servers; 0 = those that answer

	bus    transport.Transport
	client *rpc.Client
	where  string
	names  []string      // of the servers; nil = not known
	next   time.Duration // of the run, when progress is told again
}

// openBench connects to the chosen bus, as a program that leaves nothing on it.
func (a *app) openBench(ctx context.Context, program string) (transport.Transport, error) {
	var err error
	if a.bus, err = a.choose(); err != nil {
		return nil, err
	}
	url, err := temporary(a.bus)
	if err != nil {
		return nil, err
	}
	log, err := a.logger()
	if err != nil {
		return nil, err
	}
	exchange := cmp.Or(a.exchange, benchExchange)
	bus, err := goslo.Config{URL: url, Program: program, Options: a.bus.options, Exchange: exchange, Logger: log}.Open(ctx)
	if err != nil {
		return nil, &busError{cause: err}
	}
	return bus, nil
}

func (b *benchRun) run(ctx context.Context) (err error) {
	log, err := b.logger()
	if err != nil {
		return err
	}
	var svg *os.File
	if b.flags.svg != "" { // so that a run is not in vain
		if svg, err = os.Create(b.flags.svg); err != nil {
			return usagef("--svg: %w", err)
		}
		defer func() { err = errors.Join(err, svg.Close()) }()
	}
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if b.config.Request != nil {
		if b.bus, err = b.open(opening, "goslo-bench"); err != nil {
			return &busError{cause: err}
		}
	} else if b.bus, err = b.openBench(opening, "goslo-bench"); err != nil {
		return err
	}
	b.config.Bus = b.bus
	b.client = rpc.NewClient(b.bus, rpc.ClientConfig{Timeout: b.flags.plan.Timeout, Logger: log})
	defer b.closeAll(ctx, log, b.client, b.bus)
	stop, err := b.findServers(ctx, opening)
	if err != nil {
		return err
	}
	defer func() {
		stopErr := stop()
		if stopErr != nil && err != nil { // the exit code is about what the callers saw
			b.progress("goslo: %s", stopErr)
			return
		}
		err = cmp.Or(err, stopErr)
	}()
	plan := b.flags.plan
	plan.Progress = b.told
	b.progress("goslo: %s", b.intro())
	r, err := b.config.Start(ctx, b.client, plan)
	if err != nil {
		return err
	}
	if err := b.print(r); err != nil {
		return err
	}
	if svg != nil {
		if err := b.draw(svg, r); err != nil {
			return err
		}
	}
	if b.flags.linger > 0 && ctx.Err() == nil {
		b.progress("goslo: the connections stay open for %s", b.flags.linger.String())
		waitFor(ctx, time.Duration(b.flags.linger))
	}
	return benchOutcome(ctx, r)
}

// waitFor waits, until ctx ends.
func waitFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// findServers finds those that run, or starts some. stop ends what was started.
func (b *benchRun) findServers(ctx, opening context.Context) (stop func() error, err error) {
	stop = func() error { return nil }
	switch {
	case b.config.Request != nil:
		b.where, b.config.Topic = elsewhere, b.to.topic
		if b.to.server != "" {
			b.config.Servers = []string{b.to.server}
		}
		return stop, nil
	case b.to.topic != "":
		b.where, b.config.Topic = elsewhere, b.to.topic
		if b.to.server != "" {
			b.names, b.config.Servers = []string{b.to.server}, []string{b.to.server}
		} else if b.names, err = bench.Find(opening, b.bus, b.client, b.to.topic, b.expected); err != nil {
			return stop, notBench(b.to.topic, err)
		}
	case b.alone():
		b.where = inProcess
		stop, err = b.serveHere(ctx, opening)
	default:
		b.where = inChild
		stop, err = b.serveChild(opening)
	}
	if err != nil {
		return stop, err
	}
	b.config.Receivers = 1
	if b.config.Kind == bench.Fanout {
		b.config.Receivers = len(b.names)
	}
	if b.flags.direct {
		b.config.Servers = b.names
	}
	if b.config.Report == nil {
		b.config.Report = bench.Ask(b.client, b.config.Topic, b.names)
	}
	return stop, nil
}

// notBench says what is missing, when it is that.
func notBench(topic string, err error) error {
	var none *rpc.NoServerError
	if errors.As(err, &none) {
		return fmt.Errorf("%s is not served by goslo bench server; to call a method of another service, use --method: %w", topic, err)
	}
	return err
}

// alone says whether servers have to run in this process: nobody else reaches its bus, or nobody could ask them.
func (b *benchRun) alone() bool {
	s := scheme(b.app.bus.url)
	return b.flags.servers.inProcess || s == "memory" || s == "fake" || s == "kafka"
}

func (b *benchRun) topic() string {
	return cmp.Or(b.flags.servers.topic, "goslo-bench-"+hostname())
}

// serveHere runs the servers in this process, on a connection of their own, where there are connections.
func (b *benchRun) serveHere(ctx, opening context.Context) (stop func() error, err error) {
	log, err := b.logger()
	if err != nil {
		return nil, err
	}
	b.config.Topic = b.topic()
	bus := b.bus
	s := scheme(b.app.bus.url)
	if s != "memory" && s != "fake" {
		if bus, err = b.openBench(opening, "goslo-bench-server"); err != nil {
			return func() error { return nil }, err
		}
	}
	closeBus := func() {
		if bus != b.bus {
			b.closeAll(ctx, log, nil, bus)
		}
	}
	c := b.flags.servers.config(b.config.Topic, hostname())
	c.Notifications, c.Silent, c.Logger = b.config.Kind == bench.Notify, s == "kafka", log
	server, err := bench.NewServer(bus, c)
	if err == nil {
		err = server.Listen(opening)
	}
	if err != nil {
		closeBus()
		return func() error { return nil }, &busError{cause: err}
	}
	b.names = server.Names()
	if c.Silent {
		b.config.Report = bench.Listening(server)
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- server.Run(serving) }()
	return func() error {
		cancel()
		err := <-ended
		closeBus()
		return withoutDrain(err)
	}, nil
}

// withoutDrain is an error, unless it is that servers were busy when they were told to end: with what the run has given up on.
func withoutDrain(err error) error {
	var drain *rpc.DrainError
	if errors.As(err, &drain) {
		return nil
	}
	return err
}

func (s *benchServers) config(topic, name string) bench.ServerConfig {
	c := bench.ServerConfig{Topic: topic, Name: name, Servers: s.count, Workers: s.workers, Wait: time.Duration(s.wait)}
	c.Batch.Size = s.batch
	return c
}

// serveChild runs the servers in a process of their own. It ends when its standard input does, so also when this process is killed.
func (b *benchRun) serveChild(opening context.Context) (stop func() error, err error) {
	nothing := func() error { return nil }
	program, err := os.Executable()
	if err != nil {
		return nothing, err
	}
	b.config.Topic = b.topic()
	child := exec.CommandContext(context.WithoutCancel(opening), program, b.childArgs()...) //nolint:gosec // it is this program
	child.Env = os.Environ()
	if b.app.bus.url != "" {
		child.Env = append(child.Env, "GOSLO_URL="+b.app.bus.url) // it may hold a password, which arguments would show to everybody
	}
	child.Stderr = b.Err
	ownGroup(child)
	in, err := child.StdinPipe()
	if err != nil {
		return nothing, err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return nothing, err
	}
	if err := child.Start(); err != nil {
		return nothing, err
	}
	stop = func() error {
		_ = in.Close() // it is the sign to end; a child that has ended needs none
		_, _ = io.Copy(io.Discard, out)
		if err := child.Wait(); err != nil {
			return fmt.Errorf("the process of the servers: %w", err)
		}
		return nil
	}
	defer context.AfterFunc(opening, func() { _ = child.Process.Kill() })()
	line, readErr := bufio.NewReader(out).ReadBytes('\n')
	var ready struct{ Servers []string }
	if readErr != nil || json.Unmarshal(line, &ready) != nil {
		err := stop()
		return nothing, &busError{cause: fmt.Errorf("start servers in a process of their own: %w", cmp.Or(opening.Err(), err, readErr))}
	}
	b.names = ready.Servers
	return stop, nil
}

// childArgs are the command line of servers for this run. What the environment says, they inherit.
func (b *benchRun) childArgs() []string {
	s := b.flags.servers
	args := []string{
		"bench", "server", b.config.Topic, "--child", "--log-level", b.logLevel,
		"--servers", strconv.Itoa(s.count), "--workers", strconv.Itoa(s.workers),
	}
	if b.exchange != "" {
		args = append(args, "--exchange", b.exchange)
	}
	for _, path := range b.configFiles {
		args = append(args, "--config-file", path)
	}
	if s.wait > 0 {
		args = append(args, "--wait", s.wait.String())
	}
	if b.config.Kind == bench.Notify {
		args = append(args, "--notifications")
	}
	if s.batch > 0 {
		args = append(args, "--batch", strconv.Itoa(s.batch))
	}
	if b.json {
		args = append(args, "--json")
	}
	return args
}

// intro says what is going to happen.
func (b *benchRun) intro() string {
	p := b.flags.plan
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s", b.loadText(), b.serversText())
	if p.Warmup > 0 {
		fmt.Fprintf(&text, "; %s to warm up first", p.Warmup)
	}
	return text.String()
}

// loadText says what the load is.
func (b *benchRun) loadText() string {
	p := b.flags.plan
	how := "closed loop"
	if p.Rate > 0 {
		how = fmt.Sprintf("%s %ss/s due", chart.Number(p.Rate), b.operation())
	}
	if p.Pause > 0 {
		how += ", pauses of " + p.Pause.String()
	}
	what := "method " + b.flags.method
	if b.config.Cargo != nil {
		what = size(operator.Count(b.config.Cargo.Mean()))
		if b.flags.sizes != "" {
			what += " on average (" + b.flags.sizes + ")"
		}
	}
	until := ""
	if p.Count > 0 {
		until += fmt.Sprintf(", %s %ss", chart.Number(float64(p.Count)), b.operation())
	}
	if p.Duration > 0 {
		until += ", " + p.Duration.String()
	}
	return fmt.Sprintf("%s, %s, %s and %s%s", amount(p.Callers, "caller"), how, what, amount(b.flags.keys, "context key"), until)
}

// serversText says where the servers are.
func (b *benchRun) serversText() string {
	n := amount(len(b.names), "server")
	switch {
	case b.names == nil:
		return "servers of " + b.to.String()
	case b.where == elsewhere:
		return fmt.Sprintf("%s of %s, started elsewhere", n, b.to)
	case b.where == inProcess:
		return n + " in this process, with the callers"
	}
	if len(b.names) == 1 {
		return n + " in a process of its own on this machine"
	}
	return n + " in a process of their own on this machine"
}

// operation is what is measured, in a word.
func (b *benchRun) operation() string { return benchWord(b.config.Kind) }

// benchWord is the name of one operation.
func benchWord(k bench.Kind) string {
	if k == bench.Notify {
		return "notification"
	}
	return string(k)
}

// told prints a sample, at the most once a second.
func (b *benchRun) told(s load.Sample) {
	if s.At < b.next {
		return
	}
	b.next = s.At + time.Second
	b.progress("goslo: %6s  %s %ss/s, p50 %s, p99 %s, %s failed", s.At.Round(100*time.Millisecond), chart.Number(s.Rate()), b.operation(),
		precise(s.P50), precise(s.P99), chart.Number(float64(s.Failed)))
}
