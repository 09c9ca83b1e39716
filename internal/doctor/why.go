package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/goslo/goslo/internal/logline"
	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/probe"
)

// An Explanation is what a line of a log means, and what has become of those it is about.
type Explanation struct {
	Line    string           `json:"line"` // the first of its kind
	Count   int              `json:"count"`
	Origin  logline.Origin   `json:"origin"`
	Last    logline.Origin   `json:"last"` // of the last of them
	Symptom logline.Symptom  `json:"symptom,omitempty"`
	Cause   logline.Cause    `json:"cause,omitempty"`
	What    string           `json:"what"`
	Now     []Circumstance   `json:"now"`
	Likely  string           `json:"likely"` // the likely cause
	Next    string           `json:"next"`
	Owners  []operator.Owner `json:"owners,omitempty"` // of what it is about
}

// A Circumstance is how something that a line is about stands now.
type Circumstance struct {
	About string `json:"about"` // "caller", "callee", "process", "connection", "queue", "exchange"
	Text  string `json:"text"`
}

// Explain says what an event means, with what is known of the bus now. Facts may know nothing at all.
func Explain(f *Facts, e logline.Found) Explanation {
	x := Explanation{Line: e.Line, Count: e.Count, Origin: e.Origin, Last: e.Last, Symptom: e.Symptom, Cause: e.Cause, Now: []Circumstance{}}
	means, because := symptomMeanings[e.Symptom], causeMeanings[e.Cause]
	x.What = cmp.Or(means.what, because.what)
	x.Likely, x.Next = cmp.Or(because.likely, means.likely), cmp.Or(because.next, means.next)
	if means.what != "" && because.what != "" {
		x.What += "; here: " + because.what
	}
	if f.View == nil {
		return x
	}
	x.caller(f, e)
	x.process(f, e)
	x.object(f, e)
	if e.Symptom == logline.Timeout || e.Symptom == logline.ManyCalls || e.Symptom == logline.NoConductor {
		x.callees(f, e)
	}
	return x
}

func (x *Explanation) now(about, format string, args ...any) {
	x.Now = append(x.Now, Circumstance{about, fmt.Sprintf(format, args...)})
}

// caller tells about the queue for replies.
func (x *Explanation) caller(f *Facts, e logline.Found) {
	if e.ReplyQueue == "" {
		return
	}
	q := f.View.Queue(e.ReplyQueue)
	switch {
	case q == nil:
		x.now("caller", "%s does not exist now%s", e.ReplyQueue, managed(e.ReplyQueue))
		if e.Symptom == logline.Timeout {
			x.Likely = "the caller's queue for replies is gone: whatever is answered cannot reach it"
			x.Next = "if that process still runs, restart it: it hears nothing"
		}
	case q.Consumers == 0:
		x.now("caller", "%s is there, and nobody reads it%s; %s", q.Name, managed(q.Name), depth(q))
		if e.Symptom == logline.Timeout {
			x.Likely = "the caller has ended, or no longer reads the queue for its replies"
			x.Next = "goslo doctor --only reply-lost,orphans"
		}
	default:
		x.Owners = append(x.Owners, owners(q)...)
		x.now("caller", "%s is read by %s%s; %s", q.Name, names(owners(q)), since(owners(q)), depth(q))
		if e.Symptom == logline.ReplyDropped || e.Symptom == logline.Undeliverable {
			x.Likely = "its process has made the queue again since: it was deleted, or lost with a node of the broker"
			x.Next = "nothing now; the caller has the reply by asking again"
		}
	}
}

// managed says whose a queue is by its name, where that tells: oslo.messaging's queue manager names queues after host, process and number.
func managed(queue string) string {
	_, unique, _ := strings.Cut(queue, "_")
	parts := strings.Split(unique, ":")
	if len(parts) != 3 {
		return ""
	}
	return fmt.Sprintf(" (by its name it is %s's on %s)", parts[1], parts[0])
}

func since(who []operator.Owner) string {
	if len(who) == 0 || who[0].Connected.IsZero() {
		return ""
	}
	return ", connected since " + who[0].Connected.Format("2006-01-02 15:04:05")
}

