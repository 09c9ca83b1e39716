//go:build zmq

package zmq

import (
	"encoding/json"
	"slices"
	"time"
)

// An entry is a server of a topic as it stands in Redis. Its text is the same whenever it is made: it is the key.
type entry struct {
	ID        string   `json:"id"`
	Server    string   `json:"server"`
	Endpoints []string `json:"endpoints"`
	Host      string   `json:"host,omitempty"`
	Key       string   `json:"key,omitempty"`
}

func newEntry(m member, server string) entry {
	return entry{ID: m.ID, Server: server, Endpoints: m.Endpoints, Host: m.Host, Key: m.Key}
}

func (e entry) text() string {
	b, _ := json.Marshal(e) // strings always can be
	return string(b)
}

func (e entry) member() member {
	return member{ID: e.ID, Endpoints: e.Endpoints, Host: e.Host, Key: e.Key}
}

// remembered returns what is known of a topic, our own service included; false = it was never asked for.
func (d *redisDirectory) remembered(key, exchange, topic string) ([]provider, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.views[key]
	if !ok {
		return nil, false
	}
	v.used = time.Now()
	if v.merged == nil {
		v.merged = d.merge(v, exchange, topic)
	}
	return v.merged, true
}

// merge makes one list of what the nodes know. A node that has been away for long does not count while another one is up.
func (d *redisDirectory) merge(v *topicView, exchange, topic string) []provider {
	list := []provider{}
	add := func(m member, server string) {
		i := slices.IndexFunc(list, func(p provider) bool { return p.ID == m.ID })
		if i < 0 {
			list = append(list, provider{member: m})
			i = len(list) - 1
		}
		if !slices.Contains(list[i].Servers, server) {
			list[i].Servers = append(list[i].Servers, server)
		}
	}
	for s := range d.services {
		if s.Exchange == exchange && s.Topic == topic {
			add(d.self, s.Server)
		}
	}
	someUp := slices.ContainsFunc(d.nodes, func(n *redisNode) bool { return n.since.IsZero() })
	for _, n := range d.nodes {
		if someUp && !n.since.IsZero() && time.Since(n.since) > d.options.expire {
			continue
		}
		for _, r := range v.of(n).rows {
			if !r.gone && r.entry.ID != d.self.ID {
				add(r.entry.member(), r.entry.Server)
			}
		}
	}
	return list
}

// view returns the view of a topic, made if need be. d.mu is held.
func (d *redisDirectory) view(key string) *topicView {
	v, ok := d.views[key]
	if !ok {
		v = &topicView{used: time.Now(), nodes: map[*redisNode]*holding{}}
		d.views[key] = v
	}
	return v
}

// unmerge has a topic merged anew. d.mu is held.
func (d *redisDirectory) unmerge(s service) {
	if v, ok := d.views[d.key(s.Exchange, s.Topic)]; ok {
		v.merged = nil
	}
}

// of returns what a node has of the topic, which may be changed.
func (v *topicView) of(n *redisNode) *holding {
	a, ok := v.nodes[n]
	if !ok {
		a = &holding{}
		v.nodes[n] = a
	}
	return a
}

// store takes what a node has of a topic, unless what it said later is known already. What it had before it was away, and has
// no more, is kept for a while: it may have lost its memory, and those who live tell it again.
func (d *redisDirectory) store(n *redisNode, key string, asked time.Time, rows []row) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.view(key)
	a := v.of(n)
	if asked.Before(a.asked) {
		return
	}
	for _, old := range a.rows {
		i := slices.IndexFunc(rows, func(r row) bool { return r.text == old.text })
		switch {
		case i >= 0:
			rows[i].gone = old.gone && rows[i].expires <= old.expires
		case !old.gone && time.Now().Before(n.keep):
			rows = append(rows, old)
		}
	}
	a.asked, a.rows = asked, rows
	v.merged = nil
}

// settle says that a node is about to tell all it knows, which may be less than before if it was away.
func (d *redisDirectory) settle(n *redisNode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n.told = true
	if n.known && !n.since.IsZero() {
		n.keep = time.Now().Add(d.options.expire)
	}
	for _, v := range d.views {
		v.of(n).asked = time.Time{} // its clock may be another one
	}
}

// rose marks a node as one that answers, and says for how long it did not, and whether it never did.
func (d *redisDirectory) rose(n *redisNode) (away time.Duration, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n.since.IsZero() {
		return 0, false
	}
	away, first = time.Since(n.since), !n.known
	n.since, n.cause, n.known = time.Time{}, nil, true
	close(d.raised)
	d.raised = make(chan struct{})
	d.unmergeAll()
	return away, first
}

// fell marks a node as one that does not answer, and says whether that is news.
func (d *redisDirectory) fell(n *redisNode, cause error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n.cause, n.told = cause, false
	if !n.since.IsZero() {
		return false
	}
	n.since = time.Now()
	d.unmergeAll()
	return true
}

// missedOne tells those who wait for a node that one was looked for in vain.
func (d *redisDirectory) missedOne() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.missed)
	d.missed = make(chan struct{})
}

// unmergeAll has all topics merged anew. d.mu is held.
func (d *redisDirectory) unmergeAll() {
	for _, v := range d.views {
		v.merged = nil
	}
}

// isWatched says whether somebody here has asked for a topic.
func (d *redisDirectory) isWatched(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.views[key]
	return ok
}

// withdrawn takes one entry away, because whose it is has said so, on whichever node.
func (d *redisDirectory) withdrawn(key, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.views[key]
	if !ok {
		return
	}
	for _, a := range v.nodes {
		a.rows = slices.DeleteFunc(a.rows, func(r row) bool { return r.text == text })
	}
	v.merged = nil
}

// watched returns the keys of the topics that are asked for, and forgets the others.
func (d *redisDirectory) watched() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	keys := make([]string, 0, len(d.views))
	for key, v := range d.views {
		if time.Since(v.used) > idleTopic {
			delete(d.views, key)
			continue
		}
		v.merged = nil
		keys = append(keys, key)
	}
	return keys
}

// ours returns a copy of what we serve.
func (d *redisDirectory) ours() map[service]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[service]string, len(d.services))
	for s, text := range d.services {
		all[s] = text
	}
	return all
}
