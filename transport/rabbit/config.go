package rabbit

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/goslo/goslo/transport"
)

// Config says which broker to use and how. The zero value means guest:guest@localhost:5672, virtual host "/".
type Config struct {
	// URL names the brokers, the credentials, the virtual host and options. Scheme rabbit or kombu.
	// Default (nil): rabbit://.
	URL *transport.URL

	// Settings are the options of [oslo_messaging_rabbit] in configuration files. Those in the URL come first; an
	// unknown one is logged and ignored. Host, port, credentials and virtual host under their old names count when
	// the URL names no hosts. Default: none.
	Settings []transport.Setting

	// Program is the first part of the connection's name at the broker, program:pid:uuid, by which
	// operators tell whose connection, and so whose queue, they look at. Default: the name of the executable.
	Program string

	// Exchange is the topic exchange of addresses that name none (oslo's control_exchange). Default: "openstack".
	Exchange string

	// MaxMessage is the most bytes of a message body; a larger one is refused before it is sent, because the
	// broker would close the channel on it. Default (0): that of the broker's version, which it tells when we
	// connect: 128 MiB up to RabbitMQ 3.13, 16 MiB from 4.0 on. Set it where the broker's max_message_size is
	// set; one that is lower than known here is learnt when the broker first refuses a message. More than
	// wire.MaxSize is never sent.
	MaxMessage int

	// Logger hears about connections lost and rebuilt, and about messages dropped. Default: silence.
	Logger *slog.Logger
}

const (
	defaultPort     = 5672 // with TLS too (URL-31)
	defaultPrefetch = 64
)

// settings is a Config that was read and checked.
type settings struct {
	endpoints []endpoint
	vhost     string
	login     string // SASL mechanism
	tls       *tls.Config

	program     string
	maxMessage  int           // 0 = what the broker's version takes
	heartbeat   time.Duration // 0 = none
	prefetch    int           // for every listener; 0 = what ListenOptions say
	backoff     backoff
	probes      probePolicy
	replies     replyPolicy
	topology    topology
	compression string // the name of a codec; "" = none
}

// An endpoint is one broker node, and who we are there.
type endpoint struct {
	host           string // for the check of its certificate
	addr           string // host:port
	user, password string
}

// replyPolicy is how replies are sent.
type replyPolicy struct {
	mandatory bool          // direct_mandatory_flag
	patience  time.Duration // kombu_missing_consumer_retry_timeout
}

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
		u = &transport.URL{Scheme: "rabbit"}
	}
	if d := u.Driver(); d != "rabbit" && d != "kombu" {
		return nil, nil, fmt.Errorf("rabbit: url: scheme %q is not rabbit or kombu", u.Scheme)
	}
	if u.Scheme != u.Driver() {
		return nil, nil, fmt.Errorf("rabbit: url: scheme %q chooses a client library of Python; use %s", u.Scheme, u.Driver())
	}
	s := &settings{program: c.Program, maxMessage: c.MaxMessage}
	if s.program == "" {
		s.program = filepath.Base(os.Args[0])
	}
	s.topology.exchange = c.Exchange
	if s.topology.exchange == "" {
		s.topology.exchange = "openstack"
	}
	o, err := s.options(u, c.Settings)
	return s, o, wrap(err, "rabbit")
}
