package memory

import (
	"errors"
	"fmt"
	"sync"

	"github.com/goslo/goslo/transport"
)

// Config says how a process is attached to a bus. Its zero value works.
type Config struct {
	// Exchange is what an address without one means. Default: "openstack".
	Exchange string
}

// Open attaches to the bus that a URL names, memory://name/virtual_host or fake://name/virtual_host, with
// both parts optional. All of the process who name the same bus share it (FAKE-01). It comes into being
// with the first and is gone, messages included, when the last one closes.
//
// Anything else in the URL is an error, because it could not be honoured.
func Open(u *transport.URL, c Config) (*Transport, error) {
	name, err := nameOf(u)
	if err != nil {
		return nil, fmt.Errorf("memory: open %s: %w", u, err)
	}
	return named.open(name, c), nil
}

// Check returns the error that Open would return, and attaches to nothing.
func Check(u *transport.URL) error {
	if _, err := nameOf(u); err != nil {
		return fmt.Errorf("memory: open %s: %w", u, err)
	}
	return nil
}

func nameOf(u *transport.URL) (busName, error) {
	name := busName{virtualHost: u.VirtualHost}
	if err := u.Options().Finish(); err != nil {
		return name, err
	}
	switch len(u.Hosts) {
	case 0:
	case 1:
		name.host = u.Hosts[0].Hostname
		if u.Hosts[0] != (transport.Host{Hostname: name.host}) {
			return name, errors.New("a bus in memory has neither port, user nor password")
		}
	default:
		return name, fmt.Errorf("a bus in memory has one name, not %d hosts", len(u.Hosts))
	}
	return name, nil
}

type busName struct{ host, virtualHost string }

// registry finds buses by name. Two Opens of one URL can meet nowhere else than in the process itself,
// which is why this package, alone in the house, has state of its own. See [NewBus] for a bus without it.
type registry struct {
	mu    sync.Mutex
	buses map[busName]*sharedBus
}

type sharedBus struct {
	bus   *Bus
	users int
}

var named = registry{buses: map[busName]*sharedBus{}}

func (r *registry) open(name busName, c Config) *Transport {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.buses[name]
	if s == nil {
		s = &sharedBus{bus: NewBus()}
		r.buses[name] = s
	}
	s.users++
	t := s.bus.Open(c)
	t.release = func() { r.release(name, s) }
	return t
}

func (r *registry) release(name busName, s *sharedBus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(r.buses, name)
	}
}
