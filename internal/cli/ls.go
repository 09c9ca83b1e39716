package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/operator"
)

const lsHelp = `List the topics on a RabbitMQ virtual host, their servers, and the notifications that wait: how many consumers each queue has,
how many messages wait in it or are held by a consumer, and whose it is: program, process id and address, as the
connection says. A server without an owner has nobody consuming from its queue.

TOPIC names topics, or what topics begin with; all are listed without any.

` + seenHelp + `

` + managementHelp + `
Without the API only what is named can be listed: TOPIC, TOPIC.SERVER and queues, with counts and without owners.`

// lsFlags are those of commands that show what there is, once or again and again.
type lsFlags struct {
	lookAt
	watch seconds
}

func (f *lsFlags) add(c *cobra.Command) {
	f.lookAt.add(c)
	c.Flags().Var(&f.watch, "watch", "look again so often, until it is interrupted")
	c.Flags().Lookup("watch").DefValue = ""
}

func (a *app) ls() *cobra.Command {
	var flags seenFlags
	c := &cobra.Command{
		Use:   "ls [TOPIC...]",
		Short: "List topics, servers, and whose they are",
		Long:  lsHelp,
		Example: `  goslo ls -c /etc/nova/nova.conf
  goslo ls compute conductor --url rabbit://openstack:secret@ctl-1:5672/nova --watch 5s
  goslo ls --json | jq '.topics[].servers[] | select(.queue.consumers == 0) | .queue.name'
  goslo ls conductor --methods 30s
  goslo ls compute compute.cmp-1 --management off`,
		RunE: func(c *cobra.Command, names []string) error {
			s, err := a.listenFor(c.Context(), flags, names)
			if err != nil {
				return err
			}
			return a.looking(c.Context(), flags.lsFlags, names, func(v *operator.View) error { return a.printList(v, names, s) })
		},
	}
	flags.add(c)
	c.ValidArgsFunction = a.completeNames(&flags.lookAt, topicNames, true)
	return c
}

// looking makes a view and shows it, once or again and again.
func (a *app) looking(ctx context.Context, flags lsFlags, names []string, show func(*operator.View) error) error {
	return a.look(ctx, flags.lookAt, func(ctx context.Context, bus *operator.Bus) error {
		return a.watching(ctx, time.Duration(flags.watch), func(ctx context.Context) error {
			done := a.whenSlow("asking the broker")
			v, err := bus.View(ctx, names...)
			done()
			if err != nil {
				return err
			}
			if flags.watch != 0 && !a.json {
				if a.terminal() != nil {
					fmt.Fprint(a.Out, clear)
				}
				fmt.Fprintln(a.Out, v.At.Local().Format(time.DateTime))
			}
			a.printUnseen(v.Unseen)
			return show(v)
		})
	})
}

// A listed is what ls prints as JSON.
type listed struct {
	At            time.Time         `json:"at"`
	Vhost         string            `json:"vhost"`
	Product       string            `json:"product,omitempty"`
	Version       string            `json:"version,omitempty"`
	Topics        []operator.Topic  `json:"topics"`
	Notifications []*operator.Queue `json:"notifications"`
	Replies       int               `json:"replies"` // how many reply queues there are
	Others        []string          `json:"others"`  // queues that are nothing of oslo.messaging's
	Methods       []seenMethod      `json:"methods,omitempty"`
	Unseen        []string          `json:"unseen"`
}

func (a *app) printList(v *operator.View, names []string, s seen) error {
	l, err := list(v, names)
	if err != nil {
		return err
	}
	l.Methods = s.methods
	if a.json {
		l.Unseen = append(l.Unseen, s.unseen...)
		return a.printLine(l)
	}
	_, err = fmt.Fprint(a.Out, l.text(v, a.screen()), s.text(a.screen()))
	return err
}

