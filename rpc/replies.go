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
)

// replies pairs what comes to this process's reply address with the calls that wait for it. One listener
// and one goroutine serve all calls; the goroutine never blocks on a caller.
type replies struct {
	bus  transport.Transport
	log  *slog.Logger
	late func(LateReply) // may be nil

	oneByOne sync.Mutex     // held while late is called
	telling  sync.WaitGroup // of late replies; added to under mu, until it is closed

	opening  chan struct{} // holds one token; whoever has it may open or close the listener
	listener transport.Listener
	stop     context.CancelFunc
	done     chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	addr    string              // "" until the listener is open; read on every call
	pending map[string]*pending // nil once closed
	gone    abandoned
	counted Stats // all but Waiting
}

// pending is one call or cast that is under way; others use it after that. Its fields below answer are guarded by replies.mu.
type pending struct {
	own     Request           // room for request, unless somebody may keep it
	message transport.Message // as which it travels
	args    room              // for its arguments

	id      string
	request *Request
	started time.Time
	exposed bool // its answer may come or have come, and nobody has seen to that yet
	alarm   *alarm
	answer  chan answer // capacity 1; sent to by whoever removes the call from the map, but for withdraw

	partial  json.RawMessage // result of the first part of an old two-part reply (conformance ENV-14)
	lastSign time.Time
}

// An answer is a result or a failure that has come, or why none will.
type answer struct {
	result, failure json.RawMessage
	err             error
}

func newReplies(bus transport.Transport, log *slog.Logger, late func(LateReply)) *replies {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &replies{bus: bus, log: log, late: late, opening: make(chan struct{}, 1), pending: map[string]*pending{}}
	r.opening <- struct{}{}
	return r
}

// expect registers the call that m is about to make and fills in m's ReplyTo.
func (r *replies) expect(ctx context.Context, m *transport.Message, p *pending) error {
	for first := true; ; first = false {
		r.mu.Lock()
		addr := r.addr
		if first {
			r.counted.Calls++
		}
		if r.pending == nil {
			r.mu.Unlock()
			return transport.ErrClosed
		}
		if addr != "" {
			r.pending[p.id] = p
			r.mu.Unlock()
			m.ReplyTo = addr
			return nil
		}
		r.mu.Unlock()
		if err := r.open(ctx); err != nil {
			return err
		}
	}
}

func (r *replies) open(ctx context.Context) error {
	select {
	case <-r.opening:
		defer func() { r.opening <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", transport.ErrNotSent, ctx.Err())
	}
	r.mu.Lock()
	open, closed := r.addr != "", r.pending == nil
	r.mu.Unlock()
	if open || closed {
		return nil // expect looks again
	}
	l, err := r.bus.Listen(ctx, transport.Address{Kind: transport.Reply}, transport.ListenOptions{Prefetch: 1000})
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, transport.ErrNotSent) {
			err = fmt.Errorf("%w: %w", transport.ErrNotSent, err)
		}
		return err
	}
	loop, stop := context.WithCancel(context.Background()) //nolint:forbidigo // it outlives, and must not keep, the first caller's context
	r.listener, r.stop, r.done = l, stop, make(chan struct{})
	r.mu.Lock()
	r.addr = l.Addr()
	r.mu.Unlock()
	go func() {
		defer close(r.done)
		r.loop(loop, l)
	}()
	return nil
}

