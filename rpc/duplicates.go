package rpc

import (
	"crypto/sha256"
	"sync"
)

// duplicates remembers the unique ids of the last requests, so that one that a bus or a peer sends again
// runs once. Upstream keeps 16 per listener; a resent burst is longer than that (conformance DUP-01, ODD-27).
type duplicates struct {
	most int

	mu   sync.Mutex
	seen map[uniqueID]struct{}
	ring []uniqueID // in order of arrival, the oldest at next once it is full
	next int
}

// A uniqueID stands for the text of one, without a pointer for the garbage collector to follow.
type uniqueID [16]byte

// uniqueIDOf reads the 32 lower-case hexadecimal digits that ids are made of (conformance ENV-08). Of a text of another kind it is a hash
// that nobody finds a second text for.
func uniqueIDOf(text string) (id uniqueID) {
	if len(text) == 2*len(id) {
		bad := byte(0)
		for i := range id {
			high, low := hexDigits[text[2*i]], hexDigits[text[2*i+1]]
			bad |= high | low
			id[i] = high<<4 | low&0xf
		}
		if bad < 16 {
			return id
		}
	}
	sum := sha256.Sum256([]byte(text))
	return uniqueID(sum[:])
}

// hexDigits are their values, and 16 for what is none.
var hexDigits = func() (values [256]byte) {
	for c := range values {
		values[c] = 16
	}
	for i, c := range []byte("0123456789abcdef") {
		values[c] = byte(i)
	}
	return values
}()

func newDuplicates(most int) *duplicates {
	return &duplicates{most: most, seen: map[uniqueID]struct{}{}}
}

// add remembers id and reports whether it is new. An empty id is always new (conformance DUP-06).
func (d *duplicates) add(text string) bool {
	if text == "" {
		return true
	}
	id := uniqueIDOf(text)
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

// has reports whether an id was added, and is still remembered.
func (d *duplicates) has(text string) bool {
	id := uniqueIDOf(text)
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.seen[id]
	return ok
}
