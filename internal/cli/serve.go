package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/rpc"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	server  string
	workers int
	drain   seconds
	after   bool
}

func (a *app) serve() *cobra.Command {
	flags := serveFlags{drain: seconds(time.Minute)}
	c := &cobra.Command{
		Use:   "serve TOPIC",
		Short: "Run a server to try things on",
		Long: `Serve TOPIC with methods that show what arrives, and print a line for each request. The methods:

` + methodsHelp + `
Ctrl-C, SIGTERM and stop() take no more requests and let those that run finish; a second signal ends at once.`,
		Example: `  goslo serve lab
  goslo serve lab --server host-1 --workers 2 --url rabbit://guest:guest@localhost:5672/
  goslo call lab/host-1 whoami
  goslo call lab fail '{"class": "InstanceNotFound", "module": "nova.exception", "message": "no vm-1"}'`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if flags.workers < 1 {
				return usagef("--workers is %d; at least 1 is needed", flags.workers)
			}
			return a.runServer(c.Context(), args[0], &flags)
		},
	}
	c.Flags().StringVar(&flags.server, "server", hostname(), "this server's name on the topic")
	c.Flags().IntVar(&flags.workers, "workers", 64, "how many requests run at a time; the others wait on the bus")
	c.Flags().Var(&flags.drain, "drain", "how long requests that run may take to finish at the end")
	c.Flags().BoolVar(&flags.after, "ack-after", false, "acknowledge requests after they ran: if the server dies, another runs them again (at least once)")
	return c
}

func (a *app) runServer(ctx context.Context, topic string, flags *serveFlags) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	start := time.Now()
	bus, err := a.open(opening, "goslo-serve")
	if err != nil {
		return &busError{cause: err}
	}
	defer a.closeAll(ctx, log, nil, bus)

	d := diagnostics{topic: topic, server: flags.server, stop: stop}
	requests := requestLog{app: a, log: log}
	server := rpc.NewServer(bus, rpc.ServerConfig{
		Target:       rpc.Target{Topic: topic},
		Server:       flags.server,
		Workers:      flags.workers,
		Drain:        time.Duration(flags.drain),
		AckAfter:     flags.after,
		Ping:         true,
		Interceptors: []rpc.Interceptor{requests.intercept},
		Logger:       log,
	}, d.endpoints()...)
	if err := server.Listen(opening); err != nil {
		return &busError{cause: err}
	}
	if err := a.printServing(topic, flags, since(start)); err != nil {
		return err
	}
	start = time.Now()
	if err := server.Run(ctx); err != nil {
		return err
	}
	if a.json {
		return a.printLine(map[string]any{"event": "stopped", "requests": requests.served.Load(), "after_ms": milliseconds(time.Since(start))})
	}
	_, err = fmt.Fprintf(a.Out, "stopped after %s; requests served: %d\n", since(start), requests.served.Load())
	return err
}

func (a *app) printServing(topic string, flags *serveFlags, took time.Duration) error {
	if a.json {
		return a.printLine(map[string]any{
			"event": "serving", "topic": topic, "server": flags.server, "workers": flags.workers, "bus": a.bus.String(),
		})
	}
	_, err := fmt.Fprintf(a.Out, `serving %s as server %s with %d workers
  bus  %s
%sready after %s; Ctrl-C stops

%s
`, topic, flags.server, flags.workers, a.bus, methodsHelp, took, requestHeader)
	return err
}

// A requestLog prints one line for each request served. Lines do not mix, whoever writes them.
type requestLog struct {
	app    *app
	log    *slog.Logger
	served atomic.Int64

	mu sync.Mutex // held over one write, so that lines stay whole
}

// served is one request in JSON.
type served struct {
	Event      string  `json:"event"`
	Time       string  `json:"time"`
	Mode       string  `json:"mode"`
	Namespace  string  `json:"namespace,omitempty"`
	Version    string  `json:"version,omitempty"`
	Method     string  `json:"method"`
	DurationMS float64 `json:"duration_ms"`
	RequestID  string  `json:"request_id,omitempty"`
	Error      string  `json:"error,omitempty"`
}

const (
	requestFormat = "%-12s  %-6s  %-24s  %10s  %-40s  %s"
	clock         = "15:04:05.000"
)

var requestHeader = fmt.Sprintf(requestFormat, "TIME", "MODE", "METHOD", "DURATION", "REQUEST", "OUTCOME")

func (l *requestLog) intercept(next rpc.Func) rpc.Func {
	return func(ctx context.Context, r *rpc.Request) (json.RawMessage, error) {
		start := time.Now()
		l.log.Debug("request taken", "mode", r.Mode.String(), "method", r.Method, "request_id", rpc.ContextFrom(ctx).RequestID())
		result, err := next(ctx, r)
		l.print(ctx, r, start, err)
		return result, err
	}
}

func (l *requestLog) print(ctx context.Context, r *rpc.Request, start time.Time, err error) {
	took := time.Since(start)
	s := served{
		Event: "request", Time: start.Format(time.RFC3339Nano), Mode: r.Mode.String(), Namespace: r.Target.Namespace,
		Version: r.Target.Version, Method: r.Method, DurationMS: milliseconds(took), RequestID: rpc.ContextFrom(ctx).RequestID(),
	}
	if err != nil {
		s.Error = err.Error()
	}
	l.served.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.app.json {
		// A reader that is gone is no reason to stop serving.
		_ = l.app.printLine(s)
		return
	}
	method := r.Method
	if r.Target.Namespace != "" {
		method = r.Target.Namespace + "." + method
	}
	outcome := "ok"
	if err != nil {
		outcome = strings.ReplaceAll(err.Error(), "\n", " ")
	}
	fmt.Fprintf(l.app.Out, requestFormat+"\n", start.Format(clock), s.Mode, method, shown(took), orDash(s.RequestID), outcome)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
