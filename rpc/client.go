package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// ClientConfig configures a Client. The zero value works.
type ClientConfig struct {
	// Timeout bounds a call or cast whose ctx has no deadline. Default: 60 s (oslo's rpc_response_timeout).
	Timeout time.Duration
	// Monitor, when set, has calls fail once the server sent neither reply nor sign of life for so long, however long
	// the deadline (oslo's call_monitor_timeout). Servers send a sign every half of it, in whole seconds; the least is
	// 2 s, and shorter ones are an error. Default: off.
	Monitor time.Duration
	// Pin is the version cap: what the oldest server in the cloud understands. Default: none. See [Client.Pin].
	Pin string
	// Interceptors wrap every call and cast, the first outermost.
	Interceptors []Interceptor
	// Late is told of each answer to a call that had ended before, one at a time. The answers to other calls may wait until it returns: those of the buses
	// that do not push replies ([transport.Pusher]) do. Close waits for it. Default: nil.
	Late func(LateReply)
	// Logger gets what no caller sees, such as late replies. Default: nothing is logged.
	Logger *slog.Logger
}

// A LateReply is the answer to a call that had ended before, in a TimeoutError or by its caller. The last 1024 such calls are known.
type LateReply struct {
	Topic, Method string
	After         time.Duration // since the call ended
}

const defaultTimeout = time.Minute // oslo's rpc_response_timeout

// A Client calls and casts over one bus. Make one per bus and process: it owns the one reply listener, made
// by the first call, and its goroutine. To, Fanout, Pin, On, In and Monitored derive clients that share it; they
// cost an allocation and need no Close. Safe for concurrent use.
type Client struct {
	core *caller

	exchange, topic, server, pin string // "" = as the method's target says
	fanout                       bool
	monitor                      time.Duration
}

// caller is what derived clients share.
type caller struct {
	bus     transport.Transport
	run     Func // interceptors around send
	timeout time.Duration
	replies *replies
	waiters sync.Pool // of *pending

	intercepted bool // by those who may keep a Request, and its arguments

	inquiries inquiries
}

// NewClient returns a client of the bus. It does no I/O.
func NewClient(bus transport.Transport, c ClientConfig) *Client {
	core := &caller{bus: bus, timeout: c.Timeout, replies: newReplies(bus, c.Logger, c.Late)}
	if core.timeout == 0 {
		core.timeout = defaultTimeout
	}
	core.run, core.intercepted = chain(core.send, c.Interceptors), len(c.Interceptors) > 0
	return &Client{core: core, monitor: c.Monitor, pin: c.Pin}
}

// Close ends the reply listener. Calls that still wait end in a *DeliveryError.
func (c *Client) Close(ctx context.Context) error { return c.core.replies.close(ctx) }

// To returns a client of the one server of that name: oslo's prepare(server=...).
func (c *Client) To(server string) *Client {
	d := *c
	d.server, d.fanout = server, false
	return &d
}

// Fanout returns a client whose casts go to every server of the topic. A call through it is a *TargetError.
func (c *Client) Fanout() *Client {
	d := *c
	d.fanout, d.server = true, ""
	return &d
}

// On returns a client that sends to the topic, whatever the methods' targets say: for topics known at run time.
func (c *Client) On(topic string) *Client {
	d := *c
	d.topic = topic
	return &d
}

// In returns a client that sends through the exchange, whatever the methods' targets say.
func (c *Client) In(exchange string) *Client {
	d := *c
	d.exchange = exchange
	return &d
}

// Pin returns a client that sends nothing above the version: oslo's version_cap, for a rolling upgrade. A
// method whose version is not compatible with it is a *VersionError; ask CanSend before.
func (c *Client) Pin(version string) *Client {
	d := *c
	d.pin = version
	return &d
}

// CanSend reports whether a method of that version may be sent under the pin. Without a pin it always
// may; "" under a pin never may. A version that cannot be read may not (conformance RPC-CLIENT-17 to 20).
func (c *Client) CanSend(version string) bool {
	ok, err := wire.Compatible(c.pin, version)
	return ok && err == nil
}

// Monitored returns a client with another monitoring period; see ClientConfig.Monitor. 0 turns it off.
func (c *Client) Monitored(period time.Duration) *Client {
	d := *c
	d.monitor = period
	return &d
}

func (c *Client) oneWay() Mode {
	if c.fanout {
		return ByFanout
	}
	return ByCast
}