// close waits for the goroutine; waiting calls end with ErrClosed.
func (r *replies) close(ctx context.Context) error {
	select {
	case <-r.opening:
		defer func() { r.opening <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r.fail(transport.ErrClosed)
	if r.listener == nil {
		return nil
	}
	err := r.listener.Close(ctx)
	r.stop()
	<-r.done
	r.listener = nil
	return err
}

// fail ends every waiting call, and those to come, with err.
func (r *replies) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pending {
		p.answer <- answer{err: err}
	}
	r.pending = nil
}

// loop ends with the listener. A listener that pushes calls take instead of returning replies here.
func (r *replies) loop(ctx context.Context, l transport.Listener) {
	defer r.telling.Wait()
	if p, ok := l.(transport.Pusher); ok {
		p.Push(func(d *transport.Delivery) { r.take(d, true) })
	}
	for {
		d, err := l.Next(ctx)
		if err != nil {
			r.fail(err)
			return
		}
		// The caller goes first: an acknowledgement may have to wait for the connection, and a lost one only
		// means that the reply comes twice, and the second finds nobody waiting.
		r.take(d, false)
		if err := d.Ack(ctx); err != nil {
			r.log.Debug("reply not acknowledged", "id", d.Message.ID, "error", err)
		}
	}
}

// take hands a delivery to the call that waits for it, and keeps none that is pushed.
func (r *replies) take(d *transport.Delivery, pushed bool) {
	late, ok := r.match(d)
	switch {
	case !ok:
	case pushed: // who pushes is not to wait for those who are told
		go r.tell(late, d.Message.ID)
	default:
		r.tell(late, d.Message.ID)
	}
}

// tell is for who wants to know of late replies. It counts as telling from match on.
func (r *replies) tell(late givenUp, id string) {
	defer r.telling.Done()
	after := time.Since(late.at)
	r.log.Warn("late reply", "method", late.method, "target", late.target, "after_giving_up", after, "id", id)
	if r.late != nil {
		r.oneByOne.Lock()
		defer r.oneByOne.Unlock()
		r.late(LateReply{late.topic, late.method, after})
	}
}

// match hands a delivery to the call that waits for it. When the delivery is the answer to a call that was given up, it
// returns that call and true.
func (r *replies) match(d *transport.Delivery) (givenUp, bool) {
	m := d.Message
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pending[m.ID]
	if !ok {
		late, ok := r.gone.calls[m.ID]
		ok = ok && d.Undelivered == nil && (m.Ending || len(m.Failure) > 0) && r.pending != nil
		if ok {
			r.telling.Add(1)
			delete(r.gone.calls, m.ID) // one that comes twice is late once
			r.counted.Late++
		}
		return late, ok
	}
	switch {
	case d.Undelivered != nil:
		p.answer <- answer{err: d.Undelivered}
	case m.Ending || len(m.Failure) > 0:
		a := answer{result: m.Result, failure: m.Failure}
		if p.partial != nil && isNull(m.Result) {
			a.result = p.partial
		}
		p.answer <- a
		r.counted.Answered++
	default: // a sign of life, or the first part of an old reply
		p.lastSign = time.Now()
		if !isNull(m.Result) {
			p.partial = m.Result
		}
		return givenUp{}, false
	}
	delete(r.pending, m.ID)
	return givenUp{}, false
}

func (r *replies) stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.counted
	s.Waiting = len(r.pending)
	return s
}

// address is where the replies go; "" before the first call.
func (r *replies) address() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addr
}

func isNull(result json.RawMessage) bool { return len(result) == 0 || string(result) == "null" }

// withdraw ends the wait of a call that is given up, unless its answer is there. Its id is remembered for a while, so
// that its reply can be told from one that nobody ever waited for.
func (r *replies) withdraw(p *pending) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, waiting := r.pending[p.id]; !waiting {
		return false
	}
	delete(r.pending, p.id)
	r.gone.add(p.id, givenUp{p.request.Target.Topic, p.request.Method, p.request.address().String(), time.Now()})
	return true
}

// timedOut counts a call that has ended in a TimeoutError, after it was withdrawn.
func (r *replies) timedOut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counted.TimedOut++
}

// lastSign returns when the server was last heard of; the zero time when never.
func (r *replies) lastSign(p *pending) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.lastSign
}

// abandoned remembers the last calls that were given up.
type abandoned struct {
	calls map[string]givenUp
	order []string
}

type givenUp struct {
	topic, method, target string
	at                    time.Time
}

const abandonedKept = 1024

func (a *abandoned) add(id string, g givenUp) {
	if a.calls == nil {
		a.calls = map[string]givenUp{}
	}
	if len(a.order) == abandonedKept {
		delete(a.calls, a.order[0])
		a.order = append(a.order[:0], a.order[1:]...)
	}
	a.calls[id] = g
	a.order = append(a.order, id)
}
