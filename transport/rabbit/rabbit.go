// Package rabbit is the transport for RabbitMQ, wire-compatible with oslo.messaging's rabbit driver: the same
// exchanges, queues, bindings and message properties, so that Go and Python peers serve and call each other.
//
// It owns two connections per process, one for sending and one for listening (a broker that slows a sender
// down does not keep acknowledgements waiting), their reconnection, and the topology. It does not own
// deadlines, pairing of replies, heartbeats of calls, duplicates: package rpc does. Bodies are package wire's.
//
// # Where things are
//
//	config.go   what there is to configure; options.go the options of [oslo_messaging_rabbit], in the URL or in files;
//	            hosts.go where to connect; tls.go certificates
//	dial.go     one connection; refusal.go says why there is none
//	conn.go     a link keeps a connection up and says what state it is in; failover.go: at which host, and when;
//	            liveness.go: whether the broker still answers
//	socket.go   writes that never block
//	mux.go      the library's frames and ours on one socket
//	channel.go  a channel whose messages, confirms and acknowledgements are ours; content.go, frames.go: their bytes
//	topology.go names and properties of exchanges and queues; declare.go declares them
//	names.go    names of our own queues that are the same after a restart
//	adopt.go    what exists otherwise is taken as it is
//	lasting.go  what to do where the broker refuses transient queues
//	send.go     Send; publish.go keeps channels for it
//	routes.go   requests that the exchange finds no queue for, where it has found one before
//	nack.go     messages that the broker refuses
//	limit.go    how big a message may be
//	compress.go bodies that are compressed
//	answers.go  replies on their way; replies.go sends them again where that broke, or their queue is missing
//	listen.go   Listen and Next; acks.go settles in batches
//	subscribe.go a listener keeps subscribed; restore.go: what was missing for that
//	checks.go   does it hear? probe.go: a message to itself; rota.go: many are asked about together; health.go: since when not
//	notify.go   notifications, and the queues that wait for listeners
//	inspect.go  what the broker knows about an address
//	tool.go     a plain connection for tools
//
// # Goroutines
//
// Per connection: the AMQP library's reader and heartbeater, the socket's writer, the link, the setup channel, one that
// asks for signs of life; while no broker answers, the search for another and one for each attempt it is making.
// The sending one has one more for each of its three publishing channels (requests, fanouts, replies), one that
// asks whether the broker has the replies, one for those that have to be sent again, and up to 16 that try refused messages
// on channels of their own; the listening one has one more, which visits listeners. Per listener: its own, and one while it
// looks for what is missing.
// All of them end with Close, which waits for ours. No loop waits for another loop: what the connection's reader hears of
// confirms, returned messages and deliveries it hands on without waiting.
//
// # What a listener does not to be deaf
//
// Whatever ends a connection, a channel or a consumer has its listeners rebuilt: exchanges, queues, bindings, consumers.
// What nobody tells of, a check finds out: every probe_interval, and at once when a request came straight to the queue
// because its sender found no way through the exchange. See docs/adr/0016 and 0035.
//
// # What happens to a message when something breaks
//
// A request or fanout that was published and not confirmed when its connection or channel broke is published
// again on the next, with the same unique id, as long as its context allows; receivers drop the duplicate. A
// confirmed one is never sent again. One that comes back from a place that had a queue before goes to the queue
// directly, because its exchange or binding was deleted. One that the broker refuses is tried on another channel,
// where a queue that has just moved to another node may be found.
//
// A reply does not hold its sender. Its body is kept until the broker has said to have it, and is sent again on the
// next connection, with the same unique id, until its caller has given up; where the caller's queue is missing, for a
// minute. What is kept is bounded.
package rabbit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

var (
	_ transport.Transport   = (*Transport)(nil)
	_ transport.Inspector   = (*Transport)(nil)
	_ transport.Redeliverer = (*Transport)(nil)
)

// A Transport is a process's access to one RabbitMQ virtual host. It is safe for concurrent use.
type Transport struct {
	settings *settings
	log      *slog.Logger
	declarer declarer

	out                        *link // carries what we send
	requests, fanouts, answers *publisher
	bodies                     bodies
	confirmations              confirmations
	routes                     routes
	replies                    *replies
	sending                    inflight
	background                 sync.WaitGroup // the goroutine of replies
	stop                       context.CancelFunc

	in        *link // carries what we receive; started by the first Listen
	listeners listeners
	counters  counters
}

