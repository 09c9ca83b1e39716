package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/tap"
	"github.com/goslo/goslo/internal/tap/export"
)

// traceFlags say what is followed, and where to.
type traceFlags struct {
	listenTo
	method string
	otlp   string
}

const (
	// traceFor is how long a request is waited for unless the flags say.
	traceFor = time.Minute
	// quiet is how long nothing is heard of a request whose parts are all over, until that counts as its end.
	quiet = 2 * time.Second
)

func (a *app) trace() *cobra.Command {
	var flags traceFlags
	c := &cobra.Command{
		Use:   "trace [REQUEST-ID]",
		Short: "Follow one request through services on a RabbitMQ bus, none of which need know of it",
		Long: `Follow one request: what services sent to each other under its request id, req-..., or its global one, as a tree: who called whom, how
long it waited in its queue, how long the server had it, how long the reply took, and what failed. It is waited for until --firehose
or --for is over (60s), and with the firehose until all of it is, and ` + quiet.String() + ` are quiet. With --method instead of an id, the next request for that
method is followed. Where nothing of it passed by, the exit code is 4.

A child is what the process that had a request sent under the same id before it answered. What a process does with a cast is never
told on the bus: it has no run time, and what its process sends later counts as its child. "run" begins when the broker hands a request
to a process, and includes its wait for a worker there.

Without --firehose only the requests are seen: no tree, no times, and who sent them only of calls.

` + tapHelp + `

--otlp sends the tree to an OpenTelemetry collector, over HTTP, as spans of the trace whose id is that of the request.

` + managementHelp,
		Example: `  goslo trace req-11111111-2222-3333-4444-555555555555 --firehose 60s -c /etc/nova/nova.conf
  goslo trace --method build_instances --firehose 60s --management http://admin:secret@ctl-1:15672
  goslo trace req-11111111-2222-3333-4444-555555555555 --firehose 60s --otlp http://localhost:4318`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 0) == (flags.method == "") {
				return usagef("give either a request id or --method")
			}
			if len(args) == 0 {
				args = []string{""}
			}
			return a.runTrace(c.Context(), flags, args[0])
		},
	}
	flags.add(c)
	c.Flags().StringVar(&flags.method, "method", "", "follow the next request for this method, as build_*")
	c.Flags().StringVar(&flags.otlp, "otlp", "", "send the spans to this collector: http://host:4318")
	return c
}

// A followed request is the result of goslo trace.
type followed struct {
	RequestID string   `json:"request_id"`
	Complete  bool     `json:"complete"` // all that was seen of it is over
	TookMS    float64  `json:"took_ms"`  // from the first message to the last
	Requests  []branch `json:"requests"`
	Unseen    []string `json:"unseen,omitempty"`
	TraceID   string   `json:"trace_id,omitempty"` // where it was sent to a collector
}

// A branch is a request with those that were sent while it was handled.
type branch struct {
	tailed
	Children []branch `json:"children,omitempty"`
}

// A notSeenError is a request of which nothing passed by.
type notSeenError struct{ what string }

func (e *notSeenError) Error() string {
	return "nothing of " + e.what + " passed by while this listened"
}

