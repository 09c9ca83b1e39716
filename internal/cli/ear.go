package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/tap"
)

// listenTo is what the commands have in common that listen in on a bus.
type listenTo struct {
	lookAt
	firehose seconds // 0 = off
	limit    seconds // 0 = none
}

func (l *listenTo) add(c *cobra.Command) {
	l.lookAt.add(c)
	c.Flags().Var(&l.firehose, "firehose", "switch the broker's firehose on for so long, as 60s: it shows replies, durations and failures, and costs throughput; it wants an administrator")
	c.Flags().Var(&l.limit, "for", "how long to listen")
}

const tapHelp = `It listens by a queue of its own, exclusive, so that it goes with this program however that ends, and bounded: beyond 10,000
messages or 64 MiB the oldest go, and how many is told. The queue is bound with keys of queues that exist and with no others, so
that a call to a server that is not there still fails at once, as Go clients' do. Where a queue goes meanwhile, its key is unbound
within a second; what came in between to the tap alone is told. Without the management API, a name with * in it is bound as it is,
and what such a call waits for then is its timeout.

--firehose D takes the broker's own copies instead (amq.rabbitmq.trace), replies and deliveries included. A second process switches
it off after D, when this one ends, and when it is killed. What was on before is left on.`

// An ear listens in on a bus.
type ear struct {
	app    *app
	tap    *tap.Tap
	api    *management.Client // nil = there is none
	people *tap.Directory
	split  func(key string) (topic, server string)
	traced bool     // by the firehose
	unseen []string // what is not seen, and why

	asked time.Time // whether the firehose is still on
}

// tapInto opens an ear for topics, and closes it when the work is done, or what the flags say is over. The context's end is no error then.
func (a *app) tapInto(ctx context.Context, l listenTo, topics []string, do func(context.Context, *ear) error) error {
	return a.look(ctx, l.lookAt, func(ctx context.Context, bus *operator.Bus) error {
		e := &ear{app: a, traced: l.firehose > 0}
		var blind error
		if e.api, blind = bus.Management(ctx); blind != nil {
			e.api = nil
		}
		routes, err := e.routes(ctx, topics, blind)
		if err != nil {
			return err
		}
		e.people = tap.NewDirectory(e.api)
		if err := e.people.Load(ctx); err != nil {
			e.unseen = append(e.unseen, "who sends: "+err.Error())
		}
		told := a.whenSlow("binding the tap, key by key")
		e.tap, err = tap.Open(ctx, tap.Config{Dial: bus.AMQP, Routes: routes, Notice: func(n tap.Notice) { a.note(n.Text) }})
		told()
		if err != nil {
			return ofTheBus(err)
		}
		if e.split == nil {
			e.split = e.tap.Topic
		}
		a.printUnseen(e.unseen)
		if a.json {
			for _, text := range e.unseen {
				a.note("not seen: " + text)
			}
		}
		err = a.listening(ctx, l, e, do)
		lost, exact := e.tap.Lost()
		if lost > 0 {
			least := ""
			if !exact {
				least = "at least "
			}
			a.note(fmt.Sprintf("%s%d messages were more than the tap may hold, and are not shown", least, lost))
		}
		return errors.Join(err, e.tap.Close())
	})
}

// ofTheBus marks an error as one that the broker is to blame for.
func ofTheBus(err error) error {
	if err == nil || errors.Is(err, tap.ErrNoRoutes) {
		return err
	}
	return &operator.AccessError{Cause: err}
}

// listening does the work within its time, with the firehose on if that is asked for.
func (a *app) listening(ctx context.Context, l listenTo, e *ear, do func(context.Context, *ear) error) (err error) {
	if e.traced {
		firehose, err := a.switchOn(ctx, l, e.api)
		if err != nil {
			return err
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
			defer cancel()
			off := firehose.Close(ctx)
			err = errors.Join(err, off)
			if off == nil && !firehose.Before {
				a.note("the firehose is off again")
			}
		}()
	}
	limit := time.Duration(l.limit)
	if f := time.Duration(l.firehose); f > 0 && (limit == 0 || f < limit) {
		limit = f
	}
	within := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	err = do(within, e)
	if within.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// next is the next message; heard is false where there was none for so long.
func (e *ear) next(ctx context.Context, patience time.Duration) (m tap.Message, heard bool, err error) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err = e.tap.Next(within)
	switch {
	case err == nil:
		return m, true, nil
	case ctx.Err() != nil:
		return m, false, ctx.Err()
	case within.Err() != nil:
		return m, false, nil
	}
	return m, false, ofTheBus(err)
}

// askEvery is how often it is asked whether the firehose is on, which others may switch off.
const askEvery = 5 * time.Second

