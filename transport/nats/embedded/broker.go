package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/goslo/goslo/transport"
)

// BrokerConfig says how the bus runs as a process of its own. The zero value is the bus that embedded://
// clients of this user and machine join.
type BrokerConfig struct {
	// Listen is host:port, where either may be left out. Default: 127.0.0.1 and DefaultPort. Anything but
	// a loopback address offers the bus to other machines, unencrypted.
	Listen string
	// StoreDir is the folder to keep messages in. Default: memory.
	StoreDir string
	// RuntimeDir is as in Config.
	RuntimeDir string
	// Logger is told about the bus's life; its server's own messages are at debug level. Default: discard.
	Logger *slog.Logger
}

// A Broker is the bus as a process of its own. It serves from NewBroker on.
type Broker struct {
	hosted *hosted
	key    key
	host   string
	port   int
	log    *slog.Logger
}

// NewBroker starts the bus. It is an error when one runs on that port already.
func NewBroker(cfg BrokerConfig) (*Broker, error) {
	b, err := newBroker(cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded: start a broker: %w", err)
	}
	return b, nil
}

func newBroker(cfg BrokerConfig) (*Broker, error) {
	host, port, err := listenAddress(cfg.Listen)
	if err != nil {
		return nil, err
	}
	c := Config{Port: port, StoreDir: cfg.StoreDir, Logger: cfg.Logger}
	if err := c.complete(); err != nil {
		return nil, err
	}
	dir, err := runtimeDir(cfg.RuntimeDir)
	if err != nil {
		return nil, err
	}
	k, err := loadKey(dir)
	if err != nil {
		return nil, err
	}
	h, err := startServer(dir, k, host, c.Port, c.StoreDir, c.Logger)
	if errors.Is(err, errBusy) {
		return nil, fmt.Errorf("port %d: %w already; stop that one first, or give another address", c.Port, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", net.JoinHostPort(host, strconv.Itoa(c.Port)), err)
	}
	b := &Broker{hosted: h, key: k, host: host, port: c.Port, log: c.Logger}
	b.log.Info("embedded: broker started", "url", b.URL())
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		b.log.Warn("embedded: the broker is open to other machines; who it serves is checked, but traffic is not encrypted", "listen", host)
	}
	return b, nil
}

func listenAddress(listen string) (host string, port int, err error) {
	if listen == "" {
		return "127.0.0.1", 0, nil
	}
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: %w; give host:port", listen, err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if text == "" {
		return host, 0, nil
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("address %q: the port is not within 1 to 65535", listen)
	}
	return host, port, nil
}

// local says whether embedded:// reaches the broker.
func (b *Broker) local() bool { return b.host == "127.0.0.1" }

// URL is what a client needs: embedded:// for this user's processes on this machine, or a nats:// URL that
// names the key file, which clients on other machines need a copy of. It holds no secret.
func (b *Broker) URL() string {
	if b.local() {
		if b.port == DefaultPort {
			return "embedded://"
		}
		return "embedded://:" + strconv.Itoa(b.port)
	}
	u := transport.URL{Scheme: "nats", Query: []transport.Option{{Name: "nkey", Value: b.key.path}}}
	host := b.host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	u.Hosts = []transport.Host{{Hostname: host, Port: b.port}}
	return u.Reveal()
}

// KeyFile is the file that proves to the broker that a client may use it. Whoever holds a copy may.
func (b *Broker) KeyFile() string { return b.key.path }

// Run serves until ctx ends, then ends the bus.
func (b *Broker) Run(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { // ends with the server
		b.hosted.server.WaitForShutdown()
		close(ended)
	}()
	var err error
	select {
	case <-ctx.Done():
	case <-ended:
		err = errors.New("embedded: the broker's server ended on its own")
	}
	b.hosted.stop()
	<-ended
	b.log.Info("embedded: broker ended", "url", b.URL())
	return err
}
