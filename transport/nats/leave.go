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
	leave := (*nats.Subscription).Drain
	if l.conn.link.Load() == nil {
		leave = (*nats.Subscription).Unsubscribe // draining would wait for a server that is away
	}
	for _, sub := range l.subs {
		if !which(sub) {
			continue
		}
		// A subscription that has ended already, with the connection or by an earlier Close, needs neither.
		if err := leave(sub.Subscription); err != nil && !errors.Is(err, nats.ErrBadSubscription) && !errors.Is(err, nats.ErrConnectionClosed) {
			l.conn.log.Debug("nats: unsubscribe", "subject", sub.Subject, "error", err)
		}
	}
	var err error
	for _, sub := range l.subs {
		if !which(sub) {
			continue
		}
		select {
		case <-sub.ended:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	l.giveBack(ctx, from)
	if l.isDone() {
		l.forget()
	}
	if err == nil && l.conn.link.Load() != nil {
		if err = flush(ctx, l.conn.nc); errors.Is(err, nats.ErrConnectionClosed) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("nats: %s %s: %w", what, l.Addr(), err)
	}
	return nil
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
			delete(l.held, a.msg.Reply)
		} else {
			l.bytes -= len(a.msg.Data)
		}
		back = append(back, a)
	}
	l.mu.Unlock()
	deserted := map[string]bool{}
	for _, a := range back {
		nobody, asked := deserted[a.msg.Subject]
		if !asked && a.queue == nil && a.kind == transport.Topic {
			nobody = l.deserted(ctx, a.msg.Subject)
			deserted[a.msg.Subject] = nobody
		}
		if !nobody {
			l.giveBackLate(a)
		} else if err := l.conn.nc.PublishMsg(&nats.Msg{Subject: a.msg.Reply, Header: nats.Header{"Status": {"503"}}}); err != nil {
			l.conn.log.Error("nats: call dropped: nobody listens any more, and the caller cannot be told", "subject", a.msg.Subject, "error", err)
		}
	}
}

// deserted says that nobody listens on the subject of calls, as far as can be found out. The server tells that to who makes
// a request, which is not the one who sends it again.
func (l *topicListener) deserted(ctx context.Context, subject string) bool {
	up := l.conn.link.Load()
	if up == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	m, err := l.conn.asks.ask(ctx, up, &nats.Msg{Subject: subject, Header: nats.Header{headerProbe: {"1"}}})
	return err == nil && noResponders(m)
}

// giveBackLate returns what came before its subscription ended, and has nobody to tell but the log.
func (l *topicListener) giveBackLate(a arrival) {
	if err := l.giveBackOne(a); err != nil {
		l.conn.log.Error("nats: message not given back", "subject", a.msg.Subject, "error", err)
	}
}

// giveBackOne returns a cast to its queue, and sends a call again. It has nothing to do for a fanout message, nor for a call
// whose caller has gone.
func (l *topicListener) giveBackOne(a arrival) error {
	if a.queue != nil {
		return l.conn.nc.Publish(a.msg.Reply, []byte("-NAK"))
	}
	if a.kind != transport.Topic {
		return nil
	}
	reply, alive := remainingTTL(a.msg.Reply, time.Since(a.at))
	if !alive {
		return nil
	}
	return l.conn.hand(a.msg.Subject, reply, a.msg.Header, a.msg.Data)
}

// remainingTTL is a call's reply subject with the time that it waited taken off.
func remainingTTL(reply string, waited time.Duration) (rest string, alive bool) {
	ttl := callTTL(reply)
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
		if err := l.conn.nc.Publish(ack, []byte("-NAK")); err != nil {
			return // the queue notices that no claim is renewed
		}
	}
}
