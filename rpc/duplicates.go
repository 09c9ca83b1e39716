package rpc

import "sync"

// duplicates remembers the unique ids of the last requests, so that one that a bus or a peer sends again
// runs once. Upstream keeps 16 per listener; a resent burst is longer than that (conformance DUP-01, ODD-27).
type duplicates struct {
	mu   sync.Mutex
	seen map[string]struct{}
	ring []string // in order of arrival; "" = free
	next int
}

func newDuplicates(size int) *duplicates {
	return &duplicates{seen: make(map[string]struct{}, size), ring: make([]string, size)}
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
	if old := d.ring[d.next]; old != "" {
		delete(d.seen, old)
	}
	d.ring[d.next] = id
	d.next = (d.next + 1) % len(d.ring)
	d.seen[id] = struct{}{}
	return true
}

// forget drops id: its request did not run after all. The ring keeps its place until it comes round.
func (d *duplicates) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seen, id)
}
