package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/notify"
)

// listenFlags are the flags of listen.
type listenFlags struct {
	pool       string
	steal      bool
	filters    []string
	priorities []string
	count      int
	period     seconds // 0 = until it is interrupted
}

const listenHelp = `Print the notifications of TOPIC ("notifications", or the topics of --config-file, when left out) as they are told, until Ctrl-C.

Nothing is taken from anybody: the command listens in a pool of its own, which gets a copy of what is told from now on and goes
with the command, also when that is killed. To take part instead:

  --pool NAME  with the others of that pool, each notification goes to one of them; the pool stays, and keeps what is told
  --steal      with the services that listen without a pool: what is printed here, they never get

Of what is taken in these ways --filter has the rest thrown away, as it does for every listener of oslo.messaging; so does
--priority with a pool on RabbitMQ, which has one queue for all of them.

RabbitMQ keeps at most 10,000 notifications or 64 MiB of each topic and priority for the command's own pool: to who reads too
slowly the oldest are lost.

A filter is KEY=REGEXP, or several separated by commas that all must match. KEY is publisher, event_type, context.X, metadata.X or
payload.X, where X is a member; the expression matches from the beginning of the value. Of several --filter one must match.

Passwords, tokens and the like in payloads and contexts are shown as ***. Without --json long payloads are cut.`

func (a *app) listen() *cobra.Command {
	var flags listenFlags
	c := &cobra.Command{
		Use:   "listen [TOPIC...]",
		Short: "Print notifications as they are told",
		Long:  listenHelp,
		Example: `  goslo listen --config-file /etc/nova/nova.conf
  goslo listen versioned_notifications --priority error,critical
  goslo listen --filter 'event_type=compute\.instance\.,payload.state=error' --filter publisher=network
  goslo listen --json --for 10m | jq -r .event_type | sort | uniq -c
  goslo listen --count 1 --for 30s --filter event_type=image.upload   # 4 when none was told in time`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, topics []string) error {
			return a.runListen(c.Context(), &flags, topics)
		},
	}
	c.Flags().StringVar(&flags.pool, "pool", "", "take part in this pool, which stays")
	c.Flags().BoolVar(&flags.steal, "steal", false, "take notifications from those who listen without a pool")
	c.Flags().StringArrayVar(&flags.filters, "filter", nil, "only what matches KEY=REGEXP[,...]; repeatable: one of them")
	c.Flags().StringSliceVar(&flags.priorities, "priority", nil, "only these: "+strings.Join(priorityNames(), ", ")+" (default: all)")
	c.Flags().IntVar(&flags.count, "count", 0, "end after so many (default: go on)")
	c.Flags().Var(&flags.period, "for", "end after so long, as 10m or a number of seconds")
	c.Flags().Lookup("for").DefValue = "until Ctrl-C"
	completeFixed(c, "priority", priorityNames()...)
	return c
}

// errTooFew is the end of a listen that has not heard as many as were asked for.
var errTooFew = errors.New("not all were told in time")

func (a *app) runListen(ctx context.Context, flags *listenFlags, topics []string) error {
	c, handlers, err := a.listener(flags, topics)
	if err != nil {
		return err
	}
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	bus, err := a.openNotifications(opening, "goslo-listen")
	if err != nil {
		return &busError{cause: err}
	}
	defer a.closeAll(ctx, c.Logger, nil, bus)
	hearing, stop := context.WithCancel(ctx)
	if flags.period > 0 {
		hearing, stop = context.WithTimeout(ctx, time.Duration(flags.period))
	}
	defer stop()
	h := &hearer{app: a, count: flags.count, stop: stop, ours: c.Temporary}
	l := notify.NewListener(bus, c, h.handlers(handlers)...)
	if err := l.Listen(opening); err != nil {
		if errors.Is(err, errors.ErrUnsupported) && c.Temporary {
			err = fmt.Errorf("%w; to take notifications from those who listen, use --steal", err)
		}
		return &busError{cause: err}
	}
	if err := a.printListening(c, handlers); err != nil {
		return err
	}
	if err := l.Run(hearing); err != nil {
		return &busError{cause: err}
	}
	a.progress("goslo: heard %d notifications", h.heard)
	switch {
	case h.err != nil:
		return h.err
	case flags.count > 0 && h.heard == flags.count:
		return nil
	case ctx.Err() != nil && (flags.count > 0 || flags.period > 0):
		return fmt.Errorf("after %d notifications: %w", h.heard, ctx.Err())
	case flags.count > 0:
		return fmt.Errorf("%d of %d notifications within %s: %w", h.heard, flags.count, flags.period.String(), errTooFew)
	}
	return nil
}

// A wish is what is listened for.
type wish struct {
	priorities []notify.Priority // none = all
	filters    []notify.Filter   // one of them; none = all
}

