package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/goslo/goslo/internal/load"
	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A Kind is what operations are.
type Kind string

// What operations are.
const (
	Call   Kind = "call"
	Cast   Kind = "cast"
	Fanout Kind = "fanout"
	Notify Kind = "notify"
)

// A Config says what is sent, and to whom.
type Config struct {
	Kind  Kind
	Bus   transport.Transport
	Topic string
	// Servers are called by name, caller by caller in turn. Default: the bus chooses among those of the topic.
	Servers []string
	// Receivers is how many servers a message reaches: all of the topic with [Fanout], one with the others.
	Receivers int
	// Report asks the servers. Default: nobody is asked, and what they did is not known.
	Report Reporter
	// Cargo is what messages carry.
	Cargo *Cargo
	// Request is sent instead, as a call, a cast or a fanout: to servers of another kind.
	Request *Request
	// Context is the request context of every operation.
	Context rpc.RequestContext
	// Settle is how long after the last message that servers received they are asked again, while some are missing. Default: 2 s.
	// At the most half a second after a run that was interrupted.
	Settle time.Duration
}

// A Request is of a method of somebody else's.
type Request struct {
	Target rpc.Target
	Method string
	Args   json.RawMessage // an object
}

// A Run is what came of a run on both sides.
type Run struct {
	*load.Result
	Callers Side
	Servers *Side // nil = not known
	// Same says that servers and callers were one process, whose numbers are those of Callers.
	Same bool
	// Expected and Received are how many messages the servers were to receive, and have; -1 = not known.
	Expected, Received int64
	// Delay is in nanoseconds, of what servers have received: from when it was due, by the clocks of both machines. nil = not known.
	Delay *hdrhistogram.Histogram
	// Took is from the first operation's start until the last message was received; 0 = not known.
	Took time.Duration
	// Lost is why the servers' side is not known, though it was asked for; nil = it is, or was not.
	Lost error
}

// NewRun names a run.
func NewRun() string { return rand.Text() }

// Start runs a plan on a bus. The error is about the plan, or the servers' before the beginning. What else goes wrong is part of the result.
func (c Config) Start(ctx context.Context, client *rpc.Client, p load.Plan) (*Run, error) {
	run := NewRun()
	op, err := c.op(client, run, max(p.Callers, 1))
	if err != nil {
		return nil, err
	}
	var (
		before  []Report
		started time.Time
		used    load.Usage
		traffic load.Traffic
	)
	p.Class = Class
	p.Begin = func(ctx context.Context) error {
		if c.Report != nil {
			var err error
			if before, err = c.Report(ctx, run, false); err != nil {
				return err
			}
		}
		traffic = load.ReadTraffic(Hosting(c.Bus))
		used, started = load.Used(), time.Now()
		return nil
	}
	result, err := load.Run(rpc.WithContext(ctx, c.Context), p, op)
	if err != nil {
		return nil, err
	}
	r := &Run{Result: result, Expected: -1, Received: -1}
	r.Callers = Side{Usage: load.Used().Since(used), PIDs: []int{os.Getpid()}, Hosting: Hosting(c.Bus)}
	r.Callers.Carried, r.Callers.Untold = load.ReadTraffic(r.Callers.Hosting).Since(traffic)
	if c.Report != nil {
		c.settle(ctx, r, run, before, started)
	}
	return r, nil
}

// settle waits until servers have received everything, or no more comes, and takes their account.
func (c Config) settle(ctx context.Context, r *Run, run string, before []Report, started time.Time) {
	ctx = context.WithoutCancel(ctx) // the account of an interrupted run is wanted, too
	r.Expected = r.Operations * int64(max(c.Receivers, 1))
	after, err := c.await(ctx, r, run)
	if err != nil {
		r.Lost = err
		return
	}
	side := serversSide(before, after)
	r.Servers = &side
	r.Same = len(side.PIDs) == 1 && before[0].process() == here()
	r.Received = received(after)
	for _, report := range after {
		if report.Last > 0 {
			r.Took = max(r.Took, time.Unix(0, report.Last).Sub(started))
		}
	}
	r.Delay, r.Lost = delays(after)
}

// await asks servers until they have received everything, or nothing for a while, and tells them that the run is over.
func (c Config) await(ctx context.Context, r *Run, run string) ([]Report, error) {
	ask := func(done bool) ([]Report, error) {
		ctx, cancel := context.WithTimeout(ctx, reportTimeout)
		defer cancel()
		return c.Report(ctx, run, done)
	}
	settle := c.Settle
	if settle == 0 {
		settle = 2 * time.Second
	}
	if r.Interrupted { // whoever did that waits, but wants to know of what was on its way
		settle = min(settle, 500*time.Millisecond)
	}
	var last int64
	for since := time.Now(); ; {
		after, err := ask(false)
		if err != nil {
			return nil, err
		}
		n := received(after)
		if n != last {
			last, since = n, time.Now()
		}
		if n >= r.Expected || time.Since(since) > settle {
			_, err := ask(true)
			return after, err
		}
		timer := time.NewTimer(20 * time.Millisecond)
		<-timer.C
	}
}

