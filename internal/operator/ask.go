package operator

import (
	"strings"

	"github.com/goslo/goslo/internal/nearest"
	"github.com/goslo/goslo/internal/probe"
)

// NearestTopic is the topic whose name is most like this one, which may be a slip; "" = none is.
func (v *View) NearestTopic(name string) string {
	names := make([]string, len(v.Topics))
	for i, t := range v.Topics {
		names[i] = t.Name
	}
	near, _ := nearest.To(name, names)
	return near
}

// Probe is how to ask a server of the topic whether it is alive, without a trace in its log: see [probe.Known] for what it is asked for, unless
// e is given.
func (t *Topic) Probe(s Server, e probe.Endpoint) probe.Server {
	p := probe.Server{Exchange: t.Exchange, Topic: t.Name, Name: s.Name, Endpoint: e}
	owner, seen := s.Owner()
	p.Consumers = len(s.Queue.Readers)
	ours := strings.HasPrefix(owner.Client, "goslo ") // which logs nothing of unknown methods and versions
	switch {
	case e != probe.Endpoint{}:
	case ours:
		p.Endpoint.Version = "1.0"
	default:
		p.Endpoint = probe.Known(t.Name, owner.Program)
	}
	// Python acknowledges a request before it runs it. One of ours that acknowledges afterwards holds it for as long as it runs.
	p.Stuck = seen && !ours && s.Queue.Unacked > 0 && !s.Queue.IdleSince.IsZero()
	return p
}
