package nats

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// asks pairs what we ask of servers and of other clients with what they answer. One subscription serves all.
type asks struct {
	conn   *Conn
	prefix string        // of the subjects that answers come to
	ended  chan struct{} // the subscription's goroutine is gone

	mu      sync.Mutex
	last    uint64
	looped  loop
	waiting map[uint64]chan<- *nats.Msg
}

func (a *asks) start(c *Conn) error {
	a.conn = c
	a.prefix = c.prefix + replyToken + "." + newToken() + "."
	a.waiting = map[uint64]chan<- *nats.Msg{}
	a.ended = make(chan struct{})
	sub, err := c.nc.Subscribe(a.prefix+"*", a.answer)
	if err != nil {
		return err
	}
	onEnd(sub, func() { close(a.ended) })
	return sub.SetPendingLimits(-1, -1)
}

// answer runs on the subscription's goroutine and never blocks: an answer too many is dropped.
func (a *asks) answer(m *nats.Msg) {
	id, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, a.prefix), 36, 64)
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closes(id) {
		return
	}
	if ch, ok := a.waiting[id]; ok {
		select {
		case ch <- m:
		default:
		}
	}
}

// open returns the subject to have answers sent to; they come to ch, as many as it holds, until done is called.
func (a *asks) open(ch chan<- *nats.Msg) (subject string, done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	id := a.last
	a.waiting[id] = ch
	return a.subject(id), func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting, id)
	}
}

func (a *asks) subject(id uint64) string { return a.prefix + strconv.FormatUint(id, 36) }

// ask sends m and waits for one answer. The error is ctx's, nats.go's, or errLinkLost.
func (a *asks) ask(ctx context.Context, l *link, m *nats.Msg) (*nats.Msg, error) {
	ch := make(chan *nats.Msg, 1)
	reply, done := a.open(ch)
	defer done()
	m.Reply = reply
	if err := a.conn.nc.PublishMsg(m); err != nil {
		return nil, err
	}
	select {
	case answer := <-ch:
		return answer, nil
	case <-l.lost:
		return nil, errLinkLost
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// noResponders says whether m is the server's word that nobody listens.
func noResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503"
}
