//go:build zmq

package zmq

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// Next implements [transport.Listener].
func (l *topicListener) Next(ctx context.Context) (*transport.Delivery, error) {
	for {
		a, err := l.take(ctx)
		if err != nil {
			return nil, err
		}
		if a.ready() {
			return &a.Delivery, nil
		}
	}
}

// SharesNext implements [transport.Sharer].
func (l *topicListener) SharesNext() {}

// A sleeper is a call of Next that waits; calls use it one after the other.
type sleeper struct {
	wake chan struct{} // of capacity one: a token tells that it is among the listener's sleepers no more
}

var sleepers = sync.Pool{New: func() any { return &sleeper{make(chan struct{}, 1)} }}

// take returns the next arrival and counts it as unsettled.
func (l *topicListener) take(ctx context.Context) (*arrival, error) {
	ended := ctx.Err()
	l.mu.Lock()
	for {
		if l.closed && ended == nil {
			ended = transport.ErrClosed
		}
		if ended != nil {
			l.signal()
			return nil, ended
		}
		if a := l.pop(); a != nil {
			l.signal()
			return a, nil
		}
		ended = l.sleep(ctx)
	}
}

// pop takes an arrival out of the backlog if there is room for it and there is one. The caller holds mu.
func (l *topicListener) pop() *arrival {
	for l.unsettled < l.prefetch && l.backlog.Len() > 0 {
		a := l.backlog.Pop()
		if a.gone {
			l.gone--
			continue
		}
		a.taken = true
		l.unsettled++
		l.bytes -= len(a.body)
		return a
	}
	return nil
}

// sleep waits until there may be something, the listener is closed, or ctx ends, whose error it returns. The caller holds mu, though not
// meanwhile.
func (l *topicListener) sleep(ctx context.Context) error {
	s := sleepers.Get().(*sleeper)
	l.sleepers = append(l.sleepers, s)
	l.mu.Unlock()
	woken := false
	select {
	case <-s.wake:
		woken = true
	case <-l.done:
	case <-ctx.Done():
	}
	err := ctx.Err()
	l.mu.Lock()
	if !woken {
		i := slices.Index(l.sleepers, s)
		if woken = i < 0; woken {
			l.mu.Unlock()
			<-s.wake
			l.mu.Lock()
		} else {
			l.sleepers = slices.Delete(l.sleepers, i, i+1)
		}
	}
	l.waking = l.waking && !woken
	sleepers.Put(s)
	return err
}

// signal wakes the Next that waits last, which is the cheapest, if there is something for it and none is on its way, and unlocks. Who has
// taken something signals, too: so there are as many as are needed at a time, and one that has ended before the next is there takes more.
func (l *topicListener) signal() {
	var s *sleeper
	if last := len(l.sleepers) - 1; last >= 0 && !l.waking && l.unsettled < l.prefetch && l.backlog.Len() > l.gone {
		s, l.sleepers[last] = l.sleepers[last], nil
		l.sleepers = l.sleepers[:last]
		l.waking = true
	}
	l.mu.Unlock()
	if s != nil {
		s.wake <- struct{}{} // there is room: it is woken once
	}
}

// read decodes the message for the listener. k is that of the client who has sent it.
func (a *arrival) read(k *recent) error {
	l := a.listener
	err := parseMessage(&a.message, a.body, k)
	if err == nil {
		err = transport.CheckNotification(l.from, &a.message)
	}
	if err != nil {
		a.message = transport.Message{}
		return err
	}
	a.message.Headers = maps.Clone(a.envelope.headers) // others may get the same message
	a.Message, a.Settler = &a.message, a
	a.To = transport.Address{Kind: l.from.Kind, Exchange: l.from.Exchange, Topic: l.from.Topic}
	switch {
	case a.envelope.to == toFanout:
		a.To.Kind = transport.Fanout
	case a.To.Kind == transport.Topic:
		a.To.Server = a.envelope.service.Server
	}
	return nil
}

// ready completes a delivery. False when it has expired, or cannot be read, or is for another kind of listener, which is logged; it is
// settled then.
func (a *arrival) ready() bool {
	l, e := a.listener, &a.envelope
	waited := time.Since(a.at)
	if e.ttl > 0 && waited >= e.ttl {
		l.conn.log.Info("zmq: message dropped: it waited for longer than its sender does", "listener", l.Addr(), "waited", waited, "sender", e.ttl)
		a.drop(answerExpired, "")
		return false
	}
	if a.Message == nil {
		if err := a.read(&recent{}); err != nil {
			l.conn.log.Error("zmq: message dropped: it cannot be read, or does not belong here", "listener", l.Addr(), "bytes", len(a.body), "error", err)
			a.drop(answerRefused, err.Error())
			return false
		}
	}
	if e.ttl > 0 {
		a.message.Expires = e.ttl - waited
	}
	a.Redelivered = e.flags&flagAgain != 0
	return true
}
