package chaos_test

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A kind of request.
type kind string

const (
	call   kind = "call"
	cast   kind = "cast"
	fanout kind = "fanout"
)

var kinds = []kind{call, cast, fanout}

// A peer is a language.
type peer string

const (
	golang peer = "Go"
	python peer = "Python"
)

// A pair is a client and the server that it sends to.
type pair struct{ client, server peer }

func (p pair) String() string { return string(p.client) + " to " + string(p.server) }

var pairs = []pair{{golang, golang}, {golang, python}, {python, golang}, {python, python}}

// A request is what a client knows of one. It is open while ended is zero.
type request struct {
	pair         string
	key          string
	kind         kind
	began, ended time.Time
	failure      string // "" = success
}

// An execution is what a server knows of a request.
type execution struct {
	key string
	at  time.Time
}

// A moment is one round of a fault: when it struck, and when the broker could be reached again or, where it could
// be reached all the time, when the striking was over.
type moment struct {
	struck, healed time.Time
	reachable      bool // all the time
	emptied        bool // server queues were deleted, with what was in them
}

// A ledger is everything that the peers recorded during one fault.
type ledger struct {
	requests   []request
	executions []execution
	stalls     []stall
}

// only is the part of the ledger that is about the pair.
func (l *ledger) only(p pair) *ledger {
	out := ledger{stalls: l.stalls}
	for _, r := range l.requests {
		if r.pair == p.String() {
			out.requests = append(out.requests, r)
		}
	}
	for _, e := range l.executions {
		if strings.Contains(e.key, "/"+p.String()+"/") {
			out.executions = append(out.executions, e)
		}
	}
	return &out
}

// executed maps keys to how often, and when first.
func (l *ledger) executed() (times map[string]int, first map[string]time.Time) {
	times, first = map[string]int{}, map[string]time.Time{}
	for _, e := range l.executions {
		times[e.key]++
		if at, ok := first[e.key]; !ok || e.at.Before(at) {
			first[e.key] = e.at
		}
	}
	return times, first
}

// missing are the confirmed casts that nobody has executed, without those that were deleted with their queue.
func (l *ledger) missing(rounds []moment) []request {
	times, _ := l.executed()
	var out []request
	for _, r := range l.requests {
		if r.kind == cast && !r.ended.IsZero() && r.failure == "" && times[r.key] == 0 && !onTheWay(r, rounds) {
			out = append(out, r)
		}
	}
	return out
}

// recovery is how long after m the first request of each kind succeeded. A kind that never did is not in it.
func (l *ledger) recovery(m moment) map[kind]time.Duration {
	_, first := l.executed()
	out := map[kind]time.Duration{}
	from := m.struck
	if m.reachable {
		from = m.healed // what had begun before may not have met the fault
	}
	for _, r := range l.requests {
		if r.ended.IsZero() || r.failure != "" || r.began.Before(from) {
			continue
		}
		success := r.ended
		if r.kind != call {
			at, ok := first[r.key]
			if !ok {
				continue
			}
			success = at
		}
		if success.Before(m.healed) {
			continue
		}
		after := success.Sub(m.healed)
		if best, ok := out[r.kind]; !ok || after < best {
			out[r.kind] = after
		}
	}
	return out
}

// A row is the account of one pair under one fault.
type row struct {
	Fault  string `json:"fault"`
	Pair   string `json:"pair"`
	Rounds int    `json:"rounds"`

	Calls   callCount   `json:"calls"`
	Casts   castCount   `json:"casts"`
	Fanouts fanoutCount `json:"fanouts"`

	// Twice is how many requests of any kind were executed more than once.
	Twice int `json:"executed_twice"`
	// Failures counts how requests ended that did not succeed, by kind and error.
	Failures map[string]int `json:"failures,omitempty"`
	// Recovery has one entry per round and kind, in seconds; -1 where there was no recovery within the wait.
	Recovery map[kind][]float64 `json:"recovery_seconds"`
	// LastFailure is how long after the broker could be reached again the last request was made that failed or
	// was lost, in seconds: the worst round. 0 when none was.
	LastFailure float64 `json:"last_failure_seconds"`
}

