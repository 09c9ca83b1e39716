//go:build zmq

package zmq

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	zmq4 "github.com/pebbe/zmq4"
)

// Times of the loop.
const (
	idleTime  = 5 * time.Second       // between two looks at everything when nothing happens
	tickTime  = 10 * time.Millisecond // the same while something is due soon
	burst     = 256                   // messages taken from one socket before the others have their turn
	yields    = 4                     // how often others may run before a round
	yieldTime = time.Millisecond      // after which they may not again
	leaveTime = time.Second           // how long clients have to say that they send no more
)

// A loop owns all sockets of a transport: the ROUTER that others connect to, and a DEALER and its monitor for each server that we
// connect to. No other goroutine touches them.
type loop struct {
	sockets
	conn  *Conn
	inbox inbox
	ended chan struct{}

	links    map[*link]struct{}
	hot      []*source // may have something
	sessions map[string]*session
	dirty    []*session
	verdicts []verdict // in the frame that is being read
	lastID   uint64
	due      bool      // something must be looked at within tickTime
	looked   time.Time // when everything was looked at last
	farewell
	deferred atomic.Int64 // deliveries that wait for an answer, see listener.overdue
}

// A farewell is how far Close is.
type farewell struct {
	closing time.Time // since when senders wait only for what soon comes; zero = it has not begun
	leaving time.Time // since when clients are to leave us; zero = not yet
	stop    bool
}

// Sockets are those that are there from the start, and what they need.
type sockets struct {
	context *zmq4.Context
	router  *source
	poller  *poller
	unguard func() error // ends the check of who connects
}

// run ends when stop is set. It closes the sockets.
func (l *loop) run() {
	defer close(l.ended)
	var w work
	for {
		l.yield()
		w = l.inbox.take(w)
		l.do(&w)
		l.flush()
		if l.stop {
			break
		}
		l.poll()
		l.receive()
		if now := time.Now(); now.Sub(l.looked) >= tickTime && (l.due || l.deferred.Load() > 0) || now.Sub(l.looked) >= idleTime {
			l.look(now)
		}
	}
	l.end()
}

// poll finds out which sockets may have something, and waits for one if there is nothing else to do.
func (l *loop) poll() {
	timeout := idleTime
	if l.due || l.deferred.Load() > 0 { // before sleep: what is put lazily is there when its request is deferred no more
		timeout = tickTime
	}
	l.poller.by(time.Now().Add(timeout)) // before sleep: who finds the loop asleep wakes it
	if len(l.hot) == 0 && l.inbox.sleep() {
		l.poller.wait()
		l.inbox.awake()
	} else {
		l.poller.now()
	}
	for _, e := range l.poller.events[:l.poller.found] {
		if s := l.poller.sources[e.Fd]; s != nil {
			l.heat(s)
		}
	}
}

// heat has the loop receive from a socket.
func (l *loop) heat(s *source) {
	if !s.hot {
		s.hot = true
		l.hot = append(l.hot, s)
	}
}

// receive takes what sockets have.
func (l *loop) receive() {
	for _, s := range l.hot {
		if !s.closed && l.serve(s) {
			s.hot = false
		}
	}
	l.hot = slices.DeleteFunc(l.hot, func(s *source) bool { return s.closed || !s.hot }) // others may have joined
}

// yield lets those run whom the last round has woken, so that they add to this one; only once where others take the processors.
func (l *loop) yield() {
	started := time.Now()
	for range yields {
		runtime.Gosched()
		if time.Since(started) > yieldTime {
			return
		}
	}
}

// do carries out what was asked for.
func (l *loop) do(w *work) {
	for _, f := range w.orders {
		f()
	}
	for _, r := range w.requests {
		k := r.link
		k.push(r) // r may be its sender's again
		l.due = l.due || !k.stream.up
	}
	for i := range w.answers {
		a := &w.answers[i]
		a.to.answer(a)
		l.touch(a.to)
	}
	for i := range w.replies {
		o := &w.replies[i]
		if !o.to.reply(o) {
			l.conn.log.Error("zmq: reply dropped: too many wait for its caller", "caller", o.to.id)
		}
		keepBuffer(o.body)
		l.touch(o.to)
	}
	for _, r := range w.givenUp {
		r.link.giveUp(r)
	}
}

func (l *loop) touch(s *session) {
	if !s.dirty {
		s.dirty = true
		l.dirty = append(l.dirty, s)
	}
}

// flush sends what there is to send.
func (l *loop) flush() {
	for k := range l.links {
		if k.stream.up && !k.wire.blocked {
			l.flushLink(k)
		}
	}
	for _, s := range l.dirty {
		s.dirty = false
		l.flushSession(s)
	}
	clear(l.dirty)
	l.dirty = l.dirty[:0]
}

func (l *loop) nextID() uint64 {
	l.lastID++
	return l.lastID
}

