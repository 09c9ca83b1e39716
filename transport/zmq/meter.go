//go:build zmq

package zmq

import (
	"sync/atomic"

	"github.com/goslo/goslo/transport"
)

// A meter counts what a transport does.
type meter struct {
	published, confirmed, returned, refused, resent, reconnects atomic.Uint64
}

// answered counts what a server says to a request.
func (m *meter) answered(code byte) {
	switch code {
	case answerTaken:
		m.confirmed.Add(1)
	case answerNobody:
		m.returned.Add(1)
	default:
		m.refused.Add(1)
	}
}

// Statistics implements [transport.Meter]. Published are requests each time that a server was asked, and replies; Refused those for
// which it had no room, too, which others may have had. Replies that go back on the connection of their request are not confirmed.
// Connections are those to servers.
func (c *Conn) Statistics() transport.Statistics {
	s := transport.Statistics{
		Published: c.meter.published.Load(), Confirmed: c.meter.confirmed.Load(), Returned: c.meter.returned.Load(),
		Refused: c.meter.refused.Load(), Resent: c.meter.resent.Load(), Reconnects: c.meter.reconnects.Load(),
	}
	c.peers.mu.Lock()
	defer c.peers.mu.Unlock()
	for key, k := range c.peers.links {
		if key != k.key {
			continue // another name of it
		}
		s.Connections++
		if k.state.Load() == linkUp {
			s.Connected++
		}
	}
	return s
}
