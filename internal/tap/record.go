package tap

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// A Recording is what a tap heard in a while.
type Recording struct {
	From, To time.Time
	Requests []Request // in the order in which they came
	// Lost is how many more there were, at least: more than the tap could hold, or than MaxRecorded.
	Lost    int
	Notices []Notice
}

// MaxRecorded bounds a recording.
const MaxRecorded = 100_000

// Record listens for some time, or until ctx ends, which is no error. Config's Notice is not used. The error is that of [Open].
func Record(ctx context.Context, c Config, d time.Duration) (r *Recording, err error) {
	r = &Recording{}
	notices := make(chan Notice, 100)
	c.Notice = func(n Notice) {
		select {
		case notices <- n:
		default: // so many say what one says
		}
	}
	t, err := Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, t.Close())
		lost, _ := t.Lost()
		r.Lost += lost
		r.To = time.Now()
		for close(notices); len(notices) > 0; {
			r.Notices = append(r.Notices, <-notices)
		}
	}()
	r.From = time.Now()
	within, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		m, err := t.Next(within)
		if within.Err() != nil {
			return r, nil
		}
		if err != nil {
			return r, err
		}
		request, ok := t.Request(m)
		switch {
		case !ok:
		case len(r.Requests) == MaxRecorded:
			r.Lost++
		default:
			r.Requests = append(r.Requests, request)
		}
	}
}

// Seen is a method that was asked for while a recording was made.
type Seen struct {
	Topic  string
	Method Method
	Kind   Kind
	Count  int
}

// Methods are those that were asked for, by topic and name, each kind and version by itself.
func (r *Recording) Methods() []Seen {
	type key struct {
		topic  string
		method Method
		kind   Kind
	}
	counts := map[key]int{}
	for _, q := range r.Requests {
		counts[key{q.Target.Topic, q.Method, q.Kind}]++
	}
	all := make([]Seen, 0, len(counts))
	for k, n := range maps.All(counts) {
		all = append(all, Seen{k.topic, k.method, k.kind, n})
	}
	slices.SortFunc(all, func(a, b Seen) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Method.String(), b.Method.String()), cmp.Compare(a.Method.Version, b.Method.Version), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}
