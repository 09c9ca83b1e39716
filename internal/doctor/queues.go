package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/operator"
)

// types finds what cannot be declared once more as it is asked for: a service and what it finds must agree, or it fails with
// 406 at its next start.
func types(f *Facts) []Finding {
	var found []Finding
	durable, topics := make(map[string]bool), make(map[string]bool) // exchanges
	for _, x := range f.View.Exchanges {
		durable[x.Name], topics[x.Name] = x.Durable, x.Type == "topic"
	}
	kinds := make(map[bool][]string) // exchanges of RPC by durability
	for _, name := range slices.Sorted(maps.Keys(durable)) {
		var like, unlike []*operator.Queue
		for i := range f.View.Queues {
			q := &f.View.Queues[i]
			switch {
			case q.Exchange != name || !isRPC(q):
			case q.Declared.Durable == durable[name]:
				like = append(like, q)
			default:
				unlike = append(unlike, q)
			}
		}
		if len(unlike) > 0 {
			found = append(found, Finding{
				Severity: Bad, Subject: "exchange " + name, Owners: ownersOf(unlike),
				Text: fmt.Sprintf("%s, and %d of its %d queues are %s: services that declare these fail with 406 at their next start, as they ask for a %s exchange",
					durability(durable[name]), len(unlike), len(like)+len(unlike), durability(!durable[name]), durability(!durable[name])),
				Evidence: []string{durability(!durable[name]) + ": " + some(queueNames(unlike), "")},
				Next:     "goslo plan quorum",
			})
		}
		// Exchanges of fanouts go by another option.
		if len(like)+len(unlike) > 0 && topics[name] {
			kinds[durable[name]] = append(kinds[durable[name]], name)
		}
	}
	found = append(found, typesOfTopics(f.View)...)
	if len(kinds) == 2 {
		found = append(found, Finding{
			Severity: Info, Subject: "exchanges",
			Text:     "some exchanges of this virtual host are durable and some are not: a service whose options are those of the others cannot use both",
			Evidence: []string{"durable: " + some(kinds[true], ""), "transient: " + some(kinds[false], "")},
			Next:     "goslo plan quorum",
		})
	}
	return found
}

// typesOfTopics finds topics whose servers disagree: they all declare the topic's queue.
func typesOfTopics(v *operator.View) []Finding {
	var found []Finding
	for _, t := range v.Topics {
		byType := make(map[string][]*operator.Queue)
		add := func(q *operator.Queue) {
			kind := q.Declared.Type
			if kind == "classic" && q.Declared.Durable {
				kind = "durable classic"
			}
			byType[kind] = append(byType[kind], q)
		}
		if t.Queue != nil {
			add(t.Queue)
		}
		for _, s := range t.Servers {
			add(s.Queue)
		}
		if len(byType) < 2 {
			continue
		}
		finding := Finding{
			Severity: Bad, Subject: "topic " + t.Name,
			Text: fmt.Sprintf("its queues are of %d types; all its servers declare the topic's own queue, so those that ask for another type than it has fail with 406 at their next start", len(byType)),
			Next: "goslo plan quorum",
		}
		for _, kind := range slices.Sorted(maps.Keys(byType)) {
			finding.Evidence = append(finding.Evidence, kind+": "+some(queueNames(byType[kind]), ""))
			finding.Owners = append(finding.Owners, ownersOf(byType[kind])...)
		}
		found = append(found, finding)
	}
	return found
}

func isRPC(q *operator.Queue) bool {
	return q.Kind == operator.KindTopic || q.Kind == operator.KindServer || q.Kind == operator.KindFanout
}

func durability(durable bool) string {
	if durable {
		return "durable"
	}
	return "transient"
}

func queueNames(queues []*operator.Queue) []string {
	names := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.Name
	}
	return names
}

func ownersOf(queues []*operator.Queue) []operator.Owner {
	var all []operator.Owner
	for _, q := range queues {
		for _, o := range owners(q) {
			if !slices.ContainsFunc(all, o.SameProcess) {
				all = append(all, o)
			}
		}
	}
	return all
}

// transientFeature is what RabbitMQ calls queues that are neither durable nor exclusive, among what is deprecated.
const transientFeature = "transient_nonexcl_queues"

// transient finds queues of that kind: all that oslo.messaging makes, unless its options say otherwise.
func transient(f *Facts) []Finding {
	var all []*operator.Queue
	kinds := make(map[string]int)
	for i := range f.View.Queues {
		q := &f.View.Queues[i]
		if !q.Declared.Durable && !q.Declared.Exclusive {
			all = append(all, q)
			kinds[string(q.Kind)]++
		}
	}
	if len(all) == 0 {
		return nil
	}
	finding := Finding{
		Severity: Info, Subject: counted(len(all), "queue"),
		Text: "transient and not exclusive, which RabbitMQ refuses from 4.3 on",
		Next: "before an upgrade to 4.3: goslo plan quorum; or permit them for now, on all nodes: deprecated_features.permit." + transientFeature + " = true in rabbitmq.conf",
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		finding.Evidence = append(finding.Evidence, fmt.Sprintf("%s: %d", kind, kinds[kind]))
	}
	switch refused, certain := f.refusesTransient(); {
	case refused && certain:
		finding.Severity = Bad
		finding.Text = "transient and not exclusive; this broker refuses new ones, so the services that made these fail with 541 at their next start"
	case refused:
		finding.Severity = Bad
		finding.Text = "transient and not exclusive; RabbitMQ " + f.View.Broker.Version + " refuses new ones unless its configuration permits them"
	case f.release().atLeast(4, 0):
		finding.Severity = Warn
	}
	return []Finding{finding}
}

