//go:build zmq

package zmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
)

const (
	redisRetry = 100 * time.Millisecond // between tries of what waits for Redis
	redisKnock = 500 * time.Millisecond // for which we wait whether it is back
	idleTopic  = 10 * time.Minute       // after which a topic nobody asked for is no longer watched
)

// A redisDirectory keeps the directory in Redis: each (virtual host, exchange, topic) is a sorted set of those who serve it, whose
// scores are the instants, by Redis's clock in milliseconds, at which they are forgotten unless they renew. Changes are
// published on one channel for each virtual host, and the topics that somebody here has asked for are read again with each renewal.
//
// Several hosts are Redis servers that know nothing of each other: everything is written to all that answer, and what any
// of them knows counts.
type redisDirectory struct {
	options redisOptions
	prefix  string // of keys
	channel string
	log     *slog.Logger
	nodes   []*redisNode
	life    <-chan struct{} // closed by close
	cancel  context.CancelFunc
	work    sync.WaitGroup

	mu       sync.Mutex
	self     member
	services map[service]string // the entry of each of ours
	views    map[string]*topicView
	raised   chan struct{} // closed when a node comes up
	missed   chan struct{} // closed when one was looked for in vain
}

// A topicView is what is known of a topic that was asked for.
type topicView struct {
	used   time.Time
	nodes  map[*redisNode]*holding
	merged []provider // nil = to be made; shared with those who asked
}

// A holding is what a node has of a topic.
type holding struct {
	asked time.Time // by the node's clock
	rows  []row
}

// A row is an entry as a node has it.
type row struct {
	entry   entry
	text    string
	expires int64 // by the node's clock, in milliseconds
	gone    bool  // its process was found dead, and has not renewed since
}

// openRedis asks each host once, and returns when one has answered and all that did know of us.
func openRedis(ctx context.Context, o redisOptions, log *slog.Logger) (*redisDirectory, error) {
	prefix := "goslo:zmq:" + url.QueryEscape(o.vhost) + ":"
	d := &redisDirectory{
		options: o, prefix: prefix, channel: prefix + "changes", log: log,
		services: map[service]string{}, views: map[string]*topicView{}, raised: make(chan struct{}), missed: make(chan struct{}),
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.life, d.cancel = life.Done(), cancel
	for _, h := range o.hosts {
		d.nodes = append(d.nodes, newRedisNode(d, h))
	}
	failed := make([]error, len(d.nodes))
	var asked sync.WaitGroup
	for i, n := range d.nodes {
		asked.Go(func() { failed[i] = n.check(ctx) })
	}
	asked.Wait()
	if !slices.Contains(failed, nil) {
		cancel()
		for _, n := range d.nodes {
			failed = append(failed, n.client.Close())
		}
		return nil, fmt.Errorf("directory: %w", errors.Join(failed...))
	}
	for _, n := range d.nodes {
		d.work.Go(func() { n.watch(life) })
		d.work.Go(func() { n.renew(life) })
	}
	return d, nil
}

// join implements [directory].
func (d *redisDirectory) join(_ context.Context, self member) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.self = self
	return nil
}

// serve implements [directory].
func (d *redisDirectory) serve(ctx context.Context, s service) error {
	d.mu.Lock()
	text := newEntry(d.self, s.Server).text()
	d.services[s] = text
	d.unmerge(s)
	d.mu.Unlock()
	for {
		up, raised := d.up()
		last := d.any(up, func(n *redisNode) error { return n.announce(ctx, map[service]string{s: text}) })
		if last == nil {
			return nil
		}
		if err := d.await(ctx, raised); err != nil {
			return fmt.Errorf("directory: announce %s.%s: %w: %w", s.Topic, s.Server, last, err)
		}
	}
}

// unserve implements [directory]. Where Redis does not answer, it forgets the service by itself when it was not renewed.
func (d *redisDirectory) unserve(ctx context.Context, s service) error {
	d.mu.Lock()
	text, ok := d.services[s]
	delete(d.services, s)
	d.unmerge(s)
	d.mu.Unlock()
	if !ok {
		return nil
	}
	if err := d.withdraw(ctx, map[service]string{s: text}); err != nil {
		return fmt.Errorf("directory: withdraw %s.%s, which is forgotten after %v: %w", s.Topic, s.Server, d.options.expire, err)
	}
	return nil
}

// find implements [directory].
func (d *redisDirectory) find(ctx context.Context, exchange, topic string, fresh bool) ([]provider, error) {
	key := d.key(exchange, topic)
	if !fresh {
		if list, ok := d.remembered(key, exchange, topic); ok {
			return list, nil
		}
	}
	for knocked := false; ; knocked = true {
		up, raised := d.up()
		last := d.any(up, func(n *redisNode) error { return n.read(ctx, key) })
		// While Redis is away nobody can join, and what was known when it went is all that there is. But it may be back.
		if len(up) == 0 && !knocked {
			d.knock(ctx, raised)
			continue
		}
		if list, ok := d.remembered(key, exchange, topic); ok {
			return list, nil
		}
		if err := d.await(ctx, raised); err != nil {
			return nil, fmt.Errorf("directory: look for %s: %w: %w", topic, last, err)
		}
	}
}

