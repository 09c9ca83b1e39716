package rpc

import "sync"

// duplicates remembers the unique ids of the last requests, so that one that a bus or a peer sends again
// runs once. Upstream keeps 16 per listener; a resent burst is longer than that (conformance DUP-01, ODD-27).
type duplicates struct {
	most int

	mu   sync.Mutex
	seen map[string]struct{}
	ring []string // in order of arrival, the oldest at next once it is full
	next int
}

func newDuplicates(most int) *duplicates {
	return &duplicates{most: most, seen: map[string]struct{}{}}
}

// add remembers id and reports whether it is new. An empty id is always new (conformance DUP-06).
func (d *duplicates) add(id string) bool {
	if id == "" {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.seen[id]; ok {
		return false
	}
	d.seen[id] = struct{}{}
	if len(d.ring) < d.most { // an idle server keeps no room
		d.ring = append(d.ring, id)
		return true
	}
	delete(d.seen, d.ring[d.next])
	d.ring[d.next] = id
	d.next = (d.next + 1) % d.most
	return true
}

// has reports whether id was added, and is still remembered.
func (d *duplicates) has(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.seen[id]
	return ok
}
