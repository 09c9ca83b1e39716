package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

const (
	retryEvery   = 250 * time.Millisecond // RMQ-REPLY-02
	goneFor      = time.Minute            // RMQ-REPLY-03
	maxGone      = 200                    // RMQ-REPLY-03
	maxReturned  = 1000                   // replies
	maxReturnedB = 64 << 20               // and their bytes
)

// reply hands p to the connection. The broker is asked to give it back where its queue is missing, not to
// confirm it; what comes back goes to t.replies, which tries on without holding the sender.
func (t *Transport) reply(ctx context.Context, p *publication, m *transport.Message) error {
	if err := p.fits(); err != nil {
		return err
	}
	if t.replies.refuses(p.key, m.Ending) {
		return noListener(p)
	}
	for {
		o, err := t.answers.outlet(ctx)
		if err != nil {
			if errors.Is(err, transport.ErrClosed) {
				return err
			}
			return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
		}
		if err := t.ready(ctx, o, p); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %w", transport.ErrNotSent, t.out.state(ctx.Err()))
			}
			continue
		}
		if o.ch.publish(p, nil) == nil {
			return nil
		}
		select {
		case <-o.gone:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", transport.ErrNotSent, t.out.state(ctx.Err()))
		}
	}
}

// replies are those whose queue was missing. One goroutine sends them again every quarter of a second until
// they arrive or kombu_missing_consumer_retry_timeout has passed. How many it keeps is bounded.
type replies struct {
	patience time.Duration
	log      *slog.Logger
	resend   func(context.Context, *publication) error
	wake     chan struct{} // holds one

	mu    sync.Mutex
	kept  []*returnedReply
	bytes int
	gone  map[string]goneQueue
}

type returnedReply struct {
	publication
	call  string // the id of the call that it answers
	since time.Time
}

// goneQueue is a reply queue that was missing last time.
type goneQueue struct {
	until time.Time
	lost  bool // a reply to it was given up
}

func newReplies(patience time.Duration, log *slog.Logger) *replies {
	return &replies{patience: patience, log: log, wake: make(chan struct{}, 1), gone: make(map[string]goneQueue)}
}

// refuses says that there is no point in sending: a reply was given up for this queue within the last minute
// or, for a heartbeat, the queue was missing (RMQ-REPLY-03, 05).
func (r *replies) refuses(queue string, ending bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.gone) == 0 {
		return false
	}
	g, ok := r.gone[queue]
	return ok && time.Now().Before(g.until) && (g.lost || !ending)
}

// returned takes a reply that the broker gave back. It does not block.
func (r *replies) returned(_ *outlet, ret amqp.Return) {
	m, err := wire.Parse(ret.Body)
	if err != nil {
		r.log.Error("the broker gave back a reply that cannot be read", "queue", ret.RoutingKey, "error", err)
		return
	}
	r.mu.Lock()
	r.missing(ret.RoutingKey, false)
	full := len(r.kept) >= maxReturned || r.bytes+len(ret.Body) > maxReturnedB
	keep := m.Ending && !full && r.patience > 0
	if keep {
		r.kept = append(r.kept, &returnedReply{
			publication: publication{key: ret.RoutingKey, mandatory: true, body: ret.Body},
			call:        m.ID,
			since:       time.Now(),
		})
		r.bytes += len(ret.Body)
	}
	r.mu.Unlock()
	switch {
	case keep:
		select {
		case r.wake <- struct{}{}:
		default:
		}
	case m.Ending:
		r.log.Warn("reply dropped: the caller's queue is missing, and no more can wait for theirs", "queue", ret.RoutingKey, "call", m.ID, "waiting", maxReturned)
	}
}

// missing notes that a queue is not there. The caller holds the lock.
func (r *replies) missing(queue string, lost bool) {
	now := time.Now()
	if len(r.gone) >= maxGone {
		for q, g := range r.gone {
			if now.After(g.until) {
				delete(r.gone, q)
			}
		}
	}
	if len(r.gone) >= maxGone {
		for q := range r.gone {
			delete(r.gone, q)
			break
		}
	}
	r.gone[queue] = goneQueue{until: now.Add(goneFor), lost: lost || r.gone[queue].lost}
}

// run sends again until ctx ends.
func (r *replies) run(ctx context.Context) {
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		for again := true; again; {
			if !sleep(ctx, retryEvery) {
				r.mu.Lock()
				n := len(r.kept)
				r.mu.Unlock()
				r.log.Warn("closing with replies whose callers' queues are missing", "replies", n)
				return
			}
			again = r.round(ctx)
		}
	}
}

// round tries every reply once, a queue that is still missing only once for all of its replies.
func (r *replies) round(ctx context.Context) (again bool) {
	r.mu.Lock()
	todo := append([]*returnedReply(nil), r.kept...)
	r.mu.Unlock()

	still := make(map[string]bool)
	done := make(map[*returnedReply]bool)
	for _, p := range todo {
		err := transport.ErrNoListener
		if !still[p.key] {
			err = r.resend(ctx, &p.publication)
		}
		switch {
		case err == nil:
			done[p] = true
			r.found(p.key)
		case ctx.Err() != nil:
			return true
		case time.Since(p.since) >= r.patience:
			done[p] = true
			r.giveUp(p, err)
		case errors.Is(err, transport.ErrNoListener):
			still[p.key] = true
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.kept[:0]
	r.bytes = 0
	for _, p := range r.kept {
		if !done[p] {
			kept = append(kept, p)
			r.bytes += len(p.body)
		}
	}
	clear(r.kept[len(kept):])
	r.kept = kept
	return len(kept) > 0
}

func (r *replies) found(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.gone, queue)
}

func (r *replies) giveUp(p *returnedReply, err error) {
	r.mu.Lock()
	r.missing(p.key, true)
	r.mu.Unlock()
	r.log.Error("reply given up: the caller's queue did not come back", "queue", p.key, "call", p.call, "after", r.patience, "error", err)
}
