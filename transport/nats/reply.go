package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/goslo/goslo/internal/fifo"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A replyListener receives replies, heartbeats, and the server's word that nobody listens.
type replyListener struct {
	conn   *Conn
	token  string
	prefix string // of the subjects that replies come to
	sub    *nats.Subscription
	done   chan struct{} // closed once
	ended  chan struct{} // the subscription's goroutine is gone
	once   sync.Once
	wake   chan struct{}
	batch  fifo.Queue[*nats.Msg] // Next's own

	mu      sync.Mutex
	backlog fifo.Queue[*nats.Msg]
	bytes   int
	waiting bool // Next waits on wake
	dropped int
}

func (c *Conn) listenReply(ctx context.Context) (*replyListener, error) {
	l := &replyListener{
		conn:  c,
		token: newToken(),
		done:  make(chan struct{}),
		ended: make(chan struct{}),
		wake:  make(chan struct{}, 1),
	}
	l.prefix = c.prefix + replyToken + "." + l.token + "."
	sub, err := c.nc.Subscribe(l.prefix+">", l.receive)
	if err != nil {
		return nil, err
	}
	l.sub = sub
	onEnd(sub, func() { close(l.ended) })
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	if err := c.add(l); err != nil {
		return nil, errors.Join(err, sub.Unsubscribe())
	}
	if err := c.whileLinked(ctx, func(ctx context.Context) error { return flush(ctx, c.nc) }); err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}
	return l, nil
}

// receive runs on the subscription's goroutine and never blocks.
func (l *replyListener) receive(m *nats.Msg) {
	l.mu.Lock()
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
	l.bytes += len(m.Data)
	wake := l.waiting
	l.waiting = false
	l.mu.Unlock()
	if wake {
		l.wake <- struct{}{} // there is room: Next reads once for each time that it set waiting
	}
}

// Addr implements [transport.Listener].
func (l *replyListener) Addr() string { return l.token }

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
func (l *replyListener) take(ctx context.Context) (*nats.Msg, error) {
	for {
		select {
		case <-l.done:
			return nil, transport.ErrClosed
		default:
		}
		if err := ctx.Err(); err != nil {
			return nil, err
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
			return nil, ctx.Err()
		}
	}
}

// delivery decodes m; nil when it cannot be, which is logged.
func (l *replyListener) delivery(m *nats.Msg) *transport.Delivery {
	if m.Header != nil {
		id, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, l.prefix), ".")
		undelivered, count := transport.ErrNoListener, &l.conn.counters.returned
		if reason := m.Header.Get(headerUndelivered); reason != "" {
			count = &l.conn.counters.refused
			undelivered = fmt.Errorf("%w: %s", transport.ErrRejected, reason)
		} else if !noResponders(m) {
			l.conn.log.Error("nats: reply of no known kind", "subject", m.Subject, "bytes", len(m.Data))
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
	message, err := wire.Parse(m.Data)
	if err != nil {
		l.conn.log.Error("nats: reply cannot be read", "subject", m.Subject, "bytes", len(m.Data), "error", err)
		return nil
	}
	return &transport.Delivery{Message: message, To: transport.Address{Kind: transport.Reply, Topic: l.token}, Settler: taken{}}
}

// Close implements [transport.Listener].
func (l *replyListener) Close(ctx context.Context) error {
	l.end()
	l.conn.remove(l)
	if err := l.sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrBadSubscription) && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("nats: close listener %s: %w", l.token, err)
	}
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("nats: close listener %s: %w", l.token, context.Cause(ctx))
	}
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
