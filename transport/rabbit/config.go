package rabbit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
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

	// Program is the first part of the connection's name at the broker, program:pid:uuid, by which
	// operators tell whose connection, and so whose queue, they look at. Default: the name of the executable.
	Program string

	// Exchange is the topic exchange of addresses that name none (oslo's control_exchange). Default: "openstack".
	Exchange string

	// MaxMessage is the most bytes of a message body; a larger one is refused before it is sent, because the
	// broker would close the channel on it. RabbitMQ takes 128 MiB up to 3.13 and 16 MiB from 4.0 on,
	// unless configured otherwise (max_message_size). Default: 128 MiB.
	MaxMessage int

	// Logger hears about connections lost and rebuilt, and about messages dropped. Default: silence.
	Logger *slog.Logger
}

const (
	defaultPort       = 5672 // with TLS too (URL-31)
	defaultMaxMessage = 128 << 20
	defaultPrefetch   = 64
)

// settings is a Config that was read and checked.
type settings struct {
	endpoints []endpoint
	vhost     string
	login     string // SASL mechanism
	tls       *tls.Config

	program    string
	maxMessage int
	heartbeat  time.Duration
	prefetch   int // for every listener; 0 = what ListenOptions say
	backoff    backoff
	replies    replyPolicy
	topology   topology
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

func (c Config) read() (*settings, error) {
	u := c.URL
	if u == nil {
		u = &transport.URL{Scheme: "rabbit"}
	}
	if d := u.Driver(); d != "rabbit" && d != "kombu" {
		return nil, fmt.Errorf("rabbit: url: scheme %q is not rabbit or kombu", u.Scheme)
	}
	if u.Scheme != u.Driver() {
		return nil, fmt.Errorf("rabbit: url: scheme %q chooses a client library of Python; use %s", u.Scheme, u.Driver())
	}
	s := &settings{
		endpoints:  endpoints(u.Hosts),
		vhost:      virtualHost(u.VirtualHost),
		program:    c.Program,
		maxMessage: c.MaxMessage,
	}
	if s.program == "" {
		s.program = filepath.Base(os.Args[0])
	}
	if s.maxMessage <= 0 {
		s.maxMessage = defaultMaxMessage
	}
	s.topology.exchange = c.Exchange
	if s.topology.exchange == "" {
		s.topology.exchange = "openstack"
	}
	if err := s.options(u); err != nil {
		return nil, fmt.Errorf("rabbit: %w", err)
	}
	return s, nil
}

// endpoints applies oslo's defaults: no host means localhost (URL-29); a host without a user means guest/guest (URL-30).
func endpoints(hosts []transport.Host) []endpoint {
	if len(hosts) == 0 {
		hosts = []transport.Host{{}}
	}
	list := make([]endpoint, len(hosts))
	for i, h := range hosts {
		if h.Hostname == "" {
			h.Hostname = "localhost"
		}
		e := endpoint{host: h.Hostname, addr: h.Addr(defaultPort), user: h.Username, password: h.Password}
		if e.user == "" && e.password == "" {
			e.user, e.password = "guest", "guest"
		}
		list[i] = e
	}
	return list
}

// virtualHost applies URL-32 (empty means "/") and URL-33 (the name is decoded a second time).
func virtualHost(name string) string {
	if name == "" {
		return "/"
	}
	if again, err := url.PathUnescape(name); err == nil {
		return again
	}
	return name
}

// Why options of oslo.messaging are refused rather than ignored.
const (
	notYet     = "is not supported"
	noPool     = "is not supported: two connections carry everything, there is no pool of them"
	noRate     = "is not supported: heartbeats are always sent at half the negotiated interval"
	noCompress = "is not supported: messages are sent uncompressed"
	noVersion  = "is not supported: TLS 1.2 or 1.3 is negotiated"
	noNames    = "is not supported: reply and fanout queues have unique names"
)

// options reads the query of the URL: the options of [oslo_messaging_rabbit] that are supported, by their names there.
func (s *settings) options(u *transport.URL) error {
	var (
		ttl, heartbeat            = 1800, 60
		interval, step, most      = 1, 2, 30
		patience                  = 60
		strategy                  = "round-robin"
		useTLS, verify            = false, true
		caFile, certFile, keyFile string
	)
	s.login = "AMQPLAIN"
	s.backoff.delay = time.Second
	s.replies.mandatory = true

	o := u.Options()
	o.Bool("amqp_durable_queues", &s.topology.durable)
	o.Bool("amqp_auto_delete", &s.topology.autoDelete)
	o.Bool("rabbit_quorum_queue", &s.topology.quorum)
	o.Int("rabbit_transient_queues_ttl", &ttl, 0, math.MaxInt32/1000)
	o.Int("rabbit_qos_prefetch_count", &s.prefetch, 0, 1<<16-1)
	o.Int("heartbeat_timeout_threshold", &heartbeat, 0, 1<<16-1)
	o.OneOf("rabbit_login_method", &s.login, "AMQPLAIN", "PLAIN", "EXTERNAL")
	o.Bool("direct_mandatory_flag", &s.replies.mandatory)
	o.Int("kombu_missing_consumer_retry_timeout", &patience, 0, 1<<31)
	o.Int("rabbit_retry_interval", &interval, 1, 1<<31)
	o.Int("rabbit_retry_backoff", &step, 0, 1<<31)
	o.Int("rabbit_interval_max", &most, 1, 1<<31)
	o.Seconds("kombu_reconnect_delay", &s.backoff.delay, 0, 4500*time.Millisecond)
	o.Seconds("kombu_reconnect_splay", &s.backoff.splay, 0, time.Hour)
	o.OneOf("kombu_failover_strategy", &strategy, "round-robin", "shuffle")
	o.Bool("ssl", &useTLS)
	o.Text("ssl_ca_file", &caFile)
	o.Text("ssl_cert_file", &certFile)
	o.Text("ssl_key_file", &keyFile)
	o.Bool("ssl_enforce_hostname_verification", &verify)

	o.Refuse("rpc_conn_pool_size", noPool)
	o.Refuse("conn_pool_min_size", noPool)
	o.Refuse("conn_pool_ttl", noPool)
	o.Refuse("heartbeat_rate", noRate)
	o.Refuse("kombu_compression", noCompress)
	o.Refuse("ssl_version", noVersion)
	o.Refuse("ssl_enforce_fips_mode", notYet)
	o.Refuse("rabbit_ha_queues", notYet)
	o.Refuse("rabbit_transient_quorum_queue", notYet)
	o.Refuse("rabbit_quorum_delivery_limit", notYet)
	o.Refuse("rabbit_quorum_max_memory_length", notYet)
	o.Refuse("rabbit_quorum_max_memory_bytes", notYet)
	o.Refuse("enable_cancel_on_failover", notYet)
	o.Refuse("rabbit_stream_fanout", notYet)
	o.Refuse("use_queue_manager", noNames)
	o.Refuse("hostname", noNames)
	o.Refuse("processname", noNames)
	if err := o.Finish(); err != nil {
		return err
	}
	if heartbeat == 0 {
		return unusable(u, errors.New("option heartbeat_timeout_threshold: 0 is not supported: without heartbeats a dead broker is never noticed"))
	}
	s.topology.ttl = time.Duration(ttl) * time.Second
	s.heartbeat = time.Duration(heartbeat) * time.Second
	s.replies.patience = time.Duration(patience) * time.Second
	s.backoff.first = time.Duration(interval) * time.Second
	s.backoff.step = time.Duration(step) * time.Second
	s.backoff.most = time.Duration(most+interval) * time.Second
	s.backoff.shuffle = strategy == "shuffle"
	if err := s.encryption(useTLS, verify, caFile, certFile, keyFile); err != nil {
		return unusable(u, err)
	}
	return nil
}

// unusable says of options that go together what Finish says of one that is wrong by itself.
func unusable(u *transport.URL, why error) error {
	return &transport.OptionsError{Driver: u.Driver(), Problems: []string{why.Error()}}
}

// encryption reads the certificates. Without ssl the other options mean nothing (RMQ-TLS-01). The broker's
// certificate is always checked: against ssl_ca_file, else against the system's authorities.
func (s *settings) encryption(use, verifyHost bool, caFile, certFile, keyFile string) error {
	if !use {
		if s.login == "EXTERNAL" {
			return errors.New("option rabbit_login_method: EXTERNAL proves who we are with a certificate; it needs ssl=true, ssl_cert_file and ssl_key_file")
		}
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return fmt.Errorf("option ssl_ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("option ssl_ca_file: %s holds no certificate in PEM form", caFile)
		}
	}
	if (certFile == "") != (keyFile == "") {
		return errors.New("options ssl_cert_file and ssl_key_file: one does not work without the other")
	}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return fmt.Errorf("options ssl_cert_file and ssl_key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if !verifyHost {
		checkChainOnly(c)
	}
	s.tls = c
	return nil
}

// checkChainOnly makes c check that a known authority signed the certificate, and not for which host.
func checkChainOnly(c *tls.Config) {
	c.InsecureSkipVerify = true // the check below replaces the standard one, less the host name
	roots := c.RootCAs
	c.VerifyConnection = func(state tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}
