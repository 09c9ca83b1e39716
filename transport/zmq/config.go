//go:build zmq

package zmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	zmq4 "github.com/pebbe/zmq4"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// Config says which bus to join and how. The zero value is the bus of this user on this host.
type Config struct {
	// URL names the directory, which tells who serves what, the virtual host and options:
	//
	//	zmq:///vhost                                 this user's processes on this host, found in rpc_zmq_ipc_dir
	//	zmq+redis://[user:password@]host,.../vhost   a directory in Redis, at port 6379 if none is given
	//	zmq://host:port,host:port/vhost              a list of those who serve; zmq:///vhost?directory_file=path has it in a file
	//
	// Default (nil): zmq://.
	URL *transport.URL

	// Settings are the options of [oslo_messaging_zmq] in configuration files. Those in the URL come first; an unknown
	// one is logged and ignored. Default: none.
	Settings []transport.Setting

	// Program is shown to operators. Default: the name of the executable.
	Program string

	// Exchange is what an address without one means. Default: "openstack".
	Exchange string

	// Logger hears about connections lost and servers that have ended, and about messages dropped. Default: silence.
	Logger *slog.Logger
}

// settings is a Config that was read and checked.
type settings struct {
	scheme    string
	vhost     string
	program   string
	exchange  string
	directory directoryOptions
	tcp       listening
	ipcDir    string
	immediate bool
	socket    socketOptions
	security  security
}

// listening is where others reach us from other hosts.
type listening struct {
	on               bool
	bind, host       string
	min, max, trials int
}

// loopback says whether only this host can reach us.
func (t listening) loopback() bool {
	ip := net.ParseIP(strings.Trim(t.bind, "[]"))
	return t.bind == "localhost" || ip != nil && ip.IsLoopback()
}

// socketOptions are those of all sockets that carry messages.
type socketOptions struct {
	highWater int
	linger    time.Duration
	heartbeat time.Duration // between two; 0 = none
	timeout   time.Duration // without an answer, after which a connection is given up
	keepalive keepalive
}

// keepalive is TCP's; -1 leaves a value to the system.
type keepalive struct{ on, idle, count, interval int }

// security protects connections.
type security interface {
	// start begins to check who connects to sockets of a context; stop ends that.
	start(*zmq4.Context) (stop func() error, err error)
	server(*zmq4.Socket) error
	client(s *zmq4.Socket, serverKey string) error
	public() string // our key, "" = none
}

// open is no security at all.
type open struct{}

func (open) start(*zmq4.Context) (func() error, error) { return func() error { return nil }, nil }
func (open) server(*zmq4.Socket) error                 { return nil }
func (open) client(*zmq4.Socket, string) error         { return nil }
func (open) public() string                            { return "" }

// Check returns the error that Open would return before it opens a socket: about options that are wrong or do not go together.
func (c Config) Check() error {
	_, _, err := c.read()
	return err
}

// read checks c. What comes with the settings is to be logged.
func (c Config) read() (*settings, *transport.Options, error) {
	u := c.URL
	if u == nil {
		u = &transport.URL{Scheme: "zmq"}
	}
	s := &settings{
		scheme: u.Scheme, vhost: u.VirtualHost, security: open{},
		program: cmp.Or(c.Program, filepath.Base(os.Args[0])), exchange: cmp.Or(c.Exchange, "openstack"),
	}
	if u.Scheme != "zmq" && u.Scheme != schemeRedis {
		return nil, nil, fmt.Errorf("zmq: url: scheme %q is neither zmq nor %s", u.Scheme, schemeRedis)
	}
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o, err := s.options(u, c.Settings, log)
	if err == nil {
		s.ipcDir, err = ipcDir(s.ipcDir)
	}
	if most := maxSocketPath - len("/") - len(wire.NewID()); err == nil && len(s.ipcDir) > most {
		err = fmt.Errorf("the folder of sockets %s has %d bytes, and may have %d; give a shorter rpc_zmq_ipc_dir", s.ipcDir, len(s.ipcDir), most)
	}
	return s, o, wrap(err, "zmq")
}

