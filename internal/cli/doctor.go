package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/doctor"
	"github.com/goslo/goslo/internal/operator"
)

const doctorHelp = `Look at a RabbitMQ virtual host and say what is wrong with the RPC on it: servers that hear nothing, queues that nobody reads,
things that will fail at the next restart. Findings come with what they were seen by, whose it is, and what to do next; each
check has an id that never changes, under which docs/operating.md says more. With --config-file the configuration is checked as well.

Nothing is changed. Servers are asked for a method that they do not have, as goslo ping does; those of services that are not known
are asked for --version, and not at all without it. --no-probes asks nobody.

` + managementHelp + ` Without the API, doctor checks what it can, for servers given as TOPIC or TOPIC.SERVER; with it all of the
virtual host is checked, and names say what has to be there.

The exit code is 0, or 6 when a finding is as bad as --fail-on says, or 3 when there is no topic or queue of a name that was given.

Checks:
`

// doctorFlags are those of doctor.
type doctorFlags struct {
	lookAt
	only, skip         []string
	failOn             string
	version, namespace string
	timeout            seconds
	noProbes           bool
}

func (a *app) doctor() *cobra.Command {
	var flags doctorFlags
	c := &cobra.Command{
		Use:   "doctor [TOPIC[.SERVER]...]",
		Short: "Say what is wrong with the RPC of a virtual host, and what to do",
		Long:  doctorHelp + checkList(),
		Example: `  goslo doctor -c /etc/nova/nova.conf
  goslo doctor --url rabbit://openstack:secret@ctl-1:5672/nova --fail-on warn
  goslo doctor -c /etc/nova/nova.conf --only deaf,B06 --json`,
		RunE: func(c *cobra.Command, names []string) error {
			return a.look(c.Context(), flags.lookAt, func(ctx context.Context, bus *operator.Bus) error {
				return a.examine(ctx, bus, &flags, names)
			})
		},
	}
	flags.add(c)
	c.Flags().StringSliceVar(&flags.only, "only", nil, "make these checks, by ids or names")
	c.Flags().StringSliceVar(&flags.skip, "skip", nil, "leave these checks out, by ids or names")
	c.Flags().StringVar(&flags.failOn, "fail-on", string(doctor.Bad), "what ends with exit code 6: bad, warn, info or never")
	c.Flags().StringVar(&flags.version, "version", "", "what to ask servers for whose service is not known, such as 1.0")
	c.Flags().StringVar(&flags.namespace, "namespace", "", "the namespace of that version (default: none)")
	c.Flags().Var(&flags.timeout, "timeout", "how long servers have to answer")
	c.Flags().Lookup("timeout").DefValue = "3s"
	c.Flags().BoolVar(&flags.noProbes, "no-probes", false, "send nothing to servers")
	_ = c.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions(failures, cobra.ShellCompDirectiveNoFileComp))
	for _, name := range []string{"only", "skip"} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(checkIDs(), cobra.ShellCompDirectiveNoFileComp))
	}
	return c
}

// never is the value of --fail-on that no finding is as bad as.
const never = "never"

var failures = []string{string(doctor.Bad), string(doctor.Warn), string(doctor.Info), never}

func checkIDs() []string {
	checks := doctor.Checks()
	ids := make([]string, 0, len(checks))
	for _, c := range checks {
		ids = append(ids, c.ID+"\t"+c.Looks)
	}
	return ids
}

func checkList() string {
	var b strings.Builder
	for _, c := range doctor.Checks() {
		fmt.Fprintf(&b, "  %s %-10s %s\n", c.ID, c.Name, c.Looks)
	}
	return strings.TrimRight(b.String(), "\n")
}

// examined is what doctor prints as JSON.
type examined struct {
	At      time.Time       `json:"at"`
	Vhost   string          `json:"vhost"`
	Product string          `json:"product,omitempty"`
	Version string          `json:"version,omitempty"`
	Nodes   []string        `json:"nodes"`
	Counts  map[string]int  `json:"counts"` // findings by severity
	TookMS  float64         `json:"took_ms"`
	Report  *doctor.Report  `json:"report"`
	Unseen  []string        `json:"unseen"`
	broker  operator.Broker // for people
	took    time.Duration   // for people
}