// reportTimeout is how long servers have to answer.
const reportTimeout = 10 * time.Second

// here names this process as reports do.
func here() string {
	host, _ := os.Hostname()
	return Report{Host: host, PID: os.Getpid()}.process()
}

// op is the operation that the plan runs.
func (c Config) op(client *rpc.Client, run string, callers int) (load.Op, error) {
	to := client.On(c.Topic)
	if c.Kind == Fanout {
		to = to.Fanout()
	}
	clients := []*rpc.Client{to}
	if len(c.Servers) > 0 && c.Kind != Fanout {
		clients = make([]*rpc.Client, len(c.Servers))
		for i, name := range c.Servers {
			clients[i] = to.To(name)
		}
	}
	if c.Request != nil {
		return c.request(clients)
	}
	if c.Cargo == nil {
		return nil, errors.New("bench: messages have nothing to carry")
	}
	next := c.Cargo.dealer(callers)
	of := func(t load.Turn) message {
		m := message{Sent: t.Due.UnixNano(), Cargo: next(t.Caller)}
		if t.Measured {
			m.Run = run
		}
		return m
	}
	at := func(t load.Turn) *rpc.Client { return clients[t.Caller%len(clients)] }
	switch c.Kind {
	case Call:
		return func(ctx context.Context, t load.Turn) error {
			m := of(t)
			answer, err := echo.Call(ctx, at(t), m)
			if err == nil && answer != m.Cargo {
				err = errWrongAnswer
			}
			return err
		}, nil
	case Cast, Fanout:
		return func(ctx context.Context, t load.Turn) error { return take.Cast(ctx, at(t), of(t)) }, nil
	case Notify:
		n := notify.NewNotifier(notify.NotifierConfig{
			Publisher: "goslo.bench", Drivers: []notify.Driver{notify.NewMessaging(c.Bus, notify.MessagingConfig{Topics: []string{c.Topic}})},
		})
		told := notify.NewEvent[message](event)
		return func(ctx context.Context, t load.Turn) error { return told.Emit(ctx, n, notify.Info, of(t)) }, nil
	}
	return nil, fmt.Errorf("bench: no operation is called %q", c.Kind)
}

// request sends what was asked for.
func (c Config) request(clients []*rpc.Client) (load.Op, error) {
	method := rpc.NewCall[json.RawMessage, json.RawMessage](c.Request.Target, c.Request.Method)
	at := func(t load.Turn) *rpc.Client { return clients[t.Caller%len(clients)] }
	switch c.Kind { //nolint:exhaustive // a notification has none
	case Call:
		return func(ctx context.Context, t load.Turn) error {
			_, err := method.Call(ctx, at(t), c.Request.Args)
			return err
		}, nil
	case Cast, Fanout:
		return func(ctx context.Context, t load.Turn) error { return method.Cast(ctx, at(t), c.Request.Args) }, nil
	}
	return nil, fmt.Errorf("bench: a %s has no method", c.Kind)
}

// errWrongAnswer is a server's that did not echo.
var errWrongAnswer = errors.New("bench: the answer is not what was sent")

// Class names the kind of an operation's error, see [load.Plan].
func Class(err error) string {
	var (
		timeout  *rpc.TimeoutError
		noServer *rpc.NoServerError
		noMethod *rpc.NoSuchMethodError
		version  *rpc.VersionError
		remote   *rpc.RemoteError
	)
	switch {
	case errors.Is(err, load.ErrNotStarted):
		return "timeout: not started"
	case errors.As(err, &timeout):
		return "timeout: " + string(timeout.Phase)
	case errors.As(err, &noServer), errors.Is(err, transport.ErrNoListener):
		return "no server"
	case errors.As(err, &noMethod):
		return "no such method"
	case errors.As(err, &version):
		return "version"
	case errors.As(err, &remote):
		return "failed: " + remote.Class.Error()
	case errors.Is(err, errWrongAnswer):
		return "wrong answer"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, transport.ErrNotSent):
		return "bus: not sent"
	case errors.Is(err, transport.ErrInDoubt):
		return "bus: in doubt"
	case errors.Is(err, transport.ErrRejected):
		return "bus: rejected"
	case errors.Is(err, transport.ErrClosed):
		return "bus: closed"
	}
	return "other"
}
