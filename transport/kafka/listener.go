package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goslo/goslo/transport"
)

const (
	// lingering is how long a closed listener stays in its group for what was handed over to be settled. Its partitions wait with it.
	lingering = time.Minute
	// tolerated is how long a listener may be cut off before Ready says so.
	tolerated = 10 * time.Second
	// remind is how often a fault that lasts is logged again.
	remind = time.Minute
	// faultPause is the pause after an error of fetching.
	faultPause = time.Second
)

var _ transport.Readier = (*listener)(nil)

// A listener is a member of a consumer group, at one topic.
type listener struct {
	membership

	conn   *Conn
	client *kgo.Client
	life   life

	wake      chan struct{} // holds one: something waits for Next
	room      chan struct{} // holds one: there may be room to fetch
	unsettled committer

	mu      sync.Mutex
	account account
}

// A membership is what a listener listens to, and as whom.
type membership struct {
	at        transport.Address
	topic     string
	id        [16]byte // of the topic, by which it differs from one that had its name; fetch's
	group     string
	prefetch  int
	temporary bool            // so is the group
	starts    map[int32]int64 // where a partition begins of which the group has no position, see Conn.anchor; guarded by the listener's mutex
}

// life is what ends a listener.
type life struct {
	closing chan struct{}      // closed by Close
	cease   context.CancelFunc // ends fetching
	stop    context.CancelFunc // ends all goroutines
	abort   context.CancelFunc // ends the client's requests
	running sync.WaitGroup     // these
}

// account is what a listener knows of its records, guarded by its mutex.
type account struct {
	ledgers map[int32]*ledger
	answers map[int32]answer // of the broker, about positions, until begin
	anew    map[int32]bool   // partitions of which the broker may know a position in a topic that was deleted
	queue   []*entry         // for Next
	held    int              // waiting or handed over
	inHand  int              // handed over
	idle    chan struct{}    // closed when nothing is in hand; only once closed
	fault   fault
	closed  bool
}

// An answer is what the broker knows of the group at a partition.
type answer struct{ offset, handed int64 }

// A fault is why nothing comes. The zero value is none.
type fault struct {
	since time.Time
	said  time.Time // when it was last logged
	why   error
}

func newListener(c *Conn, m membership) *listener {
	return &listener{
		membership: m, conn: c, life: life{closing: make(chan struct{})}, wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		unsettled: committer{changed: make(chan struct{}, 1), turn: make(chan struct{}, 1)},
		account:   account{ledgers: map[int32]*ledger{}, answers: map[int32]answer{}, anew: map[int32]bool{}, idle: make(chan struct{})},
	}
}

// start starts the goroutines: the one that fetches ends with Close, the one that commits when the group was left.
func (l *listener) start(ctx context.Context) {
	committing, stop := context.WithCancel(context.WithoutCancel(ctx))
	fetching, cease := context.WithCancel(committing)
	l.life.stop, l.life.cease = stop, cease
	l.life.running.Go(func() { l.fetch(fetching) })
	l.life.running.Go(func() { l.commits(committing) })
}

// signal wakes who waits on a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Addr implements [transport.Listener].
func (l *listener) Addr() string { return l.at.String() }

// fetch fetches while there is room, until ctx ends.
func (l *listener) fetch(ctx context.Context) {
	for ctx.Err() == nil {
		l.mu.Lock()
		n := l.prefetch - l.account.held
		l.mu.Unlock()
		if n <= 0 {
			select {
			case <-l.room:
			case <-ctx.Done():
			}
			continue
		}
		err := l.take(ctx, l.client.PollRecords(ctx, min(n, l.conn.settings.consumer.records)))
		l.client.AllowRebalance()
		if errors.Is(err, kerr.UnknownTopicID) {
			l.renew(ctx)
		}
		if err != nil {
			rest(ctx, faultPause)
		}
	}
}

// renew looks whether the topic was deleted and made anew, and has the client, which stays with the old one, take the new one. Nothing of the old one
// counts any more.
func (l *listener) renew(ctx context.Context) {
	_, id, err := l.conn.ensureTopic(ctx, l.topic)
	if err != nil || id == l.id {
		return // the brokers do not agree yet, or the topic is not back; fetching tells of it again
	}
	l.mu.Lock()
	l.id, l.starts = id, nil
	for p := range l.account.ledgers {
		l.account.give(p)
		l.account.anew[p] = true
	}
	clear(l.account.ledgers)
	l.mu.Unlock()
	l.conn.log.Warn("kafka: topic deleted and made anew; what is in the new one is handed over", "listener", l.at.String(), "group", l.group)
	l.client.PurgeTopicsFromConsuming(l.topic)
	l.client.AddConsumeTopics(l.topic)
}

