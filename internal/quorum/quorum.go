// Package quorum plans the move of a virtual host from classic queues to quorum queues: what is to be done, in what order, and what of
// it is done already, by what is there.
//
// RabbitMQ does not change a queue or an exchange: it refuses a declaration that differs (406), so whoever shares an exchange has to stop,
// the exchange and its queues have to go, and all come back with other options; or all move to a virtual host in which nothing is
// there yet. A plan is a pure function of an [operator.View] and what else is known; nothing here touches a broker.
package quorum

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
)

// A State is how far an item of a plan is.
type State string

// The states.
const (
	Done    State = "done"
	ToDo    State = "to-do"
	Blocked State = "blocked" // nothing after it makes sense before
)

// An Item is one thing to do, or to make sure of.
type Item struct {
	State   State  `json:"state"`
	Text    string `json:"text"`
	Command string `json:"command,omitempty"` // as typed into a shell, or lines of a configuration file
}

// A Step is what is done at one time. The steps of a plan follow one another.
type Step struct {
	Title string `json:"title"`
	Why   string `json:"why"`
	Down  bool   `json:"down"` // services are stopped while it is done
	Items []Item `json:"items"`
}

// A Plan is a checked list.
type Plan struct {
	At       time.Time `json:"at"`
	Vhost    string    `json:"vhost"`
	Target   string    `json:"target"` // the virtual host with the quorum queues: the same, or the fresh one
	Steps    []Step    `json:"steps"`
	Rollback []Item    `json:"rollback"`
	Unseen   []string  `json:"unseen"`
}

// Count is the number of items in a state.
func (p *Plan) Count(s State) int {
	n := 0
	for _, step := range p.Steps {
		for _, item := range step.Items {
			if item.State == s {
				n++
			}
		}
	}
	return n
}

// Known is what a plan is made of.
type Known struct {
	View       *operator.View
	Policies   []management.Policy // of the virtual host
	Vhosts     []string            // all that the user sees; nil = not known
	Management string              // the URL of the management API, for commands
}

// planner makes one plan.
type planner struct {
	Known
	plan *Plan
}

// InPlace plans the move within the virtual host.
func InPlace(k Known) *Plan {
	p := &planner{k, start(k, k.View.Vhost)}
	p.broker()
	p.policies()
	if p.moved() {
		p.rest()
		return p.plan
	}
	p.options("")
	p.save()
	p.stop("the exchange and the queues that they share cannot be changed, only made anew, and whoever still runs would make them as they were")
	p.remove()
	p.restart()
	p.plan.Rollback = []Item{
		{ToDo, "take the options back, in all files", "[oslo_messaging_rabbit]\nrabbit_quorum_queue = false"},
		{ToDo, "stop the services again", p.stopCommands()},
		{ToDo, "delete the exchanges, and the queues of topics, servers and notifications, as in the step before the start: they are durable now, and refuse the old services", ""},
		{ToDo, "start the services", ""},
	}
	return p.plan
}

// Fresh plans the move to a new virtual host. An empty name means one that is derived from the old one's.
func Fresh(k Known, name string) *Plan {
	if name == "" {
		name = strings.TrimPrefix(k.View.Vhost, "/") + "-quorum"
		name = strings.TrimPrefix(name, "-")
	}
	p := &planner{k, start(k, name)}
	p.broker()
	p.vhost(name)
	p.options(name)
	p.save()
	p.stop("services on the old virtual host do not hear those on the new one: all that call one another move together")
	p.restart()
	p.retire()
	p.plan.Rollback = []Item{
		{ToDo, "take transport_url back to " + strconv.Quote(k.View.Vhost) + " and the options too, in all files; the old virtual host is as it was", ""},
		{ToDo, "restart the services", ""},
		{ToDo, "delete the new virtual host", "rabbitmqctl delete_vhost " + quote(name)},
	}
	return p.plan
}

// moved says whether all that services share is of the new kind.
func (p *planner) moved() bool {
	some := false
	for i := range p.View.Queues {
		q := &p.View.Queues[i]
		if q.Kind == operator.KindOther || !q.Shared() {
			continue
		}
		if !isQuorum(q) {
			return false
		}
		some = true
	}
	return some && !slices.ContainsFunc(p.exchanges(), func(x management.Exchange) bool { return !x.Durable })
}