// process tells about who wrote the line: by the connection that it names, else by process id and program.
func (x *Explanation) process(f *Facts, e logline.Found) {
	if !f.View.Full {
		return
	}
	if id := e.Broker.Connection; id != "" {
		i := slices.IndexFunc(f.View.Connections, func(c management.Connection) bool { return strings.HasSuffix(c.Client.ConnectionName, ":"+id) })
		if i < 0 {
			x.now("connection", "%s is not there now: its process has ended, or is not connected", id)
			return
		}
		owner := operator.OwnerOf(f.View.Connections[i])
		x.Owners = append(x.Owners, owner)
		x.now("connection", "it is there now: %s%s, %s", owner, since([]operator.Owner{owner}), cmp.Or(owner.State, "in use"))
		return
	}
	if e.Origin.PID == 0 {
		return
	}
	who := processes(f.View, e.Origin)
	if len(who) == 0 {
		x.now("process", "no connection of a process %d: it has ended, runs in a container with other ids, or is not connected", e.Origin.PID)
		return
	}
	x.Owners = append(x.Owners, who...)
	for _, o := range who {
		text := o.String() + " is connected"
		if len(o.Serves) > 0 {
			text += ", and serves " + some(o.Serves, "")
		}
		replies := repliesTo(f.View, o)
		if len(replies) > 0 {
			text += ", and reads replies from " + some(replies, "")
		} else if e.Symptom == logline.Timeout {
			text += ", and reads no queue for replies"
			x.Likely, x.Next = "its queue for replies is gone, so it hears no answer", "restart it"
		}
		x.now("process", "%s", text)
	}
}

// processes are those that may have written a line: ids are a host's, and lines seldom name that as connections do.
func processes(v *operator.View, from logline.Origin) []operator.Owner {
	var who []operator.Owner
	for _, c := range v.Connections {
		o := operator.OwnerOf(c)
		if o.PID != from.PID || from.Program != "" && o.Program != from.Program || slices.ContainsFunc(who, o.SameProcess) {
			continue
		}
		for i := range v.Queues {
			for _, r := range v.Queues[i].Readers {
				if r.Owner.SameProcess(o) {
					o.Serves = r.Owner.Serves
				}
			}
		}
		who = append(who, o)
	}
	return who
}

// object tells about the queue or the exchange that a line is about.
func (x *Explanation) object(f *Facts, e logline.Found) {
	o := e.Object
	if o.Name == "" || o.Name == e.ReplyQueue {
		return
	}
	if o.Vhost != "" && o.Vhost != f.View.Vhost {
		x.now(o.Kind, "%s is in virtual host %s, and this is %s: name its service's bus with -c", o.Name, o.Vhost, f.View.Vhost)
		return
	}
	if e.Mismatch.Argument != "" {
		x.now(o.Kind, "asked for with %s = %s, and it has %s", e.Mismatch.Argument, e.Mismatch.Asked, e.Mismatch.Current)
	}
	switch o.Kind {
	case "queue":
		q := f.View.Queue(o.Name)
		if q == nil {
			x.now("queue", "%s does not exist now", o.Name)
			return
		}
		x.Owners = append(x.Owners, owners(q)...)
		x.now("queue", "%s is %s, read by %s; %s", q.Name, declared(q), names(owners(q)), depth(q))
	case "exchange":
		if !f.View.Full {
			return
		}
		for _, other := range f.View.Exchanges {
			if other.Name == o.Name {
				x.now("exchange", "%s is a %s exchange of type %s", o.Name, durability(other.Durable), other.Type)
				x.users(f, o.Name)
				return
			}
		}
		x.now("exchange", "%s does not exist now", o.Name)
	}
}

// users tells who is on an exchange, and would fail with another one.
func (x *Explanation) users(f *Facts, exchange string) {
	var queues []*operator.Queue
	for i := range f.View.Queues {
		if q := &f.View.Queues[i]; q.Exchange == exchange && q.Consumers > 0 {
			queues = append(queues, q)
		}
	}
	if who := ownersOf(queues); len(who) > 0 {
		x.Owners = append(x.Owners, who...)
		x.now("exchange", "%s use it as it is: %s", counted(len(who), "process"), names(who))
	}
}

