package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/goslo/goslo/internal/operator"
)

const orphansHelp = `List the queues on RabbitMQ that nobody will ever read: those of processes that are gone, for replies and fanouts, which another
process never uses. They hold memory, and fanouts go on filling them, until they expire (30 minutes, as oslo.messaging declares
them) or for ever where they do not.

IDLE is for how long nothing has come or gone. OWNER is known where oslo.messaging's queue manager names queues. With --servers the
queues of servers that are gone are listed too: what is cast to such a server waits there, and runs when it returns, so these are
orphans only if it will not.

With --delete they are deleted: after a question, or at once with --yes; without a terminal to ask on and without --yes
nothing is deleted. What the broker finds at that moment counts, not what was listed: a queue that has a consumer again stays,
and so does, without --with-messages, one that holds messages. A live process whose queue was deleted in the moment in which it
connects again makes another; --older 1m leaves it the time.

The exit code is 6 when orphans were found and not deleted.

` + managementHelp + ` Without the API there are no lists.`

// orphanFlags are those of orphans.
type orphanFlags struct {
	lsFlags
	older        seconds
	servers      bool
	delete, yes  bool
	withMessages bool
}

func (a *app) orphans() *cobra.Command {
	var flags orphanFlags
	c := &cobra.Command{
		Use:   "orphans",
		Short: "List queues that nobody will ever read, and delete them",
		Long:  orphansHelp,
		Example: `  goslo orphans -c /etc/nova/nova.conf
  goslo orphans --older 1h --delete
  goslo orphans --servers --json | jq -r '.orphans[] | select(.keeps) | .queue.name'
  goslo orphans --older 10m --delete --with-messages --yes`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if flags.delete {
				return a.deleteOrphans(c.Context(), &flags)
			}
			return a.looking(c.Context(), flags.lsFlags, nil, func(v *operator.View) error {
				a.printUnseen(unjudged(v))
				found := v.Orphans(time.Duration(flags.older), flags.servers)
				if err := a.printOrphans(v, found, nil); err != nil || len(found) == 0 {
					return err
				}
				return errFound
			})
		},
	}
	flags.add(c)
	c.Flags().Var(&flags.older, "older", "only those that have been idle for so long")
	c.Flags().Lookup("older").DefValue = ""
	c.Flags().BoolVar(&flags.servers, "servers", false, "queues of servers that are gone, too")
	c.Flags().BoolVar(&flags.delete, "delete", false, "delete them, after a question")
	c.Flags().BoolVar(&flags.yes, "yes", false, "with --delete, do not ask")
	c.Flags().BoolVar(&flags.withMessages, "with-messages", false, "with --delete, those that hold messages too")
	return c
}

func (f *orphanFlags) check() error {
	switch {
	case f.delete && f.watch != 0:
		return usagef("--watch looks again and again, and --delete deletes once")
	case f.yes && !f.delete:
		return usagef("--yes has a meaning with --delete only")
	case f.withMessages && !f.delete:
		return usagef("--with-messages has a meaning with --delete only")
	}
	return nil
}

// An abandoned is what orphans prints as JSON.
type abandoned struct {
	At      time.Time                `json:"at"`
	Vhost   string                   `json:"vhost"`
	Orphans []operator.Orphan        `json:"orphans"`
	Deleted map[string]operator.Fate `json:"deleted,omitempty"` // what became of each, by name; missing = nothing was to be deleted
	Unseen  []string                 `json:"unseen"`
}

