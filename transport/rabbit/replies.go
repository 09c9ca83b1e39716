package rabbit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

const (
	retryEvery   = 250 * time.Millisecond // RMQ-REPLY-02
	goneFor      = time.Minute            // RMQ-REPLY-03
	maxGone      = 200                    // RMQ-REPLY-03
	maxReturned  = 1000                   // replies
	maxReturnedB = 64 << 20               // and their bytes
	tellCalls    = 5                      // in a log line about several
)

// replies are those that have to be sent again without their senders. One goroutine does it: those whose channel
// broke under them go out on the next one, until their callers have given up; those whose queue was missing
// every quarter of a second, until it is back or kombu_missing_consumer_retry_timeout has passed. How many
// are kept is bounded.
type replies struct {
	patience time.Duration
	log      *slog.Logger
	send     func(context.Context, *reply) error       // without waiting for the broker
	resend   func(context.Context, *publication) error // waits; ErrNoListener where the queue is missing
	done     func(*reply)                              // it is not needed any more
	left     func()                                    // one of those from sendAgain is out
	counters *counters
	wake     chan struct{} // holds one

	mu     sync.Mutex
	unsent []*reply // their channel broke
	kept   []*reply // their queue was missing
	bytes  int      // of kept
	gone   map[string]goneQueue
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

// sendAgain takes replies whose channel broke before the broker was known to have them.
func (r *replies) sendAgain(list []*reply) {
	if len(list) == 0 {
		return
	}
	r.mu.Lock()
	r.unsent = append(r.unsent, list...)
	over := max(0, len(r.unsent)-maxUnsettled)
	r.unsent = r.unsent[over:]
	r.mu.Unlock()
	for range over {
		r.left()
	}
	if over > 0 {
		r.log.Warn("replies lost with their connection: more than are kept", "replies", over)
	}
	r.nudge()
}

func (r *replies) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// returned hears of replies that the broker gave back. It does not block.
func (r *replies) returned(o *outlet, ret amqp.Return) {
	r.counters.returned.Add(1)
	p := o.unsettled.back(ret)
	r.mu.Lock()
	r.missing(ret.RoutingKey, false)
	keep := p != nil && len(r.kept) < maxReturned && r.bytes+len(p.body) <= maxReturnedB
	if keep {
		p.since = time.Now()
		r.kept = append(r.kept, p)
		r.bytes += len(p.body)
	}
	r.mu.Unlock()
	switch {
	case keep:
		r.nudge()
	case p != nil:
		r.log.Warn("reply dropped: the caller's queue is missing, and no more can wait for theirs", "queue", p.key, "call", p.call, "method", p.method, "waiting", maxReturned)
		r.done(p)
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
	var retry <-chan time.Time
	for {
		select {
		case <-r.wake:
		case <-retry:
			retry = nil
			r.round(ctx)
		case <-ctx.Done():
			r.mu.Lock()
			unsent, missing := len(r.unsent), len(r.kept)
			r.mu.Unlock()
			if unsent+missing > 0 {
				r.log.Warn("closing with replies that were not delivered", "connection_lost", unsent, "queue_missing", missing)
			}
			return
		}
		r.flush(ctx)
		r.mu.Lock()
		if retry == nil && len(r.kept) > 0 {
			retry = time.After(retryEvery)
		}
		r.mu.Unlock()
	}
}

// flush sends those whose channel broke.
func (r *replies) flush(ctx context.Context) {
	for {
		r.mu.Lock()
		if len(r.unsent) == 0 || ctx.Err() != nil {
			r.mu.Unlock()
			return
		}
		p := r.unsent[0]
		r.unsent[0] = nil
		r.unsent = r.unsent[1:]
		r.mu.Unlock()

		while, cancel := context.WithDeadline(ctx, p.until)
		err := while.Err() // nobody waits for it any more
		if err == nil {
			err = r.send(while, p)
		}
		cancel()
		r.left()
		if err != nil {
			r.log.Warn("reply lost: its connection broke before the broker had it", "queue", p.key, "call", p.call, "method", p.method, "error", err)
			r.done(p)
		}
	}
}

// round tries those whose queue was missing, a queue that is still missing only once for all of its replies.
func (r *replies) round(ctx context.Context) {
	r.mu.Lock()
	todo := append([]*reply(nil), r.kept...)
	r.mu.Unlock()

	var order []string // of queues that are still missing, each with its replies, the oldest first
	still := make(map[string][]*reply)
	done := make(map[*reply]bool)
	for _, p := range todo {
		if waiting := still[p.key]; len(waiting) > 0 {
			still[p.key] = append(waiting, p)
			continue
		}
		err := r.resend(ctx, &p.publication)
		switch {
		case err == nil:
			done[p] = true
			r.found(p.key)
		case ctx.Err() != nil:
			return
		case errors.Is(err, transport.ErrNoListener):
			order = append(order, p.key)
			still[p.key] = []*reply{p}
		default:
			done[p] = true
			r.log.Error("reply lost: it could not be sent again", "queue", p.key, "call", p.call, "method", p.method, "error", err)
		}
	}
	for _, queue := range order {
		if list := still[queue]; time.Since(list[0].since) >= r.patience {
			r.giveUp(queue, list)
			for _, p := range list {
				done[p] = true
			}
		}
	}
	r.forget(done)
}

// forget drops those that are done.
func (r *replies) forget(done map[*reply]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.kept[:0]
	r.bytes = 0
	for _, p := range r.kept {
		if done[p] {
			r.done(p)
			continue
		}
		kept = append(kept, p)
		r.bytes += len(p.body)
	}
	clear(r.kept[len(kept):])
	r.kept = kept
}

func (r *replies) found(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.gone, queue)
}

// giveUp forgets all replies to a queue, and says who was waiting for them.
func (r *replies) giveUp(queue string, list []*reply) {
	r.mu.Lock()
	r.missing(queue, true)
	r.mu.Unlock()
	calls := make([]string, 0, tellCalls)
	for _, p := range list[:min(tellCalls, len(list))] {
		calls = append(calls, p.call+" "+p.method)
	}
	r.log.Error("reply given up: the caller's queue did not come back; the caller has left, or lost its queue",
		"queue", queue, "replies", len(list), "calls", calls, "missing_since", list[0].since.Format(time.RFC3339), "patience", r.patience)
}