// list selects what names mean. Of a view of names, what was found is what was meant.
func list(v *operator.View, names []string) (*listed, error) {
	l := &listed{
		At: v.At, Vhost: v.Vhost, Product: v.Broker.Product, Version: v.Broker.Version,
		Topics: []operator.Topic{}, Notifications: []*operator.Queue{}, Others: []string{}, Unseen: append([]string{}, v.Unseen...),
	}
	// A name that is a topic's means that one, and not those that begin with it as well.
	exact := make(map[string]bool)
	for _, name := range names {
		exact[name] = v.Topic(name) != nil
	}
	found := make(map[string]bool)
	meant := func(candidates ...string) bool {
		ok := len(names) == 0
		for _, name := range names {
			for _, c := range candidates {
				if c == name || v.Full && !exact[name] && strings.HasPrefix(c, name) {
					ok, found[name] = true, true
				}
			}
		}
		return ok
	}
	for _, t := range v.Topics {
		candidates := []string{t.Name}
		if !v.Full {
			candidates = append(candidates, topicQueues(t)...)
		}
		if meant(candidates...) {
			l.Topics = append(l.Topics, t)
		}
	}
	for i := range v.Queues {
		switch q := &v.Queues[i]; q.Kind {
		case operator.KindNotification:
			if meant(q.Name, q.Topic) {
				l.Notifications = append(l.Notifications, q)
			}
		case operator.KindReply:
			l.Replies++
			meant(q.Name)
		case operator.KindOther:
			if meant(q.Name) {
				l.Others = append(l.Others, q.Name)
			}
		default:
		}
	}
	for _, name := range names {
		if !found[name] {
			return nil, v.NoQueue("topic or queue", name)
		}
	}
	return l, nil
}

func topicQueues(t operator.Topic) []string {
	queues := t.Queues()
	names := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.Name
	}
	return names
}

func (l *listed) text(v *operator.View, s screen) string {
	var b strings.Builder
	if v.Full {
		servers := 0
		for _, t := range l.Topics {
			servers += len(t.Servers)
		}
		fmt.Fprintf(&b, "%s %s, virtual host %s: %s, %s; in all %s and %s\n", l.Product, l.Version, plain(l.Vhost), amount(len(l.Topics), "topic"), amount(servers, "server"),
			amount(len(v.Queues), "queue"), amount(len(v.Connections), "connection"))
	}
	if len(l.Topics) > 0 {
		t := newTable("TOPIC", "CONSUMERS", "READY", "UNACKED", "OWNER", "CONNECTED")
		for _, topic := range l.Topics {
			queue := &operator.Queue{Consumers: operator.Unknown, Ready: operator.Unknown, Unacked: operator.Unknown}
			if topic.Queue != nil {
				queue = topic.Queue
			}
			t.row(topic.Name, queue.Consumers.String(), queue.Ready.String(), queue.Unacked.String())
			for _, server := range topic.Servers {
				q := server.Queue
				owner, connected := ownerOf(v, q)
				t.row("  "+server.Name, q.Consumers.String(), q.Ready.String(), q.Unacked.String(), owner, connected)
			}
		}
		b.WriteString(t.text(s))
	}
	if len(l.Notifications) > 0 {
		t := newTable("NOTIFICATIONS", "CONSUMERS", "READY", "UNACKED", "OWNER", "CONNECTED")
		for _, q := range l.Notifications {
			owner, connected := ownerOf(v, q)
			t.row(q.Name, q.Consumers.String(), q.Ready.String(), q.Unacked.String(), owner, connected)
		}
		b.WriteString(t.text(s))
	}
	if len(l.Others) > 0 {
		fmt.Fprintf(&b, "not of oslo.messaging: %s\n", plain(strings.Join(l.Others, ", ")))
	}
	return b.String()
}

// ownerOf is who consumes from a queue, and since when.
func ownerOf(v *operator.View, q *operator.Queue) (owner, connected string) {
	switch {
	case len(q.Readers) > 1:
		first := q.Readers[0].Owner
		return fmt.Sprintf("%s and %d more", first, len(q.Readers)-1), sinceAt(v, first.Connected)
	case len(q.Readers) == 1:
		return q.Readers[0].Owner.String(), sinceAt(v, q.Readers[0].Owner.Connected)
	case q.Consumers == 0:
		return "nobody", ""
	}
	return "?", ""
}

// completeNames completes arguments with names from the broker. many says whether there may be several.
func (a *app) completeNames(l *lookAt, names func(*operator.View) []string, many bool) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !many {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
		defer cancel()
		var found []string
		err := a.look(ctx, *l, func(ctx context.Context, bus *operator.Bus) error {
			v, err := bus.View(ctx)
			if err == nil {
				found = names(v)
			}
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completionTimeout is how long somebody who has pressed a key waits for an answer.
const completionTimeout = 3 * time.Second

func topicNames(v *operator.View) []string {
	names := make([]string, 0, len(v.Topics))
	for _, t := range v.Topics {
		names = append(names, t.Name)
	}
	return names
}

func queueNames(v *operator.View) []string {
	names := make([]string, 0, len(v.Queues))
	for _, q := range v.Queues {
		names = append(names, q.Name)
	}
	return names
}
