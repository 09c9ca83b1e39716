package embedded

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"path/filepath"

	"github.com/goslo/goslo/transport"
)

// DefaultPort is the loopback port of the bus without a name.
const DefaultPort = 4227

// Buses with a name have ports of their own, from firstNamedPort on.
const (
	firstNamedPort = 20000
	namedPorts     = 10000
)

// Config says which bus to join. The zero value is the user's one bus on this machine.
type Config struct {
	// Name tells several buses of one user apart; its port follows from it. Default: none.
	Name string
	// Port is the loopback port. Default: DefaultPort, or the one that follows from Name.
	Port int
	// StoreDir is the folder to keep messages in when this process hosts the bus; one that every user may
	// write to is refused. Default: memory.
	StoreDir string
	// RuntimeDir holds the key that members of the bus share. Default: goslo in $XDG_RUNTIME_DIR, or in
	// the user's cache folder.
	RuntimeDir string

	// VirtualHost, Exchange and Program are as in nats.Config.
	VirtualHost, Exchange, Program string
	// Logger is told about the bus's life; its server's own messages are at debug level. Default: discard.
	Logger *slog.Logger
}

// ConfigFromURL reads embedded://[name][:port]/[virtual_host][?store_dir=folder]. An option that is not
// known is an error.
func ConfigFromURL(u *transport.URL) (Config, error) {
	c := Config{VirtualHost: u.VirtualHost}
	if u.Scheme != "embedded" {
		return c, fmt.Errorf("embedded: url %s: scheme is not embedded", u)
	}
	o := u.Options()
	o.Text("store_dir", &c.StoreDir)
	if err := o.Finish(); err != nil {
		return c, err
	}
	switch {
	case len(u.Hosts) > 1:
		return c, fmt.Errorf("embedded: url %s: the embedded bus is on this machine alone; give one name, or none", u)
	case len(u.Hosts) == 1 && (u.Hosts[0].HasUsername || u.Hosts[0].HasPassword):
		return c, fmt.Errorf("embedded: url %s: the embedded bus takes no user and password; it knows its user's processes by a key file", u)
	case len(u.Hosts) == 1:
		c.Name, c.Port = u.Hosts[0].Hostname, u.Hosts[0].Port
	}
	if c.Port < 0 || c.Port > 65535 {
		return c, fmt.Errorf("embedded: url %s: port %d is not within 1 to 65535", u, c.Port)
	}
	return c, nil
}

func (c *Config) complete() error {
	if c.Port == 0 {
		c.Port = DefaultPort
		if c.Name != "" {
			h := fnv.New32a()
			_, _ = h.Write([]byte(c.Name)) // a hash takes everything
			c.Port = firstNamedPort + int(h.Sum32()%namedPorts)
		}
	}
	if c.StoreDir != "" {
		dir, err := filepath.Abs(c.StoreDir)
		if err != nil {
			return fmt.Errorf("store_dir %s: %w", c.StoreDir, err)
		}
		c.StoreDir = dir
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
