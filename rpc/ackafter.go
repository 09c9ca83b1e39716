package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// settleWithin bounds the settling of one request that has run: a connection that is lost meanwhile has the bus deliver it again.
const settleWithin = 5 * time.Second

// unacknowledged are the requests that a server with AckAfter has taken and not settled. When the bus loses sight of one, for a
// connection broke or a limit passed, it delivers a copy, here or elsewhere. A copy that comes here while the request runs is held
// and shares its fate; one that comes later is acknowledged and dropped.
type unacknowledged struct {
	seen *duplicates // those that have ended
	bus  transport.Redelivery

	mu      sync.Mutex
	running map[string][]*transport.Delivery // the copies of each, by unique id
}

func newUnacknowledged(seen *duplicates) *unacknowledged {
	return &unacknowledged{seen: seen, running: map[string][]*transport.Delivery{}}
}

// An admission is what becomes of a delivery.
type admission int

const (
	isNew        admission = iota // it runs
	isRunning                     // it is held until the one before it ends
	hasRunBefore                  // it is to be acknowledged and dropped
)

// begin takes a delivery. One without a unique id is always new (conformance DUP-06).
func (u *unacknowledged) begin(d *transport.Delivery) admission {
	id := d.Message.UniqueID
	if id == "" {
		return isNew
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if copies, ok := u.running[id]; ok {
		u.running[id] = append(copies, d)
		return isRunning
	}
	if u.seen.has(id) {
		return hasRunBefore
	}
	u.running[id] = nil
	return isNew
}

// end returns the copies that came meanwhile. Those to come are dropped: also of a request that is given back, which is done at
// the stop only, when the server takes nothing more.
func (u *unacknowledged) end(id string) []*transport.Delivery {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen.add(id)
	return u.take(id)
}

// forget is end for a request that was not begun: it runs when it comes again.
func (u *unacknowledged) forget(id string) []*transport.Delivery {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.take(id)
}

func (u *unacknowledged) take(id string) []*transport.Delivery {
	copies := u.running[id]
	delete(u.running, id)
	return copies
}

// watch warns, once, when a request runs for longer than the bus lets it stay unacknowledged, until the function that it
// returns is called.
func (u *unacknowledged) watch(r *Request, log *slog.Logger) (stop func()) {
	if u.bus.Within == 0 {
		return func() {}
	}
	timer := time.AfterFunc(u.bus.Within, func() {
		log.Warn("handler outlives the bus's limit for unacknowledged requests: the bus delivers this one again, and another server may run it a second time; "+
			"raise the limit, make the method shorter, or do without AckAfter",
			"limit", u.bus.WithinName, "limit_by_default", u.bus.Within, "method", r.Method, "id", r.ID, "running", time.Since(r.Received))
	})
	return func() { timer.Stop() }
}

// redelivers checks that the bus can do what AckAfter asks for, and says what it cannot.
func (s *Server) redelivers() error {
	if s.unacked == nil {
		return nil
	}
	bus, ok := s.bus.(transport.Redeliverer)
	if ok {
		s.unacked.bus = bus.Redelivery()
	}
	if !s.unacked.bus.Casts && !s.unacked.bus.Calls {
		return fmt.Errorf("rpc: serve %s as %s: AckAfter: the bus does not deliver again what was not acknowledged: %w",
			s.config.Target.Topic, s.config.Server, errors.ErrUnsupported)
	}
	for what, again := range map[string]bool{"calls": s.unacked.bus.Calls, "casts": s.unacked.bus.Casts} {
		if !again {
			s.log.Warn("requests are not delivered again on this bus when their server dies: AckAfter has no effect on them",
				"requests", what, "topic", s.config.Target.Topic, "server", s.config.Server)
		}
	}
	return nil
}

// admit reports whether a delivery is to run.
func (s *Server) admit(base context.Context, d *transport.Delivery) bool {
	m := d.Message
	switch s.unacked.begin(d) {
	case isNew:
		return true
	case isRunning:
		s.log.Debug("duplicate of a running request held", "method", m.Method, "unique_id", m.UniqueID)
	case hasRunBefore:
		s.log.Debug("duplicate request dropped", "method", m.Method, "unique_id", m.UniqueID)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(base), settleWithin)
		defer cancel()
		if err := d.Ack(ctx); err != nil {
			s.log.Debug("duplicate request not acknowledged; it will come again", "method", m.Method, "unique_id", m.UniqueID, "error", err)
		}
	}
	return false
}

// settle acknowledges a request that has run, and its copies. Where there are some, the bus had lost sight of those before the
// last, whose acknowledgements fail; if the last one's does, too, the bus delivers it once more, to be dropped here.
func (s *Server) settle(base context.Context, d *transport.Delivery) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(base), settleWithin)
	defer cancel()
	m := d.Message
	err := d.Ack(ctx)
	for _, c := range s.unacked.end(m.UniqueID) {
		if err != nil {
			s.log.Debug("request not acknowledged; its copy will be", "method", m.Method, "unique_id", m.UniqueID, "error", err)
		}
		err = c.Ack(ctx)
	}
	if err != nil {
		s.log.Warn("request has run but could not be acknowledged: the bus delivers it again; here it is dropped then, another server runs it again",
			"method", m.Method, "id", m.ID, "unique_id", m.UniqueID, "error", err)
	}
}

// release gives back a request that has not run to its end, and its copies.
func (s *Server) release(base context.Context, d *transport.Delivery) {
	for _, c := range append(s.unacked.end(d.Message.UniqueID), d) {
		s.giveBack(base, c, true)
	}
}

// unbegun gives back a request for which no worker was free before the stop, and its copies.
func (s *Server) unbegun(base context.Context, d *transport.Delivery) {
	for _, c := range append(s.unacked.forget(d.Message.UniqueID), d) {
		s.giveBack(base, c, false)
	}
}
