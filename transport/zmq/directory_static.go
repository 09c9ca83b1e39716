//go:build zmq

package zmq

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/zmq/curve"
)

// staticLook is the least time between two looks at the file of a static directory, unless a fresh answer is wanted.
const staticLook = time.Second

// staticOptions are those of a static directory.
type staticOptions struct {
	hosts []transport.Host
	file  string
}

// given says whether a static directory was asked for.
func (o staticOptions) given() bool { return len(o.hosts) > 0 || o.file != "" }

// readStatic reads zmq://host:port[,host:port][,...]/[virtual_host][?directory_file=path].
func readStatic(u *transport.URL, o *transport.Options) (staticOptions, error) {
	s := staticOptions{hosts: u.Hosts}
	o.Text("directory_file", &s.file)
	for _, h := range s.hosts {
		if h.Port < 1 || h.Port > 65535 || h.Hostname == "" {
			return s, fmt.Errorf("url %s: host %s: give a name and a port from 1 to 65535 for each process that serves", u, h)
		}
		if h.HasUsername || h.HasPassword {
			return s, fmt.Errorf("url %s: host %s: ZeroMQ has no users and passwords; for keys see curve_key", u, h)
		}
	}
	return s, nil
}

// A static directory is a list of endpoints, in the URL or a file. It does not know who serves what there: members tell those
// who connect to them. The file is read again when it has changed.
//
// Of the file each line is an endpoint (host:port, tcp://host:port or ipc:///path) and, with CURVE, the public key of who
// listens there; lines that start with # are comments.
type static struct {
	options staticOptions
	log     *slog.Logger

	mu       sync.Mutex
	self     member
	services map[service]struct{}
	looked   time.Time
	read     fs.FileInfo // of the file as it was read; nil = never
	listed   []member
}

func openStatic(o staticOptions, log *slog.Logger) (*static, error) {
	d := &static{options: o, log: log, services: map[service]struct{}{}}
	if err := d.look(time.Now()); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	return d, nil
}

// join implements [directory].
func (d *static) join(_ context.Context, self member) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.self = self
	return nil
}

// serve implements [directory].
func (d *static) serve(_ context.Context, s service) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.services[s] = struct{}{}
	return nil
}

// unserve implements [directory].
func (d *static) unserve(_ context.Context, s service) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.services, s)
	return nil
}

// find implements [directory]. Of others it knows where they listen, not what they serve.
func (d *static) find(_ context.Context, exchange, topic string, fresh bool) ([]provider, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.options.file != "" && (fresh || now.Sub(d.looked) > staticLook) {
		if err := d.look(now); err != nil {
			d.log.Error("zmq: the directory cannot be read again; going on with what is known", "error", err)
		}
	}
	list := make([]provider, 0, len(d.listed)+1)
	own := provider{member: d.self}
	for s := range d.services {
		if s.Exchange == exchange && s.Topic == topic {
			own.Servers = append(own.Servers, s.Server)
		}
	}
	if len(own.Servers) > 0 {
		list = append(list, own)
	}
	for _, m := range d.listed {
		if !slices.Contains(d.self.Endpoints, m.Endpoints[0]) {
			list = append(list, provider{member: m, Unasked: true})
		}
	}
	return list, nil
}

// topics implements [directory]: a static directory does not know.
func (d *static) topics(context.Context, string) ([]string, error) {
	return nil, fmt.Errorf("directory: a list of endpoints does not tell topics: %w", errors.ErrUnsupported)
}

// gone implements [directory]: who stands in the list stays in it, and may come back.
func (d *static) gone(member) {}

// close implements [directory].
func (d *static) close(context.Context) error { return nil }

// look reads the file if it has changed. d.mu is held, which file systems make short.
func (d *static) look(now time.Time) error {
	d.looked = now
	if d.options.file == "" {
		if d.listed == nil {
			d.listed = d.fromURL()
		}
		return nil
	}
	info, err := os.Stat(d.options.file)
	if err != nil {
		return fmt.Errorf("directory_file: %w", err)
	}
	if d.read != nil && os.SameFile(d.read, info) && d.read.ModTime().Equal(info.ModTime()) && d.read.Size() == info.Size() {
		return nil
	}
	text, err := os.ReadFile(d.options.file)
	if err != nil {
		return fmt.Errorf("directory_file: %w", err)
	}
	// Whatever is wrong with it is said once, not at each look.
	again := d.read != nil
	d.read = info
	listed, err := parseEndpoints(string(text))
	if err != nil {
		return fmt.Errorf("directory_file: %s:%w", d.options.file, err)
	}
	d.listed = append(d.fromURL(), listed...)
	if again {
		d.log.Info("zmq: the directory has changed", "file", d.options.file, "endpoints", len(d.listed))
	}
	return nil
}

func (d *static) fromURL() []member {
	list := make([]member, 0, len(d.options.hosts))
	for _, h := range d.options.hosts {
		list = append(list, member{Endpoints: []string{"tcp://" + h.Addr(0)}})
	}
	return list
}

// parseEndpoints reads the file of a static directory. Its error starts with the number of the line.
func parseEndpoints(text string) ([]member, error) {
	var list []member
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		endpoint, err := parseEndpoint(words[0])
		if err != nil {
			return nil, fmt.Errorf("%d: %w", number, err)
		}
		m := member{Endpoints: []string{endpoint}}
		if len(words) > 1 {
			k, err := curve.ParseKey(words[1])
			if err != nil {
				return nil, fmt.Errorf("%d: the key %w", number, err)
			}
			m.Key = k.String()
		}
		if len(words) > 2 {
			return nil, fmt.Errorf("%d: after the endpoint and its key comes nothing more", number)
		}
		list = append(list, m)
	}
	return list, nil
}

func parseEndpoint(s string) (string, error) {
	if path, ok := strings.CutPrefix(s, "ipc://"); ok {
		if !strings.HasPrefix(path, "/") {
			return "", fmt.Errorf("%s: give the whole path, ipc:///run/name", s)
		}
		return s, nil
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(s, "tcp://"))
	if err != nil || host == "" {
		return "", fmt.Errorf("%s: is neither host:port nor ipc:///path", s)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%s: its port is not within 1 to 65535", s)
	}
	return "tcp://" + net.JoinHostPort(host, port), nil
}
