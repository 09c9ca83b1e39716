package rabbit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// How a link finds out that its broker has gone without a word. Beats are counted, not the time between them, so that
// a process that was itself suspended does not blame its broker.
const (
	beat      = 250 * time.Millisecond
	joinAfter = 4  // beats without a byte read: ask the broker something when the sibling does, which wakes it once for both
	askAfter  = 8  // beats without a byte read: ask the broker something
	doubtFrom = 12 // none still: look for another connection, and give the session up a beat after there is one
)

// watch returns when the session has ended, and why. Where it returns a search, that is to bring the next one. It ends
// the session itself when ctx ends, or when the broker is silent on it and answers on another connection. A broker that
// answers nowhere is waited for, until heartbeats decide; so is one that blocks us, because it reads nothing then.
func (l *link) watch(ctx context.Context, s *session) (next *search, why error) {
	pulse := time.NewTicker(beat)
	defer pulse.Stop()
	heard, quiet := s.sock.reads.Load(), 0
	blocked, found := false, false
	for {
		select {
		case <-ctx.Done():
			if err := s.conn.CloseDeadline(time.Now().Add(goodbye)); err != nil && !errors.Is(err, amqp.ErrClosed) {
				l.log.Info("closing without the broker's answer", "connection", l.role, "broker", s.addr, "error", err)
			}
			return next, transport.ErrClosed
		case err, ok := <-s.closes:
			switch cause := s.sock.cause(); {
			case !ok || err == nil:
				return next, errors.New("the connection was closed")
			case !err.Server && cause != nil:
				return next, cause // the library calls it a wrong frame
			}
			return next, err
		case b, ok := <-s.blocks:
			if !ok {
				s.blocks = nil
				continue
			}
			blocked = b.Active
			s.sock.bear(blocked)
			l.block(s, b)
		case <-l.checks:
			if !blocked && quiet < askAfter {
				heard, quiet = s.sock.reads.Load(), askAfter
				s.ask()
			}
		case <-l.joins:
			if !blocked && quiet >= joinAfter && quiet < askAfter {
				heard, quiet = s.sock.reads.Load(), askAfter
				s.ask()
			}
		case <-pulse.C:
			if blocked {
				s.sock.bear(true)
			}
			if n := s.sock.reads.Load(); n != heard || blocked {
				if next != nil {
					l.log.Info("the broker answers again", "connection", l.role, "broker", s.addr, "after", beat*time.Duration(quiet))
					l.update(func() { l.silent = time.Time{} })
					next.giveUp()
				}
				heard, quiet, next, found = n, 0, nil, false
				continue
			}
			quiet++
			switch {
			case quiet == askAfter:
				s.ask()
				l.sibling.join()
			case quiet == doubtFrom:
				l.log.Info("the broker does not answer, looking for another connection", "connection", l.role, "broker", s.addr)
				l.update(func() { l.silent = time.Now().Add(-doubtFrom * beat) })
				l.sibling.check()
				l.hosts.lost(s.addr)
				next = l.search(ctx)
			case found:
				return next, fmt.Errorf("the broker did not answer for %s, and does on another connection", beat*time.Duration(quiet-askAfter))
			case next != nil && len(next.found) > 0:
				found = true
			}
		}
	}
}

// block tells that the broker takes no messages, or does again.
func (l *link) block(s *session, b amqp.Blocking) {
	reason := ""
	if b.Active {
		reason = cmp.Or(b.Reason, "it does not say why")
		l.log.Error("the broker takes no messages", "connection", l.role, "broker", s.addr, "reason", b.Reason)
	} else {
		l.log.Info("the broker takes messages again", "connection", l.role, "broker", s.addr)
	}
	l.update(func() { l.blocked = reason })
}

// check has the link ask its broker for a sign of life now: the link beside it has reason to doubt.
func (l *link) check() {
	select {
	case l.checks <- struct{}{}:
	default:
	}
}

// join has the link ask its broker for a sign of life if it would do so soon.
func (l *link) join() {
	select {
	case l.joins <- struct{}{}:
	default:
	}
}

// ask has the broker asked something. That it answers is seen by the bytes that come.
func (s *session) ask() {
	select {
	case s.asks <- struct{}{}:
	default: // the last question is still open
	}
}

// answer asks: with channel.flow, which changes nothing and is what costs the broker least, on the session's channel that is awake. Where
// there is none, because a question that takes long is in the way, it asks on one of its own.
func (s *session) answer() {
	var own *amqp.Channel
	for {
		select {
		case <-s.asks:
		case <-s.gone:
			return
		}
		ch, err := s.awake.Load(), error(nil)
		if ch == nil || ch.IsClosed() {
			if own == nil || own.IsClosed() {
				own, _, err = s.sock.channel(s.conn)
			}
			ch = own
		}
		if err == nil {
			_ = ch.Flow(true) // an error is an answer, too
		}
	}
}
