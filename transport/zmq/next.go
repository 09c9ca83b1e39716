//go:build zmq

package zmq

import (
	"context"
	"maps"
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
		ended = l.line.Wait(ctx, &l.mu, l.done)
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

// signal wakes a Next that waits, if there is something for it, and unlocks.
func (l *topicListener) signal() {
	l.line.Wake(&l.mu, l.unsettled < l.prefetch && l.backlog.Len() > l.gone)
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
		if err := a.read(a.from.alone()); err != nil {
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