func declared(q *operator.Queue) string {
	kind := q.Declared.Type
	if kind == "" {
		return "there"
	}
	return durability(q.Declared.Durable) + " " + kind
}

// callees tells about those who may have been called: by the traceback, where there is one, else all that do not answer.
func (x *Explanation) callees(f *Facts, e logline.Found) {
	topics, methods := calledTopics(f.View, e)
	if len(methods) > 0 {
		x.now("callee", "the traceback leads through %s", strings.Join(methods, ", "))
	}
	var well, ill []string
	asked := 0
	for _, p := range f.Probes {
		if len(topics) > 0 && !slices.Contains(topics, p.Topic) || p.State == probe.NotAsked {
			continue
		}
		asked++
		if p.State.Bad() {
			ill = append(ill, fmt.Sprintf("%s (%s)", p.Queue(), p.State))
		} else {
			well = append(well, fmt.Sprintf("%s (%s)", p.Queue(), shown(p.RTT)))
		}
	}
	for _, t := range f.View.Topics {
		if len(topics) > 0 && !slices.Contains(topics, t.Name) {
			continue
		}
		for _, s := range t.Servers {
			if s.Queue.Consumers == 0 {
				ill = append(ill, s.Queue.Name+" (nobody reads it)")
			}
		}
	}
	of := "servers"
	if len(topics) > 0 {
		of = "servers of " + strings.Join(topics, ", ")
	}
	switch {
	case len(ill) > 0:
		x.now("callee", "of the %s these do not answer now: %s", of, strings.Join(ill, ", "))
		if !x.settled() {
			x.Likely = "one of these was called: a request to it is taken by nobody"
			x.Next = "goslo doctor --only deaf,unserved"
		}
	case asked > 0:
		x.now("callee", "all %d %s that were asked answer now: %s", asked, of, some(well, ""))
		if !x.settled() {
			x.Likely = "the method took longer than rpc_response_timeout, or what was wrong is over"
			x.Next = "look for the request in the server's log by its request id; then raise rpc_response_timeout of the caller, or see what the method waits for"
		}
	case f.Why[whyProbes] != "":
		x.now("callee", "nobody was asked: %s", f.Why[whyProbes])
	}
}

// settled says whether something about the caller has explained the line already.
func (x *Explanation) settled() bool { return x.Likely != symptomMeanings[x.Symptom].likely }

// calledTopics are those that a traceback leads to, and the methods in it. OpenStack's client sides are modules like nova/compute/rpcapi.py,
// of topics like compute and cinder-volume.
func calledTopics(v *operator.View, e logline.Found) (topics, methods []string) {
	if e.Symptom == logline.NoConductor {
		return []string{"conductor"}, nil
	}
	for _, frame := range e.Frames {
		methods = append(methods, frame.Method+" ("+frame.At+")")
		for _, name := range []string{frame.Service, frame.Project + "-" + frame.Service} {
			if v.Topic(name) != nil && !slices.Contains(topics, name) {
				topics = append(topics, name)
			}
		}
	}
	return topics, methods
}

// ChecksFor are the ids of checks whose facts are wanted to explain the events: whether servers answer costs them a question.
func ChecksFor(events []logline.Found) []string {
	ids := []string{"B06"}
	for _, e := range events {
		if e.Symptom == logline.Timeout || e.Symptom == logline.ManyCalls || e.Symptom == logline.NoConductor {
			return append(ids, "B01")
		}
	}
	return ids
}

// NamesIn are the queues and topics that events are about, to ask for where lists cannot be had.
func NamesIn(events []logline.Found) []string {
	var names []string
	for _, e := range events {
		for _, name := range []string{e.ReplyQueue, e.Topic} {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if e.Object.Kind == "queue" && !slices.Contains(names, e.Object.Name) {
			names = append(names, e.Object.Name)
		}
	}
	return names
}
