package rabbit

import (
	"cmp"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/transport"
)

var _ transport.Meter = (*Transport)(nil)

// counters are what a transport has done; see transport.Statistics.
type counters struct {
	published, confirmed, returned, refused, resent, deaf atomic.Uint64

	loopback atomic.Int64 // of the last probe that arrived, in nanoseconds
}

// settled counts the broker's word about a message.
func (c *counters) settled(taken, back bool) {
	switch {
	case !taken:
		c.refused.Add(1)
	case back:
		c.returned.Add(1)
	default:
		c.confirmed.Add(1)
	}
}

// Statistics is part of transport.Meter. A reply counts as confirmed when the broker has answered that it was dealt with, a sign of life never
// does. Loopback is a probe's, of the last listener that sent one to its own queue (probe_interval).
func (t *Transport) Statistics() transport.Statistics {
	c := &t.counters
	s := transport.Statistics{
		Published: c.published.Load(), Confirmed: c.confirmed.Load(), Returned: c.returned.Load(), Refused: c.refused.Load(), Resent: c.resent.Load(),
		Deaf: c.deaf.Load(), Loopback: time.Duration(c.loopback.Load()),
	}
	for _, l := range []*link{t.out, t.in} {
		l.history(&s)
	}
	return s
}

// A record is for how long, and how often, a link was not what it should be.
type record struct {
	opened     bool // it has had a session
	reconnects uint64
	away       time.Duration // without a session, since the first
	held       time.Duration // with one, blocked
}

// passed notes for how long the link has been as it was before a change.
func (r *record) passed(span time.Duration, live *session, blocked string) {
	switch {
	case !r.opened:
	case live == nil:
		r.away += span
	case blocked != "":
		r.held += span
	}
}

// history adds what a link has seen to s.
func (l *link) history(s *transport.Statistics) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.record
	if !now.opened {
		return
	}
	if !l.closed {
		now.passed(time.Since(l.since), l.live, l.blocked)
	}
	s.Connections++
	if l.live != nil {
		s.Connected++
		s.Blocking = cmp.Or(s.Blocking, l.blocked)
	}
	s.Reconnects += now.reconnects
	s.Away += now.away
	s.Blocked += now.held
}
