package rabbit

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

const (
	// retrySubscribe is the pause before a listener that the broker refused tries again, half of it at random.
	retrySubscribe = time.Second
	// unmakeFor is how long what is being deleted may be in the way of making it anew before that counts as refused.
	unmakeFor = time.Second
	// unmakePause is the first pause between attempts at that, half of it at random. It doubles.
	unmakePause = 20 * time.Millisecond
	// windWait is how long the broker may take to end a listener's consumers and delete its queues.
	windWait = 5 * time.Second
)

// A subscription is a listener on one channel.
type subscription struct {
	session *session
	ch      *channel
	acks    *acks
	closes  chan *amqp.Error
	cancels chan string
	tags    map[string]int            // consumer tag to index into in
	in      [][]<-chan *amqp.Delivery // per queue, one per consumer, the oldest first; guarded by listener.mu
	next    int                       // the last consumer tag
	nth     int                       // of its listener; 0 is the first
	probe   *probe                    // sent, and not seen again yet; the checks'
}

// run keeps the listener subscribed until it is to stop, and returns the last subscription.
func (l *listener) run(ctx context.Context, first chan<- error) (last *subscription) {
	var why error
	var lost time.Time
	refusal := "" // that was logged
	for nth := 0; ; {
		l.unsubscribed()
		s, err := l.link.session(ctx)
		var made rebuilt
		if err == nil {
			l.subscribing()
			var sub *subscription
			if sub, made, err = l.subscribe(ctx, s, nth); err == nil {
				last = sub
				nth++
				l.set(func() { l.cur = sub })
				l.health.subscribed()
			}
		}
		switch {
		case ctx.Err() != nil:
			return last
		case err == nil && first != nil:
			first <- nil
			first = nil
		case err == nil:
			refusal = ""
			l.tell(ctx, slog.LevelInfo, last, made, len(last.tags), why, time.Since(lost))
		case errors.Is(err, transport.ErrClosed) && s == nil:
			if first != nil {
				first <- err
			}
			return last
		case s.conn.IsClosed():
			select {
			case <-s.gone: // until then the link offers it
			case <-ctx.Done():
			}
			continue
		case first != nil:
			first <- err
			return last
		default:
			l.health.unsubscribed(err)
			if text := err.Error(); text != refusal {
				refusal = text
				l.log.Error("listener not rebuilt, will try again every second", "listener", l.addr, "broker", s.addr, "error", err)
			}
			sleep(ctx, retrySubscribe/2+jitter(retrySubscribe/2))
			continue
		}
		if why = l.watch(ctx, last); why == nil {
			return last
		}
		lost = time.Now()
		l.health.unsubscribed(why)
	}
}

// tell logs what was rebuilt, why, and for how long the listener may have heard nothing.
func (l *listener) tell(ctx context.Context, level slog.Level, sub *subscription, made rebuilt, consumers int, why error, away time.Duration) {
	l.log.Log(ctx, level, "listener rebuilt", "listener", l.addr, "broker", sub.session.addr,
		"exchanges", made.exchanges, "queues", made.queues, "bindings", made.bindings, "consumers", consumers,
		"why", why, "away", away.Round(time.Millisecond))
}

// subscribe declares the queues and consumes from each: exchanges first, then queues, bindings and consumers. Where it
// is not done for the first time it says what was missing.
func (l *listener) subscribe(ctx context.Context, s *session, nth int) (*subscription, rebuilt, error) {
	made, err := l.declare(ctx, s, nth > 0)
	if err != nil {
		return nil, made, err
	}
	ch, err := s.sock.open(s.conn, nil)
	if err != nil {
		return nil, made, err
	}
	sub := &subscription{
		session: s, ch: ch, nth: nth, acks: newAcks(ch, s.sock, l.lazy),
		closes: ch.NotifyClose(make(chan *amqp.Error, 1)),
		// The connection's reader must not wait for us while we wait for it to bring the answer to a consume: there may be
		// one cancel for each old consumer and one for each that takes its place.
		cancels: ch.NotifyCancel(make(chan string, 2*len(l.queues))),
		tags:    make(map[string]int),
		in:      make([][]<-chan *amqp.Delivery, len(l.queues)),
	}
	err = wrap(ch.Qos(l.prefetch, 0, false), "set prefetch")
	for i, q := range l.queues {
		if err == nil && !l.hasLeft(q) {
			err = l.consume(sub, i)
		}
	}
	if err != nil {
		_ = ch.Close() // it may be closed already; err says why
		if l.yields(err) {
			return l.subscribe(ctx, s, nth)
		}
		return nil, made, err
	}
	return sub, made, nil
}