// Open connects to the first of the brokers that answers, so that a wrong host, port, password, virtual host
// or certificate is an error now, within ctx. From then on the transport reconnects by itself for ever.
//
// The second connection is made by the first Listen.
func Open(ctx context.Context, c Config) (*Transport, error) {
	s, options, err := c.read()
	if err != nil {
		return nil, err
	}
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	options.Log(ctx, log)
	t := &Transport{settings: s, log: log}
	t.declarer.log = log
	t.routes.log = log
	t.out = newLink(s, "send", log)
	t.in = newLink(s, "listen", log)
	t.out.sibling, t.in.sibling = t.in, t.out
	t.replies = newReplies(s.replies.patience, log)
	t.replies.resend = func(ctx context.Context, p *publication) error { return t.publish(ctx, t.requests, p) }
	t.replies.counters = &t.counters
	t.requests = &publisher{link: t.out, name: "requests", confirm: true, awake: true, returned: returned, log: log}
	t.fanouts = &publisher{link: t.out, name: "fanouts", confirm: true, returned: returned, log: log}
	t.replies.send = func(ctx context.Context, r *reply) error {
		t.counters.resent.Add(1)
		return t.answer(ctx, &r.publication, r)
	}
	t.replies.done = func(r *reply) { t.bodies.put(r.buf) }
	t.replies.left = t.sending.leave
	t.answers = &publisher{link: t.out, name: "replies", settle: t.settle, returned: t.replies.returned, log: log}
	t.out.inside = []func(*session){t.requests.run, t.fanouts.run, t.answers.run}
	t.in.inside = []func(*session){t.visits}
	if err := t.out.open(ctx); err != nil {
		return nil, wrap(err, "rabbit")
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = cancel
	t.background.Go(func() { t.replies.run(own) })
	return t, nil
}

// returned hears of requests that the broker gave back.
func returned(o *outlet, r amqp.Return) { o.back.add(r.Body) }

// Close is part of transport.Transport. Reply and fanout queues are deleted, connections closed.
func (t *Transport) Close(ctx context.Context) error {
	drained, first := t.sending.close()
	if !first {
		return nil
	}
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = wrap(ctx.Err(), "rabbit: close: messages are still being sent")
	}
	all := t.listeners.close() // from now on nobody starts the other connection
	for _, l := range all {
		if e := l.Close(ctx); e != nil && err == nil {
			err = e
		}
	}
	for _, l := range all {
		l.stop()
	}
	t.stop()
	t.in.close()
	t.out.close()
	for _, l := range all {
		<-l.done
	}
	t.background.Wait()
	return err
}

// listeners are those that Close has to close.
type listeners struct {
	mu     sync.Mutex
	all    map[*listener]struct{}
	closed bool
}

// add takes l in, and calls start for the first one, unless closed.
func (s *listeners) add(l *listener, start func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.all == nil {
		s.all = make(map[*listener]struct{})
		start()
	}
	s.all[l] = struct{}{}
	return true
}

func (s *listeners) remove(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, l)
}

// rebuilt is when the queue of the reply listener at an address was last made anew.
func (s *listeners) rebuilt(at transport.Address) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.all {
		if at.Kind == transport.Reply && l.addr == at.Topic {
			return l.health.lastMade()
		}
	}
	return time.Time{}
}

func (s *listeners) close() []*listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	list := make([]*listener, 0, len(s.all))
	for l := range s.all {
		list = append(list, l)
	}
	return list
}

// inflight counts calls of Send, and replies that have to be sent again, and lets no more in once closed.
type inflight struct {
	mu      sync.Mutex
	n       int
	drained chan struct{} // nil until closed
}

func (f *inflight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained != nil {
		return false
	}
	f.n++
	return true
}

func (f *inflight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.drained != nil {
		close(f.drained)
	}
}

// hold counts n more that were let in before, unless all of those are out and the door is closed.
func (f *inflight) hold(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == 0 && f.drained != nil {
		return false
	}
	f.n += n
	return true
}

// close returns a channel that is closed when the last call has returned, and whether this was the first close.
func (f *inflight) close() (<-chan struct{}, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained != nil {
		return f.drained, false
	}
	f.drained = make(chan struct{})
	if f.n == 0 {
		close(f.drained)
	}
	return f.drained, true
}
