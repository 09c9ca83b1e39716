package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/internal/operator"
)

func (a *app) purge() *cobra.Command {
	var flags emptyFlags
	c := &cobra.Command{
		Use:   "purge QUEUE",
		Short: "Drop the messages of a queue",
		Long: `Drop the messages of a queue on RabbitMQ. They are gone for good; goslo drain-queue keeps them. Those that a consumer holds stay.

First it is said how many there are, and whose the queue is; then it is purged, after a question or with --yes. QUEUE is its whole name, or the beginning of it with two dots behind. What is in the messages is not
shown: to see one is to take it and give it back, which marks it as redelivered, and which a quorum queue counts as a failed delivery. To see
them, take some out with goslo drain-queue QUEUE --count 5. A queue that somebody consumes from is left alone without --in-use.

` + managementHelp + ` Without the API QUEUE has to be a whole name.`,
		Example: `  goslo purge notifications.info -c /etc/nova/nova.conf
  goslo purge compute.cmp-042 --yes --json`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.look(c.Context(), flags.lookAt, func(ctx context.Context, bus *operator.Bus) error {
				q, err := a.toEmpty(ctx, bus, args[0], &flags)
				if err != nil {
					return err
				}
				if ok, err := a.agreedToEmpty(ctx, flags.yes, fmt.Sprintf("drop %s messages of %s", q.Ready, q.Name)); !ok {
					return err
				}
				n, err := bus.Purge(ctx, q.Name)
				if err != nil {
					return err
				}
				if a.json {
					return a.printLine(map[string]any{"queue": q.Name, "purged": n})
				}
				_, err = fmt.Fprintf(a.Out, "%s: %s dropped\n", plain(q.Name), amount(n, "message"))
				return err
			})
		},
	}
	flags.add(c)
	c.ValidArgsFunction = a.completeNames(&flags.lookAt, queueNames, false)
	return c
}
