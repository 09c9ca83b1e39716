//go:build zmq

package zmq

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/wire"
)

// routeTime is for how long a route is used without a look into the directory.
const routeTime = 250 * time.Millisecond

// seenMost is how many services are remembered for Inspect.
const seenMost = 10000

// Peers are the servers that a transport knows.
type peers struct {
	conn    *Conn
	checker wire.Checker // of what they are sent

	mu     sync.Mutex
	links  map[string]*link
	routes map[topicName]*route
	seen   map[service]struct{} // for Inspect
}

func newPeers(c *Conn) *peers {
	return &peers{conn: c, links: map[string]*link{}, routes: map[topicName]*route{}, seen: map[service]struct{}{}}
}

type topicName struct{ exchange, topic string }

// A route is who serves a topic, as far as was known some time ago.
type route struct {
	at         time.Time
	candidates []candidate
}

// A candidate is a server that may serve what is sent.
type candidate struct {
	provider
	link *link
}

// linkTo returns the way to a member, making it if need be.
func (p *peers) linkTo(m member) *link {
	key := m.ID
	if key == "" {
		key = strings.Join(m.Endpoints, " ")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.links[key]
	if k == nil {
		k = &link{member: m, key: key}
		p.links[key] = k
		if !p.conn.loop.inbox.order(func() { p.conn.loop.open(k) }) {
			k.state.Store(linkDead)
		}
	}
	return k
}

// forget has a link used no more.
func (p *peers) forget(k *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.links, func(_ string, o *link) bool { return o == k })
	clear(p.routes)
}

// join has another link used instead of k, which leads to the same server.
func (p *peers) join(k, other *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[k.key] = other
	clear(p.routes)
}

// forgetTwins ends the use of a link for endpoints other than its own.
func (p *peers) forgetTwins(k *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.links, func(key string, o *link) bool { return o == k && key != k.key })
	clear(p.routes)
}

// candidates returns who may serve a topic.
func (p *peers) candidates(ctx context.Context, s service, fresh bool) ([]candidate, error) {
	name := topicName{s.Exchange, s.Topic}
	if !fresh {
		p.mu.Lock()
		r := p.routes[name]
		p.mu.Unlock()
		if r != nil && time.Since(r.at) < routeTime {
			return r.candidates, nil
		}
	}
	for {
		providers, err := p.conn.directory.find(ctx, s.Exchange, s.Topic, fresh)
		if err == nil {
			return p.remember(name, providers), nil
		}
		if ended := p.conn.pause(ctx, lookPause); ended != nil {
			return nil, fmt.Errorf("%w: the directory: %w", ended, err)
		}
	}
}

// remember makes a route of what the directory says.
func (p *peers) remember(name topicName, providers []provider) []candidate {
	r := &route{at: time.Now(), candidates: make([]candidate, 0, len(providers))}
	for _, one := range providers {
		k := p.linkTo(one.member)
		if !slices.ContainsFunc(r.candidates, func(c candidate) bool { return c.link == k }) {
			r.candidates = append(r.candidates, candidate{one, k})
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saw(name, r.candidates)
	if len(r.candidates) > 0 {
		p.routes[name] = r
	} else {
		delete(p.routes, name)
	}
	return r.candidates
}

// saw remembers who serves a topic. The caller holds mu.
func (p *peers) saw(name topicName, list []candidate) {
	if len(p.seen) > seenMost {
		clear(p.seen)
	}
	for i := range list {
		for _, server := range list[i].Servers {
			p.seen[service{name.exchange, name.topic, server}] = struct{}{}
			p.seen[service{name.exchange, name.topic, ""}] = struct{}{}
		}
	}
}

func (p *peers) hasSeen(s service) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.seen[s]
	return ok
}

// pick chooses a server: one that is connected rather than one that is not, of these the one with the least on its way.
// Those that said to be busy are asked again only when enough others are too: the one that is least so then has to
// keep the request. stay: there is none but such as do not answer.
func (a *attempt) pick(list []candidate, s service, who anybody) (best *link, keep, stay bool) {
	var score, least int
	busiest, n := (*link)(nil), 0
	turn := rand.IntN(len(list) + 1)
	for i := range list {
		cand := &list[(i+turn)%len(list)]
		k := cand.link
		if !cand.serves(s) || slices.Contains(a.out, k.key) || cand.ID != "" && cand.ID == who.but {
			continue
		}
		n++
		if load, busy := a.busy[k]; busy {
			if busiest == nil || load < least {
				busiest, least = k, load
			}
			continue
		}
		points := int(k.load.Load())
		_, down := a.down[k]
		switch state := k.state.Load(); {
		case down || state == linkDown:
			points += 1 << 24
		case state != linkUp:
			points += 1 << 20
		}
		if k.refuses(s) || cand.Unasked && !k.serves(s) {
			points += 1 << 22
		}
		if best == nil || points < score {
			best, score = k, points
		}
	}
	if busiest != nil && (best == nil || len(a.busy) >= busyTries || score >= 1<<22) {
		return busiest, true, false
	}
	return best, n == 1 && !who.room, score >= 1<<24
}

// serves says whether the member is known to serve s, or nothing is known.
func (p *provider) serves(s service) bool {
	return p.Unasked || s.Server == "" || slices.Contains(p.Servers, s.Server)
}

// serves says whether the server has told to serve s.
func (k *link) serves(s service) bool { return k.count(s, false) > 0 }

// refuses says whether the server has told that it takes no part in the topic any more.
func (k *link) refuses(s service) bool { return k.count(s, true) > 0 && k.count(s, false) == 0 }

// count returns how many services within s the server has told to have, and to have left or not.
func (k *link) count(s service, left bool) (n int) {
	list := k.services.Load()
	if list == nil {
		return 0
	}
	for _, o := range *list {
		if (o.left && s.Server == "") == left && o.Exchange == s.Exchange && o.Topic == s.Topic && (s.Server == "" || o.Server == s.Server) {
			n++
		}
	}
	return n
}