type callCount struct {
	Sent     int `json:"sent"`
	Answered int `json:"answered"`
	Failed   int `json:"failed"`
	Hanging  int `json:"hanging"` // neither a reply nor an error by deadline and allowance
}

type castCount struct {
	Sent      int `json:"sent"`
	Confirmed int `json:"confirmed"`
	Delivered int `json:"delivered"` // of those confirmed
	Lost      int `json:"lost"`      // confirmed, never executed, and not deleted
	Deleted   int `json:"deleted"`   // confirmed while their queue was being deleted, and gone with it
	Doubtful  int `json:"doubtful"`  // executed, although the sender was told that it failed, or not told
	Failed    int `json:"failed"`
	Hanging   int `json:"hanging"`
}

type fanoutCount struct {
	Sent      int `json:"sent"`
	Delivered int `json:"delivered"`
}

// account counts what is in the ledger, which must be about the pair alone. A request must have ended within limit, not
// counting stalls.
func (l *ledger) account(f string, p pair, rounds []moment, limit time.Duration) row {
	out := row{Fault: f, Pair: p.String(), Rounds: len(rounds), Failures: map[string]int{}, Recovery: map[kind][]float64{}}
	times, _ := l.executed()
	for _, n := range times {
		if n > 1 {
			out.Twice++
		}
	}
	for _, r := range l.requests {
		open := r.ended.IsZero()
		late := open || r.ended.Sub(r.began)-stalled(l.stalls, r.began, r.ended) > limit
		failed := r.failure != ""
		if failed {
			out.Failures[string(r.kind)+": "+r.failure]++
		}
		lost := false
		switch r.kind {
		case call:
			count(&out.Calls.Sent, true)
			count(&out.Calls.Answered, !open && !failed)
			count(&out.Calls.Failed, failed)
			count(&out.Calls.Hanging, late)
		case cast:
			confirmed, executed := !open && !failed, times[r.key] > 0
			gone := confirmed && !executed
			deleted := gone && onTheWay(r, rounds)
			lost = gone && !deleted
			count(&out.Casts.Sent, true)
			count(&out.Casts.Confirmed, confirmed)
			count(&out.Casts.Delivered, confirmed && executed)
			count(&out.Casts.Lost, lost)
			count(&out.Casts.Deleted, deleted)
			count(&out.Casts.Doubtful, !confirmed && executed)
			count(&out.Casts.Failed, failed)
			count(&out.Casts.Hanging, late)
		case fanout:
			lost = times[r.key] == 0
			count(&out.Fanouts.Sent, true)
			count(&out.Fanouts.Delivered, !lost)
		}
		if failed || lost || open {
			out.LastFailure = max(out.LastFailure, sinceHealed(r.began, rounds).Seconds())
		}
	}
	for _, m := range rounds {
		after := l.recovery(m)
		for _, k := range kinds {
			seconds := -1.0
			if d, ok := after[k]; ok {
				seconds = d.Seconds()
			}
			out.Recovery[k] = append(out.Recovery[k], seconds)
		}
	}
	return out
}

// onTheWay says that a request was on its way while server queues were being deleted.
func onTheWay(r request, rounds []moment) bool {
	return slices.ContainsFunc(rounds, func(m moment) bool {
		return m.emptied && !r.ended.Before(m.struck) && !r.began.After(m.healed)
	})
}

func count(n *int, yes bool) {
	if yes {
		*n++
	}
}

// sinceHealed is how long at was after the end of the last fault before it; 0 when it was during one, or before all.
func sinceHealed(at time.Time, rounds []moment) time.Duration {
	var since time.Duration
	for _, m := range rounds {
		if !at.Before(m.struck) {
			since = max(0, at.Sub(m.healed))
		}
	}
	return since
}

// worst is the longest recovery of a kind, -1 when one round saw none.
func (r row) worst(k kind) float64 {
	if len(r.Recovery[k]) == 0 || slices.Contains(r.Recovery[k], -1) {
		return -1
	}
	return slices.Max(r.Recovery[k])
}

// errors are the failures, the most frequent first.
func (r row) errors() []string {
	var out []string
	for f := range r.Failures {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Failures[b], r.Failures[a]), cmp.Compare(a, b))
	})
	return out
}
