package amqp1

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/Azure/go-amqp"
)

// dialTimeout is the most time for one host: TCP, TLS, SASL and the first exchange.
const dialTimeout = 10 * time.Second

// dial connects to one broker.
func (s *settings) dial(ctx context.Context, e endpoint) (*amqp.Conn, *mux, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return nil, nil, explain(e, err) // it names the address
	}
	if s.login.tls != nil {
		secure := tls.Client(raw, s.certificates(e))
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, nil, explain(e, fmt.Errorf("TLS: %w", err))
		}
		raw = secure
	}
	m := newMux(newSocket(raw), s.idle)
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	idle := s.idle
	if idle == 0 {
		idle = -1 // go-amqp's 0 is a minute
	}
	conn, err := amqp.NewConn(ctx, m, &amqp.ConnOptions{
		ContainerID: s.container,
		HostName:    cmp.Or(s.vhost, e.host),
		IdleTimeout: idle,
		Properties:  map[string]any{"process": s.program, "pid": int32(os.Getpid()), "node": host}, // as upstream's
		SASLType:    s.login.sasl(e),
	})
	if err != nil {
		_ = m.Close() // it is closed already, unless options were wrong
		return nil, nil, explain(e, err)
	}
	return conn, m, nil
}

// certificates says for whom the broker's certificate must be.
func (s *settings) certificates(e endpoint) *tls.Config {
	c := s.login.tls.Clone()
	c.ServerName = e.host
	if s.login.vhostName {
		c.ServerName = cmp.Or(s.vhost, s.addresses.vhost, e.host)
	}
	return c
}

// explain says where err happened, and what to do. The library has no types for what SASL says.
func explain(e endpoint, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "auth failed"):
		return fmt.Errorf("%s: the broker refuses the login of user %q: %w", e.addr, e.user, err)
	case strings.Contains(text, "no supported auth mechanism"):
		return fmt.Errorf("%s: %w; see sasl_mechanisms, and the user in the url", e.addr, err)
	case strings.Contains(text, "unexpected protocol header"):
		return fmt.Errorf("%s: %w: the broker wants another login (none, or SASL with a user or sasl_mechanisms=ANONYMOUS), or speaks no AMQP 1.0 (RabbitMQ before 4.0 needs its plugin rabbitmq_amqp1_0)", e.addr, err)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return err
	}
	return fmt.Errorf("%s: %w", e.addr, err)
}
