//go:build zmq

package zmq

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// A session is a client that has connected to us, and the stream to it. It belongs to the loop, but for what is atomic or never
// changes.
type session struct {
	id        string // of the connection
	client    string // the ID of the member
	home      string // what its reply addresses end with
	connected atomic.Bool
	epoch     uint64
	stream    stream
	recent    recent    // of its requests
	frame     []byte    // being filled; nil = none
	silent    time.Time // when something was last exchanged
	left      bool      // the client has promised to send no more requests
	dirty     bool      // the loop is to flush it
}

// alone is what is known of a client when a request of its is read for itself. Anybody may.
func (s *session) alone() *recent { return &recent{home: s.home} }

// Clients are the members that have connected to us, by their IDs, and the latest session of each. The loop writes.
type clients struct {
	mu       sync.Mutex
	sessions map[string]*session
	last     caller // mostly the next one, too
}

// A caller is who a reply goes to.
type caller struct {
	to     string // its reply address
	number uint64 // of the listener
	id     string // of the member
}

func (c *clients) store(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions == nil {
		c.sessions = map[string]*session{}
	}
	c.sessions[s.client] = s
}

// forget takes s off, unless a later one has its place.
func (c *clients) forget(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions[s.client] == s {
		delete(c.sessions, s.client)
	}
}

// caller finds the session of a client, and its listener, by a reply address. Nil when it is not connected.
func (c *clients) caller(to string) (number uint64, s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.to != to {
		number, id, ok := callerOf(to)
		if !ok {
			return 0, nil
		}
		c.last = caller{to, number, id}
	}
	if s = c.sessions[c.last.id]; s == nil || !s.connected.Load() {
		return 0, nil
	}
	return c.last.number, s
}

// sessionTime is for how long the stream to a client is remembered that is not connected.
const sessionTime = 3 * time.Minute

// A session that is silent for so long is asked whether it is still connected.
const sessionPause = 30 * time.Second

// backlogLimit is how many bytes may wait for a client that is not connected or takes nothing. Its replies are dropped then.
const backlogLimit = 2 * window

// open returns the frame that records are added to.
func (s *session) open() []byte {
	if s.frame == nil {
		s.frame = s.stream.frame()
	}
	return s.frame
}

func (s *session) answer(a *answer) { s.frame = appendAnswer(s.open(), a) }

// reply adds a reply; false when too much waits.
func (s *session) reply(o *outgoing) bool {
	if s.stream.bytes+len(s.frame) > backlogLimit {
		return false
	}
	var head [binary.MaxVarintLen64]byte
	s.frame = appendRecord(s.open(), recordReply, binary.AppendUvarint(head[:0], o.number), *o.body)
	s.seal(frameSize)
	return true
}

func (s *session) services(leaving bool, list []offer) {
	s.frame = appendRecord(s.open(), recordServices, appendServices(nil, leaving, list))
}

// seal ends the frame that is being filled if it has at least so many bytes.
func (s *session) seal(least int) {
	if s.frame != nil && len(s.frame) >= least {
		s.stream.add(s.frame)
		s.frame = nil
	}
}

func appendUvarints(b []byte, list ...uint64) []byte {
	for _, n := range list {
		b = binary.AppendUvarint(b, n)
	}
	return b
}
