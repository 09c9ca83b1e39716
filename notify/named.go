package notify

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/goslo/goslo/internal/nearest"
	"github.com/goslo/goslo/transport"
)

// driverNames are oslo.messaging's.
var driverNames = []string{"log", "messaging", "messagingv2", "noop", "routing", "test"}

// DriverConfig is what drivers that are chosen by name are made of.
type DriverConfig struct {
	// Bus is what the drivers messaging and messagingv2 send over. They are an error without one.
	Bus transport.Transport
	// Messaging configures them; which of the formats is chosen by the name.
	Messaging MessagingConfig
	// Logger is where the driver log writes. Default: nowhere.
	Logger *slog.Logger
	// Routing is the path of the file that the driver routing reads; see [NewRouting].
	Routing string
	// Recorder is the driver test. Default: one that nobody looks at.
	Recorder *Recorder
}

// NewDrivers returns drivers by oslo.messaging's names: messaging, messagingv2, routing, log, test and noop. A name that there is not is an
// error; upstream warns and goes on without (NOTIFY-07).
func NewDrivers(names []string, c DriverConfig) ([]Driver, error) {
	all := make([]Driver, 0, len(names))
	for _, name := range names {
		d, err := c.driver(name)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func (c DriverConfig) driver(name string) (Driver, error) {
	switch name {
	case "messaging", "messagingv2":
		if c.Bus == nil {
			return nil, fmt.Errorf("notify: driver %s: there is no bus to send over", name)
		}
		m := c.Messaging
		m.Bare = name == "messaging"
		return NewMessaging(c.Bus, m), nil
	case "log":
		if c.Logger == nil {
			return NewLog(slog.New(slog.DiscardHandler)), nil
		}
		return NewLog(c.Logger), nil
	case "noop":
		return Noop{}, nil
	case "test":
		if c.Recorder == nil {
			return new(Recorder), nil
		}
		return c.Recorder, nil
	case "routing":
		return c.routing()
	}
	hint := ""
	if near, ok := nearest.To(name, driverNames); ok {
		hint = fmt.Sprintf("; did you mean %s?", near)
	}
	return nil, fmt.Errorf("notify: there is no driver %q; there are %v%s", name, driverNames, hint)
}

// routing makes those drivers alone that the file names, and never itself (NDRV-11).
func (c DriverConfig) routing() (Driver, error) {
	if c.Routing == "" {
		return nil, errors.New("notify: driver routing: there is no file; set routing_config in [oslo_messaging_notifications]")
	}
	return NewRouting(c.Routing, func(name string) (Driver, error) {
		if name == "routing" || !slices.Contains(driverNames, name) {
			return nil, fmt.Errorf("notify: there is no driver %q to route to; there are log, messaging, messagingv2, noop and test", name)
		}
		return c.driver(name)
	})
}
