// Package ending waits for the ends of contexts whose timers are armed only when somebody asks for Done.
package ending

import (
	"context"
	"time"
)

// Of returns a channel that is closed when ctx ends, and whether its end at its deadline is left to a timer of the caller's own: so it is with
// contexts that have the method Unarmed, whose channel tells of every end but that one.
func Of(ctx context.Context) (done <-chan struct{}, deadline bool) {
	if c, ok := ctx.(interface{ Unarmed() <-chan struct{} }); ok {
		return c.Unarmed(), true
	}
	return ctx.Done(), false
}

// A Timer is for the deadlines of those who wait one after the other. The zero value is a stopped one.
type Timer struct{ timer *time.Timer }

// Of is the function Of, and arms the timer where the deadline is left to it: due tells when that has come, and is nil otherwise. Whoever has waited
// calls Stop.
func (t *Timer) Of(ctx context.Context) (done <-chan struct{}, due <-chan time.Time) {
	done, timed := Of(ctx)
	deadline, ok := ctx.Deadline()
	if !ok || !timed {
		return done, nil
	}
	if t.timer == nil {
		t.timer = time.NewTimer(time.Until(deadline))
	} else {
		t.timer.Reset(time.Until(deadline))
	}
	return done, t.timer.C
}

// Stop ends the wait. The timer does not tell of it after that.
func (t *Timer) Stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}
