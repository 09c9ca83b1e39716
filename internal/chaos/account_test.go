package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at is a moment of a story, in seconds.
func at(seconds float64) time.Time {
	return time.Unix(1_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

// story is a fault from 10 to 15 seconds, and what Go's client and server recorded.
func story() (*ledger, []moment) {
	p := pairs[0].String()
	made := func(key string, k kind, began, ended float64, failure string) request {
		r := request{pair: p, key: "f/" + p + "/" + key, kind: k, began: at(began), failure: failure}
		if ended > 0 {
			r.ended = at(ended)
		}
		return r
	}
	ran := func(key string, when float64) execution { return execution{"f/" + p + "/" + key, at(when)} }
	return &ledger{
		requests: []request{
			made("call/before", call, 9, 9.1, ""),
			made("call/waited", call, 11, 16, ""),
			made("call/failed", call, 12, 14, "nobody listens"),
			made("call/hangs", call, 13, 0, ""),
			made("call/late", call, 14, 30, "timed out, not sent"),
			made("cast/before", cast, 9, 9.1, ""),
			made("cast/lost", cast, 18, 18.1, ""),
			made("cast/twice", cast, 15.5, 15.6, ""),
			made("cast/doubtful", cast, 11, 13, "sent but not confirmed"),
			made("cast/hangs", cast, 11, 0, ""),
			made("fanout/unheard", fanout, 12, 12.1, ""),
		},
		executions: []execution{
			ran("call/before", 9), ran("call/waited", 15.9), ran("cast/before", 9.05),
			ran("cast/twice", 17), ran("cast/twice", 15.7), ran("cast/doubtful", 16),
		},
	}, []moment{{struck: at(10), healed: at(15)}}
}

func TestAccountOfEveryRequest(t *testing.T) {
	t.Parallel()
	l, rounds := story()
	other := pairs[1].String()
	l.requests = append(l.requests, request{pair: other, key: "f/" + other + "/call/1", kind: call, began: at(9)})
	l.executions = append(l.executions, execution{"f/" + other + "/call/1", at(9)}, execution{"f/" + other + "/call/1", at(10)})
	got := l.only(pairs[0]).account("f", pairs[0], rounds, 10*time.Second)
	want := row{
		Fault: "f", Pair: "Go to Go", Rounds: 1,
		Calls:    callCount{Sent: 5, Answered: 2, Failed: 2, Hanging: 2},
		Casts:    castCount{Sent: 5, Confirmed: 3, Delivered: 2, Lost: 1, Doubtful: 1, Failed: 1, Hanging: 1},
		Fanouts:  fanoutCount{Sent: 1},
		Twice:    1,
		Failures: map[string]int{"call: nobody listens": 1, "call: timed out, not sent": 1, "cast: sent but not confirmed": 1},
		Recovery: map[kind][]float64{call: {1}, cast: {0.7}, fanout: {-1}},
		// The lost cast was made 3 s after the broker could be reached again.
		LastFailure: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("account (-want +got)", diff)
	}
	if lost := l.missing(rounds); len(lost) != 1 || lost[0].key != "f/Go to Go/cast/lost" {
		t.Errorf("confirmed casts missing: %+v, want the one that was lost", lost)
	}
}

func TestGoalsAreMissedForWhatWeAnswerFor(t *testing.T) {
	t.Parallel()
	l, rounds := story()
	for _, c := range []struct {
		pair pair
		want []string // the beginnings of what is missed
	}{
		{pair{golang, golang}, []string{"1 confirmed casts lost", "1 requests executed twice", "2 calls and 1 casts had neither", "recovery of a fanout"}},
		{pair{golang, python}, []string{"1 confirmed casts lost", "2 calls and 1 casts had neither"}},
		{pair{python, golang}, []string{"1 requests executed twice"}},
		{pair{python, python}, nil},
	} {
		r := l.account("f", c.pair, rounds, 10*time.Second)
		missed := fault{}.goals(r)
		ok := len(missed) == len(c.want)
		for i := range missed {
			ok = ok && strings.HasPrefix(missed[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: goals missed: %q, want %q", c.pair, missed, c.want)
		}
	}
	idle := (&ledger{}).account("f", pairs[0], rounds, time.Second)
	if missed := (fault{}).goals(idle); len(missed) == 0 || missed[0] != "there was no load" {
		t.Errorf("goals missed without any request: %q", missed)
	}
}

func TestRecoveryCountsOnlyWhatTheFaultMet(t *testing.T) {
	t.Parallel()
	p := pairs[0].String()
	struck := at(10)
	// A fault that was over at once: a request that had begun before it, and was not disturbed, proves nothing.
	l := &ledger{requests: []request{
		{pair: p, key: "early", kind: call, began: at(9.9), ended: at(10.1)},
		{pair: p, key: "failed", kind: call, began: at(10.2), ended: at(10.3), failure: "nobody listens"},
		{pair: p, key: "first", kind: call, began: at(10.2), ended: at(10.4)},
	}}
	want := map[kind]time.Duration{call: 400 * time.Millisecond}
	if diff := cmp.Diff(want, l.recovery(moment{struck: at(9.5), healed: struck, reachable: true})); diff != "" {
		t.Error("recovery (-want +got)", diff)
	}
}

func TestWhatWasInADeletedQueueIsNotLostByUs(t *testing.T) {
	t.Parallel()
	p := pairs[0].String()
	rounds := []moment{{struck: at(10), healed: at(10.1), reachable: true, emptied: true}}
	l := &ledger{requests: []request{
		{pair: p, key: "in it", kind: cast, began: at(10.05), ended: at(10.2)},
		{pair: p, key: "after it", kind: cast, began: at(10.15), ended: at(10.2)},
	}}
	if lost := l.missing(rounds); len(lost) != 1 || lost[0].key != "after it" {
		t.Errorf("confirmed casts missing: %+v, want the one that was lost", lost)
	}
	got := l.account("f", pairs[0], rounds, time.Second).Casts
	if diff := cmp.Diff(castCount{Sent: 2, Confirmed: 2, Lost: 1, Deleted: 1}, got); diff != "" {
		t.Error("casts (-want +got)", diff)
	}
}

func TestStallsAreNobodysDelay(t *testing.T) {
	t.Parallel()
	p := pairs[0].String()
	l := &ledger{
		requests: []request{
			{pair: p, key: "stalled", kind: call, began: at(10), ended: at(15), failure: "timed out"},
			{pair: p, key: "late", kind: call, began: at(20), ended: at(25), failure: "timed out"},
		},
		stalls: []stall{{at(8), at(11)}, {at(14), at(16)}, {at(17), at(18)}},
	}
	if got := l.account("f", pairs[0], nil, 3*time.Second).Calls.Hanging; got != 1 {
		t.Errorf("%d calls late, want the one that was not stalled", got)
	}
}
