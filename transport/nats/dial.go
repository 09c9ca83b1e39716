package nats

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// maxInfo bounds the line in which a server introduces itself.
const maxInfo = 1 << 20

// A dialer makes the connections that nats.go uses, TLS included, because messages of ours are written and read above TLS and below
// nats.go. It remembers why it failed: nats.go does not say.
type dialer struct {
	conn *Conn
	life context.Context //nolint:containedctx // of the connection: nats.go's dialers are given none

	mu    sync.Mutex
	err   error
	named string // the last host that was reached by its name
}

// SkipTLSHandshake says that Dial has done it.
func (d *dialer) SkipTLSHandshake() bool { return true }

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if old := d.conn.socket.Load(); old != nil {
		_ = old.Close() // nats.go leaves one open on which it was not let in
	}
	ctx, cancel := context.WithTimeout(d.life, connectTimeout)
	defer cancel()
	s, err := d.reach(ctx, network, address)
	d.mu.Lock()
	d.err = err
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	d.conn.socket.Store(s)
	return s, nil
}

// reach connects, and encrypts where one side demands it. The server's first line is read here, as it tells; nats.go gets it again.
func (d *dialer) reach(ctx context.Context, network, address string) (*socket, error) {
	conn, err := d.conn.cfg.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	info, encrypted, err := d.greet(ctx, conn, address)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return newSocket(encrypted, info, &d.conn.subscriptions), nil
}

// greet reads the server's first line, and returns the connection to go on with.
func (d *dialer) greet(ctx context.Context, conn net.Conn, address string) (info []byte, _ net.Conn, err error) {
	for !bytes.Contains(info, []byte("\n")) {
		if len(info) > maxInfo {
			return nil, nil, errors.New("what answers is no NATS server: its first line does not end")
		}
		info = slices.Grow(info, 4<<10)
		n, err := conn.Read(info[len(info):cap(info)])
		if info = info[:len(info)+n]; n == 0 && err != nil {
			return nil, nil, fmt.Errorf("the server has not introduced itself: %w", err)
		}
	}
	line, rest, _ := bytes.Cut(info, []byte("\n"))
	told, ok := parseInfo(line)
	config := d.conn.cfg.TLS
	switch {
	case config == nil && !told.TLSRequired:
		return info, conn, nil // nats.go says what is wrong with it
	case !ok:
		return nil, nil, fmt.Errorf("what answers is no NATS server: it begins with %.200q", line)
	case !told.TLSRequired && !told.TLSAvailable:
		return nil, nil, nats.ErrSecureConnWanted
	case len(rest) > 0: // whoever is on the way could have said it
		return nil, nil, fmt.Errorf("%w: before it the server said %.200q", nats.ErrTLS, bytes.TrimSpace(rest))
	case config == nil:
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = d.name(address)
	}
	encrypted := tls.Client(conn, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", nats.ErrTLS, err)
	}
	return info, encrypted, nil
}

// name is what the certificate of the server at an address has to say. One of the cluster that was not configured, and tells only its IP
// address, has the name of the one that told of it, as with nats.go.
func (d *dialer) name(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if net.ParseIP(host) == nil {
		d.named = host
	} else if d.named != "" && !slices.Contains(d.conn.cfg.Servers, address) {
		return d.named
	}
	return host
}

// last is the reason behind err.
func (d *dialer) last(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(err, nats.ErrNoServers) && d.err != nil {
		return d.err
	}
	return err
}
