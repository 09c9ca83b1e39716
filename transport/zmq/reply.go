//go:build zmq

package zmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/fifo"
	"github.com/goslo/goslo/transport"
)

// A replyListener receives replies and signs of life.
type replyListener struct {
	conn   *Conn
	number uint64
	addr   string
	done   chan struct{} // closed under mu
	wake   chan struct{}
	batch  fifo.Queue[[]byte] // Next's own
	pushed replyDelivery      // the loop's own

	mu      sync.Mutex
	backlog fifo.Queue[[]byte]
	bytes   int
	waiting bool
	push    func(*transport.Delivery) // takes what comes; nil = Next does
	dropped int
	closed  bool
}

func (s *listeners) addReply() (*replyListener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, transport.ErrClosed
	}
	s.last++
	l := &replyListener{conn: s.conn, number: s.last, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	l.addr = replyAddress{s.last, s.conn.self}.String()
	s.replies[l.number] = l
	return l, nil
}

// A replyAddress says where a reply goes: to a listener of a member, with what is needed to connect to that.
type replyAddress struct {
	number uint64
	member member
}

// String is number,ID,host,key,endpoints, escaped so that it has neither blanks nor quotes.
func (a replyAddress) String() string { return strconv.FormatUint(a.number, 10) + a.home() }

// home is what follows the number, which a client tells its servers once: its requests have but the number.
func (a replyAddress) home() string {
	m := a.member
	parts := make([]string, 0, 4+len(m.Endpoints))
	parts = append(parts, "", m.ID, escape(m.Host), escape(m.Key))
	for _, e := range m.Endpoints {
		parts = append(parts, escape(e))
	}
	return strings.Join(parts, ",")
}

func parseReplyAddress(s string) (a replyAddress, ok bool) {
	n, _, ok := callerOf(s)
	parts := strings.Split(s, ",")
	if !ok || len(parts) < 5 {
		return a, false
	}
	for i, p := range parts {
		if parts[i], ok = unescape(p); !ok {
			return a, false
		}
	}
	return replyAddress{n, member{ID: parts[1], Host: parts[2], Key: parts[3], Endpoints: slices.Clone(parts[4:])}}, true
}

