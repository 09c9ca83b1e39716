package rpc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/transport"
)

// A pool is a server's workers, which take requests from the listener themselves: a goroutine that took them for the workers would
// have to wake one for each. Those without work ask the listener together where it can be shared. Where not, the one with the lead asks,
// and gives the lead on, to the one that has waited least, before it serves what it got. While fewer than Workers are made there is
// always one that asks or is about to; a request is taken only by who can serve it. With AckAfter there is one worker more, as copies of
// requests that run have to be taken from the bus meanwhile; what is no copy waits in its hands.
type pool struct {
	most   int           // Workers, and one with AckAfter
	slots  chan struct{} // with AckAfter: has a token for each request that runs, and room for Workers
	shared bool          // the listener is a transport.Sharer; written by Listen

	workers sync.WaitGroup
	busy    atomic.Int64           // deliveries in hand or running
	idle    atomic.Pointer[func()] // called when there are none any more; nil = nobody asks

	mu     sync.Mutex
	shift  *shift // nil: nothing is to be taken
	made   int    // workers
	asking int    // of them, who are in Next or wait for the lead
	left   *sync.Cond
	led    bool            // somebody has the lead
	queue  []chan struct{} // who wait for it; one that is closed ends its worker
	spare
}

// sparedAfter is how long workers wait that more requests than usual have called for, before they end: a burst is often followed by
// another, and is not to be paid for by a process with a thousand servers for ever.
const sparedAfter = 30 * time.Second

// spare is what is known of workers that nobody needs, guarded by pool.mu.
type spare struct {
	peak   int         // the most that were busy since the last look
	timer  *time.Timer // calls trim; nil = it is not about to
	spared int         // how many are to end: they are not counted as made any more, and may still serve
}

// A shift is a time in which requests are taken.
type shift struct {
	ctx  context.Context //nolint:containedctx // by it the end is told
	err  error           // what the listener said at the end; guarded by pool.mu
	over chan struct{}   // closed when the listener has failed, or said that ctx has ended

	// By asks those are told to come back who ask a shared listener. Guarded by pool.mu.
	asks   context.Context //nolint:containedctx // see above
	recall context.CancelFunc
}

// accept has workers take requests until ctx ends, which is not an error, or the listener fails, as when its bus is closed. When it
// returns none is being taken any more.
func (s *Server) accept(ctx, base context.Context) error {
	p := &s.pool
	sh := &shift{ctx: ctx, over: make(chan struct{})}
	sh.asks, sh.recall = context.WithCancel(ctx)
	p.mu.Lock()
	p.shift = sh
	if p.made+p.spared < p.most {
		p.made++
		s.pool.workers.Go(func() { s.worker(base) })
	}
	p.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-sh.over:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(sh, nil)
	for p.asking > 0 {
		p.left.Wait()
	}
	if ctx.Err() != nil || sh.err == nil {
		return nil // the end was asked for
	}
	return fmt.Errorf("rpc: serve %s as %s: %w", s.config.Target.Topic, s.config.Server, sh.err)
}

// end ends a shift that has not ended, with p.mu held.
func (p *pool) end(sh *shift, err error) {
	if p.shift != sh {
		return
	}
	p.shift, sh.err = nil, err
	sh.recall()
	close(sh.over)
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	for _, waits := range p.queue {
		waits <- struct{}{}
	}
	p.queue = nil
}

// worker serves until there is nothing to be taken any more.
func (s *Server) worker(base context.Context) {
	ended := false
	defer func() {
		if !ended { // by a handler's runtime.Goexit, which nothing stops; another takes its place
			s.pool.workers.Go(func() { s.worker(base) })
		}
	}()
	lead, desk := make(chan struct{}, 1), new(desk)
	for d, again := s.take(base, lead); d != nil || again; d, again = s.take(base, lead) {
		if d != nil {
			s.serveOne(base, d, desk)
			desk.answer = transport.Message{}
		}
	}
	ended = true
}

