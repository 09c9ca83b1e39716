package rabbit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

const (
	maxRoutes = 10_000
	// rebuildTime is how long a queue that was there before may be missing until nobody listens: its listener,
	// ours or a peer's, is connecting again or rebuilding it.
	rebuildTime = 3 * time.Second
	// rebuildKnock is how often that is looked at.
	rebuildKnock = 100 * time.Millisecond
)

// routes remembers where requests have found a queue. One that suddenly finds none there has met an exchange or a
// binding that was deleted, or a queue that is being rebuilt; one to a place that never had a queue has met nobody.
type routes struct {
	log *slog.Logger

	mu    sync.RWMutex
	known map[route]time.Time // when a message that went past the exchange was last told of
}

type route struct{ exchange, key string }

// note remembers that a message has arrived. When there are too many, one is forgotten, and only costs its next
// message the second chance.
func (r *routes) note(at route) {
	if r.has(at) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = make(map[route]time.Time)
	}
	for old := range r.known {
		if len(r.known) < maxRoutes {
			break
		}
		delete(r.known, old)
	}
	r.known[at] = time.Time{}
}

func (r *routes) has(at route) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.known[at]
	return ok
}

func (r *routes) forget(at route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, at)
}

// tell logs that a message went past the exchange, at most once a minute for each place.
func (r *routes) tell(at route) {
	now := time.Now()
	r.mu.Lock()
	told := r.known[at]
	again := now.Sub(told) < time.Minute
	if !again {
		r.known[at] = now
	}
	r.mu.Unlock()
	if !again {
		r.log.Warn("request delivered to its queue directly: its exchange or binding was deleted, or the queue was just rebuilt",
			"exchange", at.exchange, "queue", at.key)
	}
}

// request publishes p until a queue has it. When the exchange finds none where it has found one before, p goes to
// the queue itself: queues are named after their keys (RMQ-TOPO-01), and the default exchange, which nobody
// can delete, reaches them all. A queue that is missing, too, has a moment to be rebuilt.
func (t *Transport) request(ctx context.Context, p *publication) error {
	at := route{p.exchange.name, p.key}
	err := t.publish(ctx, t.requests, p)
	if err == nil {
		t.routes.note(at)
		return nil
	}
	if !errors.Is(err, transport.ErrNoListener) || !t.routes.has(at) {
		return err
	}
	direct := *p
	direct.exchange = exchange{}
	for since := time.Now(); ; {
		again := t.publish(ctx, t.requests, &direct)
		switch {
		case again == nil:
			t.routes.tell(at)
			return nil
		case !errors.Is(again, transport.ErrNoListener):
			return again
		case time.Since(since) > rebuildTime || !sleep(ctx, rebuildKnock):
			t.routes.forget(at)
			return err
		}
	}
}
