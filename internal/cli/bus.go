package cli

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/goslo/goslo"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// A busChoice is the bus that the flags, the environment and the configuration files add up to.
type busChoice struct {
	url      string        // may hold secrets; "" = what files without one mean, else the embedded bus
	from     string        // where the URL comes from, for people
	exchange string        // "" = the transport's default
	options  goslo.Options // nil = no files
}

// String is the URL without its secrets, and where it comes from.
func (b busChoice) String() string {
	if b.from == "" {
		return ""
	}
	url := b.url
	switch {
	case url == "" && b.options != nil:
		return b.from
	case url == "":
		url = "embedded://"
	}
	shown := "(not a URL)"
	if u, err := transport.ParseURL(url); err == nil {
		shown = u.String()
	}
	return shown + " (" + b.from + ")"
}

// choose applies the order of the global flags.
func (a *app) choose() (busChoice, error) {
	url, at, err := a.fileOption("transport_url")
	if err != nil {
		return busChoice{}, err
	}
	exchange, _, err := a.fileOption("control_exchange")
	if err != nil {
		return busChoice{}, err
	}
	b := busChoice{exchange: cmp.Or(a.exchange, exchange), options: a.options}
	env, _ := a.lookup("GOSLO_URL")
	switch {
	case a.url != "":
		b.url, b.from = a.url, "--url"
	case env != "":
		b.url, b.from = env, "$GOSLO_URL"
	case url != "":
		b.url, b.from = url, at
	case a.options != nil:
		b.from = a.options.String()
	default:
		b.from = "the default; --url, $GOSLO_URL or --config-file name another"
	}
	return b, nil
}

// openTimeout bounds the first contact with a bus for commands that have no --timeout.
const openTimeout = 30 * time.Second

// open connects to the chosen bus. exchange, when set, is used instead of the chosen one.
func (a *app) open(ctx context.Context, program string) (transport.Transport, error) {
	var err error
	if a.bus, err = a.choose(); err != nil {
		return nil, err
	}
	return a.dial(ctx, program)
}

// dial connects to the bus that was chosen.
func (a *app) dial(ctx context.Context, program string) (transport.Transport, error) {
	log, err := a.logger()
	if err != nil {
		return nil, err
	}
	return goslo.Config{URL: a.bus.url, Program: program, Options: a.bus.options, Exchange: a.bus.exchange, Logger: log}.Open(ctx)
}

// closeTimeout is how long a bus has for what is on its way when a command ends.
const closeTimeout = 5 * time.Second

// closeAll ends a client and its bus once a command is done, interrupted or not. Either may be nil. An
// error is logged only: the command's outcome is known by now.
func (a *app) closeAll(ctx context.Context, log *slog.Logger, client *rpc.Client, bus transport.Transport) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var errs []error
	if client != nil {
		errs = append(errs, client.Close(ctx))
	}
	if bus != nil {
		errs = append(errs, bus.Close(ctx))
	}
	if err := errors.Join(errs...); err != nil && !errors.Is(err, transport.ErrClosed) {
		log.Warn("close the bus", "error", err)
	}
}

// withClient opens the bus, does the work with a client of it within the timeout (0 = that of the files), and closes both.
func (a *app) withClient(ctx context.Context, timeout time.Duration, do func(context.Context, *rpc.Client) error) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	if timeout == 0 {
		if timeout, err = a.fileTimeout(); err != nil {
			return err
		}
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	bus, err := a.open(within, "goslo")
	if err != nil {
		return &busError{cause: err}
	}
	client := rpc.NewClient(bus, rpc.ClientConfig{Logger: log})
	defer a.closeAll(ctx, log, client, bus)
	return do(within, client)
}