// openDirectory opens the directory that the URL names.
func (s *settings) openDirectory(ctx context.Context, log *slog.Logger) (directory, error) {
	switch d := s.directory; {
	case d.redis != nil:
		return openRedis(ctx, *d.redis, log)
	case d.static.given():
		return openStatic(d.static, log)
	}
	return openLocal(filepath.Join(s.ipcDir, "vhost-"+fileName(s.vhost)), log)
}

// dress sets what all sockets that carry messages have in common.
func (s *settings) dress(socket *zmq4.Socket) error {
	o := s.socket
	errs := []error{
		socket.SetIpv6(true), socket.SetMaxmsgsize(wire.MaxSize + 1<<20),
		socket.SetSndhwm(o.highWater), socket.SetRcvhwm(o.highWater), socket.SetLinger(o.linger),
		socket.SetTcpKeepalive(o.keepalive.on), socket.SetTcpKeepaliveIdle(o.keepalive.idle),
		socket.SetTcpKeepaliveCnt(o.keepalive.count), socket.SetTcpKeepaliveIntvl(o.keepalive.interval),
	}
	if o.heartbeat > 0 {
		errs = append(errs, socket.SetHeartbeatIvl(o.heartbeat), socket.SetHeartbeatTimeout(o.timeout), socket.SetHeartbeatTtl(o.heartbeat+o.timeout))
	}
	return wrap(errors.Join(errs...), "set socket options")
}

// bind opens the places where others reach us, and returns them.
func (s *settings) bind(ctx context.Context, router *zmq4.Socket, id string) ([]string, error) {
	s.sweep(ctx)
	path := filepath.Join(s.ipcDir, id)
	if err := router.Bind("ipc://" + path); err != nil {
		return nil, fmt.Errorf("bind ipc://%s: %w", path, err)
	}
	endpoints := []string{"ipc://" + path}
	if !s.tcp.on {
		return endpoints, nil
	}
	var err error
	for range s.tcp.trials {
		port := strconv.Itoa(s.tcp.min + rand.IntN(s.tcp.max-s.tcp.min))
		if err = router.Bind("tcp://" + bracketed(s.tcp.bind) + ":" + port); err != nil {
			continue
		}
		if s.tcp.host == "" {
			bound, err := router.GetLastEndpoint()
			return append(endpoints, bound), wrap(err, "find the address bound")
		}
		return append(endpoints, "tcp://"+bracketed(s.tcp.host)+":"+port), nil
	}
	return nil, fmt.Errorf("bind a port of %s from %d to %d: none of %d was free: %w", s.tcp.bind, s.tcp.min, s.tcp.max-1, s.tcp.trials, err)
}

// unbind removes the socket file of a router that is closed.
func (s *settings) unbind(id string) { _ = os.Remove(filepath.Join(s.ipcDir, id)) }

// sweepMost is how many sockets are looked at when a transport opens.
const sweepMost = 16

// sweep removes sockets that were left behind by processes that were killed. It looks at some, at random, so that it takes no time where
// there are many; those less than a minute old may be about to be listened at.
func (s *settings) sweep(ctx context.Context) {
	files, err := os.ReadDir(s.ipcDir)
	if err != nil {
		return // bind will say why
	}
	looked := 0
	for _, i := range rand.Perm(len(files)) {
		info, err := files[i].Info()
		if err != nil || info.Mode().Type() != fs.ModeSocket || len(info.Name()) != len(wire.NewID()) || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		if looked++; looked > sweepMost {
			return
		}
		path := filepath.Join(s.ipcDir, info.Name())
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
		switch {
		case err == nil:
			_ = conn.Close()
		case errors.Is(err, syscall.ECONNREFUSED):
			_ = os.Remove(path)
		}
	}
}

// maxSocketPath is how long the path of a unix socket may be on Linux.
const maxSocketPath = 107

func bracketed(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}
