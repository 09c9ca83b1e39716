package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/goslo/goslo/wire"
)

// Retry says how often a driver tries again to send what could not be sent.
type Retry int

// Times is so many attempts after the first, at least one.
func Times(n int) Retry { return Retry(max(n, 1)) }

// How often, other than Times.
const (
	Forever Retry = 0  // until the context ends; the default, as oslo.messaging's -1
	Never   Retry = -1 // one attempt; oslo.messaging's 0
)

// NotifierConfig configures a Notifier.
type NotifierConfig struct {
	// Drivers get every notification, one after the other. Default: none, and nothing is told.
	Drivers []Driver
	// Publisher is who tells, by convention "service.host". Default: nobody, null on the wire.
	Publisher string
	// Retry is how often sending is tried again. Default: Forever.
	Retry Retry
	// Swallow has errors logged and not returned, as oslo.messaging does: for programs whose work is not to fail because nobody can be
	// told of it. Default: they are returned.
	Swallow bool
	// Interceptors wrap what brings a notification to all drivers; the first is the outermost. Default: none.
	Interceptors []Interceptor
	// Logger gets the errors that are swallowed. Default: nothing is logged.
	Logger *slog.Logger
}

// A Notifier tells what happens. It is safe for concurrent use, starts nothing, and needs no closing.
type Notifier struct{ config NotifierConfig }

// NewNotifier returns a notifier. It does no I/O.
func NewNotifier(c NotifierConfig) *Notifier {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Notifier{c}
}

// Publisher is who tells; "" when nobody says.
func (n *Notifier) Publisher() string { return n.config.Publisher }

// As returns a notifier of another publisher. It is cheap, and n stays as it is.
func (n *Notifier) As(publisher string) *Notifier {
	c := n.config
	c.Publisher = publisher
	return &Notifier{c}
}

// Retrying returns a notifier that tries so often. It is cheap, and n stays as it is.
func (n *Notifier) Retrying(r Retry) *Notifier {
	c := n.config
	c.Retry = r
	return &Notifier{c}
}

// Enabled reports whether it is of any use to make up a payload: false only when Noop is the one driver (NOTIFY-12).
func (n *Notifier) Enabled() bool {
	if len(n.config.Drivers) != 1 {
		return true
	}
	_, noop := n.config.Drivers[0].(Noop)
	return !noop
}

// Notify tells that an event has happened; [Event.Emit] is the same with a checked payload. It returns when all drivers are
// done with it: with a bus, when the bus has it, on every topic.
//
// The payload is whatever encodes to JSON. Of ctx's request context (see [rpc.WithContext]) travel the members that say who asked and in
// which request; tokens and the like do not.
//
// The error joins those of all drivers: each driver is tried, whatever the others said. With Swallow it is nil, unless the notification
// itself cannot be: a payload that does not encode, a priority that there is not.
func (n *Notifier) Notify(ctx context.Context, p Priority, eventType string, payload any) error {
	one, err := n.compose(ctx, p, eventType, payload)
	if err != nil {
		return err
	}
	return n.bring(ctx, one)
}

// compose makes the notification of what happens now.
func (n *Notifier) compose(ctx context.Context, p Priority, eventType string, payload any) (*Raw, error) {
	if !p.known() {
		return nil, fmt.Errorf("notify: %s: there is no priority %q; there are %v", eventType, p, Priorities())
	}
	raw, err := encode(eventType, payload)
	if err != nil {
		return nil, err
	}
	at := time.Now().UTC()
	return &Raw{
		ID: wire.NewUUID(), Publisher: n.config.Publisher, Type: eventType, Priority: p, Payload: raw,
		Time: at, Timestamp: wire.NotificationTime(at), Context: tellable(ctx),
	}, nil
}

// bring has every driver bring a notification.
func (n *Notifier) bring(ctx context.Context, one *Raw) error {
	err := chain(n.drive, n.config.Interceptors)(ctx, []*Raw{one})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("notify: %s: %w", one, err)
	if n.config.Swallow {
		n.config.Logger.ErrorContext(ctx, "notification lost", "event", one.Type, "id", one.ID, "error", err)
		return nil
	}
	return err
}

// drive is the Func that hands notifications to all drivers, whatever the others said.
func (n *Notifier) drive(ctx context.Context, all []*Raw) error {
	var errs []error
	for _, one := range all {
		for _, d := range n.config.Drivers {
			if err := d.Notify(ctx, one, n.config.Retry); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
