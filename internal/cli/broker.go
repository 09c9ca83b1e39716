package cli

import (
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats/embedded"
)

func (a *app) broker() *cobra.Command {
	var listen, store string
	c := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded bus as a process of its own",
		Long: `Run the embedded bus as a process of its own, so that it does not end with the program that happened to start
it. Programs of the same user on this machine join it with embedded://, the default.

Messages that wait are kept in memory, and end with the broker, unless --store names a folder.`,
		Example: `  goslo broker
  goslo broker --store /var/lib/goslo
  goslo broker --listen 127.0.0.1:4300 & goslo serve lab --url embedded://:4300`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if listen == "" {
				listen, err = a.brokerAddress()
			} else {
				err = checkListen(listen)
			}
			if err != nil {
				return err
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			broker, err := embedded.NewBroker(embedded.BrokerConfig{Listen: listen, StoreDir: store, Logger: log})
			if err != nil {
				return &busError{cause: err, hosting: true}
			}
			// Whatever happens to standard output, a broker that was started is run, which is what ends it.
			said := a.printBroker(broker, store)
			if err := broker.Run(c.Context()); err != nil {
				return &busError{cause: err, hosting: true}
			}
			return said
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "where to listen, as host:port (default: the port of an embedded:// --url or $GOSLO_URL, else 127.0.0.1:"+strconv.Itoa(embedded.DefaultPort)+")")
	c.Flags().StringVar(&store, "store", "", "the folder to keep messages in (default: memory)")
	return c
}

func checkListen(listen string) error {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return usagef("--listen: %w; it is host:port, such as 127.0.0.1:%d", err, embedded.DefaultPort)
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return usagef("--listen %s: the port is not within 1 to 65535", listen)
	}
	return nil
}

// brokerAddress is where the clients of the chosen bus will look for it, when that is an embedded one with a port.
func (a *app) brokerAddress() (string, error) {
	chosen, err := a.choose()
	if err != nil || chosen.url == "" {
		return "", err
	}
	u, err := transport.ParseURL(chosen.url)
	if err != nil {
		return "", err
	}
	if u.Scheme != "embedded" {
		if a.url != "" {
			return "", usagef("--url %s: the broker is the embedded bus; say where it listens with --listen", u)
		}
		return "", nil
	}
	config, err := embedded.ConfigFromURL(u)
	switch {
	case err != nil:
		return "", &usageError{cause: err}
	case config.Name != "" || config.VirtualHost != "" || config.StoreDir != "":
		return "", usagef("%s (%s): of an embedded:// URL the broker takes the port alone; use --listen and --store", u, chosen.from)
	case config.Port == 0:
		return "", nil
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(config.Port)), nil
}

func (a *app) printBroker(b *embedded.Broker, store string) error {
	keeps := "in memory"
	if store != "" {
		keeps = "in " + store
	}
	if a.json {
		return a.printLine(map[string]string{"event": "ready", "url": b.URL(), "key": b.KeyFile(), "keeps": keeps})
	}
	_, err := fmt.Fprintf(a.Out, `broker ready; Ctrl-C stops
  join it with  --url %s
  key file      %s
  messages      kept %s
`, b.URL(), b.KeyFile(), keeps)
	return err
}
