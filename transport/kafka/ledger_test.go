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

// A record that is not settled for long does not have the account grow with all that is settled behind it.
func TestLedgerBehindOneThatIsStuck(t *testing.T) {
	t.Parallel()
	d := newDriven(t)
	d.begin(0, unknown, 0, unknown)
	for i := range int64(10_000) {
		d.fetch(i)
		d.hand(d.all[i])
		if i%100 > 0 {
			d.settle(d.all[i])
		}
	}
	for i := int64(1); i < 10_000; i++ { // out of order, between others that are settled
		if d.all[i].state == handed {
			d.settle(d.all[i])
		}
	}
	if n := len(d.entries); n != 2 {
		t.Errorf("the account has %d entries, want the one that is stuck and those behind it", n)
	}
	if d.all[9_999].record != nil {
		t.Error("what is settled is still in memory")
	}
	d.at("behind the first", 0)

	d.give()
	d.begin(0, 10_000, 0, 10_000)
	if got := d.fetch(0, 1, 5_000); len(got) > 0 {
		t.Errorf("fresh are %v, want none", got)
	}
	d.settle(d.all[0])
	d.at("with half of it fetched again", 5_001)
	if got := d.fetch(5_001, 9_999, 10_000); !cmp.Equal(got, []int64{10_000}) {
		t.Errorf("fresh are %v, want what was not settled", got)
	}
	d.at("with all of it fetched again", 10_000)

	d.hand(d.all[10_000])
	d.fetch(10_001, 10_002, 10_003)
	for _, o := range []int64{10_001, 10_002, 10_003} {
		d.hand(d.all[o])
		d.settle(d.all[o])
	}
	d.give()
	d.begin(10_002, 10_004, 10_002, 10_004) // another has settled some of them
	d.at("after another", 10_002)
	if got := d.fetch(10_002, 10_003, 10_004); !cmp.Equal(got, []int64{10_004}) {
		t.Errorf("fresh are %v, want what was not settled", got)
	}
}

// A partition that goes back has lost what it had, and brings what is new.
func TestLedgerOfOneThatGoesBack(t *testing.T) {
	t.Parallel()
	d := newDriven(t)
	d.begin(0, unknown, 0, unknown)
	d.fetch(0, 1, 2, 3, 4)
	for _, o := range []int64{0, 1, 2, 3} {
		d.hand(d.all[o])
	}
	d.settle(d.all[0])
	d.settle(d.all[1])
	d.settle(d.all[2])
	if n := d.restart(1); n != 1 {
		t.Errorf("%d waited, want 1", n)
	}
	d.settle(d.all[3]) // of what there was
	d.at("gone back", 1)
	if got := d.fetch(1, 2); !cmp.Equal(got, []int64{1, 2}) || d.all[1].again {
		t.Errorf("fresh are %v, again %t; want what is new", got, d.all[1].again)
	}
	d.hand(d.all[1])
	d.settle(d.all[1])
	d.at("gone on", 2)
}