// rest is what there is to say when all have moved.
func (p *planner) rest() {
	s := Step{Title: "what services share", Why: "its queues and exchanges are as services with rabbit_quorum_queue ask for them"}
	classic := 0
	for i := range p.View.Queues {
		q := &p.View.Queues[i]
		if q.Kind != operator.KindOther && q.Shared() {
			s.Items = append(s.Items, Item{Done, "queue " + q.Name + " is " + q.Declared.Type, ""})
		} else if !q.Shared() && !isQuorum(q) {
			classic++
		}
	}
	for _, x := range p.exchanges() {
		s.Items = append(s.Items, Item{Done, "exchange " + x.Name + " is durable", ""})
	}
	p.step(s)
	if classic > 0 {
		p.step(Step{
			Title: "what is each process's own", Why: "queues for replies and fanouts; RabbitMQ 4.3 takes no transient ones, and these options (oslo.messaging 14.7) have others made. The exchange of a topic's fanouts becomes durable with them, so all who serve a topic, or " +
				"call it, change together",
			Items: []Item{{ToDo, fmt.Sprintf("%d queues for replies and fanouts are classic", classic), "[oslo_messaging_rabbit]\nrabbit_transient_quorum_queue = true\nuse_queue_manager = true"}},
		})
	}
}

// exchanges are those that lead to queues of topics, servers and notifications.
func (p *planner) exchanges() []management.Exchange {
	used := make(map[string]bool)
	for _, q := range p.View.Queues {
		if q.Kind != operator.KindOther && q.Exchange != "" {
			used[q.Exchange] = true
		}
	}
	var all []management.Exchange
	for _, x := range p.View.Exchanges {
		if used[x.Name] && x.Type == "topic" {
			all = append(all, x)
		}
	}
	return all
}

func start(k Known, target string) *Plan {
	return &Plan{At: k.View.At, Vhost: k.View.Vhost, Target: target, Steps: []Step{}, Unseen: append([]string{}, k.View.Unseen...)}
}

func (p *planner) step(s Step) {
	if len(s.Items) > 0 {
		p.plan.Steps = append(p.plan.Steps, s)
	}
}