// yields has the listener do without what a queue refuses that a peer has made a quorum queue or a stream.
func (l *listener) yields(err error) (again bool) {
	var e *amqp.Error
	if !errors.As(err, &e) || e.Code != amqp.PreconditionFailed || !strings.Contains(e.Reason, cancelOnLoss) {
		return false
	}
	for i := range l.queues {
		if name := l.queues[i].name; l.queues[i].consume != nil && strings.Contains(e.Reason, "'"+name+"'") {
			l.queues[i].consume = nil
			again = true
		}
	}
	return again
}

// declare makes what the listener lives from; again, where it is to say what was missing. While RabbitMQ deletes an
// exchange it answers to a declaration as if it had obeyed, does not, and knows no such exchange when a queue is to be
// bound: then it is soon tried again.
func (l *listener) declare(ctx context.Context, s *session, again bool) (made rebuilt, err error) {
	began := time.Now()
	for pause := unmakePause; ; pause *= 2 {
		more, err := l.declareOnce(ctx, s, again)
		made.add(more)
		if !missing(err) || time.Since(began) > unmakeFor || !sleep(ctx, pause/2+jitter(pause/2)) {
			return made, err
		}
	}
}

func (l *listener) declareOnce(ctx context.Context, s *session, again bool) (rebuilt, error) {
	result := make(chan rebuilt, 1)
	err := s.do(ctx, func(su *setup) error {
		if !again {
			result <- rebuilt{}
			return l.declarer.queues(su, l.queues)
		}
		made, err := l.declarer.restore(su, l.kept())
		for _, q := range l.queues {
			if !slices.Contains(made.queues, q.name) {
				continue
			}
			l.rewound(q)
			if q.own {
				l.health.anew() // whatever becomes of the rest
			}
		}
		result <- made
		return err
	})
	select {
	case made := <-result:
		return made, err
	default: // the session or ctx ended first
		return rebuilt{}, err
	}
}

// consume starts taking from one queue. Consumer tags are decimal numbers as upstream's (RMQ-CONS-01).
func (l *listener) consume(sub *subscription, i int) error {
	sub.next++
	tag := strconv.Itoa(sub.next)
	q := l.queues[i]
	in, err := sub.ch.consume(q.name, tag, l.room(q), l.arguments(q, sub.nth))
	if err != nil {
		return wrap(err, "consume from "+q.name)
	}
	sub.tags[tag] = i
	l.set(func() { sub.in[i] = append(sub.in[i], in) })
	return nil
}

// preferring returns the arguments of a consumer that the broker prefers to those of earlier subscriptions. When a
// connection was lost without the broker's notice, it believes in their consumers for up to two heartbeats, and would
// give them every other message. The queue that a topic's servers share is left out: there, whoever was rebuilt most
// often would get everybody's load.
func (q queue) preferring(nth int) amqp.Table {
	if nth == 0 || q.everyones() || q.to.Kind == transport.Notification {
		return q.consume
	}
	args := amqp.Table{"x-priority": int32(nth)}
	maps.Copy(args, q.consume)
	return args
}

// errCancelled is why a consumer was rebuilt.
var errCancelled = errors.New("the broker ended the consumer: the queue was deleted or expired, or its node went away")