func (a *app) examine(ctx context.Context, bus *operator.Bus, flags *doctorFlags, names []string) error {
	choose, err := doctor.Choose(flags.only, flags.skip)
	if err != nil {
		return &usageError{cause: err}
	}
	if !slices.Contains(failures, flags.failOn) {
		return usagef("--fail-on %q is not one of %s", flags.failOn, strings.Join(failures, ", "))
	}
	o := doctor.Options{
		Choose: choose, Names: names, Timeout: time.Duration(flags.timeout), NoProbes: flags.noProbes,
		Namespace: flags.namespace, Version: flags.version,
	}
	if a.options != nil {
		o.Settings = a.options
	}
	began := time.Now()
	done := func() {}
	o.Progress = func(what string) {
		done()
		done = a.whenSlow(what)
	}
	facts, err := doctor.Measure(ctx, bus, o)
	done()
	if err != nil {
		return err
	}
	for _, name := range names {
		if facts.View.Topic(name) == nil && facts.View.Queue(name) == nil {
			return &operator.NoQueueError{What: "topic or queue", Name: name, Vhost: facts.View.Vhost, Near: facts.View.NearestTopic(name)}
		}
	}
	e := examined{
		At: facts.View.At, Vhost: facts.View.Vhost, Product: facts.View.Broker.Product, Version: facts.View.Broker.Version,
		Nodes: []string{}, Counts: make(map[string]int), Report: doctor.Examine(facts, choose), Unseen: []string{},
		broker: facts.View.Broker, took: time.Since(began),
	}
	e.TookMS = milliseconds(e.took)
	e.Unseen = append(e.Unseen, facts.View.Unseen...)
	for _, n := range facts.View.Broker.Nodes {
		e.Nodes = append(e.Nodes, n.Name)
	}
	for _, s := range []doctor.Severity{doctor.Bad, doctor.Warn, doctor.Info} {
		e.Counts[string(s)] = e.Report.Count(s)
	}
	if err := a.printExamined(&e); err != nil {
		return err
	}
	if flags.failOn != never && e.Report.Worse(doctor.Severity(flags.failOn)) {
		return errFound
	}
	return nil
}

func (a *app) printExamined(e *examined) error {
	if a.json {
		return a.printLine(e)
	}
	s := a.screen()
	var b strings.Builder
	b.WriteString(e.headline() + "\n")
	for _, f := range e.Report.Findings {
		b.WriteString(s.finding(f))
	}
	if _, err := fmt.Fprint(a.Out, b.String()); err != nil {
		return err
	}
	a.printUnseen(e.Unseen)
	a.printUnchecked(e.Report.Unchecked)
	return nil
}

// headline is what was looked at, when, and what came of it.
func (e *examined) headline() string {
	broker := strings.TrimSpace(e.Product + " " + e.Version)
	if broker == "" {
		broker = "broker"
	}
	if n := len(e.Nodes); n > 0 {
		broker += ", " + plural(n, "node")
	}
	return fmt.Sprintf("%s, vhost %s   %s: %s, %s, %s   %s, %s", broker, e.Vhost, plural(len(e.Report.Checked), "check"),
		plural(e.Counts["bad"], "bad"), plural(e.Counts["warn"], "warning"), plural(e.Counts["info"], "note"),
		e.At.Format(time.TimeOnly), shown(e.took))
}

// finding is one as text.
func (s screen) finding(f doctor.Finding) string {
	const indent = 5
	word := map[doctor.Severity]string{doctor.Bad: "BAD ", doctor.Warn: "warn", doctor.Info: "info"}[f.Severity]
	tint := map[doctor.Severity]colour{doctor.Bad: red, doctor.Warn: yellow, doctor.Info: green}[f.Severity]
	var b strings.Builder
	line := func(text string) { b.WriteString(strings.Repeat(" ", indent) + s.wrap(text, indent) + "\n") }
	b.WriteString(s.paint(tint, word) + " " + f.ID + " " + f.Name + "  " + plain(f.Subject) + "\n")
	line(f.Text)
	for _, text := range f.Evidence {
		line(text)
	}
	for i, o := range f.Owners {
		if i == mostOwners {
			line(fmt.Sprintf("and %d more", len(f.Owners)-mostOwners))
			break
		}
		text := o.String()
		if !o.Connected.IsZero() {
			text += ", connected since " + o.Connected.Format(time.DateTime)
		}
		line(text)
	}
	b.WriteString("  -> " + s.wrap(f.Next, indent) + "\n")
	return b.String()
}

// mostOwners is how many processes are shown of a finding; --json has all.
const mostOwners = 5

// printUnchecked says on standard error which checks were not made. Those for the same reason are told together.
func (a *app) printUnchecked(all []doctor.Unchecked) {
	var reasons []string
	byReason := make(map[string][]string)
	for _, u := range all {
		if byReason[u.Why] == nil {
			reasons = append(reasons, u.Why)
		}
		byReason[u.Why] = append(byReason[u.Why], u.ID+" "+u.Name)
	}
	for _, why := range reasons {
		fmt.Fprintf(a.Err, "not checked: %s: %s\n", strings.Join(byReason[why], ", "), why)
	}
}

// plural is a number of things.
func plural(n int, what string) string {
	if n == 1 || what == "bad" {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
