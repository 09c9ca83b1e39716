package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/mask"
	"github.com/goslo/goslo/internal/operator"
)

// emptyFlags are those of the commands that empty a queue.
type emptyFlags struct {
	lookAt
	yes, inUse bool
}

func (f *emptyFlags) add(c *cobra.Command) {
	f.lookAt.add(c)
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&f.inUse, "in-use", false, "although somebody consumes from the queue")
}

func (a *app) drainQueue() *cobra.Command {
	var (
		flags emptyFlags
		to    string
		count int
	)
	c := &cobra.Command{
		Use:   "drain-queue QUEUE",
		Short: "Take the messages out of a queue, and keep them",
		Long: `Take the messages out of a queue on RabbitMQ, oldest first, and print each as a line of JSON, or write them to a file. A message is
acknowledged, and so gone from the queue, after it was written; what goes wrong loses none, and leaves the rest in the queue.

What is printed has its secrets masked, and can therefore not be put back, and is gone where a pipe's reader ends before it has read all
(| head). --to FILE keeps messages as they were, bodies to the byte; the file is new, and its owner's alone to read. Each line of it has the exchange and routing key, the AMQP properties and headers, and body (JSON), or
body_base64.

First it is said what is in the queue, and whose it is; then it is drained, after a question or with --yes. QUEUE is its whole name, or
the beginning of it with two dots behind. A queue that somebody consumes
from is left alone without --in-use: what is taken is taken from them. Streams cannot be drained.

` + managementHelp + ` Without the API QUEUE has to be a whole name.`,
		Example: `  goslo drain-queue notifications.info --to notifications.jsonl -c /etc/nova/nova.conf
  goslo drain-queue compute.cmp-042 --count 10 --yes | jq .message.method
  goslo drain-queue reply_f7b90b5e..`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("count") && count <= 0 {
				return usagef("--count %d: it is how many messages to take; leave it out for all", count)
			}
			return a.look(c.Context(), flags.lookAt, func(ctx context.Context, bus *operator.Bus) error {
				q, err := a.toEmpty(ctx, bus, args[0], &flags)
				if err != nil {
					return err
				}
				what := "take all messages out of " + q.Name
				if count > 0 {
					what = fmt.Sprintf("take %s out of %s", amount(count, "message"), q.Name)
				}
				if ok, err := a.agreedToEmpty(ctx, flags.yes, what); !ok {
					return err
				}
				return a.drainTo(ctx, bus, q.Name, to, count)
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&to, "to", "", "a new file to write the messages to, as they are (default: print them, secrets masked)")
	c.Flags().IntVar(&count, "count", 0, "take so many at most (default: all that are there as it begins)")
	_ = c.MarkFlagFilename("to", "jsonl") // the flag is there
	c.ValidArgsFunction = a.completeNames(&flags.lookAt, queueNames, false)
	return c
}

// toEmpty finds the queue of a name, or the one whose name was cut short with dots, and says on standard error what is in it and whose it is. A part of a name will not do:
// where the queue has gone that was meant, it is a part of another's.
func (a *app) toEmpty(ctx context.Context, bus *operator.Bus, text string, flags *emptyFlags) (*operator.Queue, error) {
	v, err := bus.View(ctx, text)
	if err != nil {
		return nil, err
	}
	found := []*operator.Queue{v.Queue(text)}
	if begin := strings.TrimRight(text, ".…"); found[0] == nil && begin != text {
		found = slices.DeleteFunc(v.Find(text), func(q *operator.Queue) bool { return !strings.HasPrefix(q.Name, begin) })
	}
	switch {
	case len(found) == 0, found[0] == nil:
		return nil, v.NoQueue("queue", text)
	case len(found) > 1:
		var names []string
		for _, q := range found {
			names = append(names, q.Name)
		}
		return nil, usagef("%q may be any of %d queues: %s; write the name of one", text, len(found), strings.Join(names, " "))
	}
	q := found[0]
	a.printUnseen(v.Unseen)
	fmt.Fprint(a.Err, own(v, q).text(v, a.screen()))
	if q.Consumers > 0 && !flags.inUse {
		return nil, usagef("queue %s has %s; --in-use takes its messages all the same", q.Name, amount(int(q.Consumers), "consumer"))
	}
	return q, nil
}

// agreedToEmpty says whether a queue is to be emptied. That nobody can be asked is an error, as what the command is for was not done.
func (a *app) agreedToEmpty(ctx context.Context, yes bool, what string) (bool, error) {
	if !yes && a.asks() == nil {
		return false, usagef("nothing was done; to %s, add --yes", what)
	}
	return a.agreed(ctx, yes, what)
}

func (a *app) drainTo(ctx context.Context, bus *operator.Bus, queue, to string, count int) error {
	keep := func(m *operator.Message) error { return printDrained(a.Out, m) }
	end := func() error { return nil }
	if to != "" {
		f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return usagef("--to: %w", err)
		}
		// A message is written when the disk has it.
		keep = func(m *operator.Message) error { return errors.Join(writeDrained(f, m), f.Sync()) }
		end = f.Close
	}
	defer a.whenSlow("taking messages out of " + queue)()
	n, err := bus.Drain(ctx, queue, count, keep)
	err = errors.Join(err, end())
	if to != "" || err != nil {
		where := "printed"
		if to != "" {
			where = "written to " + to
		}
		fmt.Fprintf(a.Err, "%s taken out of %s and %s\n", amount(n, "message"), plain(queue), where)
	}
	return err
}

// printDrained prints a message without its secrets: what oslo.messaging has put into it, or its body. A body that is no JSON, which has nothing of
// oslo.messaging's, is printed as it is.
func printDrained(w io.Writer, m *operator.Message) error {
	shown := *m
	var err error
	if shown.Headers, err = maskHeaders(m.Headers); err != nil {
		return err
	}
	name, body := "message", m.Oslo()
	if body == nil && json.Valid(m.Body) {
		name, body = "body", m.Body
	}
	if body == nil {
		return writeDrained(w, &shown)
	}
	masked := mask.JSON(body)
	if string(masked) == mask.Unreadable {
		return errors.New("there is a message whose secrets cannot be told, as it is no JSON: --to FILE keeps it as it is")
	}
	line, err := shown.LineWith(name, oneLine(masked))
	return write(w, line, err)
}

func maskHeaders(headers map[string]any) (map[string]any, error) {
	text, err := json.Marshal(headers)
	if err != nil {
		return nil, err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(mask.JSON(text), &raw); err != nil {
		return nil, err
	}
	masked := make(map[string]any, len(raw))
	for name, value := range raw {
		masked[name] = value
	}
	return masked, nil
}

func writeDrained(w io.Writer, m *operator.Message) error {
	line, err := m.Line()
	return write(w, line, err)
}

func write(w io.Writer, line []byte, err error) error {
	if err == nil {
		_, err = w.Write(line)
	}
	return err
}