// topics implements [directory].
func (d *redisDirectory) topics(ctx context.Context, exchange string) ([]string, error) {
	prefix := d.key(exchange, "")
	found := map[string]struct{}{}
	up, _ := d.up()
	err := d.all(up, func(n *redisNode) error {
		keys, err := n.keys(ctx, prefix)
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, k := range keys {
			if topic, err := url.QueryUnescape(strings.TrimPrefix(k, prefix)); err == nil {
				found[topic] = struct{}{}
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: list topics: %w", err)
	}
	list := make([]string, 0, len(found))
	for topic := range found {
		list = append(list, topic)
	}
	return list, nil
}

// gone implements [directory]: we leave the member out until it is seen to have renewed, and shorten its life in Redis to
// what is enough for one renewal. It is not removed there: it may live, and be out of reach for us alone.
func (d *redisDirectory) gone(m member) {
	type death struct{ key, text string }
	deaths := map[*redisNode][]death{}
	d.mu.Lock()
	for key, v := range d.views {
		for n, a := range v.nodes {
			for i, r := range a.rows {
				if r.entry.ID == m.ID && !r.gone {
					a.rows[i].gone = true
					v.merged = nil
					deaths[n] = append(deaths[n], death{key, r.text})
				}
			}
		}
	}
	d.mu.Unlock()
	if len(deaths) > 0 {
		d.log.Info("zmq: a server that has ended is left out", "server", m.ID, "endpoints", m.Endpoints)
	}
	for n, list := range deaths {
		for _, x := range list {
			n.report(x.key, x.text)
		}
	}
}

// close implements [directory].
func (d *redisDirectory) close(ctx context.Context) error {
	d.cancel()
	for _, n := range d.nodes {
		n.interrupt()
	}
	d.work.Wait()
	d.mu.Lock()
	services := d.services
	d.services = map[service]string{}
	d.mu.Unlock()
	err := d.withdraw(ctx, services)
	if err != nil {
		err = fmt.Errorf("directory: what we served is forgotten only after %v: %w", d.options.expire, err)
	}
	for _, n := range d.nodes {
		err = errors.Join(err, n.client.Close())
	}
	return err
}

// withdraw takes services back wherever they may be found. They are no longer among ours.
func (d *redisDirectory) withdraw(ctx context.Context, services map[service]string) error {
	if len(services) == 0 {
		return nil
	}
	d.mu.Lock()
	knowing := slices.DeleteFunc(slices.Clone(d.nodes), func(n *redisNode) bool { return !n.since.IsZero() && !n.told })
	d.mu.Unlock()
	return d.all(knowing, func(n *redisNode) error { return n.withdraw(ctx, services) })
}

// key is that of a topic. Names are escaped: no two topics have one key, and no pattern fits but that of an exchange.
func (d *redisDirectory) key(exchange, topic string) string {
	return d.prefix + url.QueryEscape(exchange) + ":" + url.QueryEscape(topic)
}

// up returns the nodes that answer, and a channel that closes when one more does.
func (d *redisDirectory) up() ([]*redisNode, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var up []*redisNode
	for _, n := range d.nodes {
		if n.since.IsZero() {
			up = append(up, n)
		}
	}
	return up, d.raised
}

// await waits for a node to come up, or for a moment. The error is why there is nothing to wait for any more.
func (d *redisDirectory) await(ctx context.Context, raised <-chan struct{}) error {
	t := time.NewTimer(redisRetry)
	defer t.Stop()
	select {
	case <-raised:
	case <-t.C:
	case <-d.life:
		return transport.ErrClosed
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// knock has nodes that are away looked for now, and waits until one has come up or one has not.
func (d *redisDirectory) knock(ctx context.Context, raised <-chan struct{}) {
	d.mu.Lock()
	missed := d.missed
	d.mu.Unlock()
	for _, n := range d.nodes {
		select {
		case n.wanted <- struct{}{}:
		default:
		}
	}
	t := time.NewTimer(redisKnock)
	defer t.Stop()
	select {
	case <-raised:
	case <-missed:
	case <-t.C:
	case <-d.life:
	case <-ctx.Done():
	}
}

// outage says why no node is up.
func (d *redisDirectory) outage() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []error
	for _, n := range d.nodes {
		if !n.since.IsZero() {
			all = append(all, fmt.Errorf("redis %s: %w", n.addr, &transport.OutageError{For: time.Since(n.since), Cause: n.cause}))
		}
	}
	return errors.Join(all...)
}

// any asks nodes at the same time. It is nil when one could do it.
func (d *redisDirectory) any(nodes []*redisNode, ask func(*redisNode) error) error {
	if len(nodes) == 0 {
		return d.outage()
	}
	errs := each(nodes, ask)
	if slices.Contains(errs, nil) {
		return nil
	}
	return errors.Join(errs...)
}

// all asks nodes at the same time. It is nil when all could do it.
func (d *redisDirectory) all(nodes []*redisNode, ask func(*redisNode) error) error {
	if len(nodes) == 0 {
		return d.outage()
	}
	return errors.Join(each(nodes, ask)...)
}

func each(nodes []*redisNode, ask func(*redisNode) error) []error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes[1:] {
		wg.Go(func() { errs[i+1] = ask(n) })
	}
	errs[0] = ask(nodes[0])
	wg.Wait()
	return errs
}
