package nats

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/nats-io/nats.go"

	"github.com/goslo/goslo/transport"
)

// DefaultPort is where a NATS server listens when the URL does not say.
const DefaultPort = 4222

// MemoryOnly begins the names of servers that keep nothing on disk. New queues live in memory there, unless
// Config.Storage says otherwise.
const MemoryOnly = "goslo-memory"

// The most calls, and bytes of them, that wait in one listener for Next. See the package's guarantees.
const (
	MaxWaitingCalls = 65536
	MaxWaitingBytes = 256 << 20
)

// Config says which servers to use and how. The zero value is a server on this machine without
// authentication.
type Config struct {
	// Servers are host:port of one cluster's servers. Default: 127.0.0.1:4222.
	Servers []string
	// VirtualHost separates users of one cluster by the names of their subjects; it protects nothing.
	VirtualHost string
	// Exchange stands in for an empty Address.Exchange. Default: "openstack".
	Exchange string
	// Program is shown to operators, with the process ID, as the connection's name. Default: the
	// executable's name.
	Program string

	Auth Auth
	// TLS demands TLS when not nil. The server's certificate is always verified.
	TLS *tls.Config

	// Storage of new cast queues: "file" or "memory". Default: "file", see also MemoryOnly.
	Storage string
	// Replicas of new cast queues in a cluster, 1 to 5. Default: 1.
	Replicas int

	// Dial reaches a server. Default: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger is told about the connection's life. Default: discard.
	Logger *slog.Logger
}

// Auth says who we are. At most one way is used.
type Auth struct {
	User, Password string
	Token          string
	NKeyFile       string // a file with an NKEY seed
	CredsFile      string // a file with a user's JWT and NKEY seed, as made by nsc
}

// ConfigFromURL reads nats://[user[:password]@]host:port[,host:port]/[virtual_host][?option=value&...].
// nats+tls:// and tls=true demand TLS. The options:
//
//	token                 the server's token
//	nkey                  a file with an NKEY seed
//	creds                 a file with a user's JWT and NKEY seed, as made by nsc
//	tls                   true demands TLS
//	tls_ca                a file with the authorities that may have signed the server's certificate; default: the system's
//	tls_cert, tls_key     files with our certificate and key
//	tls_server_name       the name in the server's certificate, when it is not the host's
//	storage               of new cast queues: file (default) or memory
//	replicas              of new cast queues in a cluster: 1 (default) to 5
//
// An option that is not known is an error, as are credentials of more than one kind, or different ones for
// different hosts.
func ConfigFromURL(u *transport.URL) (Config, error) {
	c := Config{VirtualHost: u.VirtualHost}
	var useTLS bool
	switch u.Scheme {
	case "nats":
	case "nats+tls":
		useTLS = true
	default:
		return c, fmt.Errorf("nats: url %s: scheme is neither nats nor nats+tls", u)
	}
	var files tlsFiles
	o := u.Options()
	o.Text("token", &c.Auth.Token)
	o.Text("nkey", &c.Auth.NKeyFile)
	o.Text("creds", &c.Auth.CredsFile)
	o.Bool("tls", &useTLS)
	o.Text("tls_ca", &files.ca)
	o.Text("tls_cert", &files.cert)
	o.Text("tls_key", &files.key)
	o.Text("tls_server_name", &files.serverName)
	o.OneOf("storage", &c.Storage, "file", "memory")
	o.Int("replicas", &c.Replicas, 1, 5)
	if err := o.Finish(); err != nil {
		return c, err
	}
	if u.Scheme == "nats+tls" && !useTLS {
		return c, fmt.Errorf("nats: url %s: nats+tls:// demands TLS and tls=false refuses it; leave one of them out", u)
	}
	if err := c.readHosts(u); err != nil {
		return c, fmt.Errorf("nats: url %s: %w", u, err)
	}
	if err := c.Auth.check(); err != nil {
		return c, fmt.Errorf("nats: url %s: %w", u, err)
	}
	if !useTLS && files != (tlsFiles{}) {
		return c, fmt.Errorf("nats: url %s: tls_ options have no effect without TLS; add tls=true or start the url with nats+tls://", u)
	}
	if useTLS {
		var err error
		if c.TLS, err = files.load(); err != nil {
			return c, fmt.Errorf("nats: url %s: %w", u, err)
		}
	}
	return c, nil
}

func (c *Config) readHosts(u *transport.URL) error {
	for i, h := range u.Hosts {
		if h.Hostname == "" {
			h.Hostname = "127.0.0.1"
		}
		if h.Port < 0 || h.Port > 65535 {
			return fmt.Errorf("port %d is not within 1 to 65535", h.Port)
		}
		c.Servers = append(c.Servers, h.Addr(DefaultPort))
		if i > 0 && (h.Username != c.Auth.User || h.Password != c.Auth.Password) {
			return errors.New("all hosts must have the same user and password, since a client presents one identity to a NATS cluster")
		}
		c.Auth.User, c.Auth.Password = h.Username, h.Password
	}
	return nil
}

func (a Auth) check() error {
	ways := 0
	for _, set := range []bool{a.User != "" || a.Password != "", a.Token != "", a.NKeyFile != "", a.CredsFile != ""} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("give one of user and password, token, nkey, creds; a NATS server takes one of them")
	}
	return nil
}

// option presents the identity. Files are read again at each connection, so that they may be renewed.
func (a Auth) option() (nats.Option, error) {
	switch {
	case a.User != "" || a.Password != "":
		return nats.UserInfo(a.User, a.Password), nil
	case a.Token != "":
		return nats.Token(a.Token), nil
	case a.NKeyFile != "":
		o, err := nats.NkeyOptionFromSeed(a.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nkey file %s: %w", a.NKeyFile, err)
		}
		return o, nil
	case a.CredsFile != "":
		if _, err := os.Stat(a.CredsFile); err != nil {
			return nil, fmt.Errorf("creds file: %w", err)
		}
		return nats.UserCredentials(a.CredsFile), nil
	}
	return func(*nats.Options) error { return nil }, nil
}

// String says who we are, without secrets.
func (a Auth) String() string {
	switch {
	case a.User != "" || a.Password != "":
		return fmt.Sprintf("user %q", a.User)
	case a.Token != "":
		return "a token"
	case a.NKeyFile != "":
		return "nkey " + a.NKeyFile
	case a.CredsFile != "":
		return "creds " + a.CredsFile
	}
	return "no credentials"
}

// GoString is String, so that %#v shows no secrets either.
func (a Auth) GoString() string { return a.String() }

// LogValue is String, so that logs show no secrets either.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }

type tlsFiles struct{ ca, cert, key, serverName string }

func (f tlsFiles) load() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.serverName}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("tls_ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls_ca: %s holds no certificate in PEM form", f.ca)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, errors.New("tls_cert and tls_key go together")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("tls_cert and tls_key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
