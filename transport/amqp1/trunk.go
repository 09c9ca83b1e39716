package amqp1

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
)

// RabbitMQ's plugin opens a connection inside the broker for each session, and for each link that is attached a channel that
// it closes again. On a busy machine that channel may be gone before the plugin has begun to watch it (3.10.8, amqp_channels_manager:
// "noproc"), which it takes for an accident: it ends the session a moment after the link was attached, and what is under way by then is
// in doubt. So there all queues have one link, and all fanouts one, and nothing is sent on a link before that moment has passed.
const (
	toQueues  = "/queue"               // the subject of a message is the queue
	toFanouts = "/exchange/amq.direct" // the subject is the routing key

	// moment is several times the longest from the answer to an attach to the end of the session: 4 ms, of 100,000 sessions.
	moment = 25 * time.Millisecond
)

// trunk is the link by which a message to an address goes, and the subject that it needs there; "" = none.
func (p product) trunk(address string) (link, subject string) {
	if !p.rabbit() {
		return address, ""
	}
	link = toQueues
	name, ok := strings.CutPrefix(address, "/amq"+toQueues+"/")
	if !ok {
		link = toFanouts
		name, ok = strings.CutPrefix(address, toFanouts+"/")
	}
	if !ok || name == "" || strings.Contains(name, "/") {
		return address, ""
	}
	return link, strings.ReplaceAll(name, "%2F", "/") // as the plugin reads paths
}

// A route is how a message gets to an address, by one connection.
type route struct {
	address       string // of the queue or exchange
	link, subject string // see trunk
	source        string // where listeners at a Notification address listen
}

// maxRoutes is how many routes are remembered.
const maxRoutes = 10_000

// route returns the one of an address.
func (n *connection) route(to transport.Address) (route, error) {
	if to.Kind == transport.Reply {
		r := route{address: to.Topic}
		r.link, r.subject = n.product.trunk(r.address)
		return r, nil
	}
	n.senders.mu.Lock()
	r, ok := n.senders.routes[to]
	n.senders.mu.Unlock()
	if ok {
		return r, nil
	}
	var err error
	if r.address, err = n.addresses.to(to); err != nil {
		return r, err
	}
	if r.source, err = n.addresses.from(to); err != nil {
		return r, err
	}
	r.link, r.subject = n.product.trunk(r.address)
	n.senders.mu.Lock()
	defer n.senders.mu.Unlock()
	if n.senders.routes == nil || len(n.senders.routes) >= maxRoutes {
		n.senders.routes = map[transport.Address]route{}
	}
	n.senders.routes[to] = r
	return r, nil
}

// prepare sees to the queue of a message on RabbitMQ, which takes messages for queues that do not exist and drops them. A queue of
// requests is there when somebody has listened; that of notifications is made here, if there is none.
func (n *connection) prepare(ctx context.Context, to transport.Address, r route) error {
	switch {
	case !n.product.rabbit():
		return nil
	case to.Kind == transport.Topic:
		return n.exists(ctx, r.address)
	case to.Kind == transport.Notification:
		return n.exists(ctx, r.source)
	}
	return nil
}

// A sighting is that a queue exists.
type sighting struct {
	ready chan struct{} // closed when it was probed
	err   error         // why it was not seen
	used  time.Time     // guarded by senders.mu
}

// exists returns nil when the queue of an address was there on this connection, or was made, if it is an address to listen at. While it is being probed, others wait for the same.
func (n *connection) exists(ctx context.Context, address string) error {
	n.senders.mu.Lock()
	if n.senders.all == nil {
		n.senders.mu.Unlock()
		return errAgain
	}
	seen := n.senders.queues[address]
	if seen == nil {
		seen = &sighting{ready: make(chan struct{})}
		if n.senders.queues == nil {
			n.senders.queues = map[string]*sighting{}
		}
		n.senders.queues[address] = seen
		whole := context.WithoutCancel(ctx) // as in acquire
		n.senders.running.Go(func() {
			within, cancel := context.WithTimeout(whole, attachTimeout)
			defer cancel()
			session, err := n.probe(within, address)
			if err != nil {
				n.senders.mu.Lock()
				if n.senders.queues[address] == seen {
					delete(n.senders.queues, address)
				}
				n.senders.mu.Unlock()
			}
			seen.err = err
			close(seen.ready)
			if session != nil {
				end(whole, session) // RabbitMQ does not always answer that
			}
		})
	}
	seen.used = time.Now()
	n.senders.mu.Unlock()
	if closed(seen.ready) {
		return seen.err
	}
	select {
	case <-seen.ready:
		return seen.err
	case <-ctx.Done():
		return fmt.Errorf("%w: waited for an answer about %s: %w", transport.ErrNotSent, address, context.Cause(ctx))
	}
}

// overlook forgets the queues that were not used since then. The lock is held.
func (a *senders) overlook(then time.Time) {
	for address, seen := range a.queues {
		if seen.used.Before(then) {
			delete(a.queues, address)
		}
	}
}

// probe attaches a receiver without credit, which has RabbitMQ make the queue of an address to listen at, and refuse any other
// where the queue does not exist. It takes any target, and drops what is sent to one that is none. The caller ends the session, if
// there is one.
func (n *connection) probe(ctx context.Context, source string) (*amqp.Session, error) {
	session, err := n.amqp.NewSession(ctx, nil)
	if err != nil {
		return nil, err
	}
	_, err = session.NewReceiver(ctx, source, &amqp.ReceiverOptions{Credit: -1, SourceDurability: amqp.DurabilityConfiguration})
	return session, err
}
