package operator

import (
	"fmt"
	"strings"
)

// A Guarantee is what a topic promises about one thing, as far as the broker knows.
type Guarantee struct {
	About string `json:"about"` // "delivery", "storage", "prefetch", "expiry" or "fanout"
	Says  string `json:"says"`
}

// Guarantees says what is promised of requests to a topic, by how its queues are declared and consumed from.
func (v *View) Guarantees(t *Topic) []Guarantee {
	var all []Guarantee
	say := func(about, format string, args ...any) {
		all = append(all, Guarantee{about, fmt.Sprintf(format, args...)})
	}
	queues := t.queues()
	readers := readersOf(queues)
	switch {
	case len(readers) == 0:
		say("delivery", "not known: no consumer could be seen")
	case anyReader(readers, func(r Reader) bool { return !r.Ack }):
		say("delivery", "at most once: there are consumers without acknowledgement, to whom the broker sends a request and forgets it")
	case anyReader(readers, func(r Reader) bool { return strings.HasPrefix(r.Owner.Client, "goslo") }):
		say("delivery", "at most once: a request is acknowledged before it runs, and one that was taken dies with its server; servers by Goslo with AckAfter acknowledge afterwards: at least once")
	default:
		say("delivery", "at most once: oslo.messaging acknowledges a request before it runs, and one that was taken dies with its server")
	}
	say("storage", "%s", storage(queues))
	if prefetch, ok := prefetch(readers); ok {
		say("prefetch", "%s", prefetch)
	}
	say("expiry", "calls expire with their timeout; casts wait for as long as their queue is there, and run whenever the server returns")
	if len(t.Fanouts) > 0 && t.Fanouts[0].Declared.Type == "stream" {
		say("fanout", "a stream that all servers read: one who was away misses what came meanwhile")
	} else {
		say("fanout", "a queue for each server that listens: nobody is told when one is missing")
	}
	return all
}

// queues are those of a topic that servers share, or that belong to one server for good.
func (t *Topic) queues() []*Queue {
	var all []*Queue
	if t.Queue != nil {
		all = append(all, t.Queue)
	}
	for _, s := range t.Servers {
		all = append(all, s.Queue)
	}
	return all
}

// Queues are all of a topic: its own, those of its servers, and fanouts.
func (t *Topic) Queues() []*Queue { return append(t.queues(), t.Fanouts...) }

func readersOf(queues []*Queue) []Reader {
	var all []Reader
	for _, q := range queues {
		all = append(all, q.Readers...)
	}
	return all
}

func anyReader(readers []Reader, is func(Reader) bool) bool {
	for _, r := range readers {
		if is(r) {
			return true
		}
	}
	return false
}

// storage says what survives, for queues that may differ.
func storage(queues []*Queue) string {
	var parts []string
	count := make(map[string]int)
	for _, q := range queues {
		what := "not known how the queue is declared: only the management API tells"
		switch d := q.Declared; {
		case d.Type == "":
		case d.Type == "quorum":
			what = "quorum: requests survive the loss of a node, as long as most nodes are there"
		case d.Durable:
			what = "durable: requests that were sent as persistent survive a restart of the broker"
		default:
			what = "transient: what waits is lost with a restart of the broker"
		}
		if count[what] == 0 {
			parts = append(parts, what)
		}
		count[what]++
	}
	if len(parts) > 1 {
		for i, p := range parts {
			parts[i] = fmt.Sprintf("%d %s", count[p], p)
		}
		return "mixed: " + strings.Join(parts, "; ")
	}
	return strings.Join(parts, "")
}

// prefetch says how many requests a server may hold.
func prefetch(readers []Reader) (text string, ok bool) {
	if len(readers) == 0 {
		return "", false
	}
	least, most := readers[0].Prefetch, readers[0].Prefetch
	for _, r := range readers {
		least, most = min(least, r.Prefetch), max(most, r.Prefetch)
	}
	switch {
	case most == 0:
		return "no bound: what waits is sent to servers at once, however busy they are (rabbit_qos_prefetch_count)", true
	case least == 0:
		return fmt.Sprintf("no bound for some servers, up to %d for others", most), true
	case least != most:
		return fmt.Sprintf("%d to %d requests at a time", least, most), true
	}
	return fmt.Sprintf("%d requests at a time", most), true
}
