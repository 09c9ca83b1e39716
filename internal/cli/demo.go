package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// demoFlags are the flags of demo.
type demoFlags struct {
	once   bool
	listen string
}

func (a *app) demo() *cobra.Command {
	var flags demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a small cloud and tell what happens in it",
		Long: `Run a small cloud in this process, each service with a connection of its own to the bus: a REST API, a conductor, a
scheduler and two compute hosts. Then live-migrate an instance, call one host, tell all hosts something, meet a
failure on the far side, and call a host that does not exist. Each hop is printed when it arrives: the time since the
start, who sent it, who received it, and what it was.

Everything lives in an exchange and in topics of its own, so that nothing else on the bus is disturbed. The services are those
of examples/compute in goslo's source.

Where $OTEL_EXPORTER_OTLP_ENDPOINT names an OpenTelemetry collector (http://localhost:4318), each service sends its traces there: one tree for
each REST request.

With --once the command ends after that: with 0 when every hop was seen, and with 1 when one was not, naming it.
Without, the cloud stays up for curl until Ctrl-C.`,
		Example: `  goslo demo
  goslo demo --once --url rabbit://guest:guest@localhost:5672/
  goslo demo --once --json | jq -c 'select(.kind == "cast")'`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.runDemo(c.Context(), &flags)
		},
	}
	c.Flags().BoolVar(&flags.once, "once", false, "end after the story, with 0 when all of it happened as it should")
	c.Flags().StringVar(&flags.listen, "listen", "127.0.0.1:0", "where the REST API takes HTTP; port 0 is any free one")
	return c
}

func (a *app) runDemo(ctx context.Context, flags *demoFlags) (err error) {
	id := make([]byte, 3)
	_, _ = rand.Read(id) // it is documented never to fail
	t := newTrace(a)
	c, err := a.startCloud(ctx, t, "goslo-demo-"+hex.EncodeToString(id), flags.listen)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.run(serving) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()

	if err := a.printCloud(c); err != nil {
		return err
	}
	if err := c.tell(ctx, t); err != nil {
		return err
	}
	if err := a.printEnd(t); err != nil || flags.once {
		return err
	}
	if err := a.printCurl(c); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended: // a service gave up
		ended <- nil
		return err
	}
}

func (a *app) printCloud(c *cloud) error {
	if a.json {
		return a.printLine(map[string]string{"event": "cloud", "bus": a.bus.String(), "exchange": c.exchange, "api": c.url})
	}
	_, err := fmt.Fprintf(a.Out, `A small cloud, each service with its own connection to the bus, up after %s
  bus        %s
  exchange   %s
  api        %s
  conductor  %s
  scheduler  %s
  compute    %s: cmp-1 with the instance vm-1, and cmp-2
`, since(c.started), a.bus, c.exchange, c.url, c.topic("conductor"), c.topic("scheduler"), c.topic("compute"))
	return err
}

func (a *app) printEnd(t *trace) error {
	hops, took := t.count(), time.Since(t.start)
	if a.json {
		return a.printLine(map[string]any{"event": "done", "hops": hops, "elapsed_ms": milliseconds(took)})
	}
	_, err := fmt.Fprintf(a.Out, "\nAll of it happened as it should: %d acts, %d hops, %s\n", len(acts), hops, shown(took))
	return err
}

func (a *app) printCurl(c *cloud) error {
	if a.json {
		return a.printLine(map[string]string{"event": "waiting", "api": c.url})
	}
	_, err := fmt.Fprintf(a.Out, `
The cloud stays up until Ctrl-C. Try
  curl -i -H 'Content-Type: application/json' -d '{"os-migrateLive": {"host": null}}' %[1]s/v1/servers/vm-1/action
  curl %[1]s/v1/servers/vm-1
  curl %[1]s/v1/os-hypervisors/cmp-1/uptime
  curl -i -X POST %[1]s/v1/images/debian-13/cache
  curl -i %[1]s/v1/servers/nosuch
  curl -i %[1]s/v1/os-hypervisors/cmp-9/uptime
`, c.url)
	return err
}
