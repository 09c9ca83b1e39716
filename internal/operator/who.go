package operator

import (
	"slices"
	"strings"
)

// Find returns the queues that a text means: the one of that name, else those whose names begin with it, else those that have it
// in them. Dots at its end, with which logs and tables cut names short, do not count.
func (v *View) Find(text string) []*Queue {
	if q := v.Queue(text); q != nil {
		return []*Queue{q}
	}
	part := strings.TrimRight(text, ".…*")
	for _, is := range []func(name, part string) bool{strings.HasPrefix, strings.Contains} {
		var found []*Queue
		for i := range v.Queues {
			if part != "" && is(v.Queues[i].Name, part) {
				found = append(found, &v.Queues[i])
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// ConsumedBy returns the names of the queues from which the owner's process consumes, over all of its connections.
func (v *View) ConsumedBy(o Owner) []string {
	var names []string
	for _, q := range v.Queues {
		if slices.ContainsFunc(q.Readers, func(r Reader) bool { return r.Owner.SameProcess(o) }) {
			names = append(names, q.Name)
		}
	}
	return names
}

// Names returns the names of queues and topics, for suggestions.
func (v *View) Names() []string {
	names := make([]string, 0, len(v.Queues)+len(v.Topics))
	for _, q := range v.Queues {
		names = append(names, q.Name)
	}
	for _, t := range v.Topics {
		names = append(names, t.Name)
	}
	return names
}

// ManagerName takes apart what the queue manager of oslo.messaging, or a Goslo process with use_queue_manager, calls its own queues:
// host:process:number (RMQ-TOPO-20). It says whose a queue was when nobody consumes from it any more.
func (q *Queue) ManagerName() (host, process string, ok bool) {
	unique := ""
	switch q.Kind {
	case KindReply:
		unique = strings.TrimPrefix(q.Name, replyPrefix)
	case KindFanout:
		unique = strings.TrimPrefix(q.Name, q.Topic+fanoutSuffix+"_")
	default:
	}
	host, rest, ok := strings.Cut(unique, ":")
	last := strings.LastIndexByte(rest, ':')
	if !ok || last <= 0 {
		return "", "", false
	}
	return host, rest[:last], true
}
