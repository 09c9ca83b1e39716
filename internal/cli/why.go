package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/doctor"
	"github.com/goslo/goslo/internal/logline"
	"github.com/goslo/goslo/internal/mask"
	"github.com/goslo/goslo/internal/operator"
)

const whyHelp = `Say what lines mean that services wrote into their logs about messaging: those of Python's oslo.messaging, of all versions in
use, with whatever precedes them there. A line says who could not do what; why adds who that is, what has become of them by now, the
likely cause and what to do. Lines are arguments, or come on standard input, a whole log if need be; tracebacks before a line
tell whom it called, and lines that say the same are counted.

With --url or --config-file the bus is looked at, and servers are asked whether they are alive, as goslo doctor does. Without a bus, or when it
does not answer, the lines are explained by themselves. ` + managementHelp + `

The exit code is 0, or 1 when a line says nothing that is known; such lines are printed as they are, secrets masked.`

// whyFlags are those of why.
type whyFlags struct {
	lookAt
	timeout            seconds
	version, namespace string
	noProbes           bool
}

func (a *app) why() *cobra.Command {
	var flags whyFlags
	c := &cobra.Command{
		Use:   "why [LINE...]",
		Short: "Say what a line of oslo.messaging's log means, and what has become of those it is about",
		Long:  whyHelp,
		Example: `  goslo why -c /etc/nova/nova.conf 'Timed out waiting for a reply reply_f7b90b5e to message ID b04a7a0a'
  journalctl -u nova-compute | grep -i -e amqp -e messaging | goslo why -c /etc/nova/nova.conf
  goslo why --json 'PRECONDITION_FAILED - inequivalent arg ...'`,
		RunE: func(c *cobra.Command, lines []string) error {
			var in io.Reader = strings.NewReader(strings.Join(lines, "\n"))
			if len(lines) == 0 || slices.Equal(lines, []string{"-"}) {
				in = a.In
			}
			read, err := logline.Read(in)
			if err != nil {
				return &usageError{cause: err}
			}
			if len(read.Events)+len(read.Unknown) == 0 {
				return usagef("there is no line; give one as an argument, or lines on standard input")
			}
			return a.explainLines(c.Context(), &flags, read)
		},
	}
	flags.add(c)
	c.Flags().Var(&flags.timeout, "timeout", "how long servers have to answer")
	c.Flags().Lookup("timeout").DefValue = "3s"
	c.Flags().StringVar(&flags.version, "version", "", "what to ask servers for whose service is not known, such as 1.0")
	c.Flags().StringVar(&flags.namespace, "namespace", "", "the namespace of that version (default: none)")
	c.Flags().BoolVar(&flags.noProbes, "no-probes", false, "send nothing to servers")
	return c
}

// explained is what why prints as JSON.
type explained struct {
	Explained []doctor.Explanation `json:"explained"`
	Unknown   []string             `json:"unknown"`
	Unseen    []string             `json:"unseen"`
}

func (a *app) explainLines(ctx context.Context, flags *whyFlags, read logline.Reading) error {
	e := explained{Explained: []doctor.Explanation{}, Unknown: []string{}, Unseen: []string{}}
	for _, line := range read.Unknown {
		e.Unknown = append(e.Unknown, mask.Text(line))
	}
	facts := &doctor.Facts{}
	if len(read.Events) > 0 {
		var err error
		if facts, err = a.measureFor(ctx, flags, read.Events); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			facts = &doctor.Facts{}
			e.Unseen = append(e.Unseen, "what has become of them by now: "+err.Error())
		}
	}
	if facts.View != nil {
		e.Unseen = append(e.Unseen, facts.View.Unseen...)
	}
	for _, found := range read.Events {
		x := doctor.Explain(facts, found)
		x.Line = mask.Text(x.Line)
		e.Explained = append(e.Explained, x)
	}
	if err := a.printExplained(&e); err != nil {
		return err
	}
	if n := len(e.Unknown); n > 0 {
		return fmt.Errorf("nothing is known of %s", plural(n, "line"))
	}
	return nil
}

// measureFor looks at the bus, as far as the lines want it.
func (a *app) measureFor(ctx context.Context, flags *whyFlags, events []logline.Found) (*doctor.Facts, error) {
	choose, err := doctor.Choose(doctor.ChecksFor(events), nil)
	if err != nil {
		return nil, err
	}
	var facts *doctor.Facts
	return facts, a.look(ctx, flags.lookAt, func(ctx context.Context, bus *operator.Bus) error {
		done := func() {}
		facts, err = doctor.Measure(ctx, bus, doctor.Options{
			Choose: choose, Names: doctor.NamesIn(events), Timeout: time.Duration(flags.timeout), NoProbes: flags.noProbes,
			Namespace: flags.namespace, Version: flags.version,
			Progress: func(what string) {
				done()
				done = a.whenSlow(what)
			},
		})
		done()
		return err
	})
}

func (a *app) printExplained(e *explained) error {
	if a.json {
		return a.printLine(e)
	}
	s := a.screen()
	var b strings.Builder
	for i, x := range e.Explained {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s.explanation(x))
	}
	for _, line := range e.Unknown {
		b.WriteString("not known: " + plain(strings.ReplaceAll(line, "\t", " ")) + "\n")
	}
	if _, err := fmt.Fprint(a.Out, b.String()); err != nil {
		return err
	}
	a.printUnseen(e.Unseen)
	return nil
}

// explanation is one as text.
func (s screen) explanation(x doctor.Explanation) string {
	const indent = 12
	var b strings.Builder
	row := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-*s%s\n", indent, label, s.wrap(text, indent))
		}
	}
	row("line", x.Line)
	if x.Count > 1 {
		times := fmt.Sprintf("%d times", x.Count)
		if x.Origin.Time != "" && x.Last.Time != x.Origin.Time {
			times += ", from " + x.Origin.Time + " to " + x.Last.Time
		}
		row("", times)
	}
	row("what", x.What)
	for _, now := range x.Now {
		row(now.About, now.Text)
	}
	row("likely", x.Likely)
	row("do", x.Next)
	return b.String()
}
