package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// An Orphan is a queue that nobody consumes from, and that nobody will.
type Orphan struct {
	Queue *Queue        `json:"queue"`
	Idle  time.Duration `json:"-"`               // for how long nothing has come or gone; -1 = not known
	Owner string        `json:"owner,omitempty"` // as the name tells it, process @ host; "" = it does not
	Keeps bool          `json:"keeps"`           // a server that comes back under its name reads on: it is one of a topic's servers
	Stays bool          `json:"stays"`           // it does not expire, and stays until somebody deletes it
}

// Orphans returns the queues of processes that are gone, those that have been idle longest first. A process's own queues, for replies and
// fanouts, are: another process makes its own. With servers, so are those of servers, which keep what is sent to a server for its
// return; they are no orphans if it does return.
//
// A queue of which it is not known whether somebody consumes from it is none, nor is one that was idle for less than older.
func (v *View) Orphans(older time.Duration, servers bool) []Orphan {
	var all []Orphan
	for i := range v.Queues {
		q := &v.Queues[i]
		server := q.Kind == KindServer
		if q.Consumers != 0 || q.Unacked > 0 || q.Declared.Exclusive || q.Shared() && (!server || !servers) {
			continue
		}
		o := Orphan{Queue: q, Idle: -1, Keeps: server, Stays: q.Declared.Expires == 0}
		if !q.IdleSince.IsZero() {
			o.Idle = max(v.At.Sub(q.IdleSince), 0)
		}
		if o.Idle < older && older > 0 {
			continue
		}
		if host, process, ok := q.ManagerName(); ok {
			o.Owner = process + " @ " + host
		} else if server {
			o.Owner = q.Server
		}
		all = append(all, o)
	}
	slices.SortStableFunc(all, func(a, b Orphan) int { return cmp.Compare(b.Idle, a.Idle) })
	return all
}

// Unjudged is how many queues may be orphans or not, as the broker does not say yet whether somebody consumes from them.
func (v *View) Unjudged() int {
	n := 0
	for _, q := range v.Queues {
		if q.Consumers < 0 && !q.Shared() {
			n++
		}
	}
	return n
}

// A Fate is what became of a queue that was to be deleted.
type Fate string

// The fates.
const (
	Deleted  Fate = "deleted"
	InUse    Fate = "in use"       // somebody consumes from it again
	NotEmpty Fate = "not empty"    // messages wait in it, and they were to be kept
	Gone     Fate = "already gone" // it expired, or somebody else deleted it
)

// Delete deletes queues that nobody consumes from, one after another, and tells of each. What a queue is like counts at that moment: the broker itself
// keeps one that has a consumer, and unless withMessages one that holds messages. Quorum queues and streams know no such
// conditions; they are looked at just before. It ends at the first error that is not a fate.
func (b *Bus) Delete(ctx context.Context, queues []*Queue, withMessages bool, tell func(*Queue, Fate) error) error {
	conn, err := b.AMQP(ctx)
	if err != nil {
		return err
	}
	for _, q := range queues {
		if err := ctx.Err(); err != nil {
			return err
		}
		fate, err := deleteQueue(conn, q, withMessages)
		if err != nil {
			return fmt.Errorf("operator: delete queue %s: %w", q.Name, err)
		}
		if err := tell(q, fate); err != nil {
			return err
		}
	}
	return nil
}

func deleteQueue(conn *amqp.Connection, q *Queue, withMessages bool) (Fate, error) {
	ch, err := conn.Channel()
	if err != nil {
		return "", err
	}
	defer func() { _ = ch.Close() }() // the broker has closed it where it refused
	now, err := ch.QueueDeclarePassive(q.Name, false, false, false, false, nil)
	switch {
	case isCode(err, amqp.NotFound):
		return Gone, nil
	case isCode(err, amqp.ResourceLocked):
		return InUse, nil
	case err != nil:
		return "", err
	case now.Consumers > 0:
		return InUse, nil
	case now.Messages > 0 && !withMessages:
		return NotEmpty, nil
	}
	conditions := q.Declared.Type == "classic" || q.Declared.Type == ""
	_, err = ch.QueueDelete(q.Name, conditions, conditions && !withMessages, false)
	var refusal *amqp.Error
	if errors.As(err, &refusal) && refusal.Code == amqp.PreconditionFailed {
		if conditions && !withMessages && now.Messages == 0 && !isInUse(refusal) {
			return NotEmpty, nil
		}
		return InUse, nil
	}
	return Deleted, err
}

// isInUse says which of the two conditions failed, by the broker's words (rabbit_channel.erl).
func isInUse(refusal *amqp.Error) bool { return strings.Contains(refusal.Reason, "in use") }

func isCode(err error, code int) bool {
	var refusal *amqp.Error
	return errors.As(err, &refusal) && refusal.Code == code
}
