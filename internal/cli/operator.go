package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/internal/operator"
)

// lookAt is what the commands have in common that look at a RabbitMQ broker from outside.
type lookAt struct{ management string }

const managementHelp = `What AMQP does not tell is asked of RabbitMQ's management API: at the hosts of the bus, port 15672 or with TLS 15671, with
the user of the bus; --management names another place, or "off". What could not be seen is said on standard error, and
with --json in "unseen".`

func (l *lookAt) add(c *cobra.Command) {
	c.Flags().StringVar(&l.management, "management", "", `the management API: http://[user:password@]host:15672, or "off" (default: at the hosts of the bus)`)
}

var errNoBus = errors.New("no bus was named; name that of the service with -c /etc/nova/nova.conf or --url")

// look opens the broker of the chosen bus for looking at, does the work, and closes it. Nothing is connected to before the work asks for it.
func (a *app) look(ctx context.Context, l lookAt, do func(context.Context, *operator.Bus) error) error {
	var err error
	if a.bus, err = a.choose(); err != nil {
		return err
	}
	if a.bus.url == "" && a.bus.options == nil {
		return &usageError{cause: errNoBus}
	}
	log, err := a.logger()
	if err != nil {
		return err
	}
	r, err := goslo.Config{URL: a.bus.url, Program: "goslo", Options: a.bus.options, Exchange: a.bus.exchange, Logger: log}.Rabbit()
	if err != nil {
		return &usageError{cause: err}
	}
	bus, err := operator.Open(operator.Config{Rabbit: r, Management: l.management})
	if err != nil {
		return &usageError{cause: err}
	}
	defer func() {
		if err := bus.Close(); err != nil {
			log.Debug("close the connection to the broker", "error", err)
		}
	}()
	return do(ctx, bus)
}

// slow is after how long people are told what takes so long.
const slow = time.Second

// whenSlow says on standard error what takes so long, if it does, until the returned function is called. It says nothing with --json.
func (a *app) whenSlow(what string) (done func()) {
	told := make(chan struct{})
	timer := time.AfterFunc(slow, func() {
		defer close(told)
		if !a.json {
			fmt.Fprintln(a.Err, "goslo: "+what)
		}
	})
	return func() {
		if !timer.Stop() {
			<-told
		}
	}
}

// printUnseen says on standard error what a view could not see. With --json that is the command's to do, in "unseen".
func (a *app) printUnseen(unseen []string) {
	if a.json {
		return
	}
	for _, text := range unseen {
		fmt.Fprintf(a.Err, "not seen: %s\n", plain(text))
	}
}
