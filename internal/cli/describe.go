package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/operator"
)

func (a *app) describe() *cobra.Command {
	var flags seenFlags
	c := &cobra.Command{
		Use:   "describe TOPIC",
		Short: "Say all about a topic: queues, types, guarantees",
		Long: `Say all about a topic on RabbitMQ that can be seen from outside: each of its queues with type and durability, when it
expires, who consumes from it and how (acknowledging or not, how many messages at a time), and what that promises: whether a
request can be lost, or run twice, and what survives a restart of the broker.

` + seenHelp + `

` + managementHelp,
		Example: `  goslo describe compute -c /etc/nova/nova.conf
  goslo describe compute --methods 30s
  goslo describe cinder-volume --json | jq '.guarantees'`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, names []string) error {
			s, err := a.listenFor(c.Context(), flags, names)
			if err != nil {
				return err
			}
			return a.looking(c.Context(), flags.lsFlags, names, func(v *operator.View) error { return a.printDescription(v, names[0], s) })
		},
	}
	flags.add(c)
	c.ValidArgsFunction = a.completeNames(&flags.lookAt, topicNames, false)
	return c
}

// A description is what describe prints as JSON.
type description struct {
	At         time.Time            `json:"at"`
	Vhost      string               `json:"vhost"`
	Topic      string               `json:"topic"`
	Exchange   exchange             `json:"exchange"`
	Queues     []*operator.Queue    `json:"queues"`
	Guarantees []operator.Guarantee `json:"guarantees"`
	Methods    []seenMethod         `json:"methods,omitempty"`
	Unseen     []string             `json:"unseen"`
}

// An exchange is where requests to a topic are sent.
type exchange struct {
	Name    string `json:"name,omitempty"`
	Type    string `json:"type,omitempty"`
	Durable *bool  `json:"durable"` // null = not known
}

func (a *app) printDescription(v *operator.View, name string, s seen) error {
	t := v.Topic(name)
	if t == nil {
		return v.NoQueue("topic", name)
	}
	d := description{
		At: v.At, Vhost: v.Vhost, Topic: name, Exchange: exchange{Name: t.Exchange}, Queues: t.Queues(),
		Guarantees: v.Guarantees(t), Methods: s.methods, Unseen: append([]string{}, v.Unseen...),
	}
	for _, x := range v.Exchanges {
		if v.Full && x.Name == t.Exchange {
			d.Exchange.Type, d.Exchange.Durable = x.Type, &x.Durable
		}
	}
	if a.json {
		d.Unseen = append(d.Unseen, s.unseen...)
		return a.printLine(d)
	}
	_, err := fmt.Fprint(a.Out, d.text(v, a.screen()), "\n", cmp.Or(s.text(a.screen()), "versions: the broker does not know them; --methods 30s listens for what is asked for\n"))
	return err
}

func (d *description) text(v *operator.View, s screen) string {
	var b strings.Builder
	fmt.Fprintf(&b, "topic %s", plain(d.Topic))
	if d.Exchange.Durable != nil {
		fmt.Fprintf(&b, ", exchange %s (%s, %s)", plain(d.Exchange.Name), d.Exchange.Type, lasting(*d.Exchange.Durable))
	}
	b.WriteString("\n\n")
	const about = 10
	for _, g := range d.Guarantees {
		fmt.Fprintf(&b, "%-*s%s\n", about, g.About, s.wrap(g.Says, about))
	}
	b.WriteString("\n")
	t := newTable("QUEUE", "KIND", "TYPE", "EXPIRES", "CONSUMERS", "PREFETCH", "READY", "UNACKED")
	for _, q := range d.Queues {
		t.row(short(q), string(q.Kind), declared(q), expires(q), q.Consumers.String(), prefetches(q), q.Ready.String(), q.Unacked.String())
	}
	b.WriteString(t.text(s))
	if owners := owners(d.Queues); len(owners) > 0 {
		b.WriteString("\n")
		for _, o := range owners {
			serves := ""
			if len(o.Serves) > 0 {
				serves = "; serves " + strings.Join(o.Serves, ", ")
			}
			fmt.Fprintf(&b, "owner  %s\n", s.wrap(describeOwner(v, o)+serves, len("owner  ")))
		}
	}
	return b.String()
}

func lasting(durable bool) string {
	if durable {
		return "durable"
	}
	return "transient"
}

// declared is a queue's type and durability; "" = not known.
func declared(q *operator.Queue) string {
	if q.Declared.Type == "" {
		return "?"
	}
	if q.Declared.Type != "classic" {
		return q.Declared.Type
	}
	return "classic, " + lasting(q.Declared.Durable)
}

func expires(q *operator.Queue) string {
	switch {
	case q.Declared.Type == "":
		return "?"
	case q.Declared.Expires == 0:
		return "never"
	}
	return ago(q.Declared.Expires)
}

func prefetches(q *operator.Queue) string {
	words := make([]string, 0, len(q.Readers))
	for _, r := range q.Readers {
		word := strconv.Itoa(r.Prefetch)
		if r.Prefetch == 0 {
			word = "no bound"
		}
		words = append(words, word)
	}
	return same(words)
}

// owners are the connections that consume from queues, each once.
func owners(queues []*operator.Queue) []operator.Owner {
	var all []operator.Owner
	known := make(map[string]bool)
	for _, q := range queues {
		for _, r := range q.Readers {
			if !known[r.Owner.Connection] {
				known[r.Owner.Connection] = true
				all = append(all, r.Owner)
			}
		}
	}
	return all
}

// same is what all words are; "" = there are none.
func same(words []string) string {
	for _, w := range words {
		if w != words[0] {
			return "mixed"
		}
	}
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// describeOwner is all that is known of a process.
func describeOwner(v *operator.View, o operator.Owner) string {
	parts := []string{o.String()}
	if !o.Connected.IsZero() {
		parts = append(parts, fmt.Sprintf("connected %s ago (%s)", sinceAt(v, o.Connected), o.Connected.Local().Format(time.DateTime)))
	}
	for _, p := range []struct{ what, value string }{{"user ", o.User}, {"", o.Client}, {"", o.State}} {
		if p.value != "" {
			parts = append(parts, p.what+p.value)
		}
	}
	return strings.Join(parts, ", ")
}