func (a *app) runTrace(ctx context.Context, flags traceFlags, id string) error {
	what := "request " + id
	if flags.method != "" {
		what = "a request for method " + flags.method
	}
	if _, err := path.Match(flags.method, ""); err != nil {
		return usagef("--method %q is no pattern: %w", flags.method, err)
	}
	if flags.otlp != "" {
		var err error
		if flags.otlp, err = export.Endpoint(flags.otlp); err != nil {
			return &usageError{cause: err}
		}
		if flags.firehose == 0 {
			return usagef("--otlp needs --firehose D: spans have times, which only the firehose shows")
		}
	}
	if flags.limit == 0 && flags.firehose == 0 {
		flags.limit = seconds(traceFor)
	}
	f := follower{id: id, method: flags.method}
	var e *ear
	err := a.tapInto(ctx, flags.listenTo, nil, func(ctx context.Context, opened *ear) error {
		e = opened
		a.note("waiting for " + what)
		return f.follow(ctx, e)
	})
	if err != nil {
		return err
	}
	spans := f.spans()
	if len(spans) == 0 {
		return &notSeenError{what}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer cancel()
	_ = e.people.Load(ctx) // without it, fewer names are known
	return a.showTrace(ctx, e, flags, f.id, spans)
}

func (a *app) showTrace(ctx context.Context, e *ear, flags traceFlags, id string, spans []*tap.Span) error {
	now := time.Now()
	trees := tap.Tree(spans, e.people.Same)
	result := followed{RequestID: id, Complete: e.traced, Unseen: e.unseen}
	if !e.traced {
		result.Unseen = append(result.Unseen, "who took the requests, replies, failures and times: --firehose 60s shows them")
	}
	last := spans[0].Time
	for _, s := range spans {
		result.Complete = result.Complete && s.Done()
		if end := s.Time.Add(s.Took(now)); e.traced && end.After(last) || s.Time.After(last) {
			last = end
		}
	}
	result.TookMS = milliseconds(last.Sub(spans[0].Time))
	p := printer{app: a, ear: e}
	for _, n := range trees {
		result.Requests = append(result.Requests, p.branch(ctx, n, now))
	}
	var sent error
	if flags.otlp != "" {
		var n int
		n, result.TraceID, sent = export.Trees(ctx, flags.otlp, id, trees, func(c string) operator.Owner { return e.people.Connection(ctx, c) }, now)
		if sent == nil {
			a.note(fmt.Sprintf("%d spans of trace %s were sent to %s", n, result.TraceID, flags.otlp))
		}
	}
	if a.json {
		return errors.Join(a.printLine(result), sent)
	}
	if !e.traced {
		a.printUnseen(result.Unseen[len(e.unseen):])
	}
	return errors.Join(result.print(a), sent)
}

// A follower gathers what belongs to one request.
type follower struct {
	id, method string // id is found out where only the method is known
	collector  tap.Collector
	requests   []*tap.Span
}

func (f *follower) wants(r tap.Request) bool {
	if f.id == "" {
		if ok, _ := path.Match(f.method, r.Method.Name); !ok || r.Origin.RequestID == "" {
			return false
		}
		f.id = r.Origin.RequestID
	}
	return r.Origin.RequestID == f.id || r.Origin.GlobalID == f.id
}

func (f *follower) spans() []*tap.Span { return append(f.collector.Spans(), f.requests...) }

// follow listens until the request is over, or ctx is.
func (f *follower) follow(ctx context.Context, e *ear) error {
	f.collector.Want, f.collector.Split = f.wants, e.split
	for heard := time.Now(); ; {
		if !e.traced {
			m, heard, err := e.next(ctx, time.Minute)
			if err != nil {
				return err
			}
			if r, ok := e.tap.Request(m); heard && ok && f.wants(r) {
				f.requests = append(f.requests, &tap.Span{Request: r, Sent: 1})
				e.people.Reader(ctx, r.IDs.ReplyTo) // while it is there
			}
			continue
		}
		event, err := e.event(ctx, pause)
		if err != nil {
			return err
		}
		if event.Message != nil {
			if s := f.collector.Add(event); s != nil {
				heard = time.Now()
				e.people.Learn(s)
				e.people.Connection(ctx, event.Connection) // while it is there
			}
		}
		if time.Since(heard) >= quiet && f.over() {
			return nil
		}
	}
}

func (f *follower) over() bool {
	spans := f.collector.Spans()
	for _, s := range spans {
		if !s.Done() {
			return false
		}
	}
	return len(spans) > 0
}

// branch is n as it is shown.
func (p *printer) branch(ctx context.Context, n *tap.Node, now time.Time) branch {
	b := branch{tailed: p.request(ctx, n.Request)}
	if p.ear.traced {
		if who := p.ear.people.Connection(ctx, n.Caller); who.Connection != "" {
			b.Caller = who.String()
		}
		b.Outcome = p.ear.outcomeOf(ctx, n.Span, now)
	}
	for _, c := range n.Children {
		b.Children = append(b.Children, p.branch(ctx, c, now))
	}
	return b
}

// print writes the tree, a request on a line.
func (f followed) print(a *app) error {
	count := 0
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	var walk func(b branch, depth int)
	walk = func(b branch, depth int) {
		count++
		who := b.Caller
		if who == "" {
			who = "-"
		}
		line := []string{
			strings.Repeat("  ", depth) + who, string(b.Kind), tap.Target(b.Target).String(), tap.Method{Namespace: b.Namespace, Name: b.Method}.String(),
		}
		if b.Outcome != nil {
			line = append(line, b.Outcome.parts()...)
		}
		for i, cell := range line {
			line[i] = plain(cell)
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
		for _, c := range b.Children {
			walk(c, depth+1)
		}
	}
	head := "CALLER\tKIND\tTARGET\tMETHOD"
	if len(f.Requests) > 0 && f.Requests[0].Outcome != nil {
		head += "\tQUEUE\tRUN\tREPLY\tOUTCOME\tBY"
	}
	fmt.Fprintln(w, head)
	for _, b := range f.Requests {
		walk(b, 0)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	state := ""
	if len(f.Requests) > 0 && f.Requests[0].Outcome != nil {
		state = ", " + span(f.TookMS)
		if !f.Complete {
			state += ", not over"
		}
	}
	plural := "s"
	if count == 1 {
		plural = ""
	}
	_, err := fmt.Fprintf(a.Out, "%s: %d request%s%s\n", plain(f.RequestID), count, plural, state)
	return err
}

// longWait is a wait in a queue that a tree points at.
const longWait = 1000.0 // ms

// parts are the columns of a tree.
func (o *outcome) parts() []string {
	ms := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return span(*v)
	}
	text := o.State
	switch {
	case o.State == stateAnswered:
		text = "ok"
	case o.Failure != "":
		text = "FAILED " + o.Failure
	case o.State == stateNobody:
		text = "NOBODY: no queue was there for it"
	}
	if o.Late {
		text += ", LATE: the caller had given up"
	}
	if o.QueueMS != nil && *o.QueueMS >= longWait {
		text += "  <-- waited in its queue"
	}
	who := strings.Join(o.Servers, ", ")
	if who == "" {
		who = "-"
	}
	return []string{ms(o.QueueMS), ms(o.RunMS), ms(o.ReturnMS), text, who}
}
