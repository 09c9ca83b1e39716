package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/fifo"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A replyListener receives replies, heartbeats, and the server's word that nobody listens.
type replyListener struct {
	conn   *Conn
	token  string
	prefix string // of the subjects that replies come to
	sub    *subscription
	done   chan struct{} // closed once
	once   sync.Once
	wake   chan struct{}
	batch  fifo.Queue[message] // Next's own

	mu      sync.Mutex
	backlog fifo.Queue[message]
	bytes   int
	waiting bool // Next waits on wake
	dropped int
	push    func(*transport.Delivery) // takes everything, in the goroutine that reads; nil = Next does
}

func (c *Conn) listenReply(ctx context.Context) (*replyListener, error) {
	l := &replyListener{
		conn:  c,
		token: newToken(),
		done:  make(chan struct{}),
		wake:  make(chan struct{}, 1),
	}
	l.prefix = c.prefix + replyToken + "." + l.token + "."
	l.sub = &subscription{subject: l.prefix + ">", receive: l.receive}
	if err := c.add(l); err != nil {
		return nil, err
	}
	c.subscriptions.add(l.sub)
	if err := c.whileLinked(ctx, func(ctx context.Context) error { return flush(ctx, c.nc) }); err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}
	return l, nil
}

// receive never blocks.
func (l *replyListener) receive(m message) {
	l.mu.Lock()
	if push := l.push; push != nil {
		l.mu.Unlock()
		if d := l.delivery(m); d != nil {
			push(d)
		}
		return
	}
	if l.backlog.Len() >= MaxWaitingCalls || l.bytes >= MaxWaitingBytes {
		l.dropped++
		first := l.dropped == 1
		l.mu.Unlock()
		if first {
			l.conn.log.Error("nats: replies dropped: nobody takes them, and too many wait", "listener", l.token)
		}
		return
	}
	l.dropped = 0
	l.backlog.Push(m)
	l.bytes += len(m.data)
	wake := l.waiting
	l.waiting = false
	l.mu.Unlock()
	if wake {
		l.wake <- struct{}{} // there is room: Next reads once for each time that it set waiting
	}
}

// Addr implements [transport.Listener].
func (l *replyListener) Addr() string { return l.token }

// Push implements [transport.Pusher].
func (l *replyListener) Push(take func(*transport.Delivery)) {
	for {
		l.mu.Lock()
		before := l.backlog
		l.backlog, l.bytes = fifo.Queue[message]{}, 0
		if before.Len() == 0 {
			l.push = take
		}
		l.mu.Unlock()
		if before.Len() == 0 {
			return
		}
		for before.Len() > 0 {
			if d := l.delivery(before.Pop()); d != nil {
				take(d)
			}
		}
	}
}

// Next implements [transport.Listener].
func (l *replyListener) Next(ctx context.Context) (*transport.Delivery, error) {
	for {
		m, err := l.take(ctx)
		if err != nil {
			return nil, err
		}
		if d := l.delivery(m); d != nil {
			return d, nil
		}
	}
}

// take returns the next message; several are fetched at once.
func (l *replyListener) take(ctx context.Context) (m message, err error) {
	for {
		select {
		case <-l.done:
			return m, transport.ErrClosed
		default:
		}
		if err := ctx.Err(); err != nil {
			return m, err
		}
		if l.batch.Len() > 0 {
			return l.batch.Pop(), nil
		}
		l.mu.Lock()
		l.batch, l.backlog = l.backlog, l.batch
		l.bytes = 0
		if l.batch.Len() > 0 {
			l.mu.Unlock()
			continue
		}
		l.waiting = true
		l.mu.Unlock()
		select {
		case <-l.wake:
		case <-l.done:
		case <-ctx.Done():
			l.mu.Lock()
			if !l.waiting { // receive has sent or is about to
				l.mu.Unlock()
				<-l.wake
			} else {
				l.waiting = false
				l.mu.Unlock()
			}
			return m, ctx.Err()
		}
	}
}

// delivery decodes m; nil when it cannot be, which is logged.
func (l *replyListener) delivery(m message) *transport.Delivery {
	if m.header != nil {
		id, _, _ := strings.Cut(strings.TrimPrefix(string(m.subject), l.prefix), ".")
		undelivered, count := transport.ErrNoListener, &l.conn.counters.returned
		if reason := m.header.get(headerUndelivered); reason != "" {
			count = &l.conn.counters.refused
			undelivered = fmt.Errorf("%w: %s", transport.ErrRejected, reason)
		} else if !noResponders(m) {
			l.conn.log.Error("nats: reply of no known kind", "subject", string(m.subject), "bytes", len(m.data))
			return nil
		}
		count.Add(1)
		return &transport.Delivery{
			Message:     &transport.Message{ID: parseToken(id)},
			To:          transport.Address{Kind: transport.Reply, Topic: l.token},
			Undelivered: undelivered,
			Settler:     taken{},
		}
	}
	message, err := wire.Parse(m.data)
	if err != nil {
		l.conn.log.Error("nats: reply cannot be read", "subject", string(m.subject), "bytes", len(m.data), "error", err)
		return nil
	}
	return &transport.Delivery{Message: message, To: transport.Address{Kind: transport.Reply, Topic: l.token}, Settler: taken{}}
}

// Close implements [transport.Listener].
func (l *replyListener) Close(context.Context) error {
	l.end()
	l.conn.remove(l)
	l.conn.subscriptions.leave(l.sub)
	l.conn.subscriptions.forget(l.sub)
	return nil
}

func (l *replyListener) end() { l.once.Do(func() { close(l.done) }) }

func (l *replyListener) rebuild(context.Context) error { return nil }

func (l *replyListener) tick(time.Time) bool { return false }

func (l *replyListener) release() {}

// taken settles what the bus does not store: it has forgotten the message on the way.
type taken struct{}

// Ack implements [transport.Settler].
func (taken) Ack(context.Context) error { return nil }

// Requeue implements [transport.Settler].
func (taken) Requeue(context.Context) error { return errors.ErrUnsupported }
