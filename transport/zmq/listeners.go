//go:build zmq

package zmq

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// listeners are those of a transport, and what they have left behind.
type listeners struct {
	conn *Conn

	mu      sync.Mutex
	topics  map[topicName][]*topicListener
	replies map[uint64]*replyListener
	last    uint64
	left    []*arrival // to be handed over to other servers
	closed  bool
}

func (s *listeners) init(c *Conn) {
	s.conn, s.topics, s.replies = c, map[topicName][]*topicListener{}, map[uint64]*replyListener{}
}

func (s *listeners) add(l *topicListener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return transport.ErrClosed
	}
	name := topicName{l.service.Exchange, l.service.Topic}
	s.topics[name] = append(slices.Clone(s.topics[name]), l) // readers have the old one
	return nil
}

func (s *listeners) remove(l *topicListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := topicName{l.service.Exchange, l.service.Topic}
	rest := slices.DeleteFunc(slices.Clone(s.topics[name]), func(o *topicListener) bool { return o == l })
	s.topics[name] = rest
	if len(rest) == 0 {
		delete(s.topics, name)
	}
}

// all returns the listeners, none of which will be joined by another one.
func (s *listeners) all() []transport.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var list []transport.Listener
	for _, topic := range s.topics {
		for _, l := range topic {
			list = append(list, l)
		}
	}
	for _, l := range s.replies {
		list = append(list, l)
	}
	return list
}

func (s *listeners) of(name topicName) []*topicListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics[name]
}

func (s *listeners) every() (all []*topicListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range s.topics {
		all = append(all, topic...)
	}
	return all
}

// served lists what is listened to.
func (c *Conn) served() []offer {
	var list []offer
	for _, l := range c.listeners.every() {
		l.mu.Lock()
		o := offer{l.service, l.left}
		l.mu.Unlock()
		if !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	return list
}

func (c *Conn) serves(s service) bool {
	return slices.ContainsFunc(c.listeners.every(), func(l *topicListener) bool { return l.service == s })
}

// overdue runs on the loop.
func (c *Conn) overdue(now time.Time) {
	if c.loop.deferred.Load() == 0 {
		return
	}
	for _, l := range c.listeners.every() {
		l.overdue(now)
	}
}

// arrived takes a request off the wire. It runs on the loop and never waits.
func (c *Conn) arrived(from *session, r *reader) {
	a := newArrival(from)
	e := &a.envelope
	body, ok := parseRequest(e, r, &from.recent)
	a.body = body
	switch {
	case !ok:
		c.log.Error("zmq: request cannot be read", "client", from.id)
		c.answer(a, answerRefused, 0)
	case e.flags&flagGivenUp != 0: // its sender was told that it is in doubt
	case e.to == toPools:
		c.tellPools(from, e)
	case e.to == toReply:
		c.answer(a, c.repliedDirectly(e, body), 0)
	case e.to == toFanout:
		list := c.listeners.of(topicName{e.service.Exchange, e.service.Topic})
		for _, l := range list {
			// Each has its own, and the sender has done with it.
			l.push(&arrival{from: from, envelope: *e, body: body, at: a.at, answered: true})
		}
		c.answer(a, answerTaken, 0)
	default:
		if l := c.listeners.freest(e.service); l != nil {
			l.push(a)
			return
		}
		c.answer(a, answerNobody, 0)
	}
}

// freest returns the listener with the most room among those that a request is for.
func (s *listeners) freest(to service) (best *topicListener) {
	list := s.of(topicName{to.Exchange, to.Topic})
	if len(list) == 1 && (to.Server == "" || list[0].service.Server == to.Server) {
		return list[0]
	}
	least := 0
	for _, l := range list {
		if to.Server != "" && l.service.Server != to.Server {
			continue
		}
		l.mu.Lock()
		load := l.load()
		if l.left && to.Server == "" {
			load += 1 << 30
		}
		l.mu.Unlock()
		if best == nil || load < least {
			best, least = l, load
		}
	}
	return best
}

// announce tells the directory whether we serve something. When ctx has ended the directory still hears of it, if nobody else has the
// token: it is not to go on telling others what we serve no more.
func (c *Conn) announce(ctx context.Context, s service) error {
	select {
	case c.announcing <- struct{}{}:
	default:
		select {
		case c.announcing <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer func() { <-c.announcing }()
	if c.serves(s) {
		return wrap(c.directory.serve(ctx, s), "tell the directory")
	}
	return wrap(c.directory.unserve(ctx, s), "tell the directory")
}
