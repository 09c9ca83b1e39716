package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
)

// afterCaller is how long after its caller's deadline a handler's context ends: buses carry whole milliseconds, and a
// caller shall find that it ran out of time by its own clock, not by a failure that says so.
const afterCaller = 10 * time.Millisecond

// serve runs one request in a worker: acknowledge, run, reply; or, with AckAfter, run, reply, acknowledge.
// The desk is the worker's.
func (s *Server) serve(base context.Context, d *transport.Delivery, desk *desk) {
	m := d.Message
	if s.unacked == nil && !s.acknowledge(base, d) {
		return
	}
	ctx := &handlerContext{request: Request{
		Target:  Target{Exchange: d.To.Exchange, Topic: s.config.Target.Topic, Namespace: m.Namespace, Version: m.Version},
		Server:  s.config.Server,
		Method:  m.Method,
		Args:    m.Args,
		Mode:    mode(d),
		Monitor: m.Monitor,
		Headers: m.Headers,
		ID:      m.ID, Received: time.Now(), Redelivered: d.Redelivered, Known: s.endpoints.knows(m.Method),
	}}
	r := &ctx.request
	if len(s.config.Interceptors) == 0 { // else one may keep the result
		r.room = &desk.result
	}
	ctx.Context = base
	ctx.carried = carried{request: r, context: RequestContext{raw: m.Context, arrived: true, monitor: m.Monitor}}
	if m.Expires > 0 {
		ctx.deadline = r.Received.Add(m.Expires).Add(afterCaller) // their sum may be more than a Duration holds
	}
	s.track(ctx)
	quiet := s.heartbeats(base, m)
	var (
		result json.RawMessage
		err    error = errGoexit // unless the handler returns
	)
	defer func() {
		quiet()
		s.conclude(ctx, r, d, &desk.answer, result, err)
		ctx.release()
		s.untrack(ctx)
		if again, ok := d.Settler.(transport.Recycler); ok && s.unacked == nil {
			again.Recycle()
		}
	}()
	if s.unacked != nil {
		defer s.unacked.watch(r, s.log)()
	}
	result, err = s.guarded(ctx, r)
}

// errGoexit is the failure of a handler that ended its goroutine instead of returning.
var errGoexit = classRuntimeError.Errorf("the handler ended its goroutine: runtime.Goexit, or FailNow of a test, was called in it")

// acknowledge settles a request before it runs, and reports whether it may.
func (s *Server) acknowledge(base context.Context, d *transport.Delivery) bool {
	m := d.Message
	if err := d.Ack(base); err != nil {
		// The bus will deliver it again, here or elsewhere; running it now would run it twice. (RPC-SERVER-08)
		s.log.Warn("request not run: it could not be acknowledged", "method", m.Method, "error", err)
		return false
	}
	// Looked at after the acknowledgement: a request whose acknowledgement failed must run when it comes again.
	if !s.seen.add(m.UniqueID) {
		s.log.Debug("duplicate request dropped", "method", m.Method, "unique_id", m.UniqueID)
		return false
	}
	return true
}

// conclude does what follows when a handler has ended.
func (s *Server) conclude(ctx *handlerContext, r *Request, d *transport.Delivery, answer *transport.Message, result json.RawMessage, err error) {
	m := d.Message
	if err != nil && s.unacked != nil && errors.Is(context.Cause(ctx.Context), errDraining) {
		s.log.Info("request given back: the server stops before it has ended", "method", r.Method, "id", r.ID, "after", time.Since(r.Received), "error", err)
		s.release(ctx.Context, d)
		return
	}
	if err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.over() {
		// Its caller has given up by its own clock, or is about to; that is the error it shall see.
		s.log.Info("request given up with its caller's deadline", "method", r.Method, "id", r.ID, "after", time.Since(r.Received))
	} else {
		if err != nil {
			s.logFailure(ctx, r, err)
		}
		if answerable(m) { // nothing is ever sent back for a cast (RPC-SERVER-10)
			s.reply(ctx, r, m, answer, result, err)
		}
	}
	if s.unacked != nil {
		s.settle(ctx.Context, d)
	}
}

// guarded contains panics of interceptors, as method.call contains those of handlers.
func (s *Server) guarded(ctx context.Context, r *Request) (result json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			result, err = nil, panicked(v)
		}
	}()
	return s.run(ctx, r)
}

// answerable tells a call from a cast: it says where the answer goes, and which.
func answerable(m *transport.Message) bool { return m.ReplyTo != "" && m.ID != "" }

func mode(d *transport.Delivery) Mode {
	switch {
	case answerable(d.Message):
		return ByCall
	case d.To.Kind == transport.Fanout:
		return ByFanout
	}
	return ByCast
}