func (c *Client) do(ctx context.Context, by Mode, d descriptor, args any) (json.RawMessage, error) {
	t := d.target
	if c.topic != "" {
		t.Topic = c.topic
	}
	if c.exchange != "" {
		t.Exchange = c.exchange
	}
	switch {
	case by == ByCall && c.fanout:
		return nil, &TargetError{t, "a call cannot be a fanout: every server would answer; cast it, or call one server"}
	case d.method == "":
		return nil, &TargetError{t, "the method has no name"}
	case by == ByCall && c.monitor != 0 && c.monitor < 2*time.Second:
		return nil, fmt.Errorf("rpc: %s: monitoring period %s is too short: servers send signs of life every half of it in whole seconds; use 2s or more", d.method, c.monitor)
	}
	var p *pending
	var room *room
	if !c.core.intercepted {
		p = c.core.waiter()
		defer c.core.done(p)
		room = &p.args
	}
	raw, err := encodeArgs(d.method, args, room)
	if err != nil {
		return nil, err
	}
	if _, err := wire.Compatible(t.Version, t.Version); err != nil {
		return nil, &TargetError{t, fmt.Sprintf("version of method %s: %v", d.method, err)}
	}
	if !c.CanSend(t.Version) {
		return nil, &VersionError{Method: d.method, Namespace: t.Namespace, Version: t.Version, Cap: c.pin}
	}
	if t.Topic == "" {
		return nil, &TargetError{t, "no topic; set it in the method's target, or use the client's On"}
	}
	now := time.Now()
	if _, ok := ctx.Deadline(); !ok {
		own := new(deadlineContext) // which may outlive the call, as may what an interceptor sees
		ctx = own.until(ctx, now.Add(c.core.timeout))
		defer own.release()
	}
	r := Request{Target: t, Server: c.server, Method: d.method, Args: raw, Mode: by}
	if by == ByCall {
		r.Monitor = c.monitor
	}
	if p == nil {
		kept := r
		return c.core.run(ctx, &kept)
	}
	p.own, p.started = r, now
	p.own.pending = p
	return c.core.run(ctx, &p.own)
}

// send is the innermost Func of a client.
func (c *caller) send(ctx context.Context, r *Request) (json.RawMessage, error) {
	p := r.pending
	if p == nil { // interceptors may take their time, and make Requests of their own
		p = c.waiter()
		p.started = time.Now()
		defer c.done(p)
	}
	m := &p.message
	*m = transport.Message{
		Method:    r.Method,
		Namespace: r.Target.Namespace,
		Version:   r.Target.Version,
		Args:      r.Args,
		Context:   ContextFrom(ctx).raw,
		Monitor:   r.Monitor,
		Headers:   r.Headers,
	}
	if r.Mode != ByCall {
		m.UniqueID = wire.NewID()
		if err := c.bus.Send(ctx, r.address(), m); err != nil {
			return nil, c.sendError(ctx, r, p.started, err)
		}
		return nil, nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		m.Expires = max(deadline.Sub(p.started), time.Millisecond)
	}
	m.UniqueID, m.ID = wire.NewIDs()
	p.id, p.request = m.ID, r
	a := c.exchange(ctx, p)
	switch {
	case a.err != nil:
		return nil, a.err
	case len(a.failure) > 0:
		return nil, failed(r, a.failure)
	case len(a.result) == 0:
		return json.RawMessage("null"), nil
	}
	return a.result, nil
}

// exchange sends the request of a call and waits for its answer.
func (c *caller) exchange(ctx context.Context, p *pending) answer {
	if err := c.replies.expect(ctx, &p.message, p); err != nil {
		return c.ended(ctx, p, err)
	}
	p.exposed = true
	a := c.sent(ctx, p)
	p.exposed = false
	return a
}

func (c *caller) sent(ctx context.Context, p *pending) answer {
	err := c.bus.Send(ctx, p.request.address(), &p.message)
	switch {
	case err == nil:
		return c.wait(ctx, p)
	case c.replies.withdraw(p):
		return c.ended(ctx, p, err)
	}
	return c.answered(ctx, p, <-p.answer) // it was taken, whatever became of the confirm
}

// ended is the answer to a call that the bus, or ctx, has ended.
func (c *caller) ended(ctx context.Context, p *pending, err error) answer {
	return answer{err: c.sendError(ctx, p.request, p.started, err)}
}

// sendError explains why a request was not taken by the bus.
func (c *caller) sendError(ctx context.Context, r *Request, started time.Time, err error) error {
	if end := ctx.Err(); end != nil && errors.Is(err, context.Cause(ctx)) {
		if !errors.Is(err, end) {
			err = fmt.Errorf("%w: %w", end, err) // a cause of the caller's own hides which end it was
		}
		if !errors.Is(end, context.DeadlineExceeded) {
			return &DeliveryError{r.Method, r.address(), err} // the cause may be another call's failure, and is not this one's
		}
	}
	switch {
	case errors.Is(err, transport.ErrNoListener):
		return &NoServerError{Method: r.Method, Address: r.address(), Nearest: c.nearest(ctx, r), Cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		phase := NotSent
		if errors.Is(err, transport.ErrInDoubt) {
			phase = Unconfirmed
		}
		if r.Mode == ByCall {
			c.replies.timedOut()
		}
		return &TimeoutError{Method: r.Method, Address: r.address(), Elapsed: time.Since(started), Phase: phase, Cause: err}
	}
	return &DeliveryError{r.Method, r.address(), err}
}
