package cli

import (
	"context"
	"errors"
	"path"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/tap"
)

// tailFlags choose what is shown.
type tailFlags struct {
	listenTo
	methods []string
	grep    string
	slow    seconds
	count   int
	args    bool
}

func (a *app) tail() *cobra.Command {
	var flags tailFlags
	c := &cobra.Command{
		Use:   "tail [TOPIC...]",
		Short: "Show requests as they pass by on a RabbitMQ bus",
		Long: `Show the requests that services send each other, live: when, of which kind, to whom, which method, how big, of which request, project
and user, and from whom where that is known. A TOPIC is a topic with its servers and fanouts (compute), one of its servers
(compute/cmp-1), or a pattern (cinder-*); without any, all are meant. Secrets in arguments are shown as ***.

` + tapHelp + `

With it a request is shown when it is over: its reply was delivered, or, where it has none, a server has it; and once more of
--slow requests that are not.

` + managementHelp,
		Example: `  goslo tail -c /etc/nova/nova.conf
  goslo tail compute conductor --method 'build_*' --args
  goslo tail compute --firehose 60s --slow 5s
  goslo tail --json --for 10s | jq -r .method | sort | uniq -c`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, topics []string) error { return a.runTail(c.Context(), flags, topics) },
	}
	flags.add(c)
	c.Flags().StringArrayVar(&flags.methods, "method", nil, "show requests for these methods alone, as build_*; repeatable")
	c.Flags().StringVar(&flags.grep, "grep", "", "show requests alone whose line, or arguments less secrets, match this regular expression")
	c.Flags().Var(&flags.slow, "slow", "show requests alone that take longer; it needs --firehose")
	c.Flags().IntVar(&flags.count, "count", 0, "end after so many requests")
	c.Flags().BoolVar(&flags.args, "args", false, "show arguments, secrets masked")
	return c
}

func (a *app) runTail(ctx context.Context, flags tailFlags, topics []string) error {
	p := printer{app: a, flags: flags, topics: topics}
	if flags.slow > 0 && flags.firehose == 0 {
		return usagef("--slow needs --firehose D: how long a request took only the firehose shows")
	}
	if flags.count < 0 {
		return usagef("--count %d is below zero", flags.count)
	}
	for _, m := range flags.methods {
		if _, err := path.Match(m, ""); err != nil {
			return usagef("--method %q is no pattern: %w", m, err)
		}
	}
	var err error
	if p.grep, err = regexp.Compile(flags.grep); err != nil {
		return usagef("--grep: %w", err)
	}
	return a.tapInto(ctx, flags.listenTo, topics, func(ctx context.Context, e *ear) error {
		p.ear = e
		if !a.json {
			a.note("listening; Ctrl-C ends it")
		}
		if e.traced {
			return p.spans(ctx)
		}
		return p.requests(ctx)
	})
}

// requests shows what the tap hears, until ctx ends.
func (p *printer) requests(ctx context.Context) error {
	for {
		m, heard, err := p.ear.next(ctx, time.Minute)
		if err != nil {
			return err
		}
		if !heard {
			continue
		}
		r, ok := p.ear.tap.Request(m)
		if !ok || !p.means(r) {
			continue
		}
		if err := p.show(ctx, p.request(ctx, r)); err != nil {
			return ended(err)
		}
	}
}

// pause is how often what is not over is looked at.
const pause = 250 * time.Millisecond

// spans shows what the firehose tells, until ctx ends.
func (p *printer) spans(ctx context.Context) error {
	c := tap.Collector{Want: p.means, Split: p.ear.split}
	told := map[*tap.Span]bool{}
	for looked := time.Now(); ; {
		e, err := p.ear.event(ctx, pause)
		if err != nil {
			return p.rest(ctx, &c, told, err)
		}
		if e.Message != nil {
			s := c.Add(e)
			if s == nil {
				continue
			}
			p.ear.people.Learn(s)
			if s.Done() {
				c.Forget(s)
				delete(told, s)
				if err := p.span(ctx, s); err != nil {
					return ended(err)
				}
			}
		}
		if p.flags.slow == 0 || time.Since(looked) < pause {
			continue
		}
		looked = time.Now()
		for _, s := range c.Spans() {
			if told[s] || s.Took(looked) < time.Duration(p.flags.slow) {
				continue
			}
			told[s] = true
			if err := p.span(ctx, s); err != nil {
				return ended(err)
			}
		}
	}
}

// rest shows what was not over at the end.
func (p *printer) rest(ctx context.Context, c *tap.Collector, told map[*tap.Span]bool, end error) error {
	if ctx.Err() == nil {
		return end
	}
	for _, s := range c.Spans() {
		if told[s] {
			continue
		}
		if err := p.span(ctx, s); err != nil {
			return ended(err)
		}
	}
	return end
}

// ended makes the planned end no error.
func ended(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
