package nats

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

// rebuildTimeout bounds one attempt to make a listener's queues again.
const rebuildTimeout = 10 * time.Second

// keeper is the connection's one goroutine: it looks after listeners every ackWait/3, measures the way to the server and back, and rebuilds them
// when the connection came back or a queue was deleted under them.
type keeper struct {
	conn   *Conn
	kick   chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu  sync.Mutex
	all bool
	one map[listener]struct{}
}

func (k *keeper) start(ctx context.Context, c *Conn) {
	k.conn = c
	k.kick = make(chan struct{}, 1)
	k.one = map[listener]struct{}{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlives Open
	k.cancel = cancel
	k.done.Go(func() { k.run(ctx) })
}

func (k *keeper) stop() {
	k.cancel()
	k.done.Wait()
}

// rebuild asks for all listeners to be rebuilt, or for those given.
func (k *keeper) rebuild(some ...listener) {
	k.mu.Lock()
	k.all = k.all || len(some) == 0
	k.conn.counters.deaf.Add(uint64(len(some)))
	for _, l := range some {
		k.one[l] = struct{}{}
	}
	k.mu.Unlock()
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

func (k *keeper) take() (all bool, some map[listener]struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, some = k.all, k.one
	k.all, k.one = false, map[listener]struct{}{}
	return all, some
}

func (k *keeper) run(ctx context.Context) {
	ticker := time.NewTicker(ackWait / 3)
	defer ticker.Stop()
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
					k.rebuild(l)
				}
			}
		case <-k.kick:
			all, some := k.take()
			for _, l := range k.conn.snapshot() {
				if _, asked := some[l]; !all && !asked {
					continue
				}
				k.rebuildOne(ctx, l)
			}
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
