package ending_test

import (
	"context"
	"testing"
	"time"

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

// A timer tells of the deadlines that are left to it, one after the other, and of no other.
func TestTimer(t *testing.T) {
	t.Parallel()
	var timer ending.Timer
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, due := timer.Of(soon); due != nil {
		t.Error("the deadline of a context that tells of it by itself is waited for")
	}
	if _, due := timer.Of(&lazy{Context: t.Context()}); due != nil {
		t.Error("a deadline is waited for where there is none")
	}
	for range 2 {
		_, due := timer.Of(&lazy{Context: soon})
		<-due
		timer.Stop()
	}
	far, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	timer.Of(&lazy{Context: soon})
	<-soon.Done()
	timer.Stop()
	_, due := timer.Of(&lazy{Context: far})
	select {
	case <-due:
		t.Error("it tells of a deadline before that it was stopped for")
	default:
	}
}
