package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// Periodic says when a task runs. Spacing is required.
type Periodic struct {
	// Name is the task's in logs, in /debug/requests, and in errors.
	Name string
	// Spacing is the time from one start to the next. A run that takes longer makes the starts that it has missed be left out: runs never overlap.
	Spacing time.Duration
	// InitialDelay is the time from the service's start to the first run. Default: Spacing.
	InitialDelay time.Duration
	// Immediately has the first run begin with the service, whatever InitialDelay says. Default: false.
	Immediately bool
	// Jitter is the most by which each start but that of Immediately is put off at random, so that those of many hosts spread. Default: 0.
	Jitter time.Duration
	// Timeout ends the context of a run that takes longer. Default: none.
	Timeout time.Duration
	// Logger hears of runs that fail, panic, or take longer than Spacing. Default: nothing is logged.
	Logger *slog.Logger
}

// A Task is a function that is called again and again. It is a Runner.
type Task struct {
	config Periodic
	run    func(ctx context.Context) error
	log    *slog.Logger

	mu    sync.Mutex
	state TaskState
}

// TaskState is what a task has done.
type TaskState struct {
	Name   string
	Runs   int           // that have ended
	Failed int           // those of them that returned an error, or panicked
	Missed int           // starts left out because the run before took too long
	Began  time.Time     // the last run, which may go on; zero = none yet
	Took   time.Duration // the last run that has ended
	Err    error         // its error
	Active bool          // a run goes on
	Next   time.Time     // start; zero while a run goes on, and before and after the service runs
}

// Every returns a Runner that calls f as p says. A panic in f is an error of that run, with its stack in the log; an error of f is logged and
// the next run begins at its time. When the service stops, a run's ctx ends: what a task does must bear being repeated at the
// next start. A run that ignores that is waited for for 5 s.
//
// A Spacing that is not positive is an error of Run.
func Every(p Periodic, f func(ctx context.Context) error) *Task {
	t := &Task{config: p, run: f, log: p.Logger, state: TaskState{Name: p.Name}}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	return t
}

// abandonAfter is how long a run may ignore that its ctx has ended when its service stops.
const abandonAfter = 5 * time.Second

// State returns what the task has done until now.
func (t *Task) State() TaskState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// String is the task's name.
func (t *Task) String() string { return "task " + t.config.Name }

// Run calls the function until ctx ends.
func (t *Task) Run(ctx context.Context) error {
	p := t.config
	if p.Spacing <= 0 {
		return fmt.Errorf("service: task %s: a spacing of %s is not positive", p.Name, p.Spacing)
	}
	delay := p.Spacing
	switch {
	case p.Immediately:
		delay = 0
	case p.InitialDelay > 0:
		delay = p.InitialDelay
	}
	due := time.Now().Add(delay)
	for {
		start := due
		if p.Jitter > 0 && delay > 0 {
			start = start.Add(rand.N(p.Jitter))
		}
		delay = p.Spacing
		if !t.await(ctx, start) || !t.once(ctx) {
			return nil
		}
		due = due.Add(p.Spacing)
		if late := time.Since(due) - max(p.Jitter, 0); late >= 0 { // until then the start may still be
			missed := int(late/p.Spacing) + 1
			due = due.Add(time.Duration(missed) * p.Spacing)
			t.skip(missed)
		}
	}
}

// await waits for a start, unless the service stops before.
func (t *Task) await(ctx context.Context, start time.Time) bool {
	t.set(func(s *TaskState) { s.Next = start })
	defer t.set(func(s *TaskState) { s.Next = time.Time{} })
	timer := time.NewTimer(time.Until(start))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// once runs the function, and returns false when the service stops.
func (t *Task) once(ctx context.Context) bool {
	own, cancel := ctx, context.CancelFunc(func() {})
	if t.config.Timeout > 0 {
		own, cancel = context.WithTimeout(ctx, t.config.Timeout)
	}
	began := time.Now()
	t.set(func(s *TaskState) { s.Began, s.Active = began, true })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		err := errGoexit // unless the function returns
		defer func() {
			if v := recover(); v != nil {
				t.log.Error("periodic task panicked", "task", t.config.Name, "panic", v, "stack", string(debug.Stack()))
				err = fmt.Errorf("panic: %v", v)
			}
			t.conclude(ctx, began, err)
		}()
		err = t.run(own)
	}()
	select {
	case <-ended:
		return ctx.Err() == nil
	case <-ctx.Done():
	}
	limit := time.NewTimer(abandonAfter)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		t.log.Warn("periodic task left behind: it does not end with its context", "task", t.config.Name, "after", time.Since(began))
	}
	return false
}

// errGoexit is the error of a run that ended its goroutine instead of returning.
var errGoexit = errors.New("the task ended its goroutine: runtime.Goexit, or FailNow of a test, was called in it")

// conclude notes the end of a run.
func (t *Task) conclude(ctx context.Context, began time.Time, err error) {
	took := time.Since(began)
	t.set(func(s *TaskState) {
		s.Runs++
		s.Took, s.Err, s.Active = took, err, false
		if err != nil {
			s.Failed++
		}
	})
	if err != nil && ctx.Err() == nil {
		t.log.Error("periodic task failed", "task", t.config.Name, "took", took, "error", err)
	}
}

func (t *Task) skip(missed int) {
	t.set(func(s *TaskState) { s.Missed += missed })
	t.log.Warn("periodic task takes longer than its spacing", "task", t.config.Name, "spacing", t.config.Spacing, "took", t.State().Took, "left_out", missed)
}

func (t *Task) set(f func(*TaskState)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.state)
}
