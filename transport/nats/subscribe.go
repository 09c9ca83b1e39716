package nats

import (
	"strconv"
	"sync"
	"time"
)

// firstSID is the first number of a subscription of ours; nats.go counts from 1.
const firstSID = 1 << 30

// afterLeave is how long a subscription is remembered of which the server was never heard to have ended it.
const afterLeave = time.Minute

// subscriptions are those of ours, on one connection and the ones that follow it.
type subscriptions struct {
	mu   sync.RWMutex // acquired before a socket's
	on   *socket      // the last connection that was let in; nil before the first
	last uint64
	all  map[uint64]*subscription
}

// A subscription has messages received. What receives them runs in the goroutine that reads, so it never blocks.
type subscription struct {
	sid            uint64
	subject, group string
	shared         bool      // with the topic's other servers
	left           time.Time // when nothing more was asked for; zero = it goes on. Guarded by subscriptions.mu
	receive        func(message)
}

// add subscribes, on this connection and those to come.
func (s *subscriptions) add(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[uint64]*subscription{}
	}
	s.last++
	sub.sid = firstSID + s.last
	s.all[sub.sid] = sub
	s.control(sub.append)
}

// leave has the server send nothing more. What is on its way is still received, until forget, or [afterLeave] has passed.
func (s *subscriptions) leave(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sub.left.IsZero() {
		return
	}
	now := time.Now()
	for sid, other := range s.all {
		if !other.left.IsZero() && now.Sub(other.left) > afterLeave {
			delete(s.all, sid)
		}
	}
	sub.left = now
	s.control(func(b []byte) []byte {
		return append(strconv.AppendUint(append(b, "UNSUB "...), sub.sid, 10), "\r\n"...)
	})
}

// forget has nothing be received any more. It does not wait for a message that is being received.
func (s *subscriptions) forget(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, sub.sid)
}

// renew has a new connection's messages published, after its subscriptions.
func (s *subscriptions) renew(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = k
	k.admit(func(b []byte) []byte {
		for sid, sub := range s.all {
			if sub.left.IsZero() {
				b = sub.append(b)
			} else {
				delete(s.all, sid)
			}
		}
		return b
	})
}

// control writes a line. The mutex is held.
func (s *subscriptions) control(line func(pending []byte) []byte) {
	if s.on != nil {
		s.on.control(line)
	}
}

// deliver gives a message to whom it is for, if he is still there.
func (s *subscriptions) deliver(sid uint64, m message) {
	s.mu.RLock()
	sub := s.all[sid]
	s.mu.RUnlock()
	if sub != nil {
		sub.receive(m)
	}
}

// append writes SUB.
func (sub *subscription) append(b []byte) []byte {
	b = append(append(b, "SUB "...), sub.subject...)
	if sub.group != "" {
		b = append(append(b, ' '), sub.group...)
	}
	return append(strconv.AppendUint(append(b, ' '), sub.sid, 10), "\r\n"...)
}
