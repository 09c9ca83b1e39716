package kafka

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// unknown is an offset that there is not yet.
const unknown = -1

// A state is what became of a record.
type state uint8

const (
	waiting state = iota // for Next
	handed               // returned by Next
	settled              // acknowledged, and not committed, because one before it is not
	dropped              // nobody's any more: the partition went, or another member has settled it
)

// An entry is a record that was fetched and not settled.
type entry struct {
	record *kgo.Record
	of     *ledger
	state  state
	again  bool // it was handed over before
}

// A ledger is one partition's account: what of it was fetched, handed over and settled. Kafka knows one offset for each partition and group,
// that of the first record which is to be delivered, so a record is off the bus when all before it are settled.
//
// What was handed over stays in the account when the partition goes, because a rebalance may bring it back.
type ledger struct {
	partition int32
	owned     bool
	entries   []*entry // by offset
	fetched   int64    // the offset after the last one fetched, or where to begin
	done      int64    // before it we have settled everything ourselves
	delivered int64    // the offset after the last one that was handed over, by us or who had the partition before

	committed, known int64 // what the broker knows of our position, and of delivered
}

// position is the offset to commit: of the first record that is not settled.
func (g *ledger) position() int64 {
	if len(g.entries) > 0 && (g.fetched == unknown || g.entries[0].record.Offset < g.fetched) {
		return g.entries[0].record.Offset
	}
	return g.fetched
}

// begin takes the partition over at an offset, which is unknown where the group has none.
func (g *ledger) begin(at, delivered, committed, known int64) {
	g.owned, g.fetched, g.delivered, g.committed, g.known = true, at, max(delivered, g.delivered), committed, known
	if at == unknown {
		g.done, g.delivered = unknown, unknown // the group is new, or the topic
	}
	g.entries = slices.DeleteFunc(g.entries, func(e *entry) bool {
		if at != unknown && e.record.Offset >= at {
			return false
		}
		e.state = dropped
		return true
	})
}

// give gives the partition up: what waits for Next is nobody's.
func (g *ledger) give() {
	g.owned = false
	g.entries = slices.DeleteFunc(g.entries, func(e *entry) bool {
		if e.state != waiting {
			return false
		}
		e.state = dropped
		return true
	})
}

// add takes a record that was fetched. It returns nil when the record is in the account already.
func (g *ledger) add(r *kgo.Record) *entry {
	g.fetched = max(g.fetched, r.Offset+1)
	if r.Offset < g.done {
		return nil // the commit did not reach the broker
	}
	i, found := slices.BinarySearchFunc(g.entries, r.Offset, func(e *entry, offset int64) int { return cmp.Compare(e.record.Offset, offset) })
	if found {
		g.prune()
		return nil
	}
	e := &entry{record: r, of: g, again: r.Offset < g.delivered}
	g.entries = slices.Insert(g.entries, i, e)
	return e
}

// hand notes that a record is returned by Next.
func (g *ledger) hand(e *entry) {
	e.state = handed
	g.delivered = max(g.delivered, e.record.Offset+1)
}

// settle notes that a record is off the bus, as far as we are concerned.
func (g *ledger) settle(e *entry) {
	if e.state != dropped {
		e.state = settled
		g.prune()
	}
}

// forget removes a record that will be fetched again.
func (g *ledger) forget(e *entry) {
	e.state = dropped
	g.entries = slices.DeleteFunc(g.entries, func(other *entry) bool { return other == e })
}

// prune removes the settled records before the first one that is not.
func (g *ledger) prune() {
	n := 0
	for g.owned && n < len(g.entries) && g.entries[n].state == settled && g.entries[n].record.Offset < g.fetched {
		n++
	}
	g.entries = slices.Delete(g.entries, 0, n)
	if g.owned {
		g.done = max(g.done, g.position())
	}
}

// dirty says whether the broker is to be told of the position; with all, also of what was handed over.
func (g *ledger) dirty(all bool) bool {
	at := g.position()
	return g.owned && at != unknown && (at != g.committed || all && g.delivered != g.known)
}
