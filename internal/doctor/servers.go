package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

// deaf finds servers that did not answer, or late.
func deaf(f *Facts) []Finding {
	found := make([]Finding, 0, len(f.Probes))
	for _, p := range f.Probes {
		finding := Finding{Severity: Bad, Subject: p.Queue()}
		var (
			rate float64
			who  []operator.Owner
		)
		if q := f.View.Queue(p.Queue()); q != nil {
			who, rate = owners(q), q.Rates.Acked
			finding.Owners = who
		}
		finding.Evidence = []string{waiting(operator.Count(p.Ready)) + " in its queue"}
		switch {
		case p.State == probe.Slow:
			finding.Severity = Warn
			finding.Text = "it answers after " + shown(p.RTT) + ": it is busy, or its machine is"
			finding.Next = "see whether that stays: goslo ping " + p.Topic + "/" + p.Name
		case p.State != probe.Deaf:
			continue
		case p.Stuck:
			finding.Text = "it holds " + counted(int(f.View.Queue(p.Queue()).Unacked), "message") + " that it has not acknowledged, and takes none; it was not asked, as it would hold the question too"
			finding.Next = restart(who)
		case rate > 0:
			finding.Severity = Warn
			finding.Text = fmt.Sprintf("no answer within %s, though it takes %.1f messages a second: it is busy, or one of several workers hangs", shown(f.Waited), rate)
			finding.Next = "ask more patiently: goslo ping " + p.Topic + "/" + p.Name + " --timeout 30s"
		default:
			finding.Text = counted(p.Consumers, "consumer") + ", and no answer to a probe within " + shown(f.Waited)
			finding.Next = restart(who)
		}
		found = append(found, finding)
	}
	return found
}

// restart is what cures a process that does nothing.
func restart(who []operator.Owner) string {
	return "restart " + names(who) + "; where ps shows it in state T it is only stopped, and goes on by kill -CONT"
}

// consumerLost finds connections that were consumed on, and are no more.
//
// oslo.messaging has connections of two kinds: those it publishes on, with confirms, and those it consumes on. One that has
// been handed messages and has no consumer now belongs to a process that believes it still hears: its queue was deleted or
// expired, and the broker's word for that was lost.
func consumerLost(f *Facts) []Finding {
	type use struct {
		consumers, delivered int
		publishes            bool
	}
	uses := make(map[string]*use)
	for _, ch := range f.Channels {
		u := uses[ch.Connection.Name]
		if u == nil {
			u = &use{}
			uses[ch.Connection.Name] = u
		}
		u.consumers += ch.Consumers
		u.delivered += ch.Stats.DeliverGet
		u.publishes = u.publishes || ch.Confirm || ch.Stats.Publish > 0
	}
	// The list of consumers is as of now, and the channels are the last statistics'.
	for _, q := range f.View.Queues {
		for _, r := range q.Readers {
			if u := uses[r.Owner.Connection]; u != nil {
				u.consumers++
			}
		}
	}
	var found []Finding
	for _, c := range f.View.Connections {
		owner, u := operator.OwnerOf(c), uses[c.Name]
		if owner.Program == "" || u == nil || u.consumers > 0 || u.publishes || u.delivered == 0 {
			continue
		}
		finding := Finding{
			Severity: Bad, Subject: owner.String(), Owners: []operator.Owner{owner},
			Text:     "a connection on which it consumed has no consumer any more: it is deaf to replies, or to requests, and does not know",
			Evidence: []string{fmt.Sprintf("connection %s: %s were delivered on it, nothing is consumed now", c.Name, counted(u.delivered, "message"))},
			Next:     "restart " + names([]operator.Owner{owner}),
		}
		if replies := repliesTo(f.View, owner); len(replies) > 0 {
			finding.Severity = Warn
			finding.Text = "a connection on which it consumed has no consumer any more; replies reach it on another"
			finding.Evidence = append(finding.Evidence, "it reads "+strings.Join(replies, ", "))
		}
		found = append(found, finding)
	}
	return found
}

// repliesTo are the queues for replies that a process reads.
func repliesTo(v *operator.View, owner operator.Owner) []string {
	var names []string
	for _, q := range v.Queues {
		if q.Kind != operator.KindReply {
			continue
		}
		if slices.ContainsFunc(q.Readers, func(r operator.Reader) bool { return r.Owner.SameProcess(owner) }) {
			names = append(names, q.Name)
		}
	}
	return names
}

// unserved finds queues of topics and servers in which requests wait and that nobody reads.
func unserved(f *Facts) []Finding {
	var found []Finding
	for _, t := range f.View.Topics {
		if q := t.Queue; q != nil && q.Consumers == 0 && q.Ready > 0 {
			found = append(found, Finding{
				Severity: Bad, Subject: q.Name,
				Text:     waiting(q.Ready) + " for any server of the topic, and none is there",
				Evidence: []string{depth(q)},
				Next:     "start a server of the topic; to drop what waits instead: goslo purge " + q.Name,
			})
		}
		for _, s := range t.Servers {
			if s.Queue.Consumers == 0 && s.Queue.Ready > 0 {
				found = append(found, Finding{
					Severity: Warn, Subject: s.Queue.Name,
					Text:     waiting(s.Queue.Ready) + " for a server that is away; casts among them run when it comes back, however old they are",
					Evidence: []string{depth(s.Queue)},
					Next:     "start the server; or look at what waits, and drop it: goslo purge " + s.Queue.Name,
				})
			}
		}
	}
	return found
}