// watch returns why the subscription has to be made anew, or nil when the listener is to stop. What the loss of a
// queue takes is rebuilt on the same channel, which leaves what came from the other queues untouched.
func (l *listener) watch(ctx context.Context, sub *subscription) error {
	c := l.newChecks(sub)
	defer c.end()
	leave := l.asked
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-leave:
			leave = nil
			c.abort(l, sub)
			l.leave(ctx, sub)
		case err, ok := <-sub.closes:
			if !ok || err == nil {
				return errors.New("the channel was closed")
			}
			return err
		case tag, ok := <-sub.cancels:
			if !ok {
				sub.cancels = nil // closes says why
				continue
			}
			i, ours := sub.tags[tag]
			if !ours {
				continue // a check was faster
			}
			c.abort(l, sub)
			l.rewound(l.queues[i])
			lost := time.Now()
			made, err := l.declare(ctx, sub.session, true)
			if err == nil {
				err = l.replace(sub, i)
			}
			if err != nil {
				sub.leave()
				return err
			}
			if l.queues[i].own {
				sub.probe = nil // it may have been in the queue that was deleted
			}
			l.tell(ctx, slog.LevelWarn, sub, made, 1, errCancelled, time.Since(lost))
		case i := <-l.strays:
			c.doubt(l, sub, i)
		case v := <-c.paid:
			err = c.visited(ctx, l, sub, v)
		case found := <-c.running:
			err = c.looked(ctx, l, sub, found)
		case <-c.back:
			sub.probe = nil
			err = c.finish(ctx, l, sub, checkup{well: true})
		case <-c.timer.C:
			err = c.tick(ctx, l, sub)
		}
		if err != nil {
			sub.leave()
			return err
		}
	}
}

// leave closes the channel, for a fresh start. Where the broker does not take part in that, the connection goes, too:
// a consumer left behind would get messages.
func (s *subscription) leave() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = s.ch.Close() // it may be closed already
	}()
	limit := time.NewTimer(goodbye)
	defer limit.Stop()
	select {
	case <-closed:
	case <-limit.C:
		_ = s.session.sock.Close() // which ends the other as well
		<-closed
	}
}

// replace consumes anew from a queue that has lost its consumer. What the old one had brought is still taken.
func (l *listener) replace(sub *subscription, i int) error {
	for tag, of := range sub.tags {
		if of == i {
			delete(sub.tags, tag)
			// Where a check was faster than the broker's notice, more may be on its way to the old one.
			if err := sub.ch.cancel(tag); err != nil {
				return wrap(err, "cancel the consumer of "+l.queues[i].name)
			}
		}
	}
	return l.consume(sub, i)
}

// wind stops the subscription: the broker hands nothing more over, gets back what was not returned by Next,
// and deletes the queues that were only ours (RMQ-TOPO-23, and the reply queue too). The channel stays for
// those deliveries that are still to be settled.
func (l *listener) wind(ctx context.Context, sub *subscription) {
	if sub == nil || sub.ch.IsClosed() {
		l.link.mu.Lock()
		s := l.link.live
		l.link.mu.Unlock()
		if s != nil {
			l.deleteOwn(ctx, s)
		}
		close(l.stopped)
		return
	}
	l.link.inTurn(ctx, sub.session, func() {
		// A broker that does not answer must not hold us; the consumers go with the connection then.
		limit := time.AfterFunc(windWait, func() { _ = sub.session.sock.Close() })
		defer limit.Stop()
		for tag := range sub.tags {
			if !l.endConsumer(sub, tag) {
				break
			}
		}
		l.deleteOwn(ctx, sub.session)
	})
	close(l.stopped)
	sub.acks.finish()
	select {
	case <-sub.acks.idle:
		_ = sub.ch.Close() // it may be closed already
	case <-sub.session.gone:
	case <-ctx.Done():
	}
}

// endConsumer ends one consumer, and gives back what it had brought and Next not returned. It returns false when the channel
// has gone, and its consumers with it.
func (l *listener) endConsumer(sub *subscription, tag string) bool {
	if err := sub.ch.cancel(tag); err != nil {
		return false
	}
	l.mu.Lock()
	all := slices.Clone(sub.in[sub.tags[tag]])
	l.mu.Unlock()
	for _, in := range all {
		for d := range in {
			_ = sub.acks.untouched(d.DeliveryTag) // a closed channel has given it back already
		}
	}
	return true
}

func (l *listener) deleteOwn(ctx context.Context, s *session) {
	err := s.do(ctx, func(su *setup) error {
		for _, q := range l.queues {
			if !q.own || q.kept {
				continue
			}
			ch, err := su.channel()
			if err != nil {
				return err
			}
			if _, err := ch.QueueDelete(q.name, false, false, false); err != nil {
				return wrap(err, "delete queue "+q.name)
			}
		}
		return nil
	})
	if err != nil && !s.conn.IsClosed() && ctx.Err() == nil {
		l.log.Warn("queue left to expire", "listener", l.addr, "error", err)
	}
}

func (l *listener) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}
