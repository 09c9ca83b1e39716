package amqp1

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/goslo/goslo/transport"
)

// Config says which broker to use and how. The zero value means localhost:5672, without a login.
type Config struct {
	// URL names the brokers, the credentials, the virtual host and options. Scheme amqp, amqps (which is amqp with
	// ssl=true) or qpid (which is amqp). Default (nil): amqp://.
	URL *transport.URL

	// Settings are the options of [oslo_messaging_amqp] in configuration files. Those in the URL come first; an
	// unknown one is logged and ignored. Host, port and credentials under their old names count when the URL names
	// no hosts. Default: none.
	Settings []transport.Setting

	// Program is part of the container id, by which operators tell whose connection they look at. Default: the name
	// of the executable.
	Program string

	// Exchange is part of the addresses of topics that name none (oslo's control_exchange). Default: "openstack".
	Exchange string

	// Logger hears about connections and links lost and rebuilt, about what a broker cannot do, and about messages
	// dropped. Default: silence.
	Logger *slog.Logger
}

// settings is a Config that was read and checked.
type settings struct {
	endpoints []endpoint
	login     login
	container string // the id by which brokers know us
	program   string
	vhost     string // for Open's hostname; "" = the host's name
	idle      time.Duration
	retry     retry
	timeouts  timeouts
	addresses addresses
	credit    credit
	settled   settled
}

// An endpoint is one broker, and who we are there.
type endpoint struct {
	host           string // for the check of its certificate
	addr           string // host:port
	user, password string
}

// retry is how long to wait between attempts.
type retry struct {
	first, most time.Duration // to connect: first, first*step, first*step*step ... most
	step        int
	link        time.Duration // to attach a link; the longest pause
}

// timeouts are for messages whose sender sets none.
type timeouts struct {
	send, reply, notify time.Duration
	idleSender          time.Duration // an unused link out is detached after so long
}

// credit is how many messages a broker may have on their way to us. 0 = as many as the listener asks for.
type credit struct{ requests, replies, notifications int }

// settled are the kinds of messages that are sent without waiting for the broker's answer.
type settled struct{ call, cast, reply, notification bool }

// Check returns the error that Open would return before it connects: about options that are wrong, or do not go
// together, and certificates that cannot be read.
func (c Config) Check() error {
	_, _, err := c.read()
	return err
}

// read checks c. What comes with the settings is to be logged.
func (c Config) read() (*settings, *transport.Options, error) {
	u := c.URL
	if u == nil {
		u = &transport.URL{Scheme: "amqp"}
	}
	switch u.Scheme {
	case "amqp", "amqps", "qpid":
	default:
		return nil, nil, fmt.Errorf("amqp1: url: scheme %q is not amqp, amqps or qpid", u.Scheme)
	}
	s := &settings{program: cmp.Or(c.Program, filepath.Base(os.Args[0]))}
	s.addresses.exchange = cmp.Or(c.Exchange, "openstack")
	o, err := s.options(u, c.Settings)
	if err != nil {
		return nil, nil, fmt.Errorf("amqp1: %w", err)
	}
	return s, o, nil
}