// unbound finds queues that no exchange leads to any more.
func unbound(f *Facts) []Finding {
	bound := make(map[string]bool) // queue, and its exchange
	leads := make(map[string]bool) // queues with any binding
	for _, b := range f.View.Bindings {
		if b.Kind == "queue" {
			bound[b.Destination+"\x00"+b.RoutingKey] = true
			leads[b.Destination] = true
		}
	}
	var found []Finding
	for i := range f.View.Queues {
		q := &f.View.Queues[i]
		if q.Consumers <= 0 {
			continue
		}
		lost := false
		switch q.Kind {
		case operator.KindTopic, operator.KindServer:
			lost = !bound[q.Name+"\x00"+q.Name]
		case operator.KindFanout:
			lost = !leads[q.Name]
		case operator.KindReply, operator.KindNotification, operator.KindOther:
		}
		if lost {
			found = append(found, Finding{
				Severity: Bad, Subject: q.Name, Owners: owners(q),
				Text: "it is read, and bound to no exchange any more: what is sent to it is dropped without a word",
				Next: "restart " + names(owners(q)) + ", which binds it again",
			})
		}
	}
	return found
}

// twins finds queues of one server that processes on several hosts read: two hosts with the same name, or a restored copy of one.
func twins(f *Facts) []Finding {
	var found []Finding
	for _, t := range f.View.Topics {
		for _, s := range t.Servers {
			var hosts []string
			for _, r := range s.Queue.Readers {
				if r.Owner.Host != "" && !slices.Contains(hosts, r.Owner.Host) {
					hosts = append(hosts, r.Owner.Host)
				}
			}
			if len(hosts) > 1 {
				found = append(found, Finding{
					Severity: Warn, Subject: s.Queue.Name, Owners: owners(s.Queue),
					Text: "processes on several hosts answer to one name: " + strings.Join(hosts, ", ") + "; requests reach one of them at random",
					Next: "give each its own name with [DEFAULT] host, and restart it; workers of one service behind NAT or in containers look the same, and are none",
				})
			}
		}
	}
	return found
}

// heartbeat finds connections that nobody watches over.
func heartbeat(f *Facts) []Finding {
	return gather(f.View.Connections, func(c management.Connection) bool { return c.Heartbeat == 0 && c.PeerHost != "" }, func(who []operator.Owner) Finding {
		return Finding{
			Severity: Warn, Subject: counted(len(who), "connection"), Owners: who,
			Text: "no heartbeats: a connection that the network has forgotten stays for hours, and with it the consumer that takes requests into nowhere",
			Next: "set heartbeat_timeout_threshold = 60 in [oslo_messaging_rabbit] of " + names(who),
		}
	})
}

// gather makes one finding of all connections that are of a kind.
func gather(all []management.Connection, of func(management.Connection) bool, finding func([]operator.Owner) Finding) []Finding {
	var who []operator.Owner
	for _, c := range all {
		if of(c) {
			who = append(who, operator.OwnerOf(c))
		}
	}
	if len(who) == 0 {
		return nil
	}
	return []Finding{finding(who)}
}

// owners are the processes that read a queue.
func owners(q *operator.Queue) []operator.Owner {
	all := make([]operator.Owner, 0, len(q.Readers))
	for _, r := range q.Readers {
		if !slices.ContainsFunc(all, r.Owner.SameProcess) {
			all = append(all, r.Owner)
		}
	}
	return all
}

// mostNames is how many of many are named.
const mostNames = 3

// names are the processes, as many as fit a line.
func names(who []operator.Owner) string {
	var text []string
	for _, o := range who {
		if name := o.String(); !slices.Contains(text, name) {
			text = append(text, name)
		}
	}
	return some(text, "its process")
}

// some joins the first few of many.
func some(all []string, none string) string {
	switch {
	case len(all) == 0:
		return none
	case len(all) > mostNames:
		return fmt.Sprintf("%s and %d more", strings.Join(all[:mostNames], ", "), len(all)-mostNames)
	}
	return strings.Join(all, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") {
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func waiting(n operator.Count) string {
	if n == 0 {
		return "nothing waits"
	}
	if n == 1 {
		return "1 request waits"
	}
	return n.String() + " requests wait"
}

// depth says how full a queue is.
func depth(q *operator.Queue) string {
	return fmt.Sprintf("%s ready, %s unacknowledged, %s", q.Ready, q.Unacked, bytes(q.Bytes))
}

// bytes is a size as people read it.
func bytes(n operator.Count) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	if n < 0 {
		return "? B"
	}
	size, unit := float64(n), 0
	for size >= 1024 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}

// shown is a time as people read it.
func shown(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Minute:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}
