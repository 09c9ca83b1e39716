package cli

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/goslo/goslo/internal/probe"
	"github.com/goslo/goslo/internal/tap"
)

// topCalls are the calls that the firehose shows to top, which asks for them from another goroutine than the one that listens.
type topCalls struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	since   time.Time // when they were last asked for; zero = it does not listen yet, or no more
	until   time.Time // when it ended; zero = it has not
	ended   map[string]*topEnded
	problem error // why it does not listen any more; nil = it was to end
}

// topEnded are the calls of a topic that ended.
type topEnded struct {
	took   []time.Duration
	failed int // by an exception, or as nobody was there to have the reply
}

// A topDuration is how the calls of a topic went since the last sample.
type topDuration struct {
	PerSecond       float64 `json:"per_second"` // those that ended
	FailedPerSecond float64 `json:"failed_per_second"`
	P50MS           float64 `json:"p50_ms"` // from the request until the caller had the reply
	P95MS           float64 `json:"p95_ms"`

	p50, p95 time.Duration
}

// listenForTop has the firehose switched on, and listens until close or the end of that time. Where quiet is set nothing is said of that.
func (a *app) listenForTop(ctx context.Context, flags *topFlags, quiet bool) *topCalls {
	ctx, cancel := context.WithCancel(ctx)
	c := &topCalls{cancel: cancel, done: make(chan struct{}), ended: make(map[string]*topEnded)}
	own := *a // it opens a bus of its own
	if quiet {
		own.Err = io.Discard
	}
	go func() {
		defer close(c.done)
		err := own.tapInto(ctx, listenTo{lookAt: flags.at, firehose: flags.firehose}, nil, c.listen)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.until = time.Now()
		if ctx.Err() == nil {
			c.problem = err
		}
	}()
	return c
}

// close switches the firehose off, and waits for that.
func (c *topCalls) close() {
	c.cancel()
	<-c.done
}

func (c *topCalls) listen(ctx context.Context, e *ear) error {
	calls := tap.Collector{Split: e.split, Want: func(r tap.Request) bool { return r.Kind == tap.Call && r.Method.Name != probe.Method }}
	c.mu.Lock()
	c.since = time.Now()
	c.mu.Unlock()
	for {
		event, err := e.event(ctx, pause)
		if err != nil {
			return err
		}
		if event.Message == nil {
			continue
		}
		if s := calls.Add(event); s != nil && s.Done() {
			calls.Forget(s)
			c.add(s)
		}
	}
}

func (c *topCalls) add(s *tap.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended := c.ended[s.Target.Topic]
	if ended == nil {
		ended = &topEnded{}
		c.ended[s.Target.Topic] = ended
	}
	ended.took = append(ended.took, s.Took(time.Now()))
	if s.Reply == nil || s.Reply.Lost || s.Reply.Failure != nil {
		ended.failed++
	}
}

// take returns what ended since it was last called, by topic, and whether it listens; else the error says why it does not, where that was not the plan.
func (c *topCalls) take() (map[string]topDuration, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() {
		return nil, false, c.problem
	}
	now := time.Now()
	if !c.until.IsZero() {
		now = c.until
	}
	elapsed := max(now.Sub(c.since).Seconds(), 0.001)
	all := make(map[string]topDuration, len(c.ended))
	for topic, ended := range c.ended {
		slices.Sort(ended.took)
		n := len(ended.took)
		d := topDuration{
			PerSecond: float64(n) / elapsed, FailedPerSecond: float64(ended.failed) / elapsed,
			p50: ended.took[n/2], p95: ended.took[n*95/100],
		}
		d.P50MS, d.P95MS = milliseconds(d.p50), milliseconds(d.p95)
		all[topic] = d
	}
	c.since, c.ended = now, make(map[string]*topEnded)
	if !c.until.IsZero() {
		c.since = time.Time{}
	}
	return all, true, nil
}