// broker makes sure that it can hold quorum queues, and hold on to them.
func (p *planner) broker() {
	b := p.View.Broker
	s := Step{Title: "the broker", Why: "quorum queues are kept by a majority of the nodes, and are no safer than that"}
	major, rest, _ := strings.Cut(b.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	m, _ := strconv.Atoi(major)
	n, _ := strconv.Atoi(minor)
	switch {
	case m > 3 || m == 3 && n >= 8:
		s.Items = append(s.Items, Item{Done, "RabbitMQ " + b.Version + " has quorum queues", ""})
	case m > 0:
		s.Items = append(s.Items, Item{Blocked, "RabbitMQ " + b.Version + " has no quorum queues, which came with 3.8: upgrade it first", ""})
	}
	var down []string
	for _, node := range b.Nodes {
		switch {
		case !node.Running:
			down = append(down, node.Name+" is down")
		case node.MemoryAlarm || node.DiskAlarm:
			down = append(down, node.Name+" has an alarm")
		}
	}
	switch {
	case len(b.Nodes) == 0:
		p.plan.Unseen = append(p.plan.Unseen, "how many nodes the broker has, and whether they are well")
	case len(down) > 0:
		s.Items = append(s.Items, Item{Blocked, "not all nodes are well: " + strings.Join(down, ", "), "goslo doctor --only alarms"})
	case len(b.Nodes) == 2:
		s.Items = append(s.Items, Item{ToDo, "of two nodes both are needed for a majority: add a third, or go back to one", ""})
	case len(b.Nodes) == 1:
		s.Items = append(s.Items, Item{Done, "one node, which is well: quorum queues survive its restart, not its loss", ""})
	default:
		s.Items = append(s.Items, Item{Done, fmt.Sprintf("%d nodes, all well", len(b.Nodes)), ""})
	}
	p.step(s)
}

// policies are those that only classic queues follow.
func (p *planner) policies() {
	s := Step{Title: "policies", Why: "quorum queues are not mirrored, and a policy that says so is of no use any more; with RabbitMQ 4 it is of none already"}
	for _, policy := range p.Policies {
		if _, mirrors := policy.Definition["ha-mode"]; mirrors {
			s.Items = append(s.Items, Item{ToDo, "policy " + policy.Name + " mirrors classic queues: clear it after the move", "rabbitmqctl clear_policy -p " + quote(p.View.Vhost) + " " + quote(policy.Name)})
		}
	}
	p.step(s)
}

// vhost is the fresh one, with everybody's rights.
func (p *planner) vhost(name string) {
	s := Step{Title: "the new virtual host", Why: "nothing is there yet, so nothing differs from what services will ask for; the old one stays as it is, to go back to"}
	state := ToDo
	if slices.Contains(p.Vhosts, name) {
		state = Done
	}
	s.Items = append(s.Items, Item{state, "virtual host " + strconv.Quote(name), "rabbitmqctl add_vhost " + quote(name)})
	users := make(map[string]bool)
	for _, c := range p.View.Connections {
		if c.User != "" {
			users[c.User] = true
		}
	}
	for _, user := range slices.Sorted(maps.Keys(users)) {
		s.Items = append(s.Items, Item{
			ToDo, "user " + user + " with the rights that it has on the old one (rabbitmqctl list_permissions -p " + quote(p.View.Vhost) + ")",
			"rabbitmqctl set_permissions -p " + quote(name) + " " + quote(user) + ` ".*" ".*" ".*"`,
		})
	}
	p.step(s)
}

// options are what services are to be configured with; vhost is the new one, or "".
func (p *planner) options(vhost string) {
	lines := "[oslo_messaging_rabbit]\nrabbit_quorum_queue = true\nrabbit_transient_quorum_queue = true\nuse_queue_manager = true"
	if vhost != "" {
		lines = "[DEFAULT]\ntransport_url = rabbit://.../" + vhost + "\n" + lines
	}
	s := Step{
		Title: "options",
		Why: "rabbit_quorum_queue (oslo.messaging 12.13) is for the queues of topics, servers and notifications, and makes their exchanges durable; the other two (14.7) are for " +
			"replies and fanouts, which RabbitMQ 4.3 does not take otherwise, and go together, or each start leaves names that the broker keeps for good. rabbit_ha_queues must not be set. " +
			"Services read them when they start: one that starts too early fails with 406",
	}
	for _, program := range p.programs() {
		state := ToDo
		if program.moved && vhost == "" {
			state = Done
		}
		s.Items = append(s.Items, Item{state, "options of " + program.String(), lines})
	}
	p.step(s)
}

// save is about what is in queues that will go.
func (p *planner) save() {
	s := Step{Title: "what waits", Why: "messages in queues that are deleted, or left behind, are lost"}
	for i := range p.View.Queues {
		q := &p.View.Queues[i]
		if q.Ready <= 0 || isQuorum(q) || !q.Shared() {
			continue
		}
		item := Item{ToDo, fmt.Sprintf("%s messages in %s: have them read, or keep them in a file", q.Ready, q.Name), "goslo drain-queue " + quote(q.Name) + " --to " + quote(q.Name+".messages")}
		if q.Kind != operator.KindNotification {
			item.Text = fmt.Sprintf("%s requests in %s: start its server to run them, or let them go", q.Ready, q.Name)
			item.Command = ""
		}
		s.Items = append(s.Items, item)
	}
	p.step(s)
}

func (p *planner) stop(why string) {
	s := Step{Title: "stop", Why: why, Down: true}
	for _, program := range p.programs() {
		s.Items = append(s.Items, Item{ToDo, program.String(), program.systemctl("stop")})
	}
	if !p.View.Everybody {
		s.Items = append(s.Items, Item{ToDo, "who is connected as another user cannot be seen without the tag monitoring: find out, and stop them", listConnections})
	} else if len(s.Items) == 0 {
		s.Items = append(s.Items, Item{Done, "nobody is connected", ""})
	}
	p.step(s)
}

func (p *planner) stopCommands() string {
	all := p.programs()
	lines := make([]string, 0, len(all))
	for _, program := range all {
		if c := program.systemctl("stop"); c != "" {
			lines = append(lines, c)
		}
	}
	return strings.Join(lines, "\n")
}

// remove deletes what cannot stay: queues that are classic, and exchanges that are transient.
func (p *planner) remove() {
	s := Step{Title: "delete", Why: "what is there is declared otherwise than the services will ask for", Down: true}
	own := 0
	for i := range p.View.Queues {
		q := &p.View.Queues[i]
		switch {
		case q.Kind == operator.KindOther:
		case !q.Shared():
			own++
		case isQuorum(q):
			s.Items = append(s.Items, Item{Done, "queue " + q.Name + " is " + q.Declared.Type, ""})
		default:
			s.Items = append(s.Items, Item{ToDo, fmt.Sprintf("queue %s, %s classic, with %s messages", q.Name, durability(q.Declared.Durable), q.Messages()), "rabbitmqctl delete_queue -p " + quote(p.View.Vhost) + " --if-unused " + quote(q.Name)})
		}
	}
	if own > 0 {
		s.Items = append(s.Items, Item{ToDo, fmt.Sprintf("%d queues of processes for replies and fanouts, which nobody reads once they are stopped", own), "goslo orphans --delete --with-messages --yes"})
	}
	for _, x := range p.exchanges() {
		if x.Durable {
			s.Items = append(s.Items, Item{Done, "exchange " + x.Name + " is durable", ""})
		} else {
			s.Items = append(s.Items, Item{ToDo, "exchange " + x.Name + ", transient", p.deleteExchange(x.Name)})
		}
	}
	p.step(s)
}

// deleteExchange is a request to the management API: rabbitmqctl cannot.
func (p *planner) deleteExchange(name string) string {
	api := p.Management
	if api == "" {
		api = "http://BROKER:15672"
	}
	return "curl -u USER -X DELETE " + quote(api+"/api/exchanges/"+url.PathEscape(p.View.Vhost)+"/"+url.PathEscape(name)+"?if-unused=true")
}

// restart begins with those that others call.
func (p *planner) restart() {
	s := Step{Title: "start, and see", Why: "the first service of each exchange makes it; start those that others wait for first, such as conductors and schedulers"}
	for _, program := range p.programs() {
		s.Items = append(s.Items, Item{ToDo, program.String(), program.systemctl("start")})
	}
	for _, t := range p.View.Topics {
		s.Items = append(s.Items, Item{ToDo, "all servers of " + t.Name + " answer", "goslo ping " + quote(t.Name) + " --all"})
	}
	s.Items = append(s.Items, Item{ToDo, "nothing is left of the old kind", "goslo doctor --only types,transient,settings; goslo plan quorum"})
	p.step(s)
}

const listConnections = "rabbitmqctl list_connections vhost user client_properties"

// retire ends the old virtual host.
func (p *planner) retire() {
	s := Step{Title: "the old virtual host", Why: "as long as it is there you can go back; a service that was forgotten shows by being connected to it"}
	if !p.View.Everybody {
		s.Items = append(s.Items, Item{ToDo, "nobody is connected to it any more, which cannot be seen without the tag monitoring", listConnections})
	} else if n := len(p.View.Connections); n > 0 {
		s.Items = append(s.Items, Item{ToDo, fmt.Sprintf("nobody is connected to it any more; %d connections are now", n), "goslo ls"})
	} else {
		s.Items = append(s.Items, Item{Done, "nobody is connected to it", ""})
	}
	s.Items = append(s.Items, Item{ToDo, "delete it, some days later", "rabbitmqctl delete_vhost " + quote(p.View.Vhost)})
	p.step(s)
}

func isQuorum(q *operator.Queue) bool {
	return q.Declared.Type == "quorum" || q.Declared.Type == "stream"
}

func durability(durable bool) string {
	if durable {
		return "durable"
	}
	return "transient"
}

// quote makes a text one word of a shell.
func quote(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
