package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/goslo/goslo/transport"
)

// Leave implements [transport.Leaver].
func (l *topicListener) Leave(ctx context.Context) error {
	if l.isDone() {
		return nil
	}
	l.mu.Lock()
	l.left = true
	l.mu.Unlock()
	return l.unsubscribe(ctx, "leave the topic of listener", func(s *subscription) bool { return s.shared }, arrival.shared)
}

// Close implements [transport.Listener].
func (l *topicListener) Close(ctx context.Context) error {
	l.end()
	err := l.unsubscribe(ctx, "close listener", func(*subscription) bool { return true }, func(arrival) bool { return true })
	if l.temporary && l.conn.link.Load() != nil {
		l.conn.removeTemporary(ctx, l.queues[0].subject, l.from.Pool)
	}
	return err
}

// unsubscribe ends some subscriptions, and gives back what came from them and was not returned by Next.
func (l *topicListener) unsubscribe(ctx context.Context, what string, which func(*subscription) bool, from func(arrival) bool) error {
	for _, sub := range l.subs {
		if which(sub) {
			l.conn.subscriptions.leave(sub)
		}
	}
	err := l.flush(ctx) // what the server has sent before it heard of that is received by then
	for _, sub := range l.subs {
		if err == nil && which(sub) { // otherwise more may come, and is given back
			l.conn.subscriptions.forget(sub)
		}
	}
	l.giveBack(ctx, from)
	if l.isDone() {
		l.forget()
	}
	if err == nil {
		err = l.flush(ctx)
	}
	if err != nil {
		return fmt.Errorf("nats: %s %s: %w", what, l.Addr(), err)
	}
	return nil
}

// flush waits until the server has read what was written, if it is there.
func (l *topicListener) flush(ctx context.Context) error {
	if l.conn.link.Load() == nil {
		return nil
	}
	err := flush(ctx, l.conn.nc)
	if errors.Is(err, nats.ErrConnectionClosed) {
		return nil
	}
	return err
}

// giveBack returns what Next never returned: casts to their queues, calls to the topic's other servers. Where there are none
// the callers are told so.
func (l *topicListener) giveBack(ctx context.Context, which func(arrival) bool) {
	l.mu.Lock()
	l.given = which
	var back []arrival
	for range l.backlog.Len() {
		a := l.backlog.Pop()
		if !which(a) {
			l.backlog.Push(a)
			continue
		}
		if a.queue != nil {
			delete(l.held, a.ack)
		} else {
			l.bytes -= len(a.data)
		}
		back = append(back, a)
	}
	l.mu.Unlock()
	deserted := map[string]bool{}
	for _, a := range back {
		nobody, asked := deserted[string(a.subject)]
		if !asked && a.queue == nil && a.kind == transport.Topic {
			nobody = l.deserted(ctx, a.subject)
			deserted[string(a.subject)] = nobody
		}
		if !nobody {
			l.giveBackLate(a)
		} else if err := l.conn.hand(a.reply, nil, header(nobodyThere), nil); err != nil {
			l.conn.log.Error("nats: call dropped: nobody listens any more, and the caller cannot be told", "subject", string(a.subject), "error", err)
		}
	}
}

// deserted says that nobody listens on the subject of calls, as far as can be found out. The server tells that to who makes
// a request, which is not the one who sends it again.
func (l *topicListener) deserted(ctx context.Context, subject []byte) bool {
	up := l.conn.link.Load()
	if up == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	m, err := l.conn.asks.ask(ctx, up, subject, header(nil).add(headerProbe, "1"), nil)
	return err == nil && noResponders(m)
}

// giveBackLate returns what came before its subscription ended, and has nobody to tell but the log.
func (l *topicListener) giveBackLate(a arrival) {
	if err := l.giveBackOne(a); err != nil {
		l.conn.log.Error("nats: message not given back", "subject", string(a.subject), "error", err)
	}
}

// giveBackOne returns a cast to its queue, and sends a call again. It has nothing to do for a fanout message, nor for a call
// whose caller has gone.
func (l *topicListener) giveBackOne(a arrival) error {
	if a.queue != nil {
		return l.conn.hand(a.reply, nil, nil, []byte("-NAK"))
	}
	if a.kind != transport.Topic {
		return nil
	}
	reply, alive := remainingTTL(string(a.reply), time.Since(a.at))
	if !alive {
		return nil
	}
	return l.conn.hand(a.subject, []byte(reply), a.header, a.data)
}

// remainingTTL is a call's reply subject with the time that it waited taken off.
func remainingTTL(reply string, waited time.Duration) (rest string, alive bool) {
	ttl := callTTL([]byte(reply))
	if ttl == 0 {
		return reply, true
	}
	left := (ttl - waited).Milliseconds()
	return reply[:strings.LastIndexByte(reply, '.')+1] + strconv.FormatInt(left, 10), left > 0
}

// forget leaves the connection's care, unless claims on unsettled casts must be renewed.
func (l *topicListener) forget() {
	l.mu.Lock()
	idle := len(l.held) == 0
	l.mu.Unlock()
	if idle {
		l.conn.remove(l)
	}
}

// release implements listener.
func (l *topicListener) release() {
	l.mu.Lock()
	claims := make([]string, 0, len(l.held))
	for ack := range l.held {
		claims = append(claims, ack)
	}
	clear(l.held)
	l.mu.Unlock()
	for _, ack := range claims {
		if err := l.conn.hand([]byte(ack), nil, nil, []byte("-NAK")); err != nil {
			return // the queue notices that no claim is renewed
		}
	}
}
