package rabbit

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/goslo/goslo/transport"
)

func backoffOf(t *testing.T, query string) backoff {
	t.Helper()
	u, err := transport.ParseURL("rabbit:///" + query)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := Config{URL: u}.read()
	if err != nil {
		t.Fatal(err)
	}
	return s.backoff
}

// A host that refuses us is left alone for longer each time; one where nobody answers never for more than half a second.
//
// conforms: RMQ-CONN-11, CFG-29, CFG-30, CFG-31, ODD-24
func TestBackoff(t *testing.T) {
	t.Parallel()
	seconds := func(list ...int) []time.Duration {
		var pauses []time.Duration
		for _, n := range list {
			pauses = append(pauses, time.Duration(n)*time.Second)
		}
		return pauses
	}
	for query, pauses := range map[string][]time.Duration{
		"": seconds(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 31, 31),
		"?rabbit_retry_interval=2&rabbit_retry_backoff=5&rabbit_interval_max=9": seconds(2, 7, 11, 11),
		"?rabbit_retry_interval=4&rabbit_retry_backoff=0":                       seconds(4, 4, 4),
	} {
		h := newHosts([]endpoint{{addr: "h:1"}}, backoffOf(t, query))
		e := h.list[0]
		fails := func(err error, want time.Duration) {
			t.Helper()
			before := time.Now()
			h.failed(e, err)
			if left, took := e.due.Sub(before), time.Since(before); left < want/2 || left > want+took {
				t.Errorf("%q: tried again after %v, want %v at most, and half of it at least", query, left, want)
			}
		}
		for _, want := range pauses {
			fails(&refusal{errors.New("wrong password")}, want)
		}
		fails(errors.New("nobody is there"), time.Second/2)
		fails(&refusal{errors.New("wrong password")}, pauses[0])
	}
}

// The first attempt after a loss is not made by everybody at once.
//
// conforms: RMQ-CONN-12, RMQ-CONN-13, CFG-23, CFG-24
func TestPauseAfterALoss(t *testing.T) {
	t.Parallel()
	for query, most := range map[string]time.Duration{
		"": time.Second, "?kombu_reconnect_delay=0": 0, "?kombu_reconnect_delay=0.5&kombu_reconnect_splay=2": 2500 * time.Millisecond,
	} {
		b := backoffOf(t, query)
		var longest time.Duration
		for range 10_000 {
			longest = max(longest, b.before())
		}
		if longest > most || longest < most*3/4 {
			t.Errorf("%q: up to %v, want up to %v", query, longest, most)
		}
	}
}

// The host that was lost is tried last, or any of them.
//
// conforms: RMQ-CONN-10, CFG-27
func TestFailoverStrategy(t *testing.T) {
	t.Parallel()
	var all []endpoint
	for _, addr := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		all = append(all, endpoint{addr: addr})
	}
	order := func(h hosts) (list []string) {
		for _, e := range h.list {
			list = append(list, e.addr)
		}
		return list
	}
	turned := func(b backoff) (kept, changed int) {
		for range 100 {
			h := newHosts(all, b)
			was := order(h)
			h.lost(was[2])
			if slices.Equal(order(h), slices.Concat(was[3:], was[:3])) {
				kept++
			}
			if !slices.Equal(was, []string{"a", "b", "c", "d", "e", "f", "g", "h"}) {
				changed++
			}
		}
		return kept, changed
	}
	if kept, changed := turned(backoffOf(t, "")); kept != 100 || changed < 90 {
		t.Errorf("round-robin: %d of 100 kept their order, %d began shuffled", kept, changed)
	}
	if kept, _ := turned(backoffOf(t, "?kombu_failover_strategy=shuffle")); kept > 10 {
		t.Errorf("shuffle: %d of 100 kept their order", kept)
	}
}
