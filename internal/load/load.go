// Package load generates load and measures it: an operation, run by callers at a time, in a closed loop or at a rate.
//
// It knows no bus: what an operation does is its caller's business (internal/bench's). It owns when operations start, how long each took, and
// what is counted; beside that, what a process has spent ([Usage]) and what it has sent and received ([Traffic]), by the kernel's counters.
//
// # Two kinds of load
//
// In a closed loop each caller starts its next operation when the last has ended. That finds out how much a bus can do. Its latencies flatter a bus
// that stalls: while it does, each caller has one slow operation, and the many that it would have started are never seen.
//
// At a rate, operations are due at fixed times, whether the last have ended or not, and the latency of each counts from when it was due. So
// a stall shows in every operation that was due meanwhile. (The omission of those is known as coordinated omission.) An operation whose time is up
// before a caller was free has failed with [ErrNotStarted]. Nothing that was due is left out, unless ctx ends.
//
// # Goroutines
//
// [Run] starts one for each caller, and one that takes samples, and waits for all of them.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// MostRate is the greatest rate of a plan: an operation in each nanosecond.
const MostRate = 1e9

// A Plan says how much load there is, and for how long.
type Plan struct {
	// Callers is how many operations run at a time, at the most. Default: 1.
	Callers int
	// Rate is how many operations are due in a second, of all callers together. Default: a closed loop.
	Rate float64
	// Warmup is load of the same kind before anything is measured. Default: none.
	Warmup time.Duration
	// Duration is how long operations are started. Default: until Count.
	Duration time.Duration
	// Count is how many operations are started. Default: until Duration. One of them must be set; with both, the first ends the run.
	Count int64
	// Pause is how long each caller of a closed loop waits between two operations. Default: not at all.
	Pause time.Duration
	// Timeout is how long an operation may take, from when it is due. Default: 10 s.
	Timeout time.Duration
	// Interval is that of samples. Default: a 40th of Duration, from 50 ms to 1 s.
	Interval time.Duration
	// Class names the kind of an operation's error, by which errors are counted. Default: its text.
	Class func(error) string
	// Begin is called after the warm-up, when no operation runs, and before the first that is measured. Default: nothing.
	Begin func(ctx context.Context) error
	// Progress is called with each sample. Default: nothing.
	Progress func(Sample)
}

// A Turn is what an operation knows of its place in the run.
type Turn struct {
	Caller   int       // from 0
	Due      time.Time // when it was to start; in a closed loop when it started
	Measured bool      // false while the callers warm up
}

// An Op is what is measured. It is called by several goroutines, and returns when the operation has ended.
type Op func(ctx context.Context, t Turn) error

// ErrNotStarted is the failure of an operation that was due, and whose time was up before a caller was free.
var ErrNotStarted = errors.New("load: not started before its time was up, as all callers waited for others")

func (p *Plan) complete() error {
	p.Callers = max(p.Callers, 1)
	if p.Timeout == 0 {
		p.Timeout = 10 * time.Second
	}
	if p.Class == nil {
		p.Class = error.Error
	}
	if p.Interval == 0 {
		p.Interval = time.Second
		if p.Duration > 0 {
			p.Interval = min(max(p.Duration/40, 50*time.Millisecond), time.Second)
		}
	}
	switch {
	case p.Duration <= 0 && p.Count <= 0:
		return errors.New("load: neither a duration nor a count ends the run")
	case p.Rate < 0 || p.Warmup < 0 || p.Duration < 0 || p.Count < 0 || p.Pause < 0 || p.Timeout < 0 || p.Interval < 0:
		return fmt.Errorf("load: a negative number in %+v", *p)
	case p.Rate > 0 && p.Pause > 0:
		return errors.New("load: callers cannot pause, and keep to a rate")
	case !(p.Rate <= MostRate):
		return fmt.Errorf("load: a rate of %g; the greatest is %g", p.Rate, MostRate)
	}
	return nil
}

// Run warms up, then measures, until the plan is done or ctx ends; then the result is what was measured so far, and operations that ctx cut short
// are in no count. The error is about the plan, or that of Begin.
func Run(ctx context.Context, p Plan, op Op) (*Result, error) {
	if err := p.complete(); err != nil {
		return nil, err
	}
	if p.Warmup > 0 {
		warm := phase{Plan: p, op: op, record: newRecorder(p)}
		warm.Duration, warm.Count = p.Warmup, 0
		warm.run(ctx)
	}
	if p.Begin != nil {
		if err := p.Begin(ctx); err != nil {
			return nil, err
		}
	}
	r := newRecorder(p)
	measured := phase{Plan: p, op: op, record: r, measured: true}
	done := make(chan struct{})
	var sampling sync.WaitGroup
	sampling.Go(func() { r.sample(done, p.Interval, p.Progress) })
	measured.run(ctx)
	close(done)
	sampling.Wait()
	return r.result(ctx.Err() != nil), nil
}

// A phase is the callers at work: to warm up, or to be measured.
type phase struct {
	Plan
	op       Op
	record   *recorder
	measured bool

	begun atomic.Int64 // operations that callers have taken on
}

func (p *phase) run(ctx context.Context) {
	var callers sync.WaitGroup
	for i := range p.Callers {
		callers.Go(func() {
			if p.Rate > 0 {
				p.scheduled(ctx, i)
			} else {
				p.closed(ctx, i)
			}
		})
	}
	callers.Wait()
}

// take says whether there is one more to be done, and which.
func (p *phase) take() (int64, bool) {
	n := p.begun.Add(1) - 1
	return n, p.Count == 0 || n < p.Count
}

// closed is a caller in a closed loop.
func (p *phase) closed(ctx context.Context, caller int) {
	for ctx.Err() == nil {
		start := time.Now()
		if p.Duration > 0 && start.Sub(p.record.start) >= p.Duration {
			return
		}
		if _, more := p.take(); !more {
			return
		}
		p.one(ctx, caller, start)
		if p.Pause > 0 && !wait(ctx, p.Pause) {
			return
		}
	}
}

// scheduled is a caller who takes on what is due next.
func (p *phase) scheduled(ctx context.Context, caller int) {
	for ctx.Err() == nil {
		n, more := p.take()
		after := time.Duration(float64(n) / p.Rate * float64(time.Second))
		if !more || p.Duration > 0 && after >= p.Duration {
			return
		}
		due := p.record.start.Add(after)
		if d := time.Until(due); d > 0 && !wait(ctx, d) {
			return
		}
		late := time.Since(due)
		if late >= p.Timeout {
			p.record.failed(caller, p.Class(ErrNotStarted), ErrNotStarted)
			continue
		}
		p.record.late(caller, late)
		p.one(ctx, caller, due)
	}
}

func (p *phase) one(ctx context.Context, caller int, due time.Time) {
	within, cancel := context.WithDeadline(ctx, due.Add(p.Timeout))
	defer cancel()
	err := p.op(within, Turn{Caller: caller, Due: due, Measured: p.measured})
	switch {
	case err == nil:
		p.record.done(caller, due)
	case ctx.Err() == nil:
		p.record.failed(caller, p.Class(err), err)
	}
}

// wait waits, and says whether ctx has not ended meanwhile.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
