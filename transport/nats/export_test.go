package nats

import (
	"time"

	"github.com/goslo/goslo/transport"
)

// LoseClaims makes a listener's claims as old as after an outage that was longer than the queue waits.
func LoseClaims(l transport.Listener) {
	t := l.(*topicListener)
	t.mu.Lock()
	defer t.mu.Unlock()
	for ack := range t.held {
		t.held[ack] = time.Now().Add(-ackWait)
	}
}

// Listeners is how many listeners the connection looks after.
func (c *Conn) Listeners() int { return len(c.snapshot()) }
