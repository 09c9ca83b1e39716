package nats

import "context"

// makingAtOnce is how many queues a connection makes at a time.
const makingAtOnce = 16

// A making lets few make queues at a time. A server makes them one after the other, and each asks within a time limit: where a process with a
// thousand listeners starts, the last would run out of it behind the others.
type making struct{ turns chan struct{} }

func newMaking() making { return making{make(chan struct{}, makingAtOnce)} }

// do runs f in its turn, unless ctx ends before.
func (m making) do(ctx context.Context, f func(context.Context) error) error {
	select {
	case m.turns <- struct{}{}:
		defer func() { <-m.turns }()
		return f(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}