func (l *loop) flushLink(k *link) {
	l.conn.meter.published.Add(uint64(k.fill(l.nextID)))
	err := k.stream.flush(func(frame []byte) error { return l.send(k, frame) })
	if err != nil {
		k.wire.blocked = true
		l.due = true
		if zmq4.AsErrno(err) != zmq4.Errno(syscall.EAGAIN) {
			l.conn.log.Error("zmq: send", "to", k.wire.endpoint, "error", err)
		}
	}
}

func (l *loop) flushSession(s *session) {
	s.seal(0)
	if s.stream.up {
		s.silent = time.Now()
	}
	err := s.stream.flush(func(frame []byte) error { return l.route(s.id, frame) })
	l.sent(s, err)
}

// sent looks at the error of a message to a client.
func (l *loop) sent(s *session, err error) {
	switch zmq4.AsErrno(err) {
	case 0:
	case zmq4.EHOSTUNREACH:
		s.stream.up = false
		s.connected.Store(false)
	case zmq4.Errno(syscall.EAGAIN):
		l.touch(s) // again on the next round
		l.due = true
	default:
		l.conn.log.Error("zmq: send to a client", "client", s.id, "error", err)
	}
}

// send sends one frame to a server.
func (l *loop) send(k *link, frame []byte) error {
	l.heat(k.wire.dealer)
	_, err := k.wire.dealer.socket.SendBytes(frame, zmq4.DONTWAIT)
	return err
}

// route sends one frame to a client.
func (l *loop) route(id string, frame []byte) error {
	l.heat(l.router)
	if _, err := l.router.socket.Send(id, zmq4.SNDMORE|zmq4.DONTWAIT); err != nil {
		return err
	}
	_, err := l.router.socket.SendBytes(frame, zmq4.DONTWAIT)
	return err
}

// serve takes what a socket has, and returns whether that was all.
func (l *loop) serve(s *source) (all bool) {
	k := s.link
	for range burst {
		switch {
		case k == nil:
			id, err := s.socket.RecvBytes(zmq4.DONTWAIT)
			if err != nil {
				return true
			}
			frame, err := s.socket.RecvBytes(zmq4.DONTWAIT)
			if err != nil {
				return true
			}
			l.fromClient(string(id), frame)
			for more, err := s.socket.GetRcvmore(); more && err == nil; more, err = s.socket.GetRcvmore() {
				if _, err := s.socket.RecvBytes(zmq4.DONTWAIT); err != nil { // not one of ours
					return true
				}
			}
		case s == k.wire.monitor:
			event, _, value, err := s.socket.RecvEvent(zmq4.DONTWAIT)
			if err != nil {
				return true
			}
			l.happened(k, event, value)
		default:
			frame, err := s.socket.RecvBytes(zmq4.DONTWAIT)
			if err != nil {
				return true
			}
			l.fromServer(k, frame)
		}
		if s.closed {
			return true
		}
	}
	return false
}

// look is at everything that time changes.
func (l *loop) look(now time.Time) {
	l.looked, l.due = now, false
	l.conn.overdue(now)
	for k := range l.links {
		if !k.stream.up {
			l.lookDown(k, now)
			continue
		}
		if k.wire.blocked {
			k.wire.blocked = false
			l.flushLink(k)
		}
		if k.stream.owes() {
			if err := l.send(k, k.stream.ackFrame()); err != nil {
				l.due = true
			}
		}
	}
	for id, s := range l.sessions {
		switch {
		case s.stream.owes(), s.stream.up && now.Sub(s.silent) > sessionPause:
			s.silent = now
			l.sent(s, l.route(id, s.stream.ackFrame()))
		case !s.stream.up && now.Sub(s.silent) > sessionTime:
			delete(l.sessions, id)
			l.conn.clients.forget(s)
		}
	}
	if !l.closing.IsZero() {
		l.due = true
		if now.Sub(l.closing) > leaveTime/2 {
			l.abandon()
		}
	}
}

// abandon ends all requests: what has left may have been answered meanwhile, and Close waits no longer.
func (l *loop) abandon() {
	for k := range l.links {
		k.release(outcomeUnsent, "", everyone)
		k.doubt("")
	}
}

// lookDown has requests for a server that is not there wait no longer than they should.
func (l *loop) lookDown(k *link, now time.Time) {
	k.release(outcomeMoved, "", func(r *request) bool { return !r.waiting.until.IsZero() && now.After(r.waiting.until) })
	if len(k.outbox) > 0 {
		l.due = true
	} else if len(k.inflight) == 0 && now.Sub(k.wire.lost) > lostTime {
		l.dead(k, "it has not answered for "+lostTime.String())
		return
	}
	if k.wire.connected && now.Sub(k.wire.hailed) > helloTime {
		l.hello(k)
	}
}

