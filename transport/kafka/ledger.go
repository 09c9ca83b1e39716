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

// An entry is a record that was fetched and not settled, or several, one after the other, that are settled.
type entry struct {
	record *kgo.Record // nil once settled
	of     *ledger
	offset int64
	end    int64 // the offset after its last one
	state  state
	again  bool // it was handed over before
}

// A ledger is one partition's account: what of it was fetched, handed over and settled. Kafka knows one offset for each partition and group,
// that of the first record which is to be delivered, so a record is off the bus when all before it are settled.
//
// What was handed over stays in the account when the partition goes, because a rebalance may bring it back. Neighbours that are settled are one entry, so
// that a record that fails for long does not have all that comes after it remembered.
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
	if len(g.entries) > 0 && (g.fetched == unknown || g.entries[0].offset < g.fetched) {
		return g.entries[0].offset
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
		if at != unknown && e.end > at {
			e.offset = max(e.offset, at)
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

// restart takes note that the partition goes on with an offset that was fetched before: it has lost what it had from there on, or was made
// anew, and what comes is new. It returns how many waited for Next.
func (g *ledger) restart(at int64) (waited int) {
	g.fetched, g.done, g.delivered = at, min(g.done, at), min(g.delivered, at)
	g.entries = slices.DeleteFunc(g.entries, func(e *entry) bool {
		if e.end <= at {
			return false
		}
		if e.offset < at {
			e.end = at
			return false
		}
		if e.state == waiting {
			waited++
		}
		e.state = dropped
		return true
	})
	return waited
}

// add takes a record that was fetched. It returns nil when the record is in the account already.
func (g *ledger) add(r *kgo.Record) *entry {
	g.fetched = max(g.fetched, r.Offset+1)
	if r.Offset < g.done {
		return nil // the commit did not reach the broker
	}
	i := g.after(r.Offset)
	if i > 0 && g.entries[i-1].end > r.Offset {
		g.prune()
		return nil
	}
	e := &entry{record: r, of: g, offset: r.Offset, end: r.Offset + 1, again: r.Offset < g.delivered}
	g.entries = slices.Insert(g.entries, i, e)
	return e
}

// after is the index of the first entry that begins after an offset.
func (g *ledger) after(offset int64) int {
	i, _ := slices.BinarySearchFunc(g.entries, offset+1, func(e *entry, offset int64) int { return cmp.Compare(e.offset, offset) })
	return i
}

// hand notes that a record is returned by Next.
func (g *ledger) hand(e *entry) {
	e.state = handed
	g.delivered = max(g.delivered, e.end)
}

// settle notes that a record is off the bus, as far as we are concerned.
func (g *ledger) settle(e *entry) {
	if e.state == dropped {
		return
	}
	e.state, e.record = settled, nil
	i := g.after(e.offset) - 1
	if next := i + 1; next < len(g.entries) && g.entries[next].state == settled && g.entries[next].offset == e.end {
		e.end = g.entries[next].end
		g.entries = slices.Delete(g.entries, next, next+1)
	}
	if i > 0 && g.entries[i-1].state == settled && g.entries[i-1].end == e.offset {
		g.entries[i-1].end = e.end
		g.entries = slices.Delete(g.entries, i, i+1)
	}
	g.prune()
}

// forget removes a record that will be fetched again.
func (g *ledger) forget(e *entry) {
	e.state = dropped
	g.entries = slices.DeleteFunc(g.entries, func(other *entry) bool { return other == e })
}

// prune removes the settled records before the first one that is not.
func (g *ledger) prune() {
	if !g.owned {
		return
	}
	n := 0
	for n < len(g.entries) && g.entries[n].state == settled && g.entries[n].offset < g.fetched {
		if g.entries[n].end > g.fetched {
			g.entries[n].offset = g.fetched
			break
		}
		n++
	}
	g.entries = slices.Delete(g.entries, 0, n)
	g.done = max(g.done, g.position())
}

// dirty says whether the broker is to be told of the position; with all, also of what was handed over.
func (g *ledger) dirty(all bool) bool {
	at := g.position()
	return g.owned && at != unknown && (at != g.committed || all && g.delivered != g.known)
}
