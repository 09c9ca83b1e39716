package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
)

// afterCancel is how long handlers have to return once they are cancelled.
const afterCancel = 5 * time.Second

// closeWithin is how long the end of the subscription may take when there is no time to drain.
const closeWithin = time.Second

// errDraining is the cause of the end of a handler's context when its server could wait no longer.
var errDraining = errors.New("the server is stopping")

// Abort ends the drain: what still runs is cancelled now, as if Drain had passed. Before the drain it makes that one short. It does
// not end Run by itself.
func (s *Server) Abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted = true
	if s.abort != nil {
		s.abort()
	}
}

// Leave leaves the topic to its other servers before the end of Run's ctx, for good: a program that stops does so while what it has to end
// before the server ends. What is sent to the server itself, and fanouts, are served on. The error is ctx's, errors.ErrUnsupported
// where the bus cannot do that, or the bus's.
func (s *Server) Leave(ctx context.Context) error {
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	err := errors.ErrUnsupported
	if l, ok := listener.(transport.Leaver); ok {
		err = l.Leave(ctx)
	}
	if err != nil {
		return fmt.Errorf("rpc: server %s leaves topic %s: %w", s.config.Server, s.config.Target.Topic, err)
	}
	return nil
}

// drain ends the subscription and the workers, in stages; see Run. Follow says whether the listener works.
func (s *Server) drain(base context.Context, follow bool, cancel context.CancelCauseFunc) error {
	until, over := context.WithTimeout(base, max(s.config.Drain, 0))
	defer over()
	s.mu.Lock()
	s.draining, s.abort = true, over
	if s.aborted {
		over()
	}
	s.mu.Unlock()
	began := time.Now()
	var errs []error
	if follow && until.Err() == nil && s.pool.busy.Load() > 0 {
		errs = append(errs, s.lameDuck(until, base))
	}
	within := closeWithin
	if end, _ := until.Deadline(); until.Err() == nil {
		within = max(within, time.Until(end))
	}
	closing, done := context.WithTimeout(base, within)
	defer done()
	defer context.AfterFunc(until, func() { time.AfterFunc(closeWithin, done) })() // when Abort ends the drain
	errs = append(errs, s.listener.Close(closing))
	finished := make(chan struct{})
	go func() {
		s.pool.workers.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return errors.Join(errs...)
	case <-until.Done():
	}
	late, after := s.Running(), time.Since(began)
	cancel(errDraining)
	timer := time.NewTimer(afterCancel)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C: // a handler that ignores its context must not keep the process from ending
	}
	if len(late) > 0 {
		errs = append(errs, &DrainError{Server: s.config.Server, Topic: s.config.Target.Topic, After: after, Running: late})
	}
	return errors.Join(errs...)
}

// afterwards is for how long a server that has left its topic serves what is sent to itself when all that ran as it left has ended.
const afterwards = time.Minute

// lameDuck leaves the topic and serves what is sent to the server itself until nothing runs any more. What comes without end does not
// keep it: it would be begun up to the last moment of Drain, and cut off, and a Drain without end has none. So it takes nothing more
// when three quarters of Drain have passed, or a minute since what ran at first has ended.
func (s *Server) lameDuck(until, base context.Context) error {
	l, ok := s.listener.(transport.Leaver)
	if !ok {
		return nil
	}
	if err := l.Leave(until); err != nil {
		if !errors.Is(err, errors.ErrUnsupported) {
			s.log.Warn("topic not left before the stop: what is sent to this server now waits", "topic", s.config.Target.Topic, "server", s.config.Server, "error", err)
		}
		return nil
	}
	s.log.Info("server has left its topic and ends what runs", "topic", s.config.Target.Topic, "server", s.config.Server, "running", s.pool.busy.Load())
	ctx, idle := context.WithTimeout(until, s.config.Drain/4*3)
	defer idle()
	stop := func() { idle() }
	s.pool.idle.Store(&stop)
	enough := time.AfterFunc(s.config.Drain, idle)
	defer enough.Stop()
	s.outlive(func() { enough.Reset(afterwards) })
	defer s.outlive(nil)
	if s.pool.busy.Load() == 0 {
		idle()
	}
	return s.accept(ctx, base)
}

// outlive has f called when the requests that run now have ended; nil = nothing is called.
func (s *Server) outlive(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outlived, s.first = f, 0
	for c := s.running; c != nil; c = c.next {
		c.first = true
		s.first++
	}
}

// giveBack returns a delivery to the bus, for another server. Where the bus cannot take it back (a plain NATS request), its
// caller is told what became of it. A fanout was this server's own copy, and its queue goes with the server.
func (s *Server) giveBack(ctx context.Context, d *transport.Delivery, begun bool) {
	m := d.Message
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	var err error
	if d.To.Kind == transport.Fanout {
		err = errors.Join(fmt.Errorf("%w: it was this server's own copy", errors.ErrUnsupported), d.Ack(ctx))
	} else {
		err = d.Requeue(ctx)
	}
	if err == nil {
		return
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		s.log.Info("request not given back at the stop; the bus delivers it again by itself", "method", m.Method, "id", m.ID, "error", err)
		return
	}
	s.log.Warn("request dropped at the stop", "method", m.Method, "id", m.ID, "begun", begun, "error", err)
	if answerable(m) {
		when := "before"
		if begun {
			when = "while"
		}
		ctx, cancel := context.WithTimeout(ctx, lateReplyWithin) // the drain waits for it
		defer cancel()
		s.reply(ctx, &Request{Method: m.Method, ID: m.ID}, m, new(transport.Message), nil,
			classDeliveryFailure.Errorf("server %s stopped %s %s ran; send it again", s.config.Server, when, m.Method))
	}
}

// A DrainError says that handlers were still running when a stopping server's Drain had passed, or it was aborted, and were cancelled.
type DrainError struct {
	Server, Topic string
	After         time.Duration // how long the drain took
	Running       []RunningRequest
}

func (e *DrainError) Error() string {
	running := make([]string, len(e.Running))
	for i, r := range e.Running {
		running[i] = r.String()
	}
	return fmt.Sprintf("rpc: server %s on %s: cancelled after draining for %s: %s", e.Server, e.Topic, round(e.After), strings.Join(running, "; "))
}

// A RunningRequest is one that a server's handler works on.
type RunningRequest struct {
	*Request // not to be changed

	Context RequestContext // of whom it runs for
	For     time.Duration  // since Request.Received
}

// String is the method, the request id, if there is one, and how long it has been running.
func (r RunningRequest) String() string {
	id := r.Context.RequestID()
	if id != "" {
		id = " (" + id + ")"
	}
	return fmt.Sprintf("%s%s for %s", r.Method, id, round(r.For))
}

// Running returns what the server's handlers work on now, the oldest first.
func (s *Server) Running() []RunningRequest {
	now := time.Now()
	s.mu.Lock()
	var all []RunningRequest
	for c := s.running; c != nil; c = c.next {
		r := c.carried.request
		all = append(all, RunningRequest{Request: r, Context: c.carried.context, For: now.Sub(r.Received)})
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b RunningRequest) int { return a.Received.Compare(b.Received) })
	return all
}