// take puts what was fetched in front of Next. The error is what went wrong.
func (l *listener) take(ctx context.Context, got kgo.Fetches) error {
	var trouble error
	got.EachError(func(_ string, _ int32, err error) {
		if !ended(err) {
			trouble = err
		}
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil || l.account.closed {
		return nil
	}
	got.EachRecord(func(r *kgo.Record) {
		g := l.account.ledgers[r.Partition]
		if g == nil || !g.owned {
			return // it comes again, here or elsewhere (KAFKA-15)
		}
		if r.Offset < g.fetched {
			l.conn.log.Warn("kafka: partition goes back: the cluster has lost what it had, or the topic was made anew; what comes is handed over", "listener", l.at.String(), "group", l.group,
				"partition", r.Partition, "offset", r.Offset, "was", g.fetched)
			l.account.held -= g.restart(r.Offset)
			l.account.sweep()
		}
		if e := g.add(r); e != nil {
			l.account.queue = append(l.account.queue, e)
			l.account.held++
		} else {
			signal(l.unsettled.changed)
		}
	})
	if trouble != nil {
		l.suffer(trouble)
	} else if got.NumRecords() > 0 {
		l.account.fault = fault{}
	}
	signal(l.wake)
	return trouble
}

// suffer notes why nothing comes, and logs it now and then. The mutex is held.
func (l *listener) suffer(why error) {
	f := &l.account.fault
	if f.why == nil {
		f.since = time.Now()
	}
	if time.Since(f.said) > remind {
		f.said = time.Now()
		l.conn.log.Warn("kafka: cannot fetch, will try on", "listener", l.at.String(), "group", l.group, "error", why)
	}
	f.why = why
}

// OnGroupManageError implements [kgo.HookGroupManageError].
func (l *listener) OnGroupManageError(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.account.closed && !ended(err) {
		l.suffer(fmt.Errorf("consumer group %s: %w", l.group, err))
	}
}

// Ready implements [transport.Readier].
func (l *listener) Ready() error {
	l.conn.mu.Lock()
	r := l.conn.reach
	l.conn.mu.Unlock()
	if r.back != nil && time.Since(r.since) > tolerated {
		return fmt.Errorf("kafka: listener %s: %w", l.at, &transport.OutageError{For: time.Since(r.since), Cause: r.why})
	}
	l.mu.Lock()
	f := l.account.fault
	l.mu.Unlock()
	if f.why != nil && time.Since(f.since) > tolerated {
		return fmt.Errorf("kafka: listener %s: nothing comes for %s: %w", l.at, time.Since(f.since).Round(time.Second), f.why)
	}
	return nil
}

// Next implements [transport.Listener]. A record that cannot be read is logged, and off the bus.
func (l *listener) Next(ctx context.Context) (*transport.Delivery, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, again, err := l.pop()
		switch {
		case err != nil:
			return nil, err
		case e == nil:
			select {
			case <-l.wake:
			case <-l.life.closing:
			case <-ctx.Done():
			}
			continue
		}
		m, err := message(e.record)
		if err != nil {
			l.conn.log.Warn("kafka: record cannot be read, and is passed over", "topic", e.record.Topic, "partition", e.record.Partition, "offset", e.record.Offset, "error", err)
			_ = l.settle(e) // it goes with its partition otherwise
			continue
		}
		return &transport.Delivery{Message: m, To: l.conn.settings.address(l.topic), Redelivered: again, Settler: &settler{l: l, e: e}}, nil
	}
}

// pop takes the first entry that waits, nil when there is none.
func (l *listener) pop() (e *entry, again bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &l.account
	if a.closed {
		return nil, false, fmt.Errorf("kafka: listener %s: %w", l.at, transport.ErrClosed)
	}
	if len(a.queue) == 0 {
		return nil, false, nil
	}
	e = a.queue[0]
	a.queue[0] = nil
	a.queue = a.queue[1:]
	e.of.hand(e)
	a.inHand++
	return e, e.again, nil
}

// sweep takes what was dropped out of the queue. The mutex is held.
func (a *account) sweep() {
	a.queue = slices.DeleteFunc(a.queue, func(e *entry) bool { return e.state == dropped })
}

// A settler settles one delivery.
type settler struct {
	l *listener
	e *entry
}

// Ack implements [transport.Settler]. It does not wait for the commit. The error is that the partition belongs to somebody else by now,
// who gets the notification again.
func (s *settler) Ack(context.Context) error { return s.l.settle(s.e) }

// Requeue implements [transport.Settler]. Kafka takes nothing back: the record is handed to this listener again, in front of what waits. After
// Close, or where the partition went to another member, the record was not committed, and comes to who has the partition then.
func (s *settler) Requeue(context.Context) error {
	l := s.l
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &l.account
	l.settledOne()
	e := s.e
	switch {
	case e.state != handed:
	case a.closed:
		e.state = dropped // it stays in its ledger, so that nothing from here on is committed
	case !e.of.owned:
		e.of.forget(e)
	default:
		e.state, e.again = waiting, true
		a.held++
		a.queue = append([]*entry{e}, a.queue...)
		signal(l.wake)
	}
	return nil
}

// settle takes a record off the bus, as soon as all before it are.
func (l *listener) settle(e *entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settledOne()
	if e.state == dropped {
		return nil // somebody else has settled it
	}
	e.of.settle(e)
	if !e.of.owned {
		return fmt.Errorf("kafka: listener %s: acknowledge: %w: partition %d has gone to another member of group %s, where the notification may come again",
			l.at, transport.ErrInDoubt, e.of.partition, l.group)
	}
	signal(l.unsettled.changed)
	return nil
}

// settledOne counts one delivery less in hand. The mutex is held.
func (l *listener) settledOne() {
	a := &l.account
	a.held--
	a.inHand--
	if a.closed && a.inHand == 0 {
		close(a.idle)
	}
	signal(l.room)
}

// Close implements [transport.Listener]. While deliveries are in hand the listener stays in its group, for a minute at most, so that they
// can be acknowledged; its partitions go to other members when the last one is settled. Close itself does not wait for that.
func (l *listener) Close(ctx context.Context) error {
	l.mu.Lock()
	a := &l.account
	if a.closed {
		l.mu.Unlock()
		return fmt.Errorf("kafka: listener %s: close: %w", l.at, transport.ErrClosed)
	}
	a.closed = true
	close(l.life.closing)
	l.life.cease()
	for _, e := range a.queue {
		e.state = dropped
	}
	a.held -= len(a.queue)
	a.queue = nil
	busy := a.inHand > 0
	if !busy {
		close(a.idle)
	}
	l.mu.Unlock()
	if !busy || !l.conn.goOn(func() { l.linger(context.WithoutCancel(ctx)) }) {
		l.leave(ctx)
	}
	return nil
}

// linger leaves when all is settled, or when there is no more time for that.
func (l *listener) linger(ctx context.Context) {
	t := time.NewTimer(lingering)
	defer t.Stop()
	select {
	case <-l.account.idle:
	case <-t.C:
	case <-l.conn.ending:
	}
	l.leave(ctx)
}

// leave leaves the group, which commits, and ends everything. When ctx ends the broker is waited for no longer.
func (l *listener) leave(ctx context.Context) {
	defer l.life.abort()
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, l.life.abort)()
	l.life.stop()
	l.life.running.Wait()
	l.client.AllowRebalance()
	if err := l.client.LeaveGroupContext(ctx); err != nil {
		l.conn.log.Debug("kafka: left without the group's knowledge", "listener", l.at.String(), "group", l.group, "error", err)
	}
	l.client.CloseAllowingRebalance()
	if l.temporary {
		l.conn.forget(ctx, l.group)
	}
	l.conn.mu.Lock()
	delete(l.conn.listeners, l)
	l.conn.mu.Unlock()
}

