package rabbit

import (
	"fmt"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// health is what is known of whether messages reach a listener.
type health struct {
	mu     sync.Mutex
	away   time.Time // since when there is no subscription; zero = there is one
	misses int       // checks in a row
	since  time.Time // when the first of them began
	why    error     // of the last miss, or of the subscription's end
	made   time.Time // when a queue of the listener's own was last made anew
}

func (h *health) subscribed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = time.Time{}
}

func (h *health) unsubscribed(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.why = why
	if h.away.IsZero() {
		h.away = time.Now()
	}
}

func (h *health) heard() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.misses = 0
}

func (h *health) missed(since time.Time, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.misses == 0 {
		h.since = since
	}
	h.misses++
	h.why = why
}

func (h *health) missedSoFar() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.misses
}

func (h *health) anew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made = time.Now()
}

func (h *health) lastMade() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.made
}

// Ready is part of transport.Readier. A listener is not ready when probe_misses checks in a row have failed, or when it
// has been without a subscription for as long as they would have taken.
func (l *listener) Ready() error {
	select {
	case <-l.stopping:
		return fmt.Errorf("rabbit: listener %s: %w", l.addr, transport.ErrClosed)
	default:
	}
	h, policy := &l.health, l.probing.policy
	h.mu.Lock()
	away, misses, since, why := h.away, h.misses, h.since, h.why
	h.mu.Unlock()
	switch {
	case !away.IsZero() && time.Since(away) > policy.patience():
		return fmt.Errorf("rabbit: listener %s: not subscribed for %s: %w", l.addr, time.Since(away).Round(time.Millisecond), l.link.state(why))
	case misses >= policy.misses:
		return fmt.Errorf("rabbit: listener %s: deaf for %s: %d probes in a row were missed, the last: %w",
			l.addr, time.Since(since).Round(time.Millisecond), misses, why)
	}
	return nil
}
