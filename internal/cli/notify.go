package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/notify"
	"github.com/goslo/goslo/transport"
)

// notifyFlags are the flags of notify.
type notifyFlags struct {
	priority, publisher, version, context string
	drivers                               []string
	timeout                               seconds
}

// notifyDrivers are those that are of use from a command line.
var notifyDrivers = []string{"messagingv2", "messaging", "routing", "log", "noop"}

func (a *app) notify() *cobra.Command {
	flags := notifyFlags{timeout: seconds(30 * time.Second)}
	c := &cobra.Command{
		Use:   "notify TOPIC|- EVENT_TYPE [JSON-PAYLOAD]",
		Short: "Tell that something has happened",
		Long: `Send a notification to TOPIC, as services do: to the queue TOPIC.PRIORITY, where it waits for a listener, and to the
pools that there are. - stands for the topics of --config-file, or "notifications".

JSON-PAYLOAD is any JSON value ({} when left out); @file reads it from a file, - from standard input. Of a file or standard
input each value is the payload of a notification of its own, in their order, each sent when the bus has the one before it.

Of the --context travel the members that say who asked, in which request. Tokens, and what else a service would not tell,
do not.

The bus is that of transport_url in [oslo_messaging_notifications], where --config-file has one and --url is not given.`,
		Example: `  goslo notify - image.upload '{"name": "debian", "size": 300}'
  goslo notify notifications compute.instance.update @payload.json --priority error --publisher compute.cmp-1
  jq -c '.events[]' log.json | goslo notify audit-trail audit.replayed - --priority audit
  goslo notify - test.routing --driver routing --config-file /etc/nova/nova.conf`,
		Args:              arguments(2, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("version") && len(flags.drivers) > 0 {
				return usagef("--version and --driver both say which format it is: messaging sends 1.0, messagingv2 sends 2.0")
			}
			return a.tell(c.Context(), &flags, args)
		},
	}
	c.Flags().StringVar(&flags.priority, "priority", string(notify.Info), strings.Join(priorityNames(), ", "))
	c.Flags().StringVar(&flags.publisher, "publisher", "goslo."+hostname(), "who tells it, by convention SERVICE.HOST")
	c.Flags().Lookup("publisher").DefValue = "goslo.HOST"
	c.Flags().StringVar(&flags.version, "version", "2.0", "the format: 2.0, with an envelope, or 1.0, without")
	c.Flags().StringArrayVar(&flags.drivers, "driver", nil, "what it goes through: "+strings.Join(notifyDrivers, ", ")+"; repeatable (default: messagingv2, or by --version)")
	c.Flags().StringVar(&flags.context, "context", "", "the request context: a JSON object or @file (default: a new request_id)")
	c.Flags().Var(&flags.timeout, "timeout", "how long the bus may take for each, as 30s or a number of seconds")
	completeFixed(c, "priority", priorityNames()...)
	completeFixed(c, "version", "2.0", "1.0")
	completeFixed(c, "driver", notifyDrivers...)
	return c
}

// told is the result of notify: one notification, or with several the last.
type told struct {
	Event     string   `json:"event_type"`
	Topics    []string `json:"topics"` // with the priority
	ID        string   `json:"message_id"`
	Count     int      `json:"count"`
	ElapsedMS float64  `json:"elapsed_ms"`
}

// An idNote is a driver that takes note of the last notification's id.
type idNote struct{ id string }

func (d *idNote) Notify(_ context.Context, n *notify.Raw, _ notify.Retry) error {
	d.id = n.ID
	return nil
}

func (a *app) tell(ctx context.Context, flags *notifyFlags, args []string) error {
	p, err := priority(flags.priority)
	if err != nil {
		return err
	}
	topics := []string{args[0]}
	if args[0] == "-" {
		if topics, err = a.notificationTopics(); err != nil {
			return err
		}
	}
	if args[0] == "" || args[1] == "" {
		return usagef("TOPIC and EVENT_TYPE must not be empty")
	}
	names, err := flags.driverNames()
	if err != nil {
		return err
	}
	if flags.context == "-" {
		return usagef("--context cannot come from standard input here; use @file")
	}
	if ctx, err = a.withContext(ctx, &requestFlags{context: flags.context}); err != nil {
		return err
	}
	argument := "{}"
	if len(args) == 3 {
		argument = args[2]
	}
	payloads, err := a.payloads(argument)
	if err != nil {
		return err
	}
	defer payloads.close()
	first, err := payloads.next()
	if err != nil {
		return err
	}
	start := time.Now()
	within, cancel := context.WithTimeout(ctx, time.Duration(flags.timeout))
	defer cancel()
	bus, err := a.openNotifications(within, "goslo-notify")
	if err != nil {
		return &busError{cause: err}
	}
	log, err := a.logger()
	if err != nil {
		return err
	}
	defer a.closeAll(ctx, log, nil, bus)
	note := new(idNote)
	notifier, err := a.notifier(bus, names, topics, flags.publisher, note)
	if err != nil {
		return err
	}
	result := told{Event: args[1]}
	for _, topic := range topics {
		result.Topics = append(result.Topics, topic+"."+string(p))
	}
	said := time.Now()
	for payload := first; payload != nil; {
		if err := tellOne(ctx, notifier, time.Duration(flags.timeout), p, args[1], payload); err != nil {
			return &busError{cause: counted(err, result.Count)}
		}
		result.Count++
		if now := time.Now(); now.Sub(said) > time.Second {
			said = now
			a.progress("goslo: %d notifications so far", result.Count)
		}
		if payload, err = payloads.next(); err != nil {
			return counted(err, result.Count)
		}
	}
	result.ID, result.ElapsedMS = note.id, milliseconds(time.Since(start))
	return a.printTold(result, names, start)
}