// event is the next of the firehose; one without a message says that there was none for so long.
func (e *ear) event(ctx context.Context, patience time.Duration) (tap.Event, error) {
	if now := time.Now(); now.Sub(e.asked) >= askEvery {
		e.asked = now
		vhost, err := e.api.DescribeVhost(ctx)
		if err == nil && !vhost.Tracing {
			return tap.Event{}, &operator.AccessError{Cause: errors.New("the firehose was switched off by somebody else, or its node was restarted")}
		}
	}
	for {
		m, heard, err := e.next(ctx, patience)
		if !heard {
			return tap.Event{}, err
		}
		if event, ok := tap.EventOf(m); ok {
			return event, nil
		}
	}
}

// routes finds out what to listen to.
func (e *ear) routes(ctx context.Context, topics []string, blind error) (tap.Finder, error) {
	switch {
	case e.traced && e.api == nil:
		return nil, &operator.AccessError{Cause: fmt.Errorf("the firehose is switched by the management API: %w", blind)}
	case e.traced:
		var err error
		if e.split, err = tap.Topics(ctx, e.api); err != nil {
			return nil, err
		}
		if nodes, err := e.api.Nodes(ctx); err == nil && len(nodes) > 1 {
			e.unseen = append(e.unseen, fmt.Sprintf("messages of connections to other nodes than that of %s: each of the %d nodes has a firehose of its own", e.api.URL(), len(nodes)))
		}
		return tap.Traced, nil
	case e.api != nil:
		return tap.Listed(e.api, topics), nil
	case len(topics) == 0:
		return nil, &operator.AccessError{Blind: true, Cause: fmt.Errorf("name the topics to listen to, such as compute or compute.cmp-1 (%w)", blind)}
	}
	e.unseen = append(e.unseen, fmt.Sprintf("requests to single servers of a topic, unless they are named (compute.cmp-1), and who sends: %v", blind))
	for _, t := range topics {
		if strings.ContainsAny(t, "*#") {
			e.app.note(fmt.Sprintf("until this ends, calls with keys like %s to servers that are not there time out, where senders that ask for their return (Goslo's, "+
				"and oslo.messaging's with at_least_once) would fail at once", t))
		}
	}
	exchange := e.app.bus.exchange
	if exchange == "" {
		exchange = "openstack"
	}
	return tap.Named(exchange, topics), nil
}

// note says something about the listening on standard error.
func (a *app) note(text string) {
	if a.json {
		if line, err := json.Marshal(map[string]string{"note": text}); err == nil {
			fmt.Fprintf(a.Err, "%s\n", line)
		}
		return
	}
	fmt.Fprintln(a.Err, "goslo: "+plain(text))
}

// A guarded firehose is what the process that switches it has to know. It may hold secrets, and is written to its standard input.
type guarded struct {
	URL         string   `json:"url"`
	ConfigFiles []string `json:"config_files"`
	Management  string   `json:"management"`
	For         seconds  `json:"for"`
}

// switchOn switches the firehose on, by a process of its own.
func (a *app) switchOn(ctx context.Context, l listenTo, api *management.Client) (*tap.Firehose, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start the one that switches the firehose off: %w", err)
	}
	place := l.management
	if place == "" {
		place = api.URL() // a cluster's nodes each have a firehose
	}
	first, err := json.Marshal(guarded{URL: a.bus.url, ConfigFiles: a.configFiles, Management: place, For: l.firehose})
	if err != nil {
		return nil, err
	}
	guard := exec.CommandContext(context.WithoutCancel(ctx), program, guardCommand) //nolint:gosec // it is this program
	f, err := tap.Switch(ctx, api, guard, append(first, '\n'))
	if err != nil {
		return nil, err
	}
	if f.Before {
		a.note("the firehose was on before, and is left on")
	} else {
		a.note(fmt.Sprintf("the firehose is on, for %s at most", l.firehose.String()))
	}
	return f, nil
}

const guardCommand = "firehose-guard"

// guardFirehose is the process that switches the firehose on, and off again whatever becomes of the one that started it.
func (a *app) guardFirehose() *cobra.Command {
	return &cobra.Command{
		Use:    guardCommand,
		Short:  "Switch the firehose off when the program that started this one is gone",
		Hidden: true,
		Args:   arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var g guarded
			if err := json.NewDecoder(a.In).Decode(&g); err != nil {
				return usagef("it is started by goslo itself: %w", err)
			}
			a.url, a.configFiles = g.URL, g.ConfigFiles
			return a.look(c.Context(), lookAt{management: g.Management}, func(ctx context.Context, bus *operator.Bus) error {
				api, err := bus.Management(ctx)
				if err != nil {
					return err
				}
				return tap.Guard(ctx, api, time.Duration(g.For), a.In, a.Out)
			})
		},
	}
}
