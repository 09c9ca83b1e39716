package rabbit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// toolHeartbeat is that of tools, in place of a longer one: what is theirs at the broker is to be gone soon after their host is.
const toolHeartbeat = 10 * time.Second

// Dial opens one connection of the AMQP library's, as c says, for tools that look at a broker beside what a [Transport] does. The brokers are
// tried in the order of the URL, each once; the error tells about all of them. Nobody keeps the connection up: it is the caller's, who closes it.
// The broker gives up a connection whose host has gone within 20 s.
//
// An error about c itself is as that of [Config.Check]; none holds a secret.
func (c Config) Dial(ctx context.Context) (*amqp.Connection, error) {
	s, _, err := c.read()
	if err != nil {
		return nil, err
	}
	s.heartbeat = min(cmp.Or(s.heartbeat, toolHeartbeat), toolHeartbeat)
	var problems []error
	for _, e := range s.endpoints {
		conn, _, err := s.dial(ctx, e)
		if err == nil {
			return conn, nil
		}
		problems = append(problems, err)
	}
	return nil, wrap(errors.Join(problems...), "rabbit")
}

// A Site is where the brokers of a configuration are, and who we are there: what tools go by that look at a broker through
// another door than AMQP, such as its management API.
type Site struct {
	Hosts       []transport.Host // at least one, each with a name, a port and credentials
	VirtualHost string
	TLS         *tls.Config // nil = in clear
}

// Site returns what c says of that. The error is as that of [Config.Check].
func (c Config) Site() (Site, error) {
	s, _, err := c.read()
	if err != nil {
		return Site{}, err
	}
	site := Site{VirtualHost: s.vhost, TLS: s.tls}
	for _, e := range s.endpoints {
		h := transport.Host{Hostname: e.host, Username: e.user, Password: e.password, HasUsername: true, HasPassword: true}
		if _, port, err := net.SplitHostPort(e.addr); err == nil {
			h.Port, _ = strconv.Atoi(port) // it was made of a number
		}
		site.Hosts = append(site.Hosts, h)
	}
	return site, nil
}
