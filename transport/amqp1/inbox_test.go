package amqp1

import (
	"context"
	"errors"
	"testing"
)

// An interrupted is a context that ends when something comes, which is when it is waited for.
type interrupted struct {
	context.Context //nolint:containedctx // It is one.
	comes           func()
	ended           error
}

func (e *interrupted) Done() <-chan struct{} {
	e.comes()
	e.ended = context.Canceled
	return nil // the select finds what has come
}

func (e *interrupted) Err() error { return e.ended }

// Who is woken for what has come, and whose context ends at that moment, leaves it to another that waits.
func TestNextLeavesToOthersWhatItWasWokenFor(t *testing.T) {
	t.Parallel()
	l := &listener{ending: make(chan struct{})}
	l.inbox.wake = make(chan struct{}, 1)
	ctx := &interrupted{Context: t.Context(), comes: func() { l.inbox.push(arrival{}) }}
	if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	select {
	case <-l.inbox.wake:
	default:
		t.Error("nobody is woken for what is there")
	}
}
