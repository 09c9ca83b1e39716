package tap

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// tend looks after the queues beside which the tap listens, and counts what was lost, until ctx ends or the connection does.
func (t *Tap) tend(ctx context.Context) {
	defer close(t.done)
	tick := time.NewTicker(CheckEvery)
	defer tick.Stop()
	found, next := time.Now(), 0
	var told string
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := t.count()
		if err == nil {
			next, err = t.check(next)
		}
		if err == nil && time.Since(found) >= t.config.FindEvery {
			found = time.Now()
			err = t.find(ctx)
		}
		switch {
		case t.conn.IsClosed() || ctx.Err() != nil:
			return // Next says why
		case err == nil:
			told = ""
		case err.Error() != told: // once
			told = err.Error()
			t.config.Notice(Notice{Time: time.Now(), Text: "it is not known whether the tapped queues are still there: " + told})
		}
	}
}

// count empties the queue of what was dropped, which tells how much it was.
func (t *Tap) count() error {
	return t.tending.do(func(ch *amqp.Channel) error {
		n, err := ch.QueuePurge(t.own.lost, false)
		if err != nil {
			return fmt.Errorf("count what was dropped: %w", err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.lost += n
		t.more = t.more || n >= maxLost || n*t.largest >= t.config.Bytes // that queue is bounded too
		return nil
	})
}

// check looks at the next of the queues, and unbinds what leads to those that have gone. It returns where to go on.
func (t *Tap) check(from int) (next int, err error) {
	t.mu.Lock()
	bound := maps.Clone(t.bound)
	t.mu.Unlock()
	turns := slices.SortedFunc(maps.Keys(bound), func(a, b binding) int {
		return cmp.Or(cmp.Compare(a.exchange, b.exchange), cmp.Compare(a.key, b.key))
	})
	turns = slices.DeleteFunc(turns, func(at binding) bool { return bound[at].Queue == "" })
	if from >= len(turns) {
		from = 0
	}
	for next = from; next < min(from+checkedAtOnce, len(turns)); next++ {
		at := turns[next]
		asked := time.Now()
		consumers, exists, err := t.tending.Queue(bound[at].Queue)
		if err != nil {
			return next, fmt.Errorf("look at queue %s: %w", bound[at].Queue, err)
		}
		if exists && (consumers != 0 || !bound[at].Served) {
			t.mu.Lock()
			bound[at].seen, bound[at].came, bound[at].recent = asked, 0, nil
			t.mu.Unlock()
			continue
		}
		if err := t.unbind(at, bound[at]); err != nil {
			return next, err
		}
	}
	return next, nil
}

func (t *Tap) find(ctx context.Context) error {
	routes, err := t.config.Routes(ctx, &t.tending)
	if err != nil {
		return err
	}
	return t.follow(routes)
}