// counted says how many went well before an error.
func counted(err error, n int) error {
	if n == 0 {
		return err
	}
	return fmt.Errorf("after %d notifications: %w", n, err)
}

func tellOne(ctx context.Context, n *notify.Notifier, timeout time.Duration, p notify.Priority, event string, payload json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return n.Notify(ctx, p, event, payload)
}

func (f *notifyFlags) driverNames() ([]string, error) {
	for _, name := range f.drivers {
		if !slices.Contains(notifyDrivers, name) {
			return nil, usagef("--driver %q is not one of %s", name, strings.Join(notifyDrivers, ", "))
		}
	}
	switch {
	case f.version != "1.0" && f.version != "2.0":
		return nil, usagef("--version %q is not a format of notifications; there are 1.0 and 2.0", f.version)
	case len(f.drivers) > 0:
		return f.drivers, nil
	case f.version == "1.0":
		return []string{"messaging"}, nil
	}
	return []string{"messagingv2"}, nil
}

func (a *app) notifier(bus transport.Transport, names, topics []string, publisher string, last notify.Driver) (*notify.Notifier, error) {
	c := notify.DriverConfig{
		Bus: bus, Messaging: notify.MessagingConfig{Topics: topics},
		Logger: slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelDebug})), // of the driver log, which was asked for
	}
	if err := a.loadFiles(); err != nil {
		return nil, err
	}
	if a.options != nil {
		var err error
		if c.Routing, _, err = a.options.Option(notificationGroup, "routing_config"); err != nil {
			return nil, &usageError{cause: err}
		}
	}
	drivers, err := notify.NewDrivers(names, c)
	if err != nil {
		return nil, &usageError{cause: err}
	}
	return notify.NewNotifier(notify.NotifierConfig{Publisher: publisher, Drivers: append(drivers, last)}), nil
}

func (a *app) printTold(t told, drivers []string, start time.Time) error {
	if a.json {
		return a.printLine(t)
	}
	where := strings.Join(t.Topics, ", ")
	if !slices.Contains(drivers, "messaging") && !slices.Contains(drivers, "messagingv2") {
		where = "driver " + strings.Join(drivers, ", ")
	}
	what := "told " + t.Event
	if t.Count > 1 {
		what = fmt.Sprintf("told %d times %s", t.Count, t.Event)
	}
	_, err := fmt.Fprintf(a.Out, "%s to %s after %s (%s)\n", what, where, since(start), t.ID)
	return err
}

// payloads are JSON values, one after the other.
type payloads struct {
	from  string // for errors
	d     *json.Decoder
	one   bool // there must not be a second
	count int
	close func()
}

// payloads opens the argument JSON-PAYLOAD.
func (a *app) payloads(argument string) (*payloads, error) {
	p := &payloads{from: "JSON-PAYLOAD", one: true, close: func() {}}
	var in io.Reader = strings.NewReader(argument)
	if path, isFile := strings.CutPrefix(argument, "@"); isFile {
		f, err := os.Open(path)
		if err != nil {
			return nil, usagef("read JSON-PAYLOAD: %w", err)
		}
		in, p.from, p.one = f, "JSON-PAYLOAD in "+path, false
		p.close = func() { _ = f.Close() } // it was only read
	} else if argument == "-" {
		in, p.from, p.one = a.In, "JSON-PAYLOAD on standard input", false
	}
	p.d = json.NewDecoder(in)
	return p, nil
}

// next returns the next, with all its digits, or nil at the end.
func (p *payloads) next() (json.RawMessage, error) {
	var raw, more json.RawMessage
	err := p.d.Decode(&raw)
	switch {
	case errors.Is(err, io.EOF) && p.count > 0:
		return nil, nil
	case errors.Is(err, io.EOF):
		return nil, usagef("%s is empty; it must be a JSON value, such as {\"name\": \"debian\"}", p.from)
	case err != nil && p.one:
		return nil, usagef("%s is not JSON: %w; quote it for the shell: '{\"name\": \"debian\"}'", p.from, err)
	case err != nil:
		return nil, usagef("%s: value %d is not JSON: %w", p.from, p.count+1, err)
	case p.one && !errors.Is(p.d.Decode(&more), io.EOF):
		return nil, usagef("%s holds more than one JSON value; quote it for the shell", p.from)
	case !utf8.Valid(raw):
		return nil, usagef("%s: value %d is not text in UTF-8", p.from, p.count+1)
	}
	p.count++
	return raw, nil
}
