//go:build zmq

package zmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goslo/goslo/internal/ending"
	"github.com/goslo/goslo/transport"
)

const (
	busyTries  = 3                      // servers that are asked before one has to keep what it has no room for
	fullPause  = 50 * time.Millisecond  // before servers are asked again that are all full
	lookPause  = 100 * time.Millisecond // before a directory is asked again that could not be
	fanoutTime = 2 * time.Second        // for which a fanout waits for a server that is connected to and does not answer
	replyTime  = 30 * time.Second       // for which a reply waits for its caller
)

// Send implements [transport.Transport]. Nil means, of a call or cast: a server has it; of a fanout: every live server has; of a
// notification: one listener of each pool has it in memory; of a reply: it is on its way back to a caller that is connected, or the
// caller has it. An error about a notification names the pools that may not have it.
func (c *Conn) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if err := c.send(ctx, to, m); err != nil {
		return fmt.Errorf("zmq: send to %s: %w", to, err)
	}
	return nil
}

func (c *Conn) send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if c.isClosed() {
		return transport.ErrClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
	}
	if to.Topic == "" {
		return fmt.Errorf("%w: the address has no topic", transport.ErrRejected)
	}
	if to.Kind == transport.Reply {
		return c.reply(ctx, to.Topic, m)
	}
	e := envelope{to: toTopic, ttl: m.Expires, service: c.serviceAt(to)}
	switch to.Kind {
	case transport.Topic, transport.Notification:
	case transport.Fanout:
		e.to = toFanout
	default:
		return fmt.Errorf("%w: the address is of no known kind", transport.ErrRejected)
	}
	if err := transport.CheckNotification(to, m); err != nil {
		return err
	}
	if err := transport.CheckHeaders(m.Headers); err != nil {
		return err
	}
	e.headers = m.Headers
	if to.Kind == transport.Notification {
		return c.notify(ctx, e, m)
	}
	if m.ReplyTo != "" {
		e.flags = flagReplies
	}
	buffer := buffers.Get().(*[]byte)
	fields, err := appendMessage(appendRequest((*buffer)[:0], &e), m, &c.peers.checker, c.home)
	if err != nil {
		keepBuffer(buffer)
		return fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	*buffer = fields
	defer keepBuffer(buffer) // nobody has it any more when the outcome is there
	if to.Kind == transport.Fanout {
		return c.fanout(ctx, e, fields)
	}
	return c.toOne(ctx, e, fields, anybody{})
}

// anybody restricts who may get a request.
type anybody struct {
	but  string // not the member with this ID
	room bool   // only who has room
}

// An attempt is what one Send has learned about servers.
type attempt struct {
	fresh bool               // look into the directory
	out   []string           // keys of links to those that do not serve it, have ended, or do not accept us
	shut  *outcome           // why one does not accept us
	busy  map[*link]int      // how full they were
	full  bool               // one has no room even for what must wait
	down  map[*link]struct{} // not connected to at the moment
}

// toOne gives a request to one server.
func (c *Conn) toOne(ctx context.Context, e envelope, fields []byte, who anybody) error {
	var a attempt
	expires := e.expires()
	for {
		list, err := c.peers.candidates(ctx, e.service, a.fresh)
		if err != nil {
			return err
		}
		k, keep, stay := a.pick(list, e.service, who)
		switch {
		case k == nil && a.full:
			a.busy, a.full, a.out = nil, false, nil
			if err := c.pause(ctx, fullPause); err != nil {
				return fmt.Errorf("all servers are full: %w", err)
			}
			continue
		case k == nil && !a.fresh:
			a.fresh = true
			continue
		case k == nil && a.shut != nil:
			return a.shut.err(ctx)
		case k == nil:
			return transport.ErrNoListener
		case keep && who.room:
			return errNoRoom
		}
		flags := e.flags
		if keep {
			flags |= flagKeep
		}
		o := c.ask(ctx, k, fields, flags, expires, waitFor(k, stay))
		switch o.code {
		case answerTaken:
			return nil
		case answerBusy:
			a.busy = with(a.busy, k, o.load)
		case answerFull:
			a.busy, a.full = with(a.busy, k, 100), true
			a.out = append(a.out, k.key)
		case answerNobody, outcomeDead:
			a.out, a.fresh = append(a.out, k.key), true
		case outcomeShut:
			shut := o
			a.out, a.shut, a.fresh = append(a.out, k.key), &shut, true
		case outcomeMoved:
			a.down = with(a.down, k, struct{}{})
			if stay { // all are down
				a.down = nil
			}
		default:
			return o.err(ctx)
		}
	}
}

// errNoRoom: other servers are there, and none has room.
var errNoRoom = errors.New("no other server has room")

func with[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[key] = value
	return m
}

