package nats

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/transport"
)

// counters are what a connection has done; see transport.Statistics.
type counters struct {
	published, confirmed, returned, refused, reconnects, deaf atomic.Uint64

	loopback atomic.Int64 // of the last message to ourselves, in nanoseconds
}

// asked counts a cast that was handed to the server, unless err says that it was not.
func (c *counters) asked(err error) {
	if err == nil || errors.Is(err, errLinkLost) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		c.published.Add(1)
	}
}

// Statistics implements [transport.Meter]. Casts are confirmed, calls, fanouts and replies are not. Loopback is measured every 5 s. A NATS server
// blocks nobody, and nothing is sent again here, so Blocked and Resent are 0. A queue of casts that stopped to hand them out counts as Deaf.
func (c *Conn) Statistics() transport.Statistics {
	n := &c.counters
	s := transport.Statistics{
		Published: n.published.Load(), Confirmed: n.confirmed.Load(), Returned: n.returned.Load(), Refused: n.refused.Load(),
		Reconnects: n.reconnects.Load(), Deaf: n.deaf.Load(), Loopback: time.Duration(n.loopback.Load()),
		Connections: 1,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Away = c.away.total
	switch {
	case c.link.Load() != nil:
		s.Connected = 1
	case !c.isClosed():
		s.Away += time.Since(c.away.since)
	}
	return s
}

// A loop is the last message that we sent to ourselves. Guarded by asks.mu.
type loop struct {
	id   uint64
	sent time.Time
}

// loop sends one.
func (a *asks) loop() error {
	a.mu.Lock()
	a.last++
	a.looped = loop{a.last, time.Now()}
	subject := a.subject(a.last)
	a.mu.Unlock()
	return a.conn.hand(subject, nil, nil, nil)
}

// closes reports whether an answer is the last loop's, and notes how long that took. The mutex is held.
func (a *asks) closes(id uint64) bool {
	if id != a.looped.id {
		return false
	}
	a.looped.id = 0
	a.conn.counters.loopback.Store(int64(max(time.Since(a.looped.sent), 1)))
	return true
}
