package nats

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

const (
	// rebuildTimeout bounds one attempt to make a listener's queues again.
	rebuildTimeout = 10 * time.Second

	// deletionWait is how long a listener leaves a queue alone that was deleted. The server forgets a stream's name and ends its consumers
	// first and removes its files last, under their name: a stream that is made between keeps its files in the same place, loses them, and
	// confirms nothing.
	deletionWait = time.Second
)

// keeper is the connection's one goroutine: it looks after listeners every ackWait/3, measures the way to the server and back, and rebuilds them
// when the connection came back or a queue was deleted under them.
type keeper struct {
	conn   *Conn
	kick   chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu  sync.Mutex
	all bool
	one map[listener]time.Time // listeners to be rebuilt, and when
}

func (k *keeper) start(ctx context.Context, c *Conn) {
	k.conn = c
	k.kick = make(chan struct{}, 1)
	k.one = map[listener]time.Time{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlives Open
	k.cancel = cancel
	k.done.Go(func() { k.run(ctx) })
}

func (k *keeper) stop() {
	k.cancel()
	k.done.Wait()
}

// rebuildAll asks for all listeners to be rebuilt, except those that are to wait.
func (k *keeper) rebuildAll() {
	k.mu.Lock()
	k.all = true
	k.mu.Unlock()
	k.wake()
}

// rebuild asks for a listener to be rebuilt after a time. The longest time that was asked for counts.
func (k *keeper) rebuild(l listener, after time.Duration) {
	k.mu.Lock()
	before, asked := k.one[l]
	if !asked {
		k.conn.counters.deaf.Add(1)
	}
	if due := time.Now().Add(after); due.After(before) {
		k.one[l] = due
	}
	k.mu.Unlock()
	k.wake()
}

func (k *keeper) wake() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// take returns the listeners to be rebuilt now, and how long no other is due.
func (k *keeper) take() (due []listener, rest time.Duration) {
	rest = ackWait
	k.mu.Lock()
	defer k.mu.Unlock()
	now, later := time.Now(), map[listener]time.Time{}
	for _, l := range k.conn.snapshot() {
		switch at, asked := k.one[l]; {
		case asked && at.After(now):
			later[l] = at
			rest = min(rest, at.Sub(now))
		case asked, k.all:
			due = append(due, l)
		}
	}
	k.all, k.one = false, later
	return due, rest
}

func (k *keeper) run(ctx context.Context) {
	ticker := time.NewTicker(ackWait / 3)
	defer ticker.Stop()
	due := time.NewTimer(ackWait)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := k.conn.asks.loop(); err != nil {
				k.conn.log.Debug("nats: no message to ourselves", "error", err) // the connection is away
			}
			now := time.Now() // the tick may have waited for a rebuild
			for _, l := range k.conn.snapshot() {
				if l.tick(now) {
					k.rebuild(l, 0)
				}
			}
			continue
		case <-k.kick:
		case <-due.C:
		}
		some, rest := k.take()
		due.Reset(rest)
		for _, l := range some {
			k.rebuildOne(ctx, l)
		}
	}
}

// rebuildOne tries once; what fails is tried again at the next tick, or when the connection is back.
func (k *keeper) rebuildOne(ctx context.Context, l listener) {
	ctx, cancel := context.WithTimeout(ctx, rebuildTimeout)
	defer cancel()
	switch err := k.conn.whileLinked(ctx, l.rebuild); {
	case err == nil:
		k.conn.log.Info("nats: listening again", "listener", l.Addr())
	case errors.Is(err, context.Canceled), errors.Is(err, transport.ErrClosed), errors.Is(err, errNoJetStream):
	default:
		k.conn.log.Error("nats: cannot listen again yet", "listener", l.Addr(), "error", err)
	}
}