// waitFor says how long a request waits for a server while there may be others.
func waitFor(k *link, stay bool) waiting {
	switch {
	case stay:
		return waiting{stay: true, until: time.Now().Add(downTime)}
	case k.state.Load() == linkUp: // and if it goes down, the request is given back
		return waiting{}
	}
	return waiting{until: time.Now().Add(dialTime)}
}

// ask sends a request to a server and waits for what becomes of it.
func (c *Conn) ask(ctx context.Context, link *link, fields []byte, flags byte, expires time.Time, w waiting) outcome {
	r := requests.Get().(*request)
	r.link, r.fields, r.flags, r.expires, r.waiting, r.framed = link, fields, flags, expires, w, false
	link.load.Add(1)
	if !c.loop.inbox.put(func(w *work) { w.requests = append(w.requests, r) }) {
		link.load.Add(-1)
		return outcome{code: outcomeClosed}
	}
	if o, ok := r.await(ctx); ok {
		r.link, r.fields = nil, nil
		requests.Put(r)
		return o
	}
	// From here on it is no one else's: the loop may come across it in givenUp after its outcome is there.
	c.loop.inbox.put(func(w *work) { w.givenUp = append(w.givenUp, r) })
	for {
		if o := <-r.outcome; o.code != outcomeNone {
			return o
		}
	}
}

// await waits for the outcome of a request; false when its sender waits no longer.
func (r *request) await(ctx context.Context) (outcome, bool) {
	ended, timed := ending.Of(ctx)
	deadline, bounded := ctx.Deadline()
	if timed = timed && bounded; timed {
		r.alarm.set(deadline)
	}
	for {
		var o outcome
		if ended == nil { // a plain receive costs half of a select
			o = <-r.outcome
		} else {
			select {
			case o = <-r.outcome:
			case <-ended:
				return o, false
			}
		}
		if o.code != outcomeNone {
			return o, true
		}
		r.alarm.heard()
		switch {
		case !timed:
		case time.Now().Before(deadline):
			r.alarm.set(deadline)
		case ctx.Err() != nil:
			return o, false
		default:
			timed = false // the deadline is its parent's, which tells in a moment
		}
	}
}

// err is what the sender of a request is told.
func (o outcome) err(ctx context.Context) error {
	switch o.code {
	case outcomeUnsent:
		if ctx.Err() == nil {
			return transport.ErrClosed
		}
		return fmt.Errorf("%w: no server could be reached: %w", transport.ErrNotSent, context.Cause(ctx))
	case outcomeInDoubt:
		if o.reason == "" {
			o.reason = "the server has not answered"
		}
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("%w: %s: %w", transport.ErrInDoubt, o.reason, err)
		}
		return fmt.Errorf("%w: %s", transport.ErrInDoubt, o.reason)
	case outcomeClosed:
		return transport.ErrClosed
	case outcomeShut:
		return fmt.Errorf("%w: no connection to a server that serves it: %s", transport.ErrRejected, o.reason)
	case answerExpired:
		return fmt.Errorf("%w: no server took it before it expired", transport.ErrNotSent)
	}
	return fmt.Errorf("%w: the server says: %s", transport.ErrRejected, o.reason)
}

// pause waits a while. The error wraps ErrNotSent or ErrClosed.
func (c *Conn) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.closing:
		return transport.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
	}
}

// fanout gives a request to every server of a topic.
func (c *Conn) fanout(ctx context.Context, e envelope, fields []byte) error {
	list, err := c.peers.candidates(ctx, e.service, true)
	if err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, fanoutTime)
	defer cancel()
	outcomes := make(chan error, len(list))
	expires := e.expires()
	for i := range list {
		k := list[i].link
		// Each has a buffer of its own, since the loop writes the request's identifier into it.
		own := buffers.Get().(*[]byte)
		*own = append((*own)[:0], fields...)
		go func() { // awaited below
			defer keepBuffer(own)
			outcomes <- c.fanoutTo(ctx, patience, k, *own, e.flags, expires)
		}()
	}
	var errs []error
	for range list {
		errs = append(errs, <-outcomes)
	}
	return errors.Join(errs...)
}

func (c *Conn) fanoutTo(ctx, patience context.Context, k *link, fields []byte, flags byte, expires time.Time) error {
	o := c.ask(patience, k, fields, flags|flagKeep, expires, waiting{stay: true})
	switch {
	case o.code == answerTaken, o.code == answerNobody, o.code == outcomeDead:
		return nil
	case o.code == answerRefused:
		return o.err(ctx)
	case (o.code == outcomeUnsent || o.code == outcomeInDoubt) && (ctx.Err() != nil || c.isClosed()):
		return o.err(ctx)
	}
	c.log.Warn("zmq: a server may not have heard a fanout", "server", k.key, "why", o.err(patience))
	return nil
}
