package operator

import (
	"context"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/nearest"
	"github.com/goslo/goslo/internal/probe"
)

// NearestTopic is the topic whose name is most like this one, which may be a slip; "" = none is.
func (v *View) NearestTopic(name string) string {
	names := make([]string, len(v.Topics))
	for i, t := range v.Topics {
		names[i] = t.Name
	}
	near, _ := nearest.To(name, names)
	return near
}

// Probe is how to ask a server of the topic whether it is alive, without a trace in its log: see [probe.Known] for what it is asked for, unless
// e is given.
func (t *Topic) Probe(s Server, e probe.Endpoint) probe.Server {
	p := probe.Server{Exchange: t.Exchange, Topic: t.Name, Name: s.Name, Endpoint: e}
	owner, _ := s.Owner()
	p.Consumers = len(s.Queue.Readers)
	switch {
	case e != probe.Endpoint{}:
	case owner.ours():
		p.Endpoint.Version = "1.0"
	default:
		p.Endpoint = probe.Known(t.Name, owner.Program)
	}
	p.Stuck = s.holds() && !s.Queue.IdleSince.IsZero()
	return p
}

// ours says that it logs nothing of unknown methods and versions.
func (o Owner) ours() bool { return strings.HasPrefix(o.Client, "goslo ") }

// holds says that the server has messages that it has not acknowledged, as one that is well has for an instant only: Python acknowledges a request
// before it runs it. One of ours may acknowledge afterwards, and says nothing by holding it.
func (s Server) holds() bool {
	owner, seen := s.Owner()
	return seen && !owner.ours() && s.Queue.Unacked > 0
}

// Undecided says that the server holds messages, and that [Bus.Decide] can tell whether it takes any.
func (s Server) Undecided() bool { return s.holds() && s.Queue.IdleSince.IsZero() }

const (
	decideTime  = 6 * time.Second // more than the broker's statistics are apart, which by default is 5 s
	decidePause = 500 * time.Millisecond
	decideEach  = 20 // queues up to which each is asked about alone
)

// Decide looks again at the queues of undecided servers, for up to 6 s, until it is known of each whether the server takes what it holds. If
// it does not, the queue is idle from then on, and the server is not to be asked: see [Topic.Probe].
func (b *Bus) Decide(ctx context.Context, servers ...Server) error {
	open := make(map[string]*Queue)
	for _, s := range servers {
		if s.Undecided() {
			open[s.Queue.Name] = s.Queue
		}
	}
	if len(open) == 0 {
		return nil
	}
	api, err := b.Management(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	acked := make(map[string]int)
	pause := time.NewTicker(decidePause)
	defer pause.Stop()
	for {
		rows, err := rowsOf(ctx, api, open)
		if err != nil {
			return err
		}
		late := time.Since(start) > decideTime
		for _, row := range rows {
			q := open[row.Name]
			if q == nil {
				continue
			}
			before, seen := acked[row.Name]
			acked[row.Name] = row.Stats.Ack
			if unacked := known(row.Unacked); unacked != Unknown {
				q.Unacked = unacked
			}
			switch {
			case !row.IdleSince.IsZero():
				q.IdleSince = row.IdleSince.Time
			case q.Unacked == 0 || seen && row.Stats.Ack != before: // it takes them
			case late && row.Stats.DeliverGet > 0: // of what has no statistics nothing follows
				q.IdleSince = start
			default:
				continue
			}
			delete(open, row.Name)
		}
		if late || len(open) == 0 {
			return nil
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rowsOf reads the queues, in few requests. One that is gone is left out.
func rowsOf(ctx context.Context, api *management.Client, queues map[string]*Queue) ([]management.Queue, error) {
	if len(queues) > decideEach {
		return api.Queues(ctx)
	}
	rows := make([]management.Queue, 0, len(queues))
	for name := range queues {
		row, err := api.Queue(ctx, name)
		if management.Is(err, management.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
