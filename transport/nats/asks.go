package nats

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	"github.com/goslo/goslo/internal/ending"
)

// asks pairs what we ask of servers and of other clients with what they answer. One subscription serves all.
type asks struct {
	conn   *Conn
	prefix string // of the subjects that answers come to

	mu      sync.Mutex
	last    uint64
	looped  loop
	waiting map[uint64]chan<- message
	spare   []*asker
}

// An asker waits for one answer; those who ask use it one after the other.
type asker struct {
	answer chan message // holds one
	timer  ending.Timer
}

func (a *asks) start(c *Conn) {
	a.conn = c
	a.prefix = c.prefix + replyToken + "." + newToken() + "."
	a.waiting = map[uint64]chan<- message{}
	c.subscriptions.add(&subscription{subject: a.prefix + "*", receive: a.answer})
}

// answer never blocks: an answer too many is dropped.
func (a *asks) answer(m message) {
	id, err := strconv.ParseUint(string(bytes.TrimPrefix(m.subject, []byte(a.prefix))), 36, 64)
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

// open returns the subject to have answers sent to; they come to ch, as many as it holds, until done is called with the id.
func (a *asks) open(ch chan<- message) (subject []byte, id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.waiting[a.last] = ch
	return a.subject(a.last), a.last
}

func (a *asks) done(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

func (a *asks) subject(id uint64) []byte {
	return strconv.AppendUint(append(make([]byte, 0, len(a.prefix)+13), a.prefix...), id, 36)
}

// ask sends a message and waits for one answer. The error is ctx's, that of Conn.hand, or errLinkLost.
func (a *asks) ask(ctx context.Context, l *link, subject []byte, h header, body []byte) (message, error) {
	k := a.asker()
	reply, id := a.open(k.answer)
	defer a.release(id, k)
	if err := a.conn.hand(subject, reply, h, body); err != nil {
		return message{}, err
	}
	ended, due := k.timer.Of(ctx)
	defer k.timer.Stop()
	for {
		select {
		case answer := <-k.answer:
			return answer, nil
		case <-l.lost:
			return message{}, errLinkLost
		case <-ended:
			return message{}, context.Cause(ctx)
		case <-due:
			if err := ctx.Err(); err != nil {
				return message{}, err
			}
			due = nil // the deadline is its parent's, which tells in a moment
		}
	}
}

// asker returns an unused one.
func (a *asks) asker() *asker {
	a.mu.Lock()
	defer a.mu.Unlock()
	if last := len(a.spare) - 1; last >= 0 {
		k := a.spare[last]
		a.spare = a.spare[:last]
		return k
	}
	return &asker{answer: make(chan message, 1)}
}

// release ends a question, and keeps its asker.
func (a *asks) release(id uint64, k *asker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
	select {
	case <-k.answer: // at the last moment
	default:
	}
	a.spare = append(a.spare, k)
}
