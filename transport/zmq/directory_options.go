//go:build zmq

package zmq

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/goslo/goslo/transport"
)

// schemeRedis is that of URLs that name a directory in Redis; zmq:// names members.
const schemeRedis = "zmq+redis"

// Defaults of a directory in Redis.
const (
	redisPort     = 6379
	defaultExpire = 10 * time.Second
)

// directoryOptions say which directory to use.
type directoryOptions struct {
	redis  *redisOptions // nil = another one
	static staticOptions
}

// readDirectory reads what a URL and the options say about the directory: Redis, a list, or neither, which is the folder of this
// host. Options that are wrong are told by o.Finish, which is the caller's.
func readDirectory(u *transport.URL, o *transport.Options) (directoryOptions, error) {
	if u.Scheme == schemeRedis {
		r, err := readRedis(u, o)
		o.NoEffect("directory_file", "the directory is in Redis")
		return directoryOptions{redis: r}, err
	}
	s, err := readStatic(u, o)
	for _, name := range []string{"zmq_target_expire", "zmq_target_update"} {
		o.NoEffect(name, "this directory needs no renewal")
	}
	for _, name := range []string{"redis_db", "tls", "tls_ca", "tls_cert", "tls_key", "tls_server_name"} {
		o.NoEffect(name, "the directory is not in Redis; "+schemeRedis+":// has it there")
	}
	return directoryOptions{static: s}, err
}

// redisOptions are those of a directory in Redis.
type redisOptions struct {
	vhost  string
	hosts  []transport.Host // each a Redis of its own, with a port
	db     int
	tls    *tls.Config   // nil = none
	expire time.Duration // how long a server is known that does not renew
	update time.Duration // between renewals, and between looks at what others did
}

// readRedis reads zmq+redis://[user:password@]host[:port][,...]/[virtual_host] and its options.
func readRedis(u *transport.URL, o *transport.Options) (*redisOptions, error) {
	r := &redisOptions{vhost: u.VirtualHost, hosts: slices.Clone(u.Hosts), expire: defaultExpire}
	o.Int("redis_db", &r.db, 0, 1<<20)
	o.Seconds("zmq_target_expire", &r.expire, time.Second, time.Hour)
	o.Seconds("zmq_target_update", &r.update, 100*time.Millisecond, time.Hour)
	if r.update == 0 {
		r.update = r.expire / 3
	}
	if half := r.expire / 2; r.update > half { // oslo.messaging's were 300 and 180
		o.Instead("zmq_target_update", fmt.Sprintf("must be at most half of zmq_target_expire, which is %v, or servers are forgotten while they live", r.expire),
			half.String())
		r.update = half
	}
	useTLS := false
	var files tlsFiles
	o.Bool("tls", &useTLS)
	o.Text("tls_ca", &files.ca)
	o.Text("tls_cert", &files.cert)
	o.Text("tls_key", &files.key)
	o.Text("tls_server_name", &files.serverName)
	if len(r.hosts) == 0 {
		r.hosts = []transport.Host{{}}
	}
	for i := range r.hosts {
		h := &r.hosts[i]
		if h.Hostname == "" {
			h.Hostname = "127.0.0.1"
		}
		if h.Port < 0 || h.Port > 65535 {
			return nil, fmt.Errorf("url %s: port %d is not within 1 to 65535", u, h.Port)
		}
		if h.Port == 0 {
			h.Port = redisPort
		}
	}
	if !useTLS {
		if files != (tlsFiles{}) {
			return nil, fmt.Errorf("url %s: tls_ options have no effect without TLS; add tls=true", u)
		}
		return r, nil
	}
	var err error
	if r.tls, err = files.load(); err != nil {
		return nil, fmt.Errorf("url %s: %w", u, err)
	}
	return r, nil
}

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
