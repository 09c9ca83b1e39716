package nats

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
)

// A pull asks for some messages and stays open so long; then the server says so, and it is asked again.
const (
	pullExpires = 30 * time.Second
	pullGrace   = 5 * time.Second
)

// A castQueue takes casts, or notifications, from one queue for one listener. Its fields are guarded by the listener's mutex,
// except those that never change.
type castQueue struct {
	listener *topicListener
	subject  string // of the casts
	next     string // subject to ask for messages on
	inbox    string // subject that says what became of asking
	kind     transport.Kind
	server   bool                            // the queue of this server alone
	ensure   func(ctx context.Context) error // makes it where it is not

	asked    int  // messages asked for and not here yet
	held     int  // messages here and unsettled
	ready    bool // the queue exists, as far as we know
	off      bool // the server has no JetStream, as far as we know
	deadline time.Time
}

func newCastQueue(l *topicListener, a transport.Address, token string) castQueue {
	subject := l.conn.subject(castToken, a)
	return castQueue{
		listener: l,
		subject:  subject,
		next:     "$JS.API.CONSUMER.MSG.NEXT." + streamName(subject) + "." + durableName,
		inbox:    l.inbox + token,
		kind:     transport.Topic,
		server:   a.Server != "",
		ensure:   func(ctx context.Context) error { return l.conn.ensureQueue(ctx, subject) },
	}
}

// newNotificationQueue is the queue of notifications for a pool, or for those without one. It is taken from as casts are.
func newNotificationQueue(l *topicListener, a transport.Address, token string) castQueue {
	subject := l.conn.subject(notificationToken, a)
	return castQueue{
		listener: l,
		subject:  subject,
		next:     "$JS.API.CONSUMER.MSG.NEXT." + streamName(subject) + "." + consumerName(a.Pool),
		inbox:    l.inbox + token,
		kind:     transport.Notification,
		ensure: func(ctx context.Context) error {
			if l.temporary {
				return l.conn.ensureTemporary(ctx, subject, a.Pool)
			}
			return l.conn.ensureNotified(ctx, subject, a.Pool)
		},
	}
}

// want says how many messages to ask for now, and counts them as asked for. The mutex is held.
func (q *castQueue) want() int {
	n := q.listener.prefetch - q.held - q.asked
	if n <= 0 || q.asked > q.listener.prefetch/2 || !q.ready || q.over() {
		return 0
	}
	q.asked += n
	q.deadline = time.Now().Add(pullExpires + pullGrace)
	return n
}

// pull asks the queue for n messages. The mutex is not held.
func (q *castQueue) pull(n int) {
	if n == 0 {
		return
	}
	body := make([]byte, 0, 48)
	body = strconv.AppendInt(append(body, `{"batch":`...), int64(n), 10)
	body = strconv.AppendInt(append(body, `,"expires":`...), int64(pullExpires), 10)
	if err := q.listener.conn.hand([]byte(q.next), []byte(q.inbox), nil, append(body, '}')); err != nil {
		q.listener.conn.log.Debug("nats: ask for casts", "listener", q.listener.Addr(), "error", err) // asked again when the connection is back
	}
}

// rebuild makes the queue if it is gone and starts to take from it, as after a new connection.
func (q *castQueue) rebuild(ctx context.Context) error {
	l := q.listener
	l.mu.Lock()
	q.ready, q.asked = false, 0
	over := q.over()
	l.mu.Unlock()
	if over {
		return nil
	}
	err := l.conn.making.do(ctx, q.ensure)
	off := noJetStream(err)
	if err != nil && !off {
		return err
	}
	l.mu.Lock()
	news := off && !q.off
	q.ready, q.off = !off, off
	n := q.want()
	l.mu.Unlock()
	if news {
		l.conn.log.Warn("nats: this listener receives no casts, or notifications, until the server has JetStream", "listener", l.Addr(), "subject", q.subject, "error", errNoJetStream)
	}
	if off {
		return errNoJetStream
	}
	q.pull(n)
	return nil
}

// overdue says whether the queue must be rebuilt: it broke, or a pull was never answered. The mutex is held.
func (q *castQueue) overdue(now time.Time) bool {
	if q.asked > 0 && now.After(q.deadline) {
		q.ready = false
	}
	return !q.ready && !q.over()
}

// over says that no more is to be taken. The mutex is held.
func (q *castQueue) over() bool { return q.listener.isDone() || q.listener.left && !q.server }

// receiveCast takes a pulled cast, or word of what became of a pull. It never blocks.
func (l *topicListener) receiveCast(m message) {
	for i := range l.queues {
		switch q := &l.queues[i]; string(m.subject) {
		case q.subject:
			a := arrival{message: m, kind: q.kind, server: q.server, queue: q, ack: string(m.reply), at: time.Now()}
			l.mu.Lock()
			if l.given != nil && l.given(a) {
				l.mu.Unlock()
				l.giveBackLate(a)
				return
			}
			q.asked = max(q.asked-1, 0)
			q.held++
			l.held[a.ack] = a.at
			n := q.want()
			l.push(a)
			q.pull(n)
			return
		case q.inbox:
			q.status(m)
			return
		}
	}
}

// status handles the end of a pull: 408 when its time is over, else what went wrong.
func (q *castQueue) status(m message) {
	l := q.listener
	code, text := m.header.status()
	left, err := strconv.Atoi(m.header.get("Nats-Pending-Messages"))
	if code == "100" {
		return
	}
	l.mu.Lock()
	if err != nil {
		left = q.asked
	}
	q.asked = max(q.asked-left, 0)
	var n int
	if code == "408" || code == "404" {
		n = q.want()
	} else {
		q.ready = false
	}
	l.mu.Unlock()
	q.pull(n)
	if code == "408" || code == "404" {
		return
	}
	l.conn.log.Warn("nats: queue stopped handing out casts", "listener", l.Addr(), "subject", q.subject, "status", code, "description", text)
	switch {
	case code == "503", strings.Contains(text, "Deleted"):
		l.conn.keeper.rebuild(l, deletionWait)
	case strings.Contains(text, "Leadership"):
		l.conn.keeper.rebuild(l, 0)
	default: // tried again at the keeper's next tick, so that a lasting refusal does not spin
	}
}

// parseAck reads a cast's acknowledgement subject: how often was it handed out, and when was it stored, by the server's clock.
// $JS.ACK.<stream>.<consumer>.<handed out>.<stream seq>.<consumer seq>.<time>.<pending>, and with two tokens
// more in front of the stream's on newer servers.
func parseAck(subject string) (times int, stored time.Time) {
	var room [12]string
	tokens := room[:0]
	for more := true; more && len(tokens) < len(room); {
		var token string
		token, subject, more = strings.Cut(subject, ".")
		tokens = append(tokens, token)
	}
	switch {
	case len(tokens) == 9:
	case len(tokens) >= 11:
		tokens = tokens[2:]
	default:
		return 0, time.Time{}
	}
	if ns, err := strconv.ParseInt(tokens[7], 10, 64); err == nil {
		stored = time.Unix(0, ns)
	}
	times, _ = strconv.Atoi(tokens[4]) // 0 = not known
	return times, stored
}

// errNoStream says which queue could not be looked at.
func errNoStream(subject string, err error) error {
	return fmt.Errorf("look at stream %s: %w", streamName(subject), err)
}
