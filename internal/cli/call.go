package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/rpc"
)

const jsonArgsHelp = `JSON-ARGS is one JSON object of named arguments ({} when left out); @file reads it from a file, - from
standard input. Numbers reach the server with all their digits.`

func (a *app) call() *cobra.Command {
	var flags requestFlags
	c := &cobra.Command{
		Use:   "call TOPIC[/SERVER] METHOD [JSON-ARGS]",
		Short: "Call a method and print its result",
		Long: `Call a method on one server of TOPIC, or on SERVER, wait for its result and print it as JSON: indented, or
with --json on one line.

` + jsonArgsHelp + `

When nobody listens the command ends at once with exit code 3; it does not wait for --timeout.`,
		Example: `  goslo call lab echo '{"arg": 12345678901234567890}'
  goslo call compute/cmp-1 get_diagnostics @args.json --version 6.0 --timeout 30s
  echo '{"seconds": 90}' | goslo call lab sleep - --timeout 2m --monitor 5s
  goslo call conductor ping '{"arg": 1}' --namespace baseapi --context '{"request_id": "req-1"}'`,
		Args: arguments(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			request, err := a.readRequest(&flags, args, true)
			if err != nil {
				return err
			}
			ctx, err := a.withContext(c.Context(), &flags)
			if err != nil {
				return err
			}
			if err := checkMonitor(flags.monitor); err != nil {
				return err
			}
			return a.withClient(ctx, time.Duration(flags.timeout), func(ctx context.Context, client *rpc.Client) error {
				client = request.to.client(client).Monitored(time.Duration(flags.monitor))
				result, err := request.method.Call(ctx, client, request.args)
				if err != nil {
					return err
				}
				return a.printJSON(result)
			})
		},
	}
	flags.add(c.Flags())
	flags.addMonitor(c.Flags())
	return c
}

func checkMonitor(period seconds) error {
	if period != 0 && time.Duration(period) < 2*time.Second {
		return usagef("--monitor %s is too short: servers show signs of life every half of it, in whole seconds; the least is 2s", period.String())
	}
	return nil
}

// printJSON prints a result as it arrived, digits included. What Python calls JSON and nobody else, such as NaN, is left as it is.
func (a *app) printJSON(raw json.RawMessage) error {
	var b bytes.Buffer
	format := func() error { return json.Indent(&b, raw, "", "  ") }
	if a.json {
		format = func() error { return json.Compact(&b, raw) }
	}
	if format() != nil {
		b.Reset()
		b.Write(raw)
	}
	b.WriteByte('\n')
	_, err := b.WriteTo(a.Out)
	return err
}

func (a *app) cast() *cobra.Command {
	var flags requestFlags
	c := &cobra.Command{
		Use:   "cast TOPIC[/SERVER] METHOD [JSON-ARGS]",
		Short: "Send a request and do not wait for an answer",
		Long: `Send a request to one server of TOPIC, or to SERVER, and return once the bus has it. What becomes of it
is in the server's log.

` + jsonArgsHelp,
		Example: `  goslo cast lab sleep '{"seconds": 5}'
  goslo cast lab/host-1 stop --namespace control --version 2.0`,
		Args: arguments(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			return a.send(c.Context(), &flags, args, true)
		},
	}
	flags.add(c.Flags())
	return c
}

func (a *app) fanout() *cobra.Command {
	var flags requestFlags
	c := &cobra.Command{
		Use:   "fanout TOPIC METHOD [JSON-ARGS]",
		Short: "Send a request to every server of a topic",
		Long: `Send a request to every server that listens on TOPIC now. None answers, and it is no error when there is
none.

` + jsonArgsHelp,
		Example: `  goslo fanout lab stop --namespace control --version 2.0`,
		Args:    arguments(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			return a.send(c.Context(), &flags, args, false)
		},
	}
	flags.add(c.Flags())
	return c
}

// sent is the result of cast and fanout.
type sent struct {
	Sent      string  `json:"sent"` // "cast" or "fanout"
	Method    string  `json:"method"`
	To        string  `json:"to"`
	RequestID string  `json:"request_id,omitempty"`
	ElapsedMS float64 `json:"elapsed_ms"`
}

func (a *app) send(ctx context.Context, flags *requestFlags, args []string, one bool) error {
	request, err := a.readRequest(flags, args, one)
	if err != nil {
		return err
	}
	if ctx, err = a.withContext(ctx, flags); err != nil {
		return err
	}
	return a.withClient(ctx, time.Duration(flags.timeout), func(ctx context.Context, client *rpc.Client) error {
		s := sent{Sent: "cast", Method: request.name, To: request.to.String(), RequestID: rpc.ContextFrom(ctx).RequestID()}
		client = request.to.client(client)
		if !one {
			s.Sent, client = "fanout", client.Fanout()
		}
		start := time.Now()
		if err := request.method.Cast(ctx, client, request.args); err != nil {
			return err
		}
		s.ElapsedMS = milliseconds(time.Since(start))
		if a.json {
			return a.printLine(s)
		}
		_, err := fmt.Fprintf(a.Out, "%s %s to %s: the bus has it after %s (%s)\n", s.Sent, s.Method, s.To, since(start), s.RequestID)
		return err
	})
}

// printLine prints a result as one JSON document on a line.
func (a *app) printLine(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Out, "%s\n", line)
	return err
}
