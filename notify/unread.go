package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

const (
	// unreadLook is how often a queue that is sent to is looked at.
	unreadLook = time.Minute
	// unreadFor is how long nobody may read it before that is said, and then how often.
	unreadFor = 10 * time.Minute
	// unreadPatience bounds one look, which who sends has to wait for.
	unreadPatience = time.Second
)

// unread watches for queues that fill up because nobody reads them. The queue of listeners without a pool is made by who sends, needed or
// not (NPOOL-03).
type unread struct {
	mu  sync.Mutex
	all map[transport.Address]*watched
}

// A watched queue.
type watched struct {
	next  time.Time // to be looked at
	since time.Time // nobody reads it; zero = somebody does, or it is empty
	told  time.Time
}

// due says whether the queue is to be looked at now.
func (u *unread) due(at transport.Address, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.all[at]
	if w == nil {
		w = new(watched)
		if u.all == nil {
			u.all = map[transport.Address]*watched{}
		}
		u.all[at] = w
	}
	if now.Before(w.next) {
		return false
	}
	w.next = now.Add(unreadLook)
	return true
}

// saw takes note of a look, and says since when nobody has read the queue, if that is to be told now.
func (u *unread) saw(at transport.Address, now time.Time, nobody bool) (since time.Time, tell bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.all[at]
	switch {
	case !nobody:
		w.since = time.Time{}
	case w.since.IsZero():
		w.since = now
	case now.Sub(w.since) >= unreadFor && now.Sub(w.told) >= unreadFor:
		w.told = now
		return w.since, true
	}
	return time.Time{}, false
}

// look asks the bus, where it can tell, who reads the queue.
func (u *unread) look(ctx context.Context, bus transport.Transport, at transport.Address, log *slog.Logger, now time.Time) {
	inspector, ok := bus.(transport.Inspector)
	if !ok || log == nil || !u.due(at, now) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, unreadPatience)
	defer cancel()
	s, err := inspector.Inspect(ctx, at)
	if err != nil {
		return // the next look will tell
	}
	if since, tell := u.saw(at, now, s.Exists && s.Listeners == 0 && s.Waiting > 0); tell {
		log.WarnContext(ctx, "nobody reads a queue of notifications, which grows; read it, bound it by a policy of the bus, or send nothing there",
			"topic", at.Topic, "waiting", s.Waiting, "since", since)
	}
}