// refusesTransient says whether the broker refuses new ones, and whether that is what it says itself or what its version lets one expect.
func (f *Facts) refusesTransient() (refused, certain bool) {
	for _, d := range f.Deprecated {
		if d.Name == transientFeature {
			return d.Denied(), true
		}
	}
	return f.release().atLeast(4, 3), false
}

// orphans finds queues of processes that are gone.
func orphans(f *Facts) []Finding {
	all := f.View.Orphans(0, false)
	if len(all) == 0 {
		return nil
	}
	var size operator.Count
	named := make([]string, len(all))
	for i, o := range all {
		named[i] = o.Queue.Name
		size += max(o.Queue.Bytes, 0)
	}
	finding := Finding{
		Severity: Warn, Subject: counted(len(all), "queue"),
		Text:     "for fanouts and replies, without a consumer: their processes are gone, or lost them; they hold " + bytes(size),
		Evidence: []string{some(named, "")},
		Next:     "goslo orphans",
	}
	if oldest := all[0].Idle; oldest > 0 {
		finding.Evidence = append(finding.Evidence, "the oldest is idle for "+shown(oldest))
	}
	return []Finding{finding}
}

// manyNotifications is how many unread ones are a danger to the broker.
const (
	manyNotifications = 100_000
	manyBytes         = 1 << 30
)

// unread finds notifications that pile up.
func unread(f *Facts) []Finding {
	var found []Finding
	for i := range f.View.Queues {
		q := &f.View.Queues[i]
		if q.Kind != operator.KindNotification || q.Consumers != 0 || q.Ready <= 0 {
			continue
		}
		finding := Finding{
			Severity: Warn, Subject: q.Name,
			Text:     q.Ready.String() + " notifications, and nobody reads them",
			Evidence: []string{depth(q)},
			Next:     "start what should read them (ceilometer-agent-notification and its like); or set driver = noop in [oslo_messaging_notifications] of the senders, and drop what is there: goslo purge " + q.Name,
		}
		if q.Ready >= manyNotifications || q.Bytes >= manyBytes {
			finding.Severity = Bad
			finding.Text += "; they use up the broker's memory and disk"
		}
		found = append(found, finding)
	}
	return found
}

// manyUnacked is how many messages a consumer may hold before that is strange, when nothing bounds it.
const manyUnacked = 100

// prefetch finds consumers that take all there is and do not get through it.
func prefetch(f *Facts) []Finding {
	var found []Finding
	for i := range f.View.Queues {
		q := &f.View.Queues[i]
		unbounded := slices.ContainsFunc(q.Readers, func(r operator.Reader) bool { return r.Ack && r.Prefetch == 0 })
		if !unbounded || q.Unacked < manyUnacked {
			continue
		}
		found = append(found, Finding{
			Severity: Warn, Subject: q.Name, Owners: owners(q),
			Text:     q.Unacked.String() + " messages are with consumers that have not acknowledged them, and nothing bounds how many they take: other consumers get none of these, and they all come again when the connection breaks",
			Evidence: []string{depth(q)},
			Next:     "set rabbit_qos_prefetch_count in [oslo_messaging_rabbit], such as 64, of " + names(owners(q)),
		})
	}
	return found
}

// atoms finds queues whose names the broker never forgets: each name of a quorum queue or a stream becomes an atom of Erlang, of
// which there are five million.
func atoms(f *Facts) []Finding {
	var random []string
	for i := range f.View.Queues {
		q := &f.View.Queues[i]
		if (q.Kind == operator.KindReply || q.Kind == operator.KindFanout) && (q.Declared.Type == "quorum" || q.Declared.Type == "stream") && isRandom(q.Name) {
			random = append(random, q.Name)
		}
	}
	if len(random) == 0 {
		return nil
	}
	return []Finding{{
		Severity: Warn, Subject: counted(len(random), "queue"),
		Text:     "quorum queues for fanouts and replies with names that are made up at every start: the broker keeps each name for good, and stops when it has five million",
		Evidence: []string{some(random, "")},
		Next:     "set use_queue_manager = true in [oslo_messaging_rabbit] beside rabbit_transient_quorum_queue, which makes the names lasting",
	}}
}

// isRandom says whether a name ends in a UUID's digits.
func isRandom(name string) bool {
	_, last, _ := strings.Cut(name[max(0, len(name)-33):], "_")
	return len(last) == 32 && strings.Trim(last, "0123456789abcdef") == ""
}
