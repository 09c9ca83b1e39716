package kafka

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A driven ledger is one that is driven by offsets.
type driven struct {
	t *testing.T
	*ledger

	all map[int64]*entry
}

func newDriven(t *testing.T) driven {
	t.Helper()
	return driven{t, &ledger{done: unknown, delivered: unknown}, map[int64]*entry{}}
}

// fetch fetches records, and returns those that are to be handed over.
func (d driven) fetch(offsets ...int64) (fresh []int64) {
	for _, o := range offsets {
		if e := d.add(&kgo.Record{Offset: o}); e != nil {
			d.all[o] = e
			fresh = append(fresh, o)
		}
	}
	return fresh
}

func (d driven) at(what string, want int64) {
	d.t.Helper()
	if got := d.position(); got != want {
		d.t.Errorf("%s: position %d, want %d", what, got, want)
	}
}

// A partition that goes and comes back brings nothing twice that is in hand or settled, and loses nothing.
//
// conforms: KAFKA-08, KAFKA-15
func TestLedgerThatComesBack(t *testing.T) {
	t.Parallel()
	d := newDriven(t)
	d.begin(5, unknown, 5, unknown)
	d.fetch(5, 6, 7, 9) // 8 was compacted away
	for _, o := range []int64{5, 6, 7} {
		d.hand(d.all[o])
	}
	d.settle(d.all[6])
	d.at("with the first in hand", 5)
	d.give()
	d.settle(d.all[5])
	if d.dirty(true) {
		t.Error("a partition that is gone is to be committed")
	}
	d.begin(5, 8, 5, 8)
	d.at("back again", 5)
	if got := d.fetch(5, 6, 7, 9); !cmp.Equal(got, []int64{9}) {
		t.Errorf("fresh are %v, want the one that had not been handed over", got)
	}
	d.at("with what was settled meanwhile", 7)
	d.hand(d.all[9])
	d.settle(d.all[9])
	d.at("with a gap", 7)
	d.settle(d.all[7])
	d.at("at the end", 10)

	d.give()
	d.begin(5, 8, 5, 8) // the last commits did not arrive
	if got := d.fetch(5, 6, 7, 9, 10); !cmp.Equal(got, []int64{10}) {
		t.Errorf("fresh are %v, want what was not settled", got)
	}
	d.at("after a lost commit", 10)
	if !d.dirty(false) {
		t.Error("the lost commit is not repeated")
	}

	d.hand(d.all[10])
	d.give()
	d.begin(unknown, unknown, unknown, unknown) // the topic was made anew
	if got := d.fetch(0, 1, 10); !cmp.Equal(got, []int64{0, 1, 10}) {
		t.Errorf("fresh are %v, want all of a new topic", got)
	}
	d.at("in a new topic", 0)
}

// What another member settled is nobody's here.
func TestLedgerThatWasElsewhere(t *testing.T) {
	t.Parallel()
	d := newDriven(t)
	d.begin(0, unknown, 0, unknown)
	d.fetch(0, 1, 2)
	d.hand(d.all[0])
	d.hand(d.all[1])
	d.give()
	d.begin(1, 3, 1, 3)
	d.settle(d.all[0])
	d.at("after another has settled the first", 1)
	if got := d.fetch(1, 2, 3); !cmp.Equal(got, []int64{2, 3}) || !d.all[2].again || d.all[3].again {
		t.Errorf("fresh are %v, again %t and %t; want 2 again and 3", got, d.all[2].again, d.all[3].again)
	}
	d.forget(d.all[2])
	d.settle(d.all[1])
	d.at("after one was forgotten", 3)
}
