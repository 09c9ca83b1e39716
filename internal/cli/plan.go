package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/operator"
	"github.com/goslo/goslo/internal/quorum"
)

func (a *app) plan() *cobra.Command {
	c := &cobra.Command{
		Use:     "plan",
		Short:   "Plan changes of a virtual host, as a checked list",
		Example: `  goslo plan quorum -c /etc/nova/nova.conf`,
		Args:    subcommandsOnly,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.planQuorum())
	return c
}

// derived is the value of --fresh-vhost without one.
const derived = "-"

const planQuorumHelp = `Print what is to be done to move the RPC of a RabbitMQ virtual host from classic queues to quorum queues, in what order, with the
commands and the way back. What is done already, by what is there, is checked off: run it again as you go on. Nothing is changed.

In place, all services that share the virtual host stop at once, as RabbitMQ refuses (406) to declare exchanges and queues otherwise than
they are. With --fresh-vhost they move to a new virtual host; the old one stays as it is, to go back to.

` + managementHelp + ` Without the API there is no plan.

The exit code is 0, or 6 when something stands in the way.`

func (a *app) planQuorum() *cobra.Command {
	var (
		flags lookAt
		fresh string
	)
	c := &cobra.Command{
		Use:   "quorum",
		Short: "Plan the move from classic queues to quorum queues",
		Long:  planQuorumHelp,
		Example: `  goslo plan quorum -c /etc/nova/nova.conf
  goslo plan quorum -c /etc/nova/nova.conf --fresh-vhost=nova-2`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.look(c.Context(), flags, func(ctx context.Context, bus *operator.Bus) error {
				return a.printQuorumPlan(ctx, bus, fresh)
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&fresh, "fresh-vhost", "", "move to a new virtual host of this name (without a name: the old one's and -quorum)")
	c.Flags().Lookup("fresh-vhost").NoOptDefVal = derived
	return c
}

func (a *app) printQuorumPlan(ctx context.Context, bus *operator.Bus, fresh string) error {
	done := a.whenSlow("reading the virtual host")
	known, err := a.knownForPlan(ctx, bus)
	done()
	if err != nil {
		return err
	}
	var plan *quorum.Plan
	switch fresh {
	case known.View.Vhost:
		return usagef("--fresh-vhost=%s is the virtual host that is to be left; name another, or leave it out to move in place", fresh)
	case "":
		plan = quorum.InPlace(known)
	case derived:
		plan = quorum.Fresh(known, "")
	default:
		plan = quorum.Fresh(known, fresh)
	}
	if err := a.printPlan(plan); err != nil {
		return err
	}
	if plan.Count(quorum.Blocked) > 0 {
		return errFound
	}
	return nil
}

func (a *app) knownForPlan(ctx context.Context, bus *operator.Bus) (quorum.Known, error) {
	view, err := bus.View(ctx)
	if err != nil {
		return quorum.Known{}, err
	}
	api, err := bus.Management(ctx)
	if err != nil {
		return quorum.Known{}, err
	}
	k := quorum.Known{View: view, Management: api.URL()}
	if k.Policies, err = api.Policies(ctx); err != nil {
		view.Unseen = append(view.Unseen, "policies: "+err.Error())
	}
	vhosts, err := api.Vhosts(ctx)
	if err != nil {
		return quorum.Known{}, err
	}
	for _, v := range vhosts {
		k.Vhosts = append(k.Vhosts, v.Name)
	}
	return k, nil
}

func (a *app) printPlan(p *quorum.Plan) error {
	if a.json {
		return a.printLine(p)
	}
	s := a.screen()
	way := "in place"
	if p.Target != p.Vhost {
		way = "by moving to the fresh vhost " + p.Target
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Quorum queues for vhost %s, %s: %d to do, %d done   %s\n", p.Vhost, way,
		p.Count(quorum.ToDo)+p.Count(quorum.Blocked), p.Count(quorum.Done), p.At.Format(time.TimeOnly))
	for i, step := range p.Steps {
		title := fmt.Sprintf("%d. %s", i+1, step.Title)
		if step.Down {
			title += " (services are down)"
		}
		fmt.Fprintf(&b, "\n%s\n   %s\n", title, s.wrap(step.Why, 3))
		b.WriteString(s.items(step.Items))
	}
	if len(p.Rollback) > 0 {
		b.WriteString("\nThe way back\n" + s.items(p.Rollback))
	}
	if _, err := fmt.Fprint(a.Out, b.String()); err != nil {
		return err
	}
	a.printUnseen(p.Unseen)
	return nil
}

// items are those of a step, with a command where it differs from that of the item before.
func (s screen) items(all []quorum.Item) string {
	marks := map[quorum.State]string{quorum.Done: s.paint(green, "[x]"), quorum.ToDo: "[ ]", quorum.Blocked: s.paint(red, "[!]")}
	var b strings.Builder
	for i, item := range all {
		fmt.Fprintf(&b, "   %s %s\n", marks[item.State], s.wrap(item.Text, 7))
		if next := all[i+1:]; len(next) == 0 || next[0].Command != item.Command {
			for line := range strings.Lines(item.Command) {
				b.WriteString("           " + plain(strings.TrimRight(line, "\n")) + "\n")
			}
		}
	}
	return b.String()
}