func (a *app) printOrphans(v *operator.View, found []operator.Orphan, fates map[string]operator.Fate) error {
	if a.json {
		if found == nil {
			found = []operator.Orphan{}
		}
		return a.printLine(abandoned{At: v.At, Vhost: v.Vhost, Orphans: found, Deleted: fates, Unseen: append(append([]string{}, v.Unseen...), unjudged(v)...)})
	}
	if len(found) == 0 {
		_, err := fmt.Fprintf(a.Out, "no orphans in virtual host %s\n", plain(v.Vhost))
		return err
	}
	t := newTable("QUEUE", "KIND", "MESSAGES", "SIZE", "IDLE", "EXPIRES", "OWNER")
	messages, bytes := operator.Count(0), operator.Count(0)
	for _, o := range found {
		q := o.Queue
		owner := o.Owner
		if owner == "" {
			owner = "?"
		}
		t.row(short(q), string(q.Kind), q.Messages().String(), size(q.Bytes), ago(o.Idle), expires(q), owner)
		messages += max(q.Messages(), 0)
		bytes += max(q.Bytes, 0)
	}
	_, err := fmt.Fprintf(a.Out, "%s%s, %s, %s\n", t.text(a.screen()), amount(len(found), "orphan"), amount(int(messages), "message"), size(bytes))
	return err
}

// unjudged says of how many queues it is not known whether they are orphans.
func unjudged(v *operator.View) []string {
	n := v.Unjudged()
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("whether anybody consumes from %s: the broker has no statistics of them, or none yet; look again in some seconds", amount(n, "queue"))}
}

func (a *app) deleteOrphans(ctx context.Context, flags *orphanFlags) error {
	return a.look(ctx, flags.lookAt, func(ctx context.Context, bus *operator.Bus) error {
		v, err := bus.View(ctx)
		if err != nil {
			return err
		}
		a.printUnseen(append(v.Unseen, unjudged(v)...))
		found := v.Orphans(time.Duration(flags.older), flags.servers)
		if len(found) == 0 {
			return a.printOrphans(v, found, nil)
		}
		if !a.json {
			if err := a.printOrphans(v, found, nil); err != nil {
				return err
			}
		}
		ok, err := a.agreed(ctx, flags.yes, "delete "+amount(len(found), "queue"))
		if err != nil {
			return err
		}
		if !ok {
			if a.json {
				if err := a.printOrphans(v, found, nil); err != nil {
					return err
				}
			}
			return errFound
		}
		return a.delete(ctx, bus, v, found, flags.withMessages)
	})
}

// delete deletes orphans, and says of each what became of it.
func (a *app) delete(ctx context.Context, bus *operator.Bus, v *operator.View, found []operator.Orphan, withMessages bool) error {
	queues := make([]*operator.Queue, len(found))
	for i, o := range found {
		queues[i] = o.Queue
	}
	fates := make(map[string]operator.Fate)
	err := bus.Delete(ctx, queues, withMessages, func(q *operator.Queue, f operator.Fate) error {
		fates[q.Name] = f
		if a.json {
			return nil
		}
		advice := ""
		if f == operator.NotEmpty {
			advice = " (see goslo drain-queue; --with-messages deletes it all the same)"
		}
		_, err := fmt.Fprintf(a.Out, "%s: %s%s\n", plain(q.Name), f, advice)
		return err
	})
	if a.json {
		err = errors.Join(a.printOrphans(v, found, fates), err)
	}
	if err != nil {
		return err
	}
	for _, f := range fates {
		if f == operator.NotEmpty {
			return errFound
		}
	}
	return nil
}

// asks is where answers come from; nil = nobody can be asked.
func (a *app) asks() *os.File {
	in, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || a.json {
		return nil
	}
	return in
}

// agreed says whether what cannot be undone is to be done: it was said on the command line, or is said now. Where nobody can be asked it is not.
func (a *app) agreed(ctx context.Context, yes bool, what string) (bool, error) {
	if yes {
		return true, nil
	}
	in := a.asks()
	if in == nil {
		fmt.Fprintf(a.Err, "goslo: nothing was done; to %s, add --yes\n", plain(what))
		return false, nil
	}
	fmt.Fprintf(a.Err, "%s? [y/N] ", plain(what))
	answers := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // the end of the input is no answer
		answers <- line
	}()
	select {
	case answer := <-answers:
		answer = strings.ToLower(strings.TrimSpace(answer))
		return answer == "y" || answer == "yes", nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
