package kafka

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/goslo/goslo/transport"
)

// Config says which brokers to use and how. The zero value means localhost:9092, without a login.
type Config struct {
	// URL names the brokers from which the client learns of the others, the credentials, the virtual host and options. The credentials of the first
	// host that has any count for all brokers. Default (nil): kafka://.
	URL *transport.URL

	// Settings are the options of [oslo_messaging_kafka] in configuration files. Those in the URL come first; an unknown one is logged and
	// ignored. Default: none.
	Settings []transport.Setting

	// Program is the client id, by which operators tell whose connection they look at. Default: the name of the executable.
	Program string

	// Logger hears about brokers lost and found again, about records that cannot be read, and about what a group refuses. Default: silence.
	Logger *slog.Logger
}

// settings is a Config that was read and checked.
type settings struct {
	brokers  []string // host:port
	program  string
	vhost    string // "" = none
	group    string // of listeners without a pool
	login    login
	producer producer
	consumer consumer
	remarks  []string // to be logged
}

// login is how a connection is made: encrypted or not, and as whom.
type login struct {
	tls  *tls.Config    // nil = not encrypted
	sasl sasl.Mechanism // nil = none
	user string         // for errors
}

// producer is how records are sent.
type producer struct {
	linger time.Duration
	most   int // records in a batch
	codec  kgo.CompressionCodec
}

// consumer is how records are fetched.
type consumer struct {
	bytes   int           // of one partition in one answer
	wait    time.Duration // for one answer
	records int           // taken from the client at a time
	lazy    bool          // commit every lazyCommit
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
		u = &transport.URL{Scheme: "kafka"}
	}
	if u.Scheme != "kafka" {
		return nil, nil, fmt.Errorf("kafka: url: scheme %q is not kafka", u.Scheme)
	}
	s := &settings{program: cmp.Or(c.Program, filepath.Base(os.Args[0])), vhost: u.VirtualHost}
	o, err := s.options(u, c.Settings)
	if err != nil {
		return nil, nil, fmt.Errorf("kafka: %w", err)
	}
	return s, o, nil
}

// client are the options that all connections of the transport have in common.
func (s *settings) client(log *slog.Logger) []kgo.Opt {
	o := []kgo.Opt{
		kgo.SeedBrokers(s.brokers...),
		kgo.ClientID(s.program),
		kgo.WithLogger(library{log}),
		kgo.DialTimeout(dialTimeout),
		kgo.AllowAutoTopicCreation(),
		kgo.DisableClientMetrics(), // brokers may ask clients to send them figures
	}
	if s.login.tls != nil {
		o = append(o, kgo.DialTLSConfig(s.login.tls)) // for the host that is dialled
	}
	if s.login.sasl != nil {
		o = append(o, kgo.SASL(s.login.sasl))
	}
	return o
}