// take returns the next delivery, counted as busy. Where there is none the worker is to ask again, or to end. Lead is the worker's own, empty
// and with room for one.
func (s *Server) take(base context.Context, lead chan struct{}) (d *transport.Delivery, again bool) {
	p := &s.pool
	p.mu.Lock()
	sh := p.shift
	if sh == nil || p.spared > 0 && p.asking > 0 {
		p.leave()
		p.mu.Unlock()
		return nil, false
	}
	p.asking++
	asks := sh.ctx
	if p.shared {
		asks = sh.asks
	}
	follows := !p.shared && p.led
	if follows {
		p.queue = append(p.queue, lead)
	} else {
		p.led = true
	}
	p.mu.Unlock()
	if follows {
		if _, wanted := <-lead; !wanted {
			return nil, false // trim has counted it out
		}
	}
	err := context.Canceled
	select {
	case <-sh.over:
	default:
		d, err = s.listener.Next(asks)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking--
	if err != nil {
		if p.shift == sh && sh.ctx.Err() == nil && asks.Err() != nil { // recalled by trim
			return nil, true
		}
		p.led = false
		p.leave()
		p.end(sh, err)
		if p.asking == 0 {
			p.left.Broadcast()
		}
		return nil, false
	}
	p.peak = max(p.peak, int(p.busy.Add(1)))
	switch n := len(p.queue); {
	case n > 0:
		p.queue[n-1] <- struct{}{}
		p.queue = p.queue[:n-1]
	case p.asking == 0 && p.made+p.spared < p.most && p.shift != nil:
		p.led = false
		p.made++
		s.pool.workers.Go(func() { s.worker(base) })
		if p.timer == nil {
			p.timer = time.AfterFunc(sparedAfter, p.trim)
		}
	default:
		p.led = false
	}
	if p.shift == nil && p.asking == 0 {
		p.left.Broadcast()
	}
	return d, false
}

// leave counts a worker out that ends, with p.mu held.
func (p *pool) leave() {
	if p.spared > 0 {
		p.spared--
	} else {
		p.made--
	}
}

// trim ends the workers that have waited for the lead and that nobody has needed since the last look, but for one that has it, and looks
// again while there are others. Where the listener is shared, all that ask it come back, and as many of them end.
func (p *pool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil { // the shift has ended meanwhile
		return
	}
	needed := max(p.peak, int(p.busy.Load())) + 1 // one that asks
	p.peak = int(p.busy.Load())
	if p.shared {
		if n := min(p.made-needed, p.asking-1); n > 0 {
			p.made -= n
			p.spared += n
			p.shift.recall()
			p.shift.asks, p.shift.recall = context.WithCancel(p.shift.ctx)
		}
	} else {
		n := max(0, min(p.made-needed, len(p.queue)))
		for _, waits := range p.queue[:n] {
			close(waits)
		}
		p.queue = p.queue[n:]
		p.made -= n
		p.asking -= n // who has the lead is left
	}
	if p.made <= 2 {
		p.timer = nil
		return
	}
	p.timer.Reset(sparedAfter)
}

// A desk is what a worker has for one request after the other.
type desk struct {
	answer transport.Message
	result room
}

// serveOne serves what take returned.
func (s *Server) serveOne(base context.Context, d *transport.Delivery, desk *desk) {
	defer s.finished()
	switch {
	case s.unacked == nil:
		s.serve(base, d, desk)
	case !s.admit(base, d):
	case s.pool.slot():
		defer func() { <-s.pool.slots }()
		s.serve(base, d, desk)
	default:
		s.unbegun(base, d)
	}
}

// slot waits until fewer requests than Workers run, and takes one's place; false when the shift has ended before.
func (p *pool) slot() bool {
	select {
	case p.slots <- struct{}{}:
		return true
	default:
	}
	p.mu.Lock()
	sh := p.shift
	p.mu.Unlock()
	if sh == nil {
		return false
	}
	select {
	case p.slots <- struct{}{}:
		return true
	case <-sh.over:
		return false
	}
}

// finished counts a delivery that is neither in hand nor running any more.
func (s *Server) finished() {
	if s.pool.busy.Add(-1) > 0 {
		return
	}
	if idle := s.pool.idle.Load(); idle != nil {
		(*idle)()
	}
}
