// Package ending waits for the ends of contexts whose timers are armed only when somebody asks for Done.
package ending

import "context"

// Of returns a channel that is closed when ctx ends, and whether its end at its deadline is left to a timer of the caller's own: so it is with
// contexts that have the method Unarmed, whose channel tells of every end but that one.
func Of(ctx context.Context) (done <-chan struct{}, deadline bool) {
	if c, ok := ctx.(interface{ Unarmed() <-chan struct{} }); ok {
		return c.Unarmed(), true
	}
	return ctx.Done(), false
}
