//go:build zmq

package zmq

import (
	"runtime"
	"testing"
	"time"
)

// The loop, which nobody wakes for an answer that is put lazily, ticks until it is there.
func TestLoopTicksUntilTheAnswerIsThere(t *testing.T) {
	t.Parallel()
	l := &topicListener{conn: &Conn{loop: new(loop)}, prefetch: 1, unsettled: 1}
	a := &arrival{listener: l, from: new(session), envelope: envelope{flags: flagReplies}, taken: true, at: time.Now()}
	a.holders.Store(2)
	l.open.Push(a)
	l.conn.loop.deferred.Add(1)
	inbox := &l.conn.loop.inbox
	inbox.mu.Lock()
	settled, looked := make(chan error, 1), make(chan struct{})
	go func() { settled <- a.Ack(t.Context()) }() // awaited below
	for !a.settled.Load() {
		runtime.Gosched()
	}
	<-time.After(10 * time.Millisecond) // it waits for the inbox
	go func() {                         // awaited below
		defer close(looked)
		l.overdue(time.Now())
	}()
	<-time.After(10 * time.Millisecond) // nothing is to happen
	if l.conn.loop.deferred.Load() == 0 {
		t.Error("the loop ticks no more, and the answer is not there")
	}
	inbox.mu.Unlock()
	if err := <-settled; err != nil {
		t.Error(err)
	}
	<-looked
	if n := len(inbox.work.answers); n != 1 || l.conn.loop.deferred.Load() != 0 {
		t.Errorf("%d answers, want 1; %d requests wait for one", n, l.conn.loop.deferred.Load())
	}
}