// listener reads the command line.
func (a *app) listener(flags *listenFlags, topics []string) (c notify.ListenerConfig, w wish, err error) {
	switch {
	case flags.steal && flags.pool != "":
		return c, w, usagef("--steal listens without a pool, and --pool in one")
	case flags.count < 0:
		return c, w, usagef("--count is %d; at least 1 is needed", flags.count)
	}
	if len(topics) == 0 {
		if topics, err = a.notificationTopics(); err != nil {
			return c, w, err
		}
	}
	for _, topic := range topics {
		if topic == "" {
			return c, w, usagef("a TOPIC must not be empty")
		}
		c.Targets = append(c.Targets, notify.Target{Topic: topic})
	}
	for _, text := range flags.priorities {
		p, err := priority(text)
		if err != nil {
			return c, w, err
		}
		w.priorities = append(w.priorities, p)
	}
	for _, text := range flags.filters {
		f, err := filter(text)
		if err != nil {
			return c, w, err
		}
		w.filters = append(w.filters, f)
	}
	// One worker prints in order, and can stop at a number.
	c.Pool, c.Workers, c.Prefetch = flags.pool, 1, 64
	if !flags.steal && flags.pool == "" {
		id := make([]byte, 4)
		_, _ = rand.Read(id) // it is documented never to fail
		c.Pool, c.Temporary = fmt.Sprintf("goslo-listen-%s-%d-%s", hostname(), os.Getpid(), hex.EncodeToString(id)), true
	}
	c.Logger, err = a.logger()
	return c, w, err
}

// filterKey begins a part of a filter.
var filterKey = regexp.MustCompile(`(?:^|,)(publisher|event_type|(?:context|metadata|payload)\.[^=,]+)=`)

// filter reads KEY=REGEXP[,KEY=REGEXP...]. A comma that no key follows is the expression's.
func filter(text string) (notify.Filter, error) {
	f := notify.Filter{Context: map[string]string{}, Payload: map[string]string{}, Metadata: map[string]string{}}
	parts := filterKey.FindAllStringSubmatchIndex(text, -1)
	if len(parts) == 0 || parts[0][0] != 0 {
		return f, usagef("--filter %q is not KEY=REGEXP with publisher, event_type, context.X, metadata.X or payload.X for KEY", text)
	}
	for i, at := range parts {
		end := len(text)
		if i+1 < len(parts) {
			end = parts[i+1][0]
		}
		key, pattern := text[at[2]:at[3]], text[at[1]:end]
		if _, err := regexp.Compile(pattern); err != nil || pattern == "" {
			return f, usagef("--filter %q: %s: %w", text, key, errOr(err, "the expression is empty"))
		}
		group, member, _ := strings.Cut(key, ".")
		var again bool
		switch group {
		case "publisher":
			again, f.Publisher = f.Publisher != "", pattern
		case "event_type":
			again, f.Type = f.Type != "", pattern
		default:
			members := map[string]map[string]string{"context": f.Context, "metadata": f.Metadata, "payload": f.Payload}[group]
			_, again = members[member]
			members[member] = pattern
		}
		switch {
		case again:
			return f, usagef("--filter %q has %s twice", text, key)
		case group == "metadata" && member != "message_id" && member != "timestamp":
			return f, usagef("--filter %q: there is no %s; there are metadata.message_id and metadata.timestamp", text, key)
		}
	}
	return f, nil
}

func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// printListening says on standard error what is listened to, and in what way.
func (a *app) printListening(c notify.ListenerConfig, w wish) error {
	topics := make([]string, 0, len(c.Targets))
	for _, t := range c.Targets {
		topics = append(topics, t.Topic)
	}
	priorities := "all priorities"
	if len(w.priorities) > 0 {
		names := make([]string, 0, len(w.priorities))
		for _, p := range w.priorities {
			names = append(names, string(p))
		}
		priorities = strings.Join(names, ", ")
	}
	how := "pool " + c.Pool + ", which stays when this ends, and keeps what is told then"
	switch {
	case c.Temporary:
		how = "a pool of its own, " + c.Pool + ", which goes when this ends; nothing is taken from others"
	case c.Pool == "":
		how = "no pool: what is printed here, the services that listen do not get"
	}
	if a.json {
		line := map[string]any{"event": "listening", "topics": topics, "priorities": priorities, "pool": c.Pool, "temporary": c.Temporary, "bus": a.bus.String()}
		return (&app{Streams: Streams{Out: a.Err}}).printLine(line)
	}
	_, err := fmt.Fprintf(a.Err, "listening to %s (%s); Ctrl-C stops\n  bus   %s\n  pool  %s\n", strings.Join(topics, ", "), priorities, a.bus, how)
	return err
}