// replyWithin bounds the sending of a reply whose caller gave no deadline, and lateReplyWithin that of one
// whose handler's context has ended: the caller may still be there, if only for the reason.
const (
	replyWithin     = time.Minute
	lateReplyWithin = time.Second
)

// reply sends the answer to a request as the message m.
func (s *Server) reply(ctx context.Context, r *Request, request, m *transport.Message, result json.RawMessage, err error) {
	within, ended := replyWithin, ctx.Err() != nil
	if ended {
		within = lateReplyWithin
	}
	if _, bounded := ctx.Deadline(); !bounded || ended {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), within)
		defer cancel()
	}
	*m = transport.Message{Ending: true, Result: result}
	var failed *RemoteError
	if err != nil {
		failed = asRemote(err)
		s.fail(m, r, failed)
	}
	err = s.sendReply(ctx, request, m)
	if errors.Is(err, transport.ErrRejected) {
		// It cannot travel. Its caller had better hear why than wait. (upstream is silent: RPC-SERVER-12)
		what, class := "result", classRuntimeError
		if failed != nil {
			what, class = "failure", failed.Class
		}
		s.fail(m, r, class.Errorf("the %s of %s cannot be sent: %v", what, r.Method, err))
		err = s.sendReply(ctx, request, m)
	}
	if err != nil {
		s.log.Warn("reply not sent", "method", r.Method, "id", r.ID, "reply_to", request.ReplyTo, "error", err)
	}
}

func (s *Server) fail(m *transport.Message, r *Request, e *RemoteError) {
	failure, err := e.failure(s.config.Server, r.Method)
	if err != nil {
		// Arguments that are not JSON; the class and the message still tell what happened.
		bare := RemoteError{Class: e.Class, Message: strings.ToValidUTF8(e.Message, "?"), Traceback: e.Traceback}
		failure, err = bare.failure(s.config.Server, r.Method)
	}
	if err != nil {
		s.log.Error("failure cannot be encoded", "method", r.Method, "class", e.Class.Error(), "error", err)
	}
	m.Result, m.Failure = nil, failure
}

func (s *Server) sendReply(ctx context.Context, request, m *transport.Message) error {
	m.ID, m.Answers = request.ID, request.Method
	return s.bus.Send(ctx, transport.Address{Kind: transport.Reply, Topic: request.ReplyTo}, m)
}

// heartbeats sends signs of life to the caller of a monitored call every half of its period, in whole
// seconds, until the returned function is called (conformance DISP-21, DISP-22).
func (s *Server) heartbeats(ctx context.Context, request *transport.Message) (stop func()) {
	if request.Monitor == 0 || !answerable(request) {
		return func() {}
	}
	every := request.Monitor.Truncate(time.Second) / 2
	if every < time.Second {
		s.log.Warn("no signs of life are sent: the caller's monitoring period is shorter than 2 s",
			"method", request.Method, "period", request.Monitor)
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := s.sendReply(ctx, request, &transport.Message{Monitor: request.Monitor}); err != nil {
				if ctx.Err() == nil {
					s.log.Debug("sign of life not sent", "method", request.Method, "id", request.ID, "error", err)
				}
				return // the reply itself is still sent (DISP-23)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// logFailure logs what the service did not declare as normal. A probe asks for methods that do not exist
// by names ending in _ignore_errors, and wants no error in the log (conformance RPC-SERVER-15).
func (s *Server) logFailure(ctx context.Context, r *Request, err error) {
	level := slog.LevelError
	var (
		noMethod *NoSuchMethodError
		remote   *RemoteError
	)
	probe := strings.HasSuffix(r.Method, "_ignore_errors") && errors.As(err, &noMethod) && noMethod.Remote == nil
	if IsExpected(err) || probe {
		level = slog.LevelDebug
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method),
		slog.String("mode", r.Mode.String()),
		slog.String("request_id", ContextFrom(ctx).RequestID()),
		slog.Duration("after", time.Since(r.Received)),
		slog.String("error", err.Error()),
	}
	if errors.As(err, &remote) && len(remote.Traceback) > 0 {
		attrs = append(attrs, slog.String("traceback", strings.Join(remote.Traceback, "")))
	}
	s.log.LogAttrs(ctx, level, "request failed", attrs...)
}

func (s *Server) track(c *handlerContext) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.next = s.running
	if c.next != nil {
		c.next.prev = c
	}
	s.running = c
}

func (s *Server) untrack(c *handlerContext) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.prev == nil {
		s.running = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	if c.first {
		s.first--
	}
	if s.outlived != nil && s.first == 0 {
		s.outlived()
		s.outlived = nil
	}
}
