package ending_test

import (
	"context"
	"testing"

	"github.com/goslo/goslo/internal/ending"
)

// A lazy context would arm a timer if it were asked for Done.
type lazy struct {
	context.Context //nolint:containedctx // It is one.
	asked           bool
}

func (l *lazy) Done() <-chan struct{} {
	l.asked = true
	return l.Context.Done()
}

func (l *lazy) Unarmed() <-chan struct{} { return l.Context.Done() }

func TestOf(t *testing.T) {
	t.Parallel()
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	if done, deadline := ending.Of(parent); done != parent.Done() || deadline {
		t.Errorf("of a usual context: %v, %v", done, deadline)
	}
	l := &lazy{Context: parent}
	if done, deadline := ending.Of(l); done != parent.Done() || !deadline || l.asked {
		t.Errorf("of a lazy one: %v, %v; asked for Done: %v", done, deadline, l.asked)
	}
}