// replied takes a reply that came on the way of its request. It runs on the loop and never waits.
func (c *Conn) replied(number uint64, body []byte) bool {
	c.listeners.mu.Lock()
	l := c.listeners.replies[number]
	c.listeners.mu.Unlock()
	if l == nil {
		return false
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	if push := l.push; push != nil {
		l.mu.Unlock()
		if l.pushed.read(l, body) {
			push(&l.pushed.Delivery)
		}
		l.pushed = replyDelivery{}
		return true
	}
	if l.backlog.Len() >= MaxWaiting || l.bytes >= MaxWaitingBytes {
		l.dropped++
		first := l.dropped == 1
		l.mu.Unlock()
		if first {
			c.log.Error("zmq: replies dropped: nobody takes them, and too many wait", "listener", l.number)
		}
		return true
	}
	l.dropped = 0
	l.backlog.Push(body)
	l.bytes += len(body)
	wake := l.waiting
	l.waiting = false
	l.mu.Unlock()
	if wake {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// repliedDirectly takes a reply from a member that has connected to us for it.
func (c *Conn) repliedDirectly(e *envelope, body []byte) byte {
	number, err := strconv.ParseUint(e.service.Topic, 10, 64)
	if err != nil || !c.replied(number, body) {
		return answerNobody
	}
	return answerTaken
}

// Addr implements [transport.Listener].
func (l *replyListener) Addr() string { return l.addr }

// Next implements [transport.Listener].
func (l *replyListener) Next(ctx context.Context) (*transport.Delivery, error) {
	for {
		body, err := l.take(ctx)
		if err != nil {
			return nil, err
		}
		if d := new(replyDelivery); d.read(l, body) {
			return &d.Delivery, nil
		}
	}
}

// A replyDelivery is a delivery with its message.
type replyDelivery struct {
	transport.Delivery
	message transport.Message
}

// read makes of a zero delivery that of a reply. False when it cannot be read, which is logged.
func (d *replyDelivery) read(l *replyListener, body []byte) bool {
	if err := parseMessage(&d.message, body, &recent{}); err != nil {
		l.conn.log.Error("zmq: reply cannot be read", "listener", l.number, "bytes", len(body), "error", err)
		return false
	}
	d.Message, d.To, d.Settler = &d.message, transport.Address{Kind: transport.Reply, Topic: l.addr}, taken{}
	return true
}

// Push implements [transport.Pusher]. The loop calls take from then on, which is not to keep it; before that, Push does with what has come.
func (l *replyListener) Push(take func(*transport.Delivery)) {
	for {
		l.mu.Lock()
		before := l.backlog
		l.backlog, l.bytes = fifo.Queue[[]byte]{}, 0
		if before.Len() == 0 {
			l.push = take
		}
		l.mu.Unlock()
		if before.Len() == 0 {
			return
		}
		for before.Len() > 0 {
			if d := new(replyDelivery); d.read(l, before.Pop()) {
				take(&d.Delivery)
			}
		}
	}
}

// take returns the next reply; several are fetched at once.
func (l *replyListener) take(ctx context.Context) ([]byte, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case <-l.done:
			return nil, transport.ErrClosed
		default:
		}
		if l.batch.Len() > 0 {
			return l.batch.Pop(), nil
		}
		l.mu.Lock()
		l.batch, l.backlog = l.backlog, l.batch
		l.bytes = 0
		l.waiting = l.batch.Len() == 0
		l.mu.Unlock()
		if l.batch.Len() > 0 {
			continue
		}
		select {
		case <-l.wake:
		case <-l.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close implements [transport.Listener].
func (l *replyListener) Close(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.done)
		l.conn.listeners.removeReply(l)
	}
	return nil
}

func (s *listeners) removeReply(l *replyListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.replies, l.number)
}

// taken settles what is ours already.
type taken struct{}

// Ack implements [transport.Settler].
func (taken) Ack(context.Context) error { return nil }

// Requeue implements [transport.Settler].
func (taken) Requeue(context.Context) error { return errors.ErrUnsupported }

// reply sends a reply back on the connection by which its caller has reached us or, where there is none, over one to the caller's
// own sockets.
func (c *Conn) reply(ctx context.Context, to string, m *transport.Message) error {
	if number, s := c.clients.caller(to); s != nil {
		return c.replyBack(s, number, m)
	}
	at, ok := parseReplyAddress(to)
	if !ok {
		return fmt.Errorf("%w: %q is no reply address", transport.ErrNoListener, to)
	}
	buffer := buffers.Get().(*[]byte)
	defer keepBuffer(buffer)
	e := envelope{to: toReply, service: service{Topic: strconv.FormatUint(at.number, 10)}}
	fields, err := appendMessage(appendRequest((*buffer)[:0], &e), m, &c.peers.checker, "")
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	*buffer = fields
	ctx, cancel := context.WithTimeout(ctx, replyTime)
	defer cancel()
	o := c.ask(ctx, c.peers.linkTo(at.member), fields, flagKeep, time.Time{}, waiting{stay: true})
	switch o.code {
	case answerTaken:
		return nil
	case answerNobody, outcomeDead:
		return transport.ErrNoListener
	}
	return o.err(ctx)
}

// replyBack sends a reply on the connection of a session.
func (c *Conn) replyBack(s *session, number uint64, m *transport.Message) error {
	buffer := buffers.Get().(*[]byte)
	body, err := appendMessage((*buffer)[:0], m, &c.peers.checker, "")
	*buffer = body
	if err != nil {
		keepBuffer(buffer)
		return fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	c.meter.published.Add(1)
	o := outgoing{to: s, number: number, body: buffer}
	if !c.loop.inbox.put(func(w *work) { w.replies = append(w.replies, o) }) {
		return transport.ErrClosed
	}
	return nil
}

// callerOf reads the first two parts of a reply address.
func callerOf(s string) (number uint64, id string, ok bool) {
	first, rest, _ := strings.Cut(s, ",")
	id, _, ok = strings.Cut(rest, ",")
	number, err := strconv.ParseUint(first, 10, 64)
	return number, id, ok && err == nil
}

// escape writes a text in letters, digits and a few signs, none of which is a comma.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/:._-[]", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

func unescape(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+3 > len(s) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b = append(b, byte(n))
		i += 2
	}
	return string(b), true
}
