package rabbit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/wire"
)

const (
	connectTimeout   = 5 * time.Second  // RMQ-CONN-14
	handshakeTimeout = 10 * time.Second // the AMQP one, TLS included
	version          = "0.1"

	// frameMax is the longest frame that we offer to take, in bytes, as kombu does: a broker may have no limit of its own.
	frameMax = 128 << 10

	// noHeartbeat makes the library ask the broker for none. It takes 0 for the broker's interval; of two intervals
	// it takes the smaller, which this is, and tells the broker the lower 16 bits of it, which are 0.
	noHeartbeat = -(1 << 16) * time.Second
)

// connectTCP has the timeouts of RMQ-CONN-14. Go sets TCP_NODELAY by itself.
func connectTCP(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 10 * time.Second, Count: 9},
	}
	return d.DialContext(ctx, "tcp", addr)
}

// dial opens one connection to one node. It returns within ctx, and its errors hold no secret.
func (s *settings) dial(ctx context.Context, e endpoint) (*amqp.Connection, *mux, error) {
	plain, err := connectTCP(ctx, e.addr)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", e.addr, err)
	}
	if err := plain.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("connect to %s: %w", e.addr, err), plain.Close())
	}
	conn := plain
	if s.tls != nil {
		c := s.tls.Clone()
		c.ServerName = e.host
		encrypted := tls.Client(plain, c)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			_ = plain.Close() // the handshake's error is the one to tell
			return nil, nil, asRefusal(err, fmt.Errorf("connect to %s with TLS: %w", e.addr, s.tlsReason(e, err)))
		}
		conn = encrypted
	}
	sock := newMux(newSocket(conn, cmp.Or(s.heartbeat, time.Minute)))
	// The library's handshake knows no context: closing under it is the way to end it.
	stop := context.AfterFunc(ctx, func() { _ = plain.Close() })
	properties := s.properties()
	broker, err := amqp.Open(sock, amqp.Config{
		SASL:       []amqp.Authentication{s.credentials(e, properties)},
		Vhost:      s.vhost,
		Heartbeat:  cmp.Or(s.heartbeat, noHeartbeat),
		FrameSize:  frameMax,
		Properties: properties,
		Locale:     "en_US",
	})
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cause := sock.cause()
		_ = sock.Close() // the handshake's error is the one to tell
		return nil, nil, asRefusal(errors.Join(err, cause), s.explain(ctx, e, err, cause))
	}
	return broker, sock, nil
}

// properties are what the broker's tools show of us (RMQ-CONN-03).
func (s *settings) properties() amqp.Table {
	id := wire.NewID()
	name := fmt.Sprintf("%s:%d:%s-%s-%s-%s-%s", s.program, os.Getpid(), id[:8], id[8:12], id[12:16], id[16:20], id[20:])
	return amqp.Table{"product": "goslo", "product_version": version, "connection_name": name}
}

// login is a SASL mechanism with its answer.
type login struct {
	amqp.Authentication
	properties amqp.Table
}

func (s *settings) credentials(e endpoint, properties amqp.Table) amqp.Authentication {
	l := login{properties: properties}
	switch s.login {
	case "PLAIN":
		l.Authentication = &amqp.PlainAuth{Username: e.user, Password: e.password}
	case "EXTERNAL":
		l.Authentication = &amqp.ExternalAuth{}
	default:
		l.Authentication = &amqp.AMQPlainAuth{Username: e.user, Password: e.password}
	}
	return l
}

// Response is called after the library has put its own capabilities into the properties, and before it sends
// them: the one moment to add ours. Without authentication_failure_close the broker answers a wrong password
// with seconds of silence.
func (l login) Response() string {
	if c, ok := l.properties["capabilities"].(amqp.Table); ok {
		c["authentication_failure_close"] = true
	}
	return l.Authentication.Response()
}