// fetched implements [kgo.OnOffsetsFetched].
func (l *listener) fetched(_ context.Context, _ *kgo.Client, r *kmsg.OffsetFetchResponse) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range r.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				l.account.answers[p.Partition] = answer{p.Offset, parseHanded(p.Metadata)}
			}
		}
	}
	return nil
}

// begin implements [kgo.AdjustFetchOffsetsFn].
func (l *listener) begin(_ context.Context, all map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range all[l.topic] {
		is, ok := l.account.answers[p]
		delete(l.account.answers, p)
		if l.account.anew[p] {
			ok = false
			all[l.topic][p] = kgo.NewOffset().AtStart()
			delete(l.account.anew, p)
		}
		if !ok {
			is = answer{unknown, unknown}
		}
		at := is.offset
		if at >= 0 {
			delete(l.starts, p) // the group has been here
		}
		if start, ok := l.starts[p]; ok && at < 0 {
			at = start
			all[l.topic][p] = kgo.NewOffset().At(start)
		}
		g := l.account.ledgers[p]
		if g == nil {
			g = &ledger{partition: p, done: unknown, delivered: unknown}
			l.account.ledgers[p] = g
		}
		g.begin(at, is.handed, is.offset, is.handed)
		if g.dirty(false) {
			signal(l.unsettled.changed)
		}
	}
	return all, nil
}

// assigned implements [kgo.OnPartitionsAssigned].
func (l *listener) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account.fault = fault{}
	if len(added) > 0 {
		l.conn.log.Info("kafka: partitions assigned", "listener", l.at.String(), "group", l.group, "partitions", added[l.topic])
	}
}
