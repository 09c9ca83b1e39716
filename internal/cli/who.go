package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/operator"
)

func (a *app) who() *cobra.Command {
	var flags lsFlags
	c := &cobra.Command{
		Use:   "who QUEUE",
		Short: "Say whose a queue is: program, process id, host",
		Long: `Say whose a queue on RabbitMQ is: the program, process id and address of each consumer, since when it is connected, and what
else its process consumes from. QUEUE is a queue's name, as it stands in logs (reply_..., TOPIC_fanout_..., TOPIC.SERVER), or what
such names begin with, else have in them; dots at its end do not count.

The program and process id are what oslo.messaging, in Python as in Go, calls its connections. Clients of other kinds are told by address.

` + managementHelp + `
Without the API QUEUE has to be a whole name, and only the number of consumers is known. Asking over AMQP counts as a use of a queue that
expires, and lets it live on for as long again.`,
		Example: `  goslo who reply_f7b90b5e1c2d4a6f8e9b0c1d2e3f4a5b -c /etc/nova/nova.conf
  goslo who reply_f7b90b5e..
  goslo who compute.cmp-042 --json | jq -r '.queues[].readers[].owner.pid'
  goslo who compute_fanout`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, names []string) error {
			return a.looking(c.Context(), flags, names, func(v *operator.View) error { return a.printOwners(v, names[0]) })
		},
	}
	flags.add(c)
	c.ValidArgsFunction = a.completeNames(&flags.lookAt, queueNames, false)
	return c
}

// Owned is what who prints as JSON.
type owned struct {
	At     time.Time    `json:"at"`
	Vhost  string       `json:"vhost"`
	Queues []ownedQueue `json:"queues"`
	Unseen []string     `json:"unseen"`
}

// An ownedQueue is a queue with its owners.
type ownedQueue struct {
	*operator.Queue

	Also []string `json:"also_consumes"` // other queues that the owners' processes consume from
	Says string   `json:"says"`          // what is to be said of a queue that nobody consumes from, or whose consumers could not be seen
}

func (a *app) printOwners(v *operator.View, text string) error {
	o := owned{At: v.At, Vhost: v.Vhost, Queues: []ownedQueue{}, Unseen: append([]string{}, v.Unseen...)}
	for _, q := range v.Find(text) {
		o.Queues = append(o.Queues, own(v, q))
	}
	if len(o.Queues) == 0 {
		return v.NoQueue("queue", text)
	}
	if a.json {
		return a.printLine(o)
	}
	s := a.screen()
	for i, q := range o.Queues {
		if i > 0 {
			fmt.Fprintln(a.Out)
		}
		if _, err := fmt.Fprint(a.Out, q.text(v, s)); err != nil {
			return err
		}
	}
	return nil
}

func own(v *operator.View, q *operator.Queue) ownedQueue {
	o := ownedQueue{Queue: q, Also: []string{}}
	for _, r := range q.Readers {
		for _, name := range v.ConsumedBy(r.Owner) {
			if name != q.Name && !slices.Contains(o.Also, name) {
				o.Also = append(o.Also, name)
			}
		}
	}
	switch {
	case len(q.Readers) > 0:
	case q.Consumers < 0:
		o.Says = "whether somebody consumes from it is not known yet: the broker has no statistics of it"
	case q.Consumers > 0:
		o.Says = "it has " + amount(int(q.Consumers), "consumer") + ", whose could not be seen"
	default:
		o.Says = unowned(q)
	}
	return o
}

// unowned says what it means that nobody consumes from a queue.
func unowned(q *operator.Queue) string {
	was := ""
	if host, process, ok := q.ManagerName(); ok {
		was = "; by its name it was " + process + "'s on " + host
	}
	switch q.Kind {
	case operator.KindReply, operator.KindFanout:
		if !q.Shared() && q.Declared.Expires > 0 {
			return "nobody consumes from it: its process is gone, or is about to connect again" + was + "; it goes when nobody has used it for " + ago(q.Declared.Expires)
		}
		return "nobody consumes from it: its process is gone, or is about to connect again" + was
	case operator.KindServer:
		return "nobody consumes from it: server " + q.Server + " of topic " + q.Topic + " is down or cut off; what is cast to it waits here"
	case operator.KindTopic:
		return "nobody consumes from it: topic " + q.Topic + " has no server"
	case operator.KindNotification:
		return "nobody consumes from it: what is notified piles up"
	default:
		return "nobody consumes from it"
	}
}

func (o ownedQueue) text(v *operator.View, s screen) string {
	var b strings.Builder
	about := string(o.Kind) + " queue"
	switch {
	case o.Server != "":
		about += " of " + o.Server + ", topic " + o.Topic
	case o.Topic != "":
		about += ", topic " + o.Topic
	}
	if o.Declared.Type != "" {
		about += "; " + declared(o.Queue)
		if o.Declared.Expires > 0 {
			about += ", expires unused after " + ago(o.Declared.Expires)
		}
	}
	about += fmt.Sprintf("; %s ready, %s unacknowledged", o.Ready, o.Unacked)
	fmt.Fprintf(&b, "%s\n  %s\n", plain(o.Name), s.wrap(about, 2))
	for _, r := range o.Readers {
		fmt.Fprintf(&b, "  owner  %s\n", s.wrap(describeOwner(v, r.Owner), 9))
	}
	if len(o.Also) > 0 {
		fmt.Fprintf(&b, "  which also consumes from  %s\n", s.wrap(strings.Join(o.Also, " "), 28))
	}
	if o.Says != "" {
		fmt.Fprintf(&b, "  %s\n", s.wrap(o.Says, 2))
	}
	return b.String()
}