// fromClient takes a message to our ROUTER.
func (l *loop) fromClient(id string, frame []byte) {
	h, records, err := parseHeader(frame)
	if err != nil {
		l.conn.log.Warn("zmq: message dropped: it is not from a peer of this version", "client", fmt.Sprintf("%q", id), "bytes", len(frame))
		return
	}
	s := l.sessions[id]
	if h.kind == kindHello {
		home := newReader(records).text()
		if len(home) > homeMost {
			l.conn.log.Warn("zmq: hello dropped: its reply addresses are longer than any", "client", fmt.Sprintf("%q", id), "bytes", len(home))
			return
		}
		l.greet(id, s, h, home)
		return
	}
	if h.kind != kindData || s == nil {
		l.sayTo(id, appendHeader(nil, header{kind: kindResume}))
		return
	}
	s.silent = time.Now()
	if !s.stream.receive(h) {
		return
	}
	l.due = true // to tell that we have it, if nothing else does
	r := newReader(records)
	for len(r.rest) > 0 {
		switch kind, fields := r.record(); {
		case !r.ok:
			l.conn.log.Error("zmq: the rest of a frame cannot be read", "client", id, "bytes", len(records))
			return
		case kind == recordRequest:
			l.conn.arrived(s, &fields)
		case kind == recordLeave:
			s.left = true
		}
	}
}

// sayTo sends a client a frame outside its stream. Where that fails, the client is not there, and will say hello.
func (l *loop) sayTo(id string, frame []byte) {
	if err := l.route(id, frame); err != nil {
		l.conn.log.Debug("zmq: send to a client", "client", id, "error", err)
	}
}

// greet answers the hello of a client, whose reply addresses end with home.
func (l *loop) greet(id string, s *session, h header, home string) {
	welcome := header{kind: kindWelcome}
	if s != nil && s.epoch == h.number {
		welcome.ack, welcome.number = s.stream.in, 1
		l.conn.meter.resent.Add(s.stream.resume(h.ack))
	} else {
		if s == nil {
			s = &session{id: id, home: home, recent: recent{home: home}}
			s.client, _, _ = strings.Cut(id, "/")
			l.sessions[id] = s
		}
		s.epoch, s.left = h.number, false
		s.stream.restart(true)
	}
	s.connected.Store(true)
	l.conn.clients.store(s)
	frame := appendText(appendHeader(nil, welcome), l.conn.self.ID)
	l.sayTo(id, appendServices(frame, !l.leaving.IsZero(), l.conn.served()))
	l.touch(s)
}

// tellServices tells all clients what we serve now.
func (l *loop) tellServices() {
	list := l.conn.served()
	for _, s := range l.sessions {
		s.services(!l.leaving.IsZero(), list)
		l.touch(s)
	}
}

// fromServer takes a message to one of our DEALERs.
func (l *loop) fromServer(k *link, frame []byte) {
	h, records, err := parseHeader(frame)
	if err != nil {
		l.conn.log.Warn("zmq: message dropped: it is not from a peer of this version", "server", k.wire.endpoint, "bytes", len(frame))
		return
	}
	switch h.kind {
	case kindResume:
		l.hello(k)
	case kindWelcome:
		l.welcomed(k, h, newReader(records))
	case kindData:
		if k.stream.receive(h) {
			l.due = true
			l.records(k, newReader(records))
		}
	}
}

// records takes those of one frame. Who waits for an answer is told after all of them: the reply is mostly among them, and nobody is to be
// woken for each.
func (l *loop) records(k *link, r *reader) {
	defer l.tell()
	for len(r.rest) > 0 {
		kind, fields := r.record()
		ok := r.ok
		switch kind {
		case recordAnswer:
			q, o, read := k.answered(&fields)
			if ok = ok && read; ok && q != nil {
				l.conn.meter.answered(o.code)
				l.verdicts = append(l.verdicts, verdict{q, o})
			}
		case recordReply:
			number := fields.number()
			if ok = ok && fields.ok; ok {
				l.conn.replied(number, fields.rest)
			}
		case recordServices:
			leaving, list, read := parseServices(&fields)
			if ok = ok && read; ok {
				l.services(k, leaving, list)
			}
		}
		if !ok {
			l.conn.log.Error("zmq: the rest of a frame cannot be read", "server", k.wire.endpoint)
			return
		}
	}
}

// tell tells senders what servers have answered.
func (l *loop) tell() {
	for _, v := range l.verdicts {
		v.request.end(v.outcome)
	}
	clear(l.verdicts)
	l.verdicts = l.verdicts[:0]
}

// end closes the sockets and ends all requests.
func (l *loop) end() {
	w := l.inbox.close()
	for _, r := range w.requests {
		r.end(outcome{code: outcomeClosed})
	}
	for k := range l.links {
		l.drop(k, outcomeClosed, "the transport was closed")
	}
	err := errors.Join(l.router.socket.Close(), l.poller.close())
	if err := errors.Join(err, l.unguard(), l.context.Term()); err != nil {
		l.conn.log.Error("zmq: close", "error", err)
	}
	for _, f := range w.orders { // nothing is left that they could change; who waits for them is to go on
		f()
	}
}
