//go:build zmq

package zmq

import (
	"context"
	"errors"
	"time"

	"github.com/goslo/goslo/transport"
)

// Pauses between two attempts to find room elsewhere for what a listener has no room for.
const (
	shedFirst = 50 * time.Millisecond
	shedMost  = 2 * time.Second
)

// handOver keeps requests that are ours, and of which no listener is, for other servers.
func (s *listeners) handOver(list []*arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, list...)
}

// shed offers other servers what is ours and nobody takes here, until the transport's life ends. It is a goroutine of its own.
func (s *listeners) shed() {
	pause := shedFirst
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.conn.life.Done():
			return
		}
		found, rid := false, false
		for _, l := range s.every() {
			for a := l.excess(); a != nil; a = l.excess() {
				found = true
				if !s.offer(a, true) {
					l.putBack(a)
					break
				}
				rid = true
			}
		}
		s.mu.Lock()
		left := s.left
		s.left = nil
		s.mu.Unlock()
		var kept []*arrival
		for _, a := range left {
			found = true
			if s.offer(a, false) {
				rid = true
			} else {
				kept = append(kept, a)
			}
		}
		s.handOver(kept)
		switch {
		case rid || !found:
			pause = shedFirst
		default:
			pause = min(2*pause, shedMost)
		}
		timer.Reset(pause)
	}
}

// excess takes the newest request out of the backlog if that is larger than it should be, and nil otherwise.
func (l *topicListener) excess() *arrival {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.load() <= 100 || l.backlog.Len() == 0 {
		return nil
	}
	for i := l.backlog.Len() - 1; i >= 0; i-- {
		a := l.backlog.At(i)
		if a.gone || !a.answered || a.envelope.to == toFanout {
			continue
		}
		a.gone = true
		l.gone++
		l.bytes -= len(a.body)
		return a
	}
	return nil
}

// putBack takes a request again that nobody else has room for.
func (l *topicListener) putBack(a *arrival) {
	again := a.again()
	l.mu.Lock()
	if l.closed || l.left && a.shared() {
		l.mu.Unlock()
		l.conn.listeners.handOver([]*arrival{again})
		return
	}
	l.backlog.Push(again)
	l.bytes += len(a.body)
	l.signal()
}

// offer gives a request to another server, with what is left of its time. It returns whether it is ours no more.
func (s *listeners) offer(a *arrival, room bool) bool {
	c := s.conn
	e := a.envelope
	waited := time.Since(a.at)
	if e.ttl > 0 {
		if e.ttl -= waited; e.ttl <= 0 {
			c.log.Info("zmq: message dropped: it waited for longer than its sender does", "topic", e.service.Topic, "waited", waited)
			return true
		}
	}
	e.flags &= flagAgain | flagReplies
	who := anybody{room: room}
	if room {
		who.but = c.self.ID
	}
	ctx, cancel := context.WithTimeout(c.life, 5*time.Second)
	defer cancel()
	err := c.toOne(ctx, e, a.forwarded(&e), who)
	switch {
	case err == nil:
		return true
	case errors.Is(err, transport.ErrInDoubt), errors.Is(err, transport.ErrRejected):
		c.log.Error("zmq: message was to be handed over to another server", "topic", e.service.Topic, "error", err)
		return true
	}
	return false
}

// forwarded is a request for another server, whose body has the whole of its reply address. It is not checked again: of what its sender should not
// have sent, its caller hears from that server.
func (a *arrival) forwarded(e *envelope) []byte {
	fields := appendRequest(nil, e)
	if a.Message == nil && a.read(a.from.alone()) != nil {
		return append(fields, a.body...) // who gets it finds that it cannot be read
	}
	return appendChecked(fields, &a.message, "")
}

// lost says what could not be handed over before the transport was closed.
func (s *listeners) lost() {
	s.mu.Lock()
	n := len(s.left)
	s.left = nil
	s.mu.Unlock()
	if n > 0 {
		s.conn.log.Error("zmq: messages lost: this server had them, did not get to them, and no other server was there to take them", "count", n)
	}
}
