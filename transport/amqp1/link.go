package amqp1

import "math"

// A link is one of ours: the library attaches and detaches it, and its messages are not the library's. mux.mu guards what it has.
type link struct {
	mux  *mux
	name string
	side side
	gone chan struct{} // closed when no more messages pass

	session *session // nil until it is attached
	handle  uint32
	theirs  uint32 // the broker's handle
	err     error  // why it is gone
}

// A side is what the two ends of a link do differently. The lock is held while these run, and they run in the library's reader.
type side interface {
	// attached reads the fields of the broker's attach that follow the settlement modes.
	attached(fields *list)
	// flow reads what concerns the link; nil = only the session's state has changed.
	flow(f *linkFlow)
	transfer(fields *list, payload []byte, got *arrived) error
	disposition(fields *list) error
	// state is delivery count and credit, as told to the broker.
	state() (count, credit uint32)
}

// linkFlow is what a flow says of a link.
type linkFlow struct {
	count, credit uint32
	drain         bool
}

// end has no more messages pass. The lock is held.
func (l *link) end(why error) {
	if l.err == nil {
		l.err = why
		close(l.gone)
	}
}

// take deals with a frame of the broker's on the link's session. The lock is held.
func (l *link) take(performative uint64, fields *list, rest []byte, got *arrived) (ours bool, err error) {
	switch performative {
	case attach0:
		if string(fields.text()) == l.name {
			l.theirs = fields.number(0)
			fields.pass(3) // role, snd-settle-mode, rcv-settle-mode
			l.side.attached(fields)
		}
		return false, nil
	case flow0:
		l.flow(fields)
		return true, nil
	case transfer0:
		if fields.number(math.MaxUint32) != l.theirs {
			return false, nil
		}
		if l.err == nil {
			l.heard()
			err = l.side.transfer(fields, rest, got)
		}
		return true, err
	case disposition0:
		return true, l.side.disposition(fields)
	case detach0:
		if fields.number(math.MaxUint32) == l.theirs {
			fields.pass(1) // closed
			l.end(closedBy(fields))
		}
	case end0:
		l.end(closedBy(fields))
	}
	return false, nil
}

// closedBy reads why the broker closed a link or session.
func closedBy(fields *list) error {
	if fields.next() {
		if why := readError(&fields.values); why != nil {
			return why
		}
	}
	return errClosed
}

// heard counts a frame in, and tells the broker now and then.
func (l *link) heard() {
	s := l.session
	s.nextIn++
	s.heard++
	if s.heard >= s.window/2 {
		l.tell(false, false)
	}
}

// flow reads what a flow says of the session: how much the broker takes.
func (s *session) flow(fields *list) {
	next, window := fields.number(0), fields.number(0)
	s.nextIn = fields.number(s.nextIn)
	s.room = int64(window) + int64(int32(next-s.nextOut)) // less what is on its way
	fields.pass(1)                                        // outgoing-window
}

// flow reads how much the broker takes, or has to send.
func (l *link) flow(fields *list) {
	l.session.flow(fields)
	var about *linkFlow
	if fields.next() && uint32(fields.uint()) == l.theirs {
		about = &linkFlow{count: fields.number(0), credit: fields.number(0)}
		fields.pass(1) // available
		about.drain = fields.flag()
	} else {
		fields.pass(4)
	}
	echo := fields.flag()
	l.side.flow(about)
	if echo && l.err == nil {
		l.tell(about != nil, false)
	}
}

// tell writes the session's state, and the link's.
func (l *link) tell(link, drain bool) {
	const outgoingWindow = math.MaxInt32 // as much as the broker takes
	s := l.session
	s.heard = 0
	_ = l.mux.extend(func(b []byte) []byte {
		start, fields := len(b), byte(4)
		if link {
			fields = 9
		}
		b = beginFrame(b, s.channel, flow0, fields)
		b = appendUint(appendUint(appendUint(appendUint(b, s.nextIn), s.window), s.nextOut), outgoingWindow)
		if link {
			count, credit := l.side.state()
			b = append(appendUint(appendUint(appendUint(b, l.handle), count), credit), typeNull)
			b = appendBool(b, drain)
		}
		endFields(b, start)
		endFrame(b, start)
		return b
	}) // where that fails the connection has ended
	l.mux.nudge()
}

// settle writes a disposition.
func (l *link) settle(receiver bool, first, last uint32, f fate) error {
	return l.mux.extend(func(b []byte) []byte {
		start := len(b)
		b = appendBool(beginFrame(b, l.session.channel, disposition0, 5), receiver)
		b = appendUint(b, first)
		if last == first {
			b = append(b, typeNull)
		} else {
			b = appendUint(b, last)
		}
		b = f.append(appendBool(b, true))
		endFields(b, start)
		endFrame(b, start)
		return b
	})
}
